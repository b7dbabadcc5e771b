//! A run's configuration: one parser for the command, C and Rust. Unknown keys are errors that name the nearest.
//!
//! Every key is documented at the field it fills. Paths are relative to the configuration's folder.

#![forbid(unsafe_code)]

mod complex;
mod loss;
mod minima;
mod recipe;
mod section;

use crate::error::{Error, Result};
use crate::explore::{Given, Goal, Method, Plan, Way};
use crate::hash::hexadecimal;
use crate::loss::Loss;
use crate::machine::memory;
use crate::report;
use crate::run::Budget;
use crate::sample::GridPlan;
use crate::store::{By, Heights, Provenance, Space, VERSION};
use complex::Beside;
pub use loss::LossConfig;
use minima::Said;
use section::{Section, set};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use toml::Table;

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[loss]`.
    pub loss: LossConfig,
    /// `[budget]`: of the whole run.
    pub budget: Budget,
    /// `[minima]`, `[paths]`, `[symmetry]`.
    pub plan: Plan,
    /// `[minima] theta`: patterns of files with minima, relative to `folder`. Whoever reads them hands their points to
    /// [`Config::give`].
    pub theta: Vec<String>,
    /// The folder of the file.
    pub folder: PathBuf,
    /// `[minima] polish`, where it is said.
    polish: Option<bool>,
    /// `[report] title`; the name of the model is taken otherwise.
    title: Option<String>,
    /// SHA-256 of what decides the results: everything but `[report]` and the budgets.
    pub hash: String,
    /// The text it was read from.
    pub text: String,
}

/// Bytes; what is read of them is many times as large.
const LONGEST: usize = 1 << 24;

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Config> {
        let wrong = |text: String| Error::Config { path: path.to_owned(), text };
        let bytes = memory::contents(path).map_err(|e| wrong(e.to_string()))?;
        if bytes.len() > LONGEST {
            return Err(wrong(format!("{} of text: a configuration has less", memory::gib(bytes.len() as u64))));
        }
        // What the standard library says of it.
        let text = String::from_utf8(bytes).map_err(|_| wrong("stream did not contain valid UTF-8".into()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut config = Config::parse(&text, folder).map_err(|error| error.of_file(path))?;
        config.loss.file = Some(path.to_owned());
        Ok(config)
    }

    /// Reads a text; relative paths in it start from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Config> {
        let (mut config, loss) = Config::tables(text, folder)?;
        let loss = loss.unwrap_or(Section::new("loss", Table::new()));
        config.loss = LossConfig::read(loss, folder)?;
        config.leaves_something()?;
        Ok(config)
    }

    /// Reads the text of a run whose loss the caller has opened: all tables but `[loss]`.
    pub fn parse_opened(text: &str) -> Result<Config> {
        match Config::tables(text, Path::new(""))? {
            (config, None) if config.theta.is_empty() => Ok(config),
            (_, None) => Err(Error::Argument("[minima] theta: files are for mpass run; hand the points over".into())),
            (_, Some(_)) => Err(Error::Argument("[loss]: the loss is open already: leave this table out".into())),
        }
    }

    /// Takes points instead of starts. What they are decides the results, so it enters the hash.
    pub fn give(&mut self, given: Vec<Given>) -> Result<()> {
        if given.is_empty() {
            return Err(Error::Argument("no minima are given: leave theta out, or give one at least".into()));
        }
        if self.plan.way != Way::Descents {
            return Err(Error::Argument("[minima] recipe: theta gives the minima: leave one of the two out".into()));
        }
        let mut digest = Sha256::new_with_prefix(self.hash.as_bytes());
        for Given { name, theta, .. } in &given {
            digest.update(name.as_bytes());
            digest.update([0]);
            theta.iter().for_each(|x| digest.update(x.to_le_bytes()));
        }
        self.hash = hexadecimal(digest);
        self.plan.way = Way::Given(given);
        Ok(())
    }

    /// Refuses what does not fit a loss, before anything is computed of it.
    pub fn check(&self, loss: &dyn Loss) -> Result<()> {
        self.leaves_something()?;
        self.plan.check_way(loss)?;
        self.plan.check_samples(loss).map_err(|error| match error {
            Error::Argument(text) => Error::Argument(format!("[complex] {text}")),
            other => other,
        })
    }

    /// Refuses to take points as they are where there are none but those that a descent ends in.
    fn leaves_something(&self) -> Result<()> {
        let is_led = !self.theta.is_empty() || matches!(self.plan.way, Way::Training(_) | Way::Given(_));
        if self.polish == Some(false) && !is_led {
            let text = "[minima] polish = false: nothing else leads to a minimum here; give theta or another recipe";
            return Err(Error::Argument(text.into()));
        }
        Ok(())
    }

    /// Where the results of a run come from.
    pub fn provenance(&self, loss: &dyn Loss) -> Result<Provenance> {
        let (info, identity) = (loss.info(), loss.identity()?);
        let is_searched = self.plan.method == Method::Paths;
        let aligned = !self.plan.alignment(&loss.symmetries()?).is_trivial();
        Ok(Provenance {
            version: VERSION.into(),
            backend: info.backend.clone(),
            backend_version: info.version.clone(),
            model: self.loss.model.clone().unwrap_or_default(),
            model_hash: identity.model_hash,
            data_hash: identity.data_hash,
            config_hash: self.hash.clone(),
            config: self.text.clone(),
            seed: Some(self.plan.seed),
            space: if aligned { Space::Aligned } else { Space::Raw },
            parameters: info.params as u64,
            samples: info.samples,
            method: By::from(&self.plan.method),
            heights: if is_searched { Heights::UpperBounds } else { Heights::AsSampled },
            minima: report::way(&self.plan),
            opened: identity.notes.lines().map(str::to_owned).collect(),
            merged: Vec::new(),
        })
    }

    /// What reports call the run.
    pub fn title(&self) -> String {
        self.title.clone().or_else(|| self.loss.model.clone()).unwrap_or_default()
    }

    /// Everything but the loss, and the table of the loss, if there is one.
    fn tables(text: &str, folder: &Path) -> Result<(Config, Option<Section>)> {
        let root: Table = text.parse().map_err(|e: toml::de::Error| Error::Argument(located(text, &e)))?;
        let mut root = Section::new("the configuration", root);
        let root_table = root.table.clone();
        let has_loss = root.table.contains_key("loss");
        let loss = root.section("loss")?;
        let mut budget = root.section("budget")?;
        let mut minima = root.section("minima")?;
        let mut complex = root.section("complex")?;
        let mut symmetry = root.section("symmetry")?;
        let mut paths = root.section("paths")?;
        let mut saddles = root.section("saddles")?;
        let mut report = root.section("report")?;
        root.finish()?;
        let beside = Beside { minima: &minima, symmetry: &symmetry, paths: &paths };
        let method = complex::method(&mut complex, &beside, folder)?;
        // What a file said when it was read decides the results, not its name.
        let at = if let Method::Grid(GridPlan { at: Some(at), .. }) = &method { at.as_slice() } else { &[] };
        let hash = hash(&root_table, at);
        let (mut plan, Said { theta, polish }) = plan(method, &mut minima, &mut symmetry, &mut paths)?;
        plan.goal = complex::goal(&mut complex)?;
        if plan.goal == Goal::Barcode {
            saddles.refuse(|_| Some("goal = \"barcode\" looks for no others: leave this table out".to_owned()))?;
        }
        set(&mut plan.index, saddles.count("index")?.map(|n| n as usize));
        set(&mut plan.modes, saddles.count("modes")?.map(|n| n as usize));
        plan.saddles_budget = saddles.budget()?;
        set(&mut plan.along, along(&mut report)?);
        let config = Config {
            loss: LossConfig::default(),
            budget: budget.budget()?,
            plan,
            theta,
            polish,
            folder: folder.to_owned(),
            title: report.text("title")?,
            hash,
            text: text.to_owned(),
        };
        [budget, minima, complex, symmetry, paths, saddles, report].iter().try_for_each(Section::finish)?;
        Ok((config, has_loss.then_some(loss)))
    }
}

fn plan(method: Method, minima: &mut Section, symmetry: &mut Section, paths: &mut Section) -> Result<(Plan, Said)> {
    // Samples are taken of the loss as it is: copies of a minimum are points of their own.
    let align = method == Method::Paths;
    let mut plan = Plan { method, align, paths_budget: paths.budget()?, ..Plan::default() };
    let said = minima::minima(minima, &mut plan)?;
    set(&mut plan.align, symmetry.boolean("align")?);
    set(&mut plan.schedule.tolerance, paths.positive("tolerance")?);
    set(&mut plan.schedule.visits, paths.count("visits")?.map(|n| n.min(u64::from(u32::MAX)) as u32));
    set(&mut plan.schedule.neighbours, paths.count("neighbours")?.map(|n| n as usize));
    set(&mut plan.way_stations, paths.count("way_stations")?.map(|n| n as usize));
    set(&mut plan.alternatives, paths.count("alternatives")?.map(|n| n as usize));
    set(&mut plan.at_once, paths.count("at_once")?.map(|n| n.max(1) as usize));
    if let Some(knots) = paths.counts("knots")? {
        let fits = !knots.is_empty() && knots.iter().all(|&k| (1..=10_000).contains(&k));
        if !fits {
            return Err(Error::Argument(format!(
                "[paths] knots = {knots:?}: wants one or more numbers from 1 to 10000"
            )));
        }
        plan.schedule = std::mem::take(&mut plan.schedule).with(knots.iter().map(|&k| k as usize).collect());
    }
    Ok((plan, said))
}

/// `[report] pairs`: at how many places the lines between given points are told.
fn along(report: &mut Section) -> Result<Option<usize>> {
    match report.count("pairs")? {
        Some(n) if n != 0 && !(3..=10_000).contains(&n) => {
            Err(report.wrong("pairs", "0, or a number of places from 3 to 10000", &toml::Value::Integer(n as i64)))
        }
        other => Ok(other.map(|n| n as usize)),
    }
}

/// The line and the reason of a syntax error, on one line.
fn located(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let reason = error.message().replace('\n', "; ");
    line.map_or_else(|| reason.clone(), |line| format!("line {line}: {reason}"))
}

/// SHA-256 of what decides the results: the tables, and a point that was read from a file.
fn hash(root: &Table, at: &[f64]) -> String {
    let mut kept = root.clone();
    kept.remove("report");
    kept.remove("budget");
    // Budgets; in `[loss]` these would be options of the backend.
    let stages = kept.iter_mut().filter(|(name, _)| *name != "loss");
    for section in stages.filter_map(|(_, value)| value.as_table_mut()) {
        section.remove("seconds");
        section.remove("evaluations");
    }
    // Tables are sorted by key, so the text does not depend on the order in the file.
    let canonical = serde_json::to_string(&kept).unwrap_or_default();
    let mut digest = Sha256::new_with_prefix(canonical.as_bytes());
    at.iter().for_each(|x| digest.update(x.to_le_bytes()));
    hexadecimal(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Config::parse(text, Path::new("here")).unwrap_err().to_string()
    }

    #[test]
    fn the_keys_fill_their_fields() {
        let text = r#"
            [loss]
            backend = "faer"
            model = "mlp:64-8-10:tanh"
            [minima]
            starts = 5
            seconds = 7
            [paths]
            knots = [2, 30]
            [symmetry]
            align = false
        "#;
        let config = Config::parse(text, Path::new("here")).unwrap();
        assert_eq!(config.loss.model.as_deref(), Some("mlp:64-8-10:tanh"));
        assert_eq!((config.plan.starts, config.plan.minima_budget.seconds), (5, Some(7.0)));
        assert_eq!(config.plan.schedule.knots, [2, 30]);
        assert!(!config.plan.align);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert_eq!(
            fault("[loss]\nbackend = \"a\"\n[minima]\nstart = 3"),
            "[minima] unknown key \"start\"; the nearest is \"starts\""
        );
        assert_eq!(fault("[los]\nbackend = \"a\""), "unknown key \"los\"; the nearest is \"loss\"");
        assert_eq!(
            fault("[loss]\nbackend = \"a\"\n[minima]\nrecipe = \"polsh\""),
            "[minima] recipe: unknown value \"polsh\"; the nearest is \"polish\""
        );
    }

    #[test]
    fn wrong_values_say_what_is_wanted() {
        assert_eq!(
            fault("[loss]\nbackend = \"a\"\n[minima]\nstarts = -1"),
            "[minima] starts = -1: wants a whole number from 0"
        );
        assert!(fault("[loss\n").starts_with("line 1: "));
        assert_eq!(fault(""), "[loss] names no backend and no plugin");
    }

    #[test]
    fn a_run_on_an_open_loss_has_every_table_but_that_of_the_loss() {
        assert_eq!(Config::parse_opened("[minima]\nstarts = 5").unwrap().plan.starts, 5);
        assert_eq!(Config::parse_opened("").unwrap().plan, Plan::default());
        let fault = |text: &str| Config::parse_opened(text).unwrap_err().to_string();
        assert_eq!(fault("[loss]"), "[loss]: the loss is open already: leave this table out");
        assert_eq!(fault("[path]"), "unknown key \"path\"; the nearest is \"paths\"");
    }

    #[test]
    fn points_of_the_caller_may_be_said_to_be_left_as_they_are() {
        let mut config = Config::parse_opened("[minima]\npolish = false").unwrap();
        assert!(config.leaves_something().unwrap_err().to_string().contains("polish = false: nothing else leads"));
        config.give(vec![Given::default()]).unwrap();
        assert!(config.leaves_something().is_ok() && config.plan.leaves_points_as_they_are());
    }

    #[test]
    fn what_is_written_out_of_the_defaults_changes_nothing() {
        let config = Config::parse_opened("[paths]\nknots = [3, 7, 15]").unwrap();
        assert_eq!(config.plan, Plan::default());
        assert_eq!(config.plan.schedule.steps, [40, 60, 160]);
    }

    #[test]
    fn points_take_the_place_of_every_recipe() {
        for recipe in ["hop", "annealed"] {
            let mut config = Config::parse_opened(&format!("[minima]\nrecipe = {recipe:?}")).unwrap();
            let refused = config.give(vec![Given::default()]).unwrap_err().to_string();
            assert_eq!(refused, "[minima] recipe: theta gives the minima: leave one of the two out");
        }
    }

    #[test]
    fn titles_and_budgets_do_not_change_the_hash() {
        let hash = |text: &str| Config::parse(text, Path::new("")).unwrap().hash;
        let plain = hash("[loss]\nbackend = \"a\"");
        assert_eq!(plain, hash("[loss]\nbackend = \"a\"\n[report]\ntitle = \"t\"\n[budget]\nseconds = 3"));
        assert_eq!(
            hash("[paths]\nvisits=3\n[loss]\nbackend = \"a\""),
            hash("[loss]\nbackend=\"a\"\n[paths]\nvisits = 3")
        );
        assert_ne!(plain, hash("[loss]\nbackend = \"b\""));
        // There it is an option of the backend.
        assert_ne!(plain, hash("[loss]\nbackend = \"a\"\nseconds = 3"));
    }
}
