//! The table `[loss]`: which loss to open, and the options of its backend.
//!
//! Of the options the engine knows nothing: they are handed on, and the backend says which it knows and which of their
//! values are paths. So the last word on this table is spoken when the backend has been found.

use super::section::Section;
use crate::error::{Error, Result};
use crate::loss::{Declared, Dtype, Kind};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use toml::Value;

/// The keys of the table that are the engine's.
const KEYS: [&str; 7] = ["backend", "plugin", "model", "dtype", "device", "repeatable", "options"];

/// What a bare name ends in that can only be a file's, in whichever case; what is in such a file backends know.
const FILES: [&str; 4] = ["onnx", "npz", "npy", "so"];

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
    /// The options of the backend as they stand here: the table's other keys, then those of `options`.
    pub options: Vec<(String, String)>,
    /// The number of those that are keys of the table.
    keys: usize,
    /// Which of them stand here as lists.
    lists: Vec<String>,
    /// Where relative paths start.
    folder: PathBuf,
    /// The file, for messages.
    pub(super) file: Option<PathBuf>,
}

impl LossConfig {
    /// Reads the table; relative paths start from `folder`.
    pub(super) fn read(mut loss: Section, folder: &Path) -> Result<LossConfig> {
        let mut config = LossConfig {
            backend: loss.text("backend")?,
            plugin: loss.text("plugin")?.map(|file| folder.join(file)),
            model: loss.text("model")?.map(|model| resolve(&model, folder)).transpose()?,
            dtype: loss.choice("dtype", &[("f32", Dtype::F32), ("f64", Dtype::F64)])?,
            device: loss.text("device")?,
            repeatable: loss.boolean("repeatable")?.unwrap_or(false),
            folder: folder.to_owned(),
            ..LossConfig::default()
        };
        let more = loss.take("options");
        if config.backend.is_none() && config.plugin.is_none() {
            loss.finish()?;
            return Err(Error::Argument("[loss] names no backend and no plugin".into()));
        }
        config.options = loss.table.iter().map(|(key, value)| option(&loss, key, value)).collect::<Result<_>>()?;
        config.keys = config.options.len();
        let is_list = |(_, value): &(&String, &Value)| value.is_array();
        config.lists = loss.table.iter().filter(is_list).map(|(key, _)| key.clone()).collect();
        if let Some(value) = more {
            let Value::Table(options) = &value else { return Err(loss.wrong("options", "a table", &value)) };
            for (key, value) in options {
                let option = option(&loss, key, value)?;
                if loss.table.contains_key(key) {
                    return Err(Error::Argument(format!("[loss] {key} stands in options too: give it once")));
                }
                config.options.push(option);
                config.lists.extend(Some(key.clone()).filter(|_| value.is_array()));
            }
        }
        Ok(config)
    }

    /// The options as the backend is given them, which declares these. Its paths are resolved; a key of the table that it
    /// does not declare is refused. One that declares nothing is given everything as it stands.
    pub fn told(&self, declared: &[Declared]) -> Result<Vec<(String, String)>> {
        let told = || {
            let unknown = self.options[..self.keys].iter().find(|(key, _)| declared.iter().all(|d| d.name != *key));
            if let Some((key, _)) = unknown.filter(|_| !declared.is_empty()) {
                let known = KEYS.into_iter().chain(declared.iter().map(|option| option.name.as_str()));
                return Err(Error::Argument(format!("[loss] {}", Error::unknown("key", key, known))));
            }
            let is_one = |key: &&String| declared.iter().any(|d| d.name == **key && d.kind != Kind::List);
            if let Some(key) = self.lists.iter().find(is_one) {
                return Err(Error::Argument(format!("[loss] {key} takes one value, not a list")));
            }
            let resolved = |(key, value): &(String, String)| {
                let is_path = declared.iter().any(|option| option.name == *key && option.is_path(value));
                Ok((key.clone(), if is_path { resolve_any(value, &self.folder)? } else { value.clone() }))
            };
            self.options.iter().map(resolved).collect()
        };
        told().map_err(|error| match &self.file {
            Some(file) => error.of_file(file),
            None => error,
        })
    }
}

/// A key and its value as text: of a list, its items joined by commas.
fn option(loss: &Section, key: &str, value: &Value) -> Result<(String, String)> {
    let text = match value {
        // A comma would make two items of one.
        Value::Array(items) => {
            let words = items.iter().map(|item| word(item).filter(|text| !text.contains(',')));
            words.collect::<Option<Vec<String>>>().map(|words| words.join(","))
        }
        single => word(single),
    };
    let text =
        text.ok_or_else(|| loss.wrong(key, "a text, a number, a boolean or a list of such without commas", value))?;
    Ok((key.to_owned(), text))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

/// A value that names a file is made relative to the configuration's folder; names of models are not.
fn resolve(text: &str, folder: &Path) -> Result<String> {
    let is_kind = |ending: &OsStr| FILES.iter().any(|kind| ending.eq_ignore_ascii_case(kind));
    let is_path = text.contains('/') || Path::new(text).extension().is_some_and(is_kind);
    if is_path { within(text, folder) } else { Ok(text.to_owned()) }
}

/// The same where a bare name may be that of a folder, beside the configuration and nowhere else.
fn resolve_any(text: &str, folder: &Path) -> Result<String> {
    let is_there = folder.join(text).exists() || Path::new(text).exists();
    if is_there { within(text, folder) } else { resolve(text, folder) }
}

/// Backends are told paths as text.
fn within(text: &str, folder: &Path) -> Result<String> {
    folder.join(text).into_os_string().into_string().map_err(|path| {
        let path = path.display();
        Error::Argument(format!("{path}: the name of this folder is not UTF-8, and backends are told paths as UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn loss(table: &str, folder: &Path) -> LossConfig {
        Config::parse(&format!("[loss]\nbackend = \"a\"\n{table}"), folder).unwrap().loss
    }

    fn declared(name: &str, kind: Kind, words: &[&str]) -> Declared {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Declared { name: name.into(), kind, about: "An option.".into(), default: None, words }
    }

    fn pairs(told: &[(String, String)]) -> Vec<(&str, &str)> {
        told.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    #[test]
    fn paths_are_what_the_backend_declares_as_paths() {
        let table =
            "points = \"../b/c\"\nnote = \"../b/c\"\noptions = { more = \"d.npz\", scale = 1e-3, odd = \"./e\" }";
        let loss = loss(table, Path::new("here"));
        let path = |name: &str| declared(name, Kind::Path, &["embedded"]);
        let options = [path("points"), path("more"), declared("note", Kind::Text, &[])];
        let told = loss.told(&options).unwrap();
        let [note, points] = [("note", "../b/c"), ("points", "here/../b/c")];
        assert_eq!(pairs(&told), [note, points, ("more", "here/d.npz"), ("odd", "./e"), ("scale", "0.001")]);
        // Who declares nothing is given everything as it stands.
        let plain = [note, ("points", "../b/c"), ("more", "d.npz"), ("odd", "./e"), ("scale", "0.001")];
        assert_eq!(pairs(&loss.told(&[]).unwrap()), plain);
    }

    #[test]
    fn a_list_is_its_items_with_commas_between_where_the_option_is_one() {
        let table = "frozen = [\"base.*\", \"head.bias\"]\nweights = [1, 2.5]\noptions = { none = [] }";
        let loss = loss(table, Path::new("here"));
        let list = |name: &str| declared(name, Kind::List, &[]);
        let known = [("frozen", "base.*,head.bias"), ("weights", "1,2.5"), ("none", "")];
        assert_eq!(pairs(&loss.told(&[list("frozen"), list("weights"), list("none")]).unwrap()), known);
        assert_eq!(pairs(&loss.told(&[]).unwrap()), known);
        let fault = |options: &[Declared]| loss.told(options).unwrap_err().to_string();
        let one = declared("weights", Kind::Number, &[]);
        assert_eq!(fault(&[list("frozen"), one]), "[loss] weights takes one value, not a list");
        let both = [list("frozen"), list("weights"), declared("none", Kind::Path, &[])];
        assert_eq!(fault(&both), "[loss] none takes one value, not a list");
    }

    #[test]
    fn a_bare_name_is_a_folder_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["points", "embedded"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let options = [declared("data", Kind::Path, &["embedded"])];
        let data = |name: &str| {
            let told = loss(&format!("data = \"{name}\""), folder.path()).told(&options);
            told.unwrap().remove(0).1
        };
        let beside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        assert_eq!(data("points"), beside("points"));
        assert_eq!(data("embedded"), "embedded", "a word, whatever results are called");
        assert_eq!(data("nothing"), "nothing", "for the backend to name the nearest");
        // Tests run in the repository's folder, which has one of this name.
        assert_eq!(data("engine"), beside("engine"), "never the working folder's");
    }

    #[test]
    fn a_bare_name_with_the_ending_of_a_file_is_one_beside_the_configuration() {
        let model = |name: &str| loss(&format!("model = \"{name}\""), Path::new("here")).model.unwrap();
        assert_eq!((model("net.onnx"), model("NET.ONNX")), ("here/net.onnx".to_owned(), "here/NET.ONNX".to_owned()));
        assert_eq!(model("mlp:64-8-10:tanh"), "mlp:64-8-10:tanh");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_utf_8_is_refused_where_a_backend_needs_its_name() {
        use std::os::unix::ffi::OsStrExt;
        let folder = Path::new(std::ffi::OsStr::from_bytes(b"a\xffb"));
        let open = |model: &str| Config::parse(&format!("[loss]\nbackend = \"a\"\nmodel = \"{model}\""), folder);
        assert!(open("mlp:2-2").is_ok());
        assert!(open("net.onnx").unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn a_key_that_neither_the_engine_nor_the_backend_knows_names_the_nearest_of_both() {
        let options = [declared("points", Kind::Path, &[]), declared("scale", Kind::Number, &[])];
        let fault = |table: &str| loss(table, Path::new("here")).told(&options).unwrap_err().to_string();
        assert_eq!(fault("modle = 1"), "[loss] unknown key \"modle\"; the nearest is \"model\"");
        assert_eq!(fault("scale = 1\nscal = 1"), "[loss] unknown key \"scal\"; the nearest is \"scale\"");
        assert_eq!(fault("option = 1"), "[loss] unknown key \"option\"; the nearest is \"options\"");
        // What stands in options is the backend's to refuse.
        let told = loss("options = { scal = 1 }", Path::new("here")).told(&options).unwrap();
        assert_eq!(pairs(&told), [("scal", "1")]);
    }

    #[test]
    fn the_keys_of_the_engine_are_no_options() {
        let text = "[loss]\nplugin = \"p\"\nbackend = \"b\"\nmodel = \"m\"\ndtype = \"f64\"\ndevice = \"cpu\"
                    repeatable = true\noptions = {}";
        assert!(KEYS.iter().all(|key| text.contains(&format!("{key} = "))));
        assert_eq!(Config::parse(text, Path::new("")).unwrap().loss.options, []);
    }

    #[test]
    fn what_no_backend_could_be_given_is_refused_at_once() {
        let fault = |text: &str| Config::parse(&format!("[loss]\n{text}"), Path::new("")).unwrap_err().to_string();
        let twice = "backend = \"a\"\nl = 1\noptions = { l = 2 }";
        assert_eq!(fault(twice), "[loss] l stands in options too: give it once");
        let wanted = "wants a text, a number, a boolean or a list of such without commas";
        for list in ["[[1]]", "[{ a = 1 }]", "[\"a,b\", \"c\"]", "{ a = 1 }"] {
            assert_eq!(fault(&format!("backend = \"a\"\nl = {list}")), format!("[loss] l = {list}: {wanted}"));
        }
        assert_eq!(fault("backned = \"a\""), "[loss] unknown key \"backned\"; the nearest is \"backend\"");
    }
}
