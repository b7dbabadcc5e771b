//! `mpass run --plan`: what a run is going to take, from three timed evaluations of its loss. Nothing is kept.

use super::output::print;
use mountainpass::config::Config;
use mountainpass::explore::{ToCome, Work};
use mountainpass::loss::{Dtype, Loss};
use mountainpass::machine::memory;
use mountainpass::report::number::{count, counted, short};
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::Stage;
use mountainpass::search::start::start;
use mountainpass::store::By;
use mountainpass::{Error, Result};
use std::process::ExitCode;
use std::time::Instant;

/// Prints the plan.
pub fn print_plan(config: &Config, loss: &mut dyn Loss) -> Result<ExitCode> {
    let info = loss.info().clone();
    let Some(forecast) = config.plan.forecast(&info) else {
        return Err(Error::Argument(format!(
            "--plan is for searches; method = {:?} says itself how many samples it takes",
            By::from(&config.plan.method).name()
        )));
    };
    config.check(loss)?;
    let theta = match config.plan.given().first() {
        Some(given) => given.theta.clone(),
        None => start(loss, config.plan.seed)?,
    };
    let seconds = timed(config, loss, &theta)?;
    let precision = if info.dtype == Dtype::F32 { "single" } else { "double" };
    let mut text = format!(
        "{} in {precision} precision; a loss with its gradient takes {} (the middle of three)\n",
        counted(info.params as u64, "parameter", "parameters"),
        time(seconds)
    );
    let names: Vec<String> = forecast.stages.iter().map(|stage| name(stage.work)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (name, ToCome { expected, most, .. }) in names.iter().zip(&forecast.stages) {
        let most =
            most.map_or(String::new(), |most| format!(", at most {} ({})", count(most), time(seconds * most as f64)));
        let expects = time(seconds * *expected as f64);
        text += &format!("  {name:<width$}  about {} evaluations, {expects}{most}\n", count(*expected));
    }
    let all: u64 = forecast.stages.iter().map(|stage| stage.expected).sum();
    text += &format!("  {:<width$}  about {} evaluations, {}\n", "all", count(all), time(seconds * all as f64));
    let stages = [(Stage::Minima, config.plan.minima_budget), (Stage::Paths, config.plan.paths_budget)];
    let limits = [("run", config.budget)].into_iter().chain(stages.map(|(stage, budget)| (stage.name(), budget)));
    for (what, budget) in limits {
        if budget != Budget::default() {
            let evaluations = budget.evaluations.map(|n| counted(n, "evaluation", "evaluations"));
            let parts = [evaluations, budget.seconds.map(|seconds| format!("{seconds} s"))];
            text +=
                &format!("  budget of the {what}: {}\n", parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        }
    }
    text += &format!(
        "memory beside the loss up to {}, landscape.sqlite up to {}; way-stations add to both\n\
         Evaluations to expect are those measured on perceptrons; another loss may need several times as many or few.\n",
        memory::gib(forecast.memory),
        memory::gib(forecast.database)
    );
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn name(work: Work) -> String {
    match work {
        Work::Points(n) => format!("{n} points"),
        Work::Lines(n) => format!("{n} straight lines"),
        Work::Bars(n) => format!("paths of {n} bars"),
        Work::Pairs(n) => format!("{n} pairs of checkpoints"),
    }
}

/// The seconds of one evaluation of loss and gradient: the middle of three.
fn timed(config: &Config, loss: &mut dyn Loss, theta: &[f64]) -> Result<f64> {
    let cancel = Cancel::default();
    let mut oracle = config.plan.oracle(loss, None, &cancel, Budget::default())?;
    let mut seconds = [0.0; 3];
    for each in &mut seconds {
        let begun = Instant::now();
        oracle.gradients(theta)?;
        *each = begun.elapsed().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[1])
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{} ms", short(1e3 * s)),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
