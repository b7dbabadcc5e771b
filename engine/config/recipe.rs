//! The table `[minima.recipe]`: a training, in the words of torch.optim. A key that would say nothing beside the others is
//! refused.

use super::section::{Section, set};
use crate::error::{Error, Result};
use crate::search::training::optimiser::{Optimiser, Rule};
use crate::search::training::schedule::{Curve, OneCycle, Per, Schedule};
use crate::search::training::{Clip, Training};
use toml::{Table, Value};

/// Keys that belong to one kind of optimiser.
const OF_SGD: [&str; 3] = ["momentum", "dampening", "nesterov"];
const OF_ADAM: [&str; 3] = ["betas", "eps", "amsgrad"];

/// Numbers of intervals, as messages have them.
const BELOW_ONE: &str = "a number from 0 up to, but not, 1";
const FROM_ZERO: &str = "a number from 0";
const PART: &str = "a number from 0 to 1";

fn is_below_one(x: f64) -> bool {
    (0.0..1.0).contains(&x)
}

fn is_from_zero(x: f64) -> bool {
    x >= 0.0
}

fn is_part(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

/// A training.
pub(super) fn training(mut recipe: Section) -> Result<Training> {
    let epochs = recipe.count("epochs")?;
    let batch = recipe.count("batch")?.unwrap_or(256);
    let optimiser = optimiser(&mut recipe)?;
    let clip = Clip { value: recipe.positive("clip_value")?, norm: recipe.positive("clip_norm")? };
    let rates = rates(&mut recipe)?;
    let curve = curve(&mut recipe)?;
    recipe.finish()?;
    let wrong = |text: String| Err(Error::Argument(format!("[minima.recipe] {text}")));
    let (Some(epochs @ 1..), Some(rates)) = (epochs, rates) else {
        return wrong("epochs and rate are missing or zero: both are needed".to_owned());
    };
    let Some(batch) = usize::try_from(batch).ok().filter(|batch| *batch > 0) else {
        return wrong(format!("batch = {batch}: at least one sample is needed"));
    };
    let schedule = match (&rates[..], curve) {
        (_, None) => Schedule::Straight(rates),
        (&[(_, rate)], Some((curve, per))) => Schedule::Curve { rate, curve, per },
        (_, Some(_)) => return wrong("rate says every epoch's, and schedule too: leave one of the two out".to_owned()),
    };
    Ok(Training { epochs, batch, optimiser, schedule, clip })
}

/// A rule by its name, and its settings.
fn optimiser(recipe: &mut Section) -> Result<Optimiser> {
    let sgd = Rule::Sgd { momentum: 0.9, dampening: 0.0, nesterov: false };
    let adam = |decoupled| Rule::Adam { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, decoupled };
    let known = [("sgd", (sgd, 0.0)), ("adam", (adam(false), 0.0)), ("adamw", (adam(true), 0.01))];
    let (mut rule, mut decay) = recipe.choice("optimiser", &known)?.unwrap_or((sgd, 0.0));
    set(&mut decay, recipe.within("weight_decay", FROM_ZERO, is_from_zero)?);
    let (others, whose) = match &mut rule {
        Rule::Sgd { momentum, dampening, nesterov } => {
            set(momentum, recipe.within("momentum", BELOW_ONE, is_below_one)?);
            set(dampening, recipe.within("dampening", PART, is_part)?);
            set(nesterov, recipe.boolean("nesterov")?);
            consistent(*momentum, *dampening, *nesterov)?;
            (&OF_ADAM[..], "a key of optimiser = \"adam\" and \"adamw\"")
        }
        Rule::Adam { betas, eps, amsgrad, .. } => {
            set(betas, pair(recipe, "betas", "two numbers from 0 up to, but not, 1")?);
            set(eps, recipe.within("eps", FROM_ZERO, is_from_zero)?);
            set(amsgrad, recipe.boolean("amsgrad")?);
            (&OF_SGD[..], "a key of optimiser = \"sgd\"")
        }
    };
    recipe.refuse(|key| others.contains(&key).then(|| whose.to_owned()))?;
    Ok(Optimiser { rule, decay })
}

/// Refuses, as torch does, what only momentum gives a meaning, and a step ahead along a momentum that is damped.
fn consistent(momentum: f64, dampening: f64, nesterov: bool) -> Result<()> {
    let wrong = |text: &str| Err(Error::Argument(format!("[minima.recipe] {text}")));
    match (momentum > 0.0, dampening > 0.0, nesterov) {
        (false, _, true) => wrong("nesterov = true: there is no momentum to look ahead along (momentum = 0)"),
        (false, true, _) => wrong("dampening: there is no momentum to dampen (momentum = 0)"),
        (_, true, true) => wrong("nesterov = true and dampening: torch knows no such step; leave one of the two out"),
        _ => Ok(()),
    }
}

/// Two numbers below 1.
fn pair(section: &mut Section, key: &'static str, wanted: &str) -> Result<Option<[f64; 2]>> {
    let Some(value) = section.take(key) else { return Ok(None) };
    let numbers = value.as_array().and_then(|list| list.iter().map(number).collect::<Option<Vec<f64>>>());
    let two =
        numbers.and_then(|list| <[f64; 2]>::try_from(list).ok()).filter(|two| two.iter().all(|x| is_below_one(*x)));
    two.map(Some).ok_or_else(|| section.wrong(key, wanted, &value))
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_float().or(value.as_integer().map(|n| n as f64));
    number.filter(|x| x.is_finite() && *x >= 0.0)
}

/// A rate, or pairs of an epoch and the rate there.
fn rates(recipe: &mut Section) -> Result<Option<Vec<(f64, f64)>>> {
    let Some(value) = recipe.take("rate") else { return Ok(None) };
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([epoch, rate]) => Some((number(epoch)?, number(rate)?)),
        _ => None,
    };
    let rates = match &value {
        Value::Array(pairs) => pairs.iter().map(pair).collect::<Option<Vec<_>>>(),
        other => number(other).map(|rate| vec![(0.0, rate)]),
    };
    let ascend = |rates: &Vec<(f64, f64)>| !rates.is_empty() && rates.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let wanted = "a rate, or [[epoch, rate], ...] with ascending epochs";
    rates.filter(ascend).map(Some).ok_or_else(|| recipe.wrong("rate", wanted, &value))
}

/// `schedule`: a name, or a table of one and its settings; nothing where the rate stays as it is said.
fn curve(recipe: &mut Section) -> Result<Option<(Curve, Per)>> {
    let Some(value) = recipe.take("schedule") else { return Ok(None) };
    let table = match value {
        Value::String(name) => Table::from_iter([("name".to_owned(), Value::String(name))]),
        Value::Table(table) => table,
        other => return Err(recipe.wrong("schedule", "a name, or a table with one", &other)),
    };
    let mut schedule = Section::new("minima.recipe.schedule", table);
    type Read = fn(&mut Section) -> Result<Option<Curve>>;
    let known: [(&str, Read); 7] = [
        ("constant", |_| Ok(None)),
        ("step", step),
        ("multistep", multistep),
        ("exponential", exponential),
        ("cosine", cosine),
        ("warmup-cosine", warmup_cosine),
        ("one-cycle", one_cycle),
    ];
    let read = needed(schedule.choice("name", &known)?, "name")?;
    let curve = read(&mut schedule)?;
    let per = schedule.choice("per", &[("epoch", Per::Epoch), ("step", Per::Step)])?;
    schedule.finish()?;
    // Torch's other schedules are stepped once an epoch, this one once a minibatch.
    let usual = if matches!(curve, Some(Curve::OneCycle(_))) { Per::Step } else { Per::Epoch };
    Ok(curve.map(|curve| (curve, per.unwrap_or(usual))))
}

fn needed<T>(value: Option<T>, key: &str) -> Result<T> {
    value.ok_or_else(|| Error::Argument(format!("[minima.recipe.schedule] {key} is missing")))
}

/// A length of one at least.
fn length(schedule: &mut Section, key: &'static str) -> Result<Option<u64>> {
    match schedule.count(key)? {
        Some(0) => Err(schedule.wrong(key, "a whole number from 1", &Value::Integer(0))),
        length => Ok(length),
    }
}

fn step(schedule: &mut Section) -> Result<Option<Curve>> {
    let size = needed(length(schedule, "step_size")?, "step_size")?;
    Ok(Some(Curve::Step { size, gamma: schedule.positive("gamma")?.unwrap_or(0.1) }))
}

fn multistep(schedule: &mut Section) -> Result<Option<Curve>> {
    let milestones = needed(schedule.counts("milestones")?, "milestones")?;
    Ok(Some(Curve::Multistep { milestones, gamma: schedule.positive("gamma")?.unwrap_or(0.1) }))
}

fn exponential(schedule: &mut Section) -> Result<Option<Curve>> {
    Ok(Some(Curve::Exponential { gamma: needed(schedule.positive("gamma")?, "gamma")? }))
}

fn cosine(schedule: &mut Section) -> Result<Option<Curve>> {
    half(schedule, (0, 1.0))
}

fn warmup_cosine(schedule: &mut Section) -> Result<Option<Curve>> {
    let warmup = needed(length(schedule, "warmup")?, "warmup")?;
    let start = schedule.within("start_factor", PART, is_part)?.unwrap_or(1.0 / 3.0);
    half(schedule, (warmup, start))
}

fn half(schedule: &mut Section, (warmup, start): (u64, f64)) -> Result<Option<Curve>> {
    let length = length(schedule, "t_max")?;
    let lowest = schedule.within("eta_min", FROM_ZERO, is_from_zero)?.unwrap_or(0.0);
    Ok(Some(Curve::Cosine { warmup, start, length, lowest }))
}

fn one_cycle(schedule: &mut Section) -> Result<Option<Curve>> {
    let up = schedule.within("pct_start", PART, is_part)?.unwrap_or(0.3);
    let initial = schedule.positive("div_factor")?.unwrap_or(25.0);
    let last = schedule.positive("final_div_factor")?.unwrap_or(1e4);
    let straight = schedule.choice("anneal_strategy", &[("cos", false), ("linear", true)])?.unwrap_or(false);
    let three_phase = schedule.boolean("three_phase")?.unwrap_or(false);
    let cycles = schedule.boolean("cycle_momentum")?.unwrap_or(true);
    if !cycles {
        let whose = "a key of cycle_momentum = true";
        schedule.refuse(|key| ["base_momentum", "max_momentum"].contains(&key).then(|| whose.to_owned()))?;
    }
    let mut momenta = [0.85, 0.95];
    set(&mut momenta[0], schedule.within("base_momentum", BELOW_ONE, is_below_one)?);
    set(&mut momenta[1], schedule.within("max_momentum", BELOW_ONE, is_below_one)?);
    let momenta = cycles.then_some(momenta);
    Ok(Some(Curve::OneCycle(OneCycle { up, initial, last, straight, three_phase, momenta })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::explore::Way;
    use std::path::Path;

    fn recipe(keys: &str) -> std::result::Result<Training, String> {
        let text = format!("[loss]\nbackend = \"a\"\n[minima.recipe]\nepochs = 3\n{keys}");
        let config = Config::parse(&text, Path::new("here")).map_err(|error| error.to_string())?;
        match config.plan.way {
            Way::Training(training) => Ok(training),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_said_is_as_in_torch() {
        let momentum = |rates: &[(f64, f64)]| Training::with_momentum(3, 256, 0.9, Schedule::Straight(rates.to_vec()));
        assert_eq!(recipe("rate = 0.1").unwrap(), momentum(&[(0.0, 0.1)]));
        assert_eq!(recipe("rate = 0.1\nschedule = \"constant\"").unwrap(), momentum(&[(0.0, 0.1)]));
        let rates = [(0.0, 0.05), (10.0, 0.05), (50.0, 1e-4)];
        assert_eq!(recipe("rate = [[0, 0.05], [10, 0.05], [50, 1e-4]]").unwrap(), momentum(&rates));
        for (name, decoupled, decay) in [("adam", false, 0.0), ("adamw", true, 0.01)] {
            let rule = Rule::Adam { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, decoupled };
            let adam = Training { optimiser: Optimiser { rule, decay }, ..momentum(&[(0.0, 0.1)]) };
            assert_eq!(recipe(&format!("rate = 0.1\noptimiser = \"{name}\"")).unwrap(), adam);
        }
        let schedule = |keys: &str| recipe(&format!("rate = 0.1\nschedule = {keys}")).unwrap().schedule;
        let curve = |curve, per| Schedule::Curve { rate: 0.1, curve, per };
        let half = Curve::Cosine { warmup: 0, start: 1.0, length: None, lowest: 0.0 };
        assert_eq!(schedule("\"cosine\""), curve(half.clone(), Per::Epoch));
        assert_eq!(schedule("{ name = \"cosine\", per = \"step\" }"), curve(half, Per::Step));
        let (momenta, straight, three_phase) = (Some([0.85, 0.95]), false, false);
        let cycle = OneCycle { up: 0.3, initial: 25.0, last: 1e4, straight, three_phase, momenta };
        assert_eq!(schedule("\"one-cycle\""), curve(Curve::OneCycle(cycle), Per::Step));
    }

    #[test]
    fn a_recipe_that_makes_no_sense_is_refused_in_one_line() {
        for (keys, line) in [
            ("batch = 1", "[minima.recipe] epochs and rate are missing or zero: both are needed"),
            (
                "rate = [[3, 1], [3, 2]]",
                "[minima.recipe] rate = [[3, 1], [3, 2]]: wants a rate, or [[epoch, rate], ...] with ascending epochs",
            ),
            ("rate = 1\nbatch = 0", "[minima.recipe] batch = 0: at least one sample is needed"),
            ("rate = 1\nmomentum = 1", "[minima.recipe] momentum = 1: wants a number from 0 up to, but not, 1"),
            ("rate = 1\nepoch = 1", "[minima.recipe] unknown key \"epoch\"; the nearest is \"epochs\""),
            (
                "rate = 1\noptimiser = \"adm\"",
                "[minima.recipe] optimiser: unknown value \"adm\"; the nearest is \"adam\"",
            ),
            (
                "rate = 1\noptimizer = \"adam\"",
                "[minima.recipe] unknown key \"optimizer\"; the nearest is \"optimiser\"",
            ),
            ("rate = 1\nbetas = [0.9, 0.99]", "[minima.recipe] betas: a key of optimiser = \"adam\" and \"adamw\""),
            (
                "rate = 1\noptimiser = \"adam\"\nmomentum = 0.9",
                "[minima.recipe] momentum: a key of optimiser = \"sgd\"",
            ),
            (
                "rate = 1\noptimiser = \"adam\"\nbetas = [0.9, 1]",
                "[minima.recipe] betas = [0.9, 1]: wants two numbers from 0 up to, but not, 1",
            ),
            (
                "rate = 1\nmomentum = 0\nnesterov = true",
                "[minima.recipe] nesterov = true: there is no momentum to look ahead along (momentum = 0)",
            ),
            (
                "rate = 1\nmomentum = 0\ndampening = 0.5",
                "[minima.recipe] dampening: there is no momentum to dampen (momentum = 0)",
            ),
            (
                "rate = 1\nnesterov = true\ndampening = 0.5",
                "[minima.recipe] nesterov = true and dampening: torch knows no such step; leave one of the two out",
            ),
            ("rate = 1\ndampening = 2", "[minima.recipe] dampening = 2: wants a number from 0 to 1"),
            ("rate = 1\nweight_decay = -1", "[minima.recipe] weight_decay = -1: wants a number from 0"),
            ("rate = 1\nclip_norm = 0", "[minima.recipe] clip_norm = 0: wants a positive number"),
            (
                "rate = [[0, 1], [5, 2]]\nschedule = \"cosine\"",
                "[minima.recipe] rate says every epoch's, and schedule too: leave one of the two out",
            ),
            (
                "rate = 1\nschedule = { name = \"one-cycle\", cycle_momentum = false, base_momentum = 0.5 }",
                "[minima.recipe.schedule] base_momentum: a key of cycle_momentum = true",
            ),
            ("rate = 1\nschedule = \"step\"", "[minima.recipe.schedule] step_size is missing"),
            ("rate = 1\nschedule = {}", "[minima.recipe.schedule] name is missing"),
            ("rate = 1\nschedule = 3", "[minima.recipe] schedule = 3: wants a name, or a table with one"),
            (
                "rate = 1\nschedule = { name = \"step\", step_size = 0 }",
                "[minima.recipe.schedule] step_size = 0: wants a whole number from 1",
            ),
            (
                "rate = 1\nschedule = { name = \"cosine\", gamma = 1 }",
                "[minima.recipe.schedule] unknown key \"gamma\"; the nearest is \"name\"",
            ),
        ] {
            assert_eq!(recipe(keys).unwrap_err(), line, "{keys}");
        }
    }
}
