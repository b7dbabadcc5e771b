//! A run's configuration: one parser for the command, C and Rust. Unknown keys are errors that name the nearest.
//!
//! Every key is documented at the field it fills. Paths are relative to the configuration's folder.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::explore::Plan;
use crate::loss::{Dtype, Loss};
use crate::run::Budget;
use crate::store::{Provenance, Space};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The table `[loss]`: which loss to open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossConfig {
    /// `backend`: a registered backend, or the name in the plugin's table.
    pub backend: Option<String>,
    /// `plugin`: a file to load first.
    pub plugin: Option<PathBuf>,
    /// `model`: a name the backend knows, or a path.
    pub model: Option<String>,
    /// `dtype`: f64 below 1e5 parameters unless said.
    pub dtype: Option<Dtype>,
    /// `device`, as listed by `mpass backends`.
    pub device: Option<String>,
    /// `repeatable`: only a loss whose values repeat bit for bit will do.
    pub repeatable: bool,
    /// `data`, `objective`, `l2` and whatever stands in `options`: handed to the backend, which knows them.
    pub options: Vec<(String, String)>,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub loss: LossConfig,
    /// `[budget]`: of the whole run.
    pub budget: Budget,
    /// `[minima]`, `[paths]`, `[symmetry]`.
    pub plan: Plan,
    /// `[report] title`; the file's name otherwise.
    pub title: Option<String>,
    /// SHA-256 of what decides the results: everything but `[report]` and the budgets.
    pub hash: String,
    /// The text it was read from.
    pub text: String,
}

/// Keys of `[loss]` that are options of the backend with a place of their own.
const BACKEND_KEYS: [&str; 9] =
    ["data", "objective", "l2", "l2_on", "limit", "classes", "batchnorm", "output", "output_kind"];
/// Those of them whose values may be paths.
const PATH_KEYS: [&str; 1] = ["data"];
/// More starts than a search over their pairs can mean.
const STARTS_MAX: u64 = 1_000_000;

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Config> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::Config { path: path.to_owned(), text: e.to_string() })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Config::parse(&text, folder).map_err(|error| match error {
            Error::Argument(_) | Error::Unknown { .. } => {
                Error::Config { path: path.to_owned(), text: error.to_string() }
            }
            other => other,
        })
    }

    /// Reads a text; relative paths in it start from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Config> {
        let (mut config, loss) = Config::tables(text)?;
        let mut loss = loss.unwrap_or(Section { name: "loss", table: Table::new(), asked: Vec::new() });
        config.loss = loss_config(&mut loss, folder)?;
        Ok(config)
    }

    /// Reads the text of a run whose loss the caller has opened: all tables but `[loss]`.
    pub fn parse_opened(text: &str) -> Result<Config> {
        match Config::tables(text)? {
            (config, None) => Ok(config),
            (_, Some(_)) => Err(Error::Argument("[loss]: the loss is open already: leave this table out".into())),
        }
    }

    /// Where the results of a run come from.
    pub fn provenance(&self, loss: &dyn Loss) -> Result<Provenance> {
        let (info, identity) = (loss.info(), loss.identity()?);
        let aligned = self.plan.align && !loss.symmetries()?.is_empty();
        Ok(Provenance {
            version: env!("CARGO_PKG_VERSION").into(),
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
            method: "paths".into(),
            heights: "upper bounds".into(),
        })
    }

    /// Everything but the loss, and the table of the loss, if there is one.
    fn tables(text: &str) -> Result<(Config, Option<Section>)> {
        let root: Table = text.parse().map_err(|e: toml::de::Error| Error::Argument(located(text, &e)))?;
        let mut root = Section { name: "the configuration", table: root, asked: Vec::new() };
        let hash = hash(&root.table);
        let has_loss = root.table.contains_key("loss");
        let loss = root.section("loss")?;
        let mut budget = root.section("budget")?;
        let mut minima = root.section("minima")?;
        let mut complex = root.section("complex")?;
        let mut symmetry = root.section("symmetry")?;
        let mut paths = root.section("paths")?;
        let mut report = root.section("report")?;
        root.finish()?;
        let config = Config {
            loss: LossConfig::default(),
            budget: budget.budget()?,
            plan: plan(&mut minima, &mut complex, &mut symmetry, &mut paths)?,
            title: report.text("title")?,
            hash,
            text: text.to_owned(),
        };
        [budget, minima, complex, symmetry, paths, report].iter().try_for_each(Section::finish)?;
        Ok((config, has_loss.then_some(loss)))
    }
}

fn loss_config(loss: &mut Section, folder: &Path) -> Result<LossConfig> {
    let mut config = LossConfig {
        backend: loss.text("backend")?,
        plugin: loss.text("plugin")?.map(|file| folder.join(file)),
        model: loss.text("model")?.map(|model| resolve(&model, folder)),
        dtype: loss.choice("dtype", &[("f32", Dtype::F32), ("f64", Dtype::F64)])?,
        device: loss.text("device")?,
        repeatable: loss.boolean("repeatable")?.unwrap_or(false),
        options: Vec::new(),
    };
    for key in BACKEND_KEYS {
        if let Some(value) = loss.take(key) {
            let text = scalar(&value).ok_or_else(|| loss.wrong(key, "a text, a number or a boolean", &value))?;
            let text = if PATH_KEYS.contains(&key) { resolve(&text, folder) } else { text };
            config.options.push((key.to_owned(), text));
        }
    }
    if let Some(value) = loss.take("options") {
        let Value::Table(options) = &value else { return Err(loss.wrong("options", "a table", &value)) };
        for (key, value) in options {
            let text = scalar(value).ok_or_else(|| loss.wrong(key, "a text, a number or a boolean", value))?;
            if config.options.iter().any(|(known, _)| known == key) {
                return Err(Error::Argument(format!("[loss] {key} stands in options too: give it once")));
            }
            config.options.push((key.clone(), text));
        }
    }
    loss.finish()?;
    if config.backend.is_none() && config.plugin.is_none() {
        return Err(Error::Argument("[loss] names no backend and no plugin".into()));
    }
    Ok(config)
}

fn plan(minima: &mut Section, complex: &mut Section, symmetry: &mut Section, paths: &mut Section) -> Result<Plan> {
    let mut plan = Plan { minima_budget: minima.budget()?, paths_budget: paths.budget()?, ..Plan::default() };
    set(&mut plan.starts, minima.count("starts")?);
    set(&mut plan.seed, minima.count("seed")?);
    minima.choice("recipe", &[("polish", ())])?;
    set(&mut plan.recipe.tolerance, minima.positive("tolerance")?);
    set(&mut plan.recipe.evaluations, minima.count("evaluations_each")?);
    set(&mut plan.radius, minima.positive("radius")?);
    set(&mut plan.identify.loss, minima.positive("same_loss")?);
    complex.choice("method", &[("paths", ())])?;
    complex.choice("goal", &[("barcode", ())])?;
    set(&mut plan.align, symmetry.boolean("align")?);
    set(&mut plan.schedule.tolerance, paths.positive("tolerance")?);
    set(&mut plan.schedule.visits, paths.count("visits")?.map(|n| n.min(u64::from(u32::MAX)) as u32));
    set(&mut plan.schedule.neighbours, paths.count("neighbours")?.map(|n| n as usize));
    set(&mut plan.way_stations, paths.count("way_stations")?.map(|n| n as usize));
    set(&mut plan.alternatives, paths.count("alternatives")?.map(|n| n as usize));
    if let Some(knots) = paths.counts("knots")? {
        let fits = !knots.is_empty() && knots.iter().all(|&k| (1..=10_000).contains(&k));
        if !fits {
            return Err(Error::Argument(format!(
                "[paths] knots = {knots:?}: wants one or more numbers from 1 to 10000"
            )));
        }
        plan.schedule.knots = knots.iter().map(|&k| k as usize).collect();
        // Finer bands get more steps: the same rule as the default's 40, 60, 160 for 3, 7, 15 knots.
        plan.schedule.steps = plan.schedule.knots.iter().map(|k| (10 * k).clamp(40, 400)).collect();
    }
    match plan.starts {
        0 => return Err(Error::Argument("[minima] starts = 0: at least one start is needed".into())),
        1..=STARTS_MAX => {}
        n => return Err(Error::Argument(format!("[minima] starts = {n}: at most {STARTS_MAX}"))),
    }
    Ok(plan)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A value that names a file is made relative to the configuration's folder; names of models and data sets are not.
fn resolve(text: &str, folder: &Path) -> String {
    let is_path = text.contains('/') || [".onnx", ".npz", ".npy", ".so"].iter().any(|end| text.ends_with(end));
    if is_path { folder.join(text).to_string_lossy().into_owned() } else { text.to_owned() }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

/// The line and the reason of a syntax error, on one line.
fn located(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let reason = error.message().replace('\n', "; ");
    line.map_or_else(|| reason.clone(), |line| format!("line {line}: {reason}"))
}

fn hash(root: &Table) -> String {
    let mut kept = root.clone();
    kept.remove("report");
    kept.remove("budget");
    for section in kept.iter_mut().filter_map(|(_, value)| value.as_table_mut()) {
        section.remove("seconds");
        section.remove("evaluations");
    }
    // Tables are sorted by key, so the text does not depend on the order in the file.
    let canonical = serde_json::to_string(&kept).unwrap_or_default();
    Sha256::digest(canonical.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A table being read: every key is taken by name, and what nobody took is unknown.
struct Section {
    name: &'static str,
    table: Table,
    asked: Vec<&'static str>,
}

impl Section {
    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    fn section(&mut self, name: &'static str) -> Result<Section> {
        match self.take(name) {
            None => Ok(Section { name, table: Table::new(), asked: Vec::new() }),
            Some(Value::Table(table)) => Ok(Section { name, table, asked: Vec::new() }),
            Some(other) => Err(self.wrong(name, "a table", &other)),
        }
    }

    fn finish(&self) -> Result<()> {
        let Some(key) = self.table.keys().next() else { return Ok(()) };
        let unknown = Error::unknown("key", key, self.asked.iter().copied());
        Err(Error::Argument(format!("{}{unknown}", self.place())))
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) -> Error {
        let found = match found {
            Value::String(text) => format!("{text:?}"), // TOML's own form of a text with line breaks has line breaks.
            other => other.to_string(),
        };
        let place = self.place();
        Error::Argument(format!("{place}{key} = {found}: wants {wanted}"))
    }

    /// What stands before a key in messages: nothing for the keys of the root.
    fn place(&self) -> String {
        if self.asked.contains(&"loss") { String::new() } else { format!("[{}] ", self.name) }
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(on)) => Ok(Some(on)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    fn count(&mut self, key: &'static str) -> Result<Option<u64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if n >= 0 => Ok(Some(n as u64)),
            Some(other) => Err(self.wrong(key, "a whole number from 0", &other)),
        }
    }

    fn counts(&mut self, key: &'static str) -> Result<Option<Vec<u64>>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let numbers = value.as_array().and_then(|list| {
            list.iter().map(|n| n.as_integer().and_then(|n| u64::try_from(n).ok())).collect::<Option<Vec<u64>>>()
        });
        numbers.map(Some).ok_or_else(|| self.wrong(key, "a list of whole numbers", &value))
    }

    fn positive(&mut self, key: &'static str) -> Result<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = value.as_float().or(value.as_integer().map(|n| n as f64)).filter(|x| *x > 0.0 && x.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "a positive number", &value))
    }

    fn choice<T: Copy>(&mut self, key: &'static str, known: &[(&'static str, T)]) -> Result<Option<T>> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        match known.iter().find(|(k, _)| *k == name) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let unknown = Error::unknown("value", &name, known.iter().map(|(k, _)| *k));
                Err(Error::Argument(format!("[{}] {key}: {unknown}", self.name)))
            }
        }
    }

    fn budget(&mut self) -> Result<Budget> {
        Ok(Budget { seconds: self.positive("seconds")?, evaluations: self.count("evaluations")? })
    }
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
            data = "../mnist"
            l2 = 1e-3
            options = { extra = 3 }
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
        let options: Vec<(&str, &str)> = config.loss.options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(options, [("data", "here/../mnist"), ("l2", "0.001"), ("extra", "3")]);
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
    fn titles_and_budgets_do_not_change_the_hash() {
        let hash = |text: &str| Config::parse(text, Path::new("")).unwrap().hash;
        let plain = hash("[loss]\nbackend = \"a\"");
        assert_eq!(plain, hash("[loss]\nbackend = \"a\"\n[report]\ntitle = \"t\"\n[budget]\nseconds = 3"));
        assert_eq!(
            hash("[paths]\nvisits=3\n[loss]\nbackend = \"a\""),
            hash("[loss]\nbackend=\"a\"\n[paths]\nvisits = 3")
        );
        assert_ne!(plain, hash("[loss]\nbackend = \"b\""));
    }
}
