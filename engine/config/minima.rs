//! The table `[minima]`: where minima come from, and how they are found. Keys that would say nothing beside others are
//! refused.

use super::recipe::training;
use super::section::{Section, set};
use crate::error::{Error, Result};
use crate::explore::{Plan, Way};
use crate::search::hop::Hop;
use crate::search::training::Training;
use toml::Value;

/// More starts than a search over their pairs can mean.
const STARTS_MAX: u64 = 1_000_000;

/// What the table says beside the plan.
pub(super) struct Said {
    /// The patterns of the files that minima are read from, as they stand.
    pub theta: Vec<String>,
    /// Whether `polish` is there, and what it is.
    pub polish: Option<bool>,
}

/// Fills the plan.
pub(super) fn minima(minima: &mut Section, plan: &mut Plan) -> Result<Said> {
    let files = minima.texts("theta")?;
    if files.is_some() {
        minima.refuse(|key| {
            (key == "starts" || key == "recipe").then(|| "theta gives the minima: leave one of the two out".to_owned())
        })?;
    }
    set(&mut plan.starts, minima.count("starts")?);
    match plan.starts {
        0 => return Err(Error::Argument("[minima] starts = 0: at least one start is needed".into())),
        1..=STARTS_MAX => {}
        n => return Err(Error::Argument(format!("[minima] starts = {n}: at most {STARTS_MAX}"))),
    }
    set(&mut plan.seed, minima.count("seed")?);
    plan.way = way(minima)?;
    let polish = minima.boolean("polish")?;
    set(&mut plan.polish, polish);
    plan.recipe.tolerance = minima.positive("tolerance")?;
    set(&mut plan.recipe.evaluations, minima.count("evaluations_each")?);
    plan.radius = minima.positive("radius")?;
    plan.identify.loss = minima.positive("same_loss")?;
    plan.minima_budget = minima.budget()?;
    Ok(Said { theta: files.unwrap_or_default(), polish })
}

/// `recipe`: a name, or a table of its own; what goes with `recipe = "hop"` stands beside it.
fn way(minima: &mut Section) -> Result<Way> {
    let way = match minima.table.get("recipe") {
        Some(Value::Table(table)) => {
            let recipe = Section::new("minima.recipe", table.clone());
            minima.take("recipe");
            Way::Training(training(recipe)?)
        }
        _ => {
            let recipes = [
                ("polish", Way::Descents),
                ("small-rate", Way::Training(Training::small_rate())),
                ("annealed", Way::Training(Training::annealed())),
                ("hop", Way::Hops(Hop::default())),
            ];
            minima.choice("recipe", &recipes)?.unwrap_or_default()
        }
    };
    if let Way::Hops(_) = way {
        return Ok(Way::Hops(Hop { step: minima.positive("step")?, temperature: minima.positive("temperature")? }));
    }
    minima.refuse(|key| ["step", "temperature"].contains(&key).then(|| "a key of recipe = \"hop\"".to_owned()))?;
    Ok(way)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::explore::Way;
    use crate::search::hop::Hop;
    use crate::search::training::Training;
    use crate::search::training::schedule::Schedule;
    use std::path::Path;

    fn parsed(minima: &str) -> Result<Config, String> {
        let text = format!("[loss]\nbackend = \"a\"\n[minima]\n{minima}");
        Config::parse(&text, Path::new("here")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recipe_is_a_name_or_a_table() {
        let way = |minima: &str| parsed(minima).unwrap().plan.way;
        assert_eq!(way("recipe = \"polish\""), Way::Descents);
        assert_eq!(way("recipe = \"small-rate\""), Way::Training(Training::small_rate()));
        assert_eq!(way("recipe = \"annealed\""), Way::Training(Training::annealed()));
        let short = Training::with_momentum(3, 256, 0.9, Schedule::constant(0.1));
        assert_eq!(way("recipe = { epochs = 3, rate = 0.1 }"), Way::Training(short));
    }

    #[test]
    fn a_walk_has_a_step_and_a_temperature() {
        let plan = parsed("recipe = \"hop\"\nstep = 0.4\ntemperature = 2").unwrap().plan;
        let hop = Hop { step: Some(0.4), temperature: Some(2.0) };
        assert_eq!(plan.way, Way::Hops(hop));
        assert_eq!(crate::report::way(&plan), "basin hopping (step 0.4, temperature 2)");
        let plan = parsed("recipe = \"hop\"").unwrap().plan;
        assert_eq!(plan.way, Way::Hops(Hop::default()));
        assert_eq!(
            crate::report::way(&plan),
            "basin hopping (step learned on the way, temperature learned on the way)"
        );
    }

    #[test]
    fn keys_that_say_nothing_beside_others_are_refused() {
        let theta = parsed("theta = [\"a/*.npy\", \"b.npz\"]").unwrap();
        assert_eq!((theta.theta, theta.plan.polish), (vec!["a/*.npy".to_owned(), "b.npz".to_owned()], false));
        assert!(parsed("theta = \"a.npy\"\npolish = true").unwrap().plan.polish);
        let both = "theta gives the minima: leave one of the two out";
        for (minima, line) in [
            ("theta = \"a.npy\"\nstarts = 3", &*format!("[minima] starts: {both}")),
            ("theta = \"a.npy\"\nrecipe = \"annealed\"", &*format!("[minima] recipe: {both}")),
            ("step = 1", "[minima] step: a key of recipe = \"hop\""),
            ("theta = 3", "[minima] theta = 3: wants a text or a list of texts"),
            ("theta = []", "[minima] theta = []: wants a text or a list of texts"),
            (
                "polish = false",
                "[minima] polish = false: nothing else leads to a minimum here; give theta or another recipe",
            ),
        ] {
            assert_eq!(parsed(minima).unwrap_err(), line, "{minima}");
        }
    }
}
