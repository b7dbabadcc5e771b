//! The options that a backend declares: read, and checked before anybody believes them.

use super::extension::offered;
use super::foreign;
use super::table::Plugin;
use crate::error::Result;
use mountainpass_sdk::Kind;
use mountainpass_sdk::abi::{self, ext};
use std::ffi::c_char;

/// More options than a backend can mean.
const MOST: u64 = 1024;

/// An option that a backend knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What configurations call it.
    pub name: String,
    /// What its values look like.
    pub kind: Kind,
    /// One sentence for a person.
    pub about: String,
    /// What is taken where it is not given, if that is known.
    pub default: Option<String>,
    /// Of a text or a list all that it may be, of a path what is none.
    pub words: Vec<String>,
}

/// What is wrong, as the end of a sentence.
type Checked<T> = std::result::Result<T, String>;

impl Declared {
    /// Whether a value of it names a file or a folder.
    pub fn is_path(&self, value: &str) -> bool {
        self.kind == Kind::Path && !self.words.iter().any(|word| word == value)
    }

    /// The options of a backend; none where it declares none.
    pub(super) fn of(plugin: &Plugin) -> Result<Vec<Declared>> {
        Declared::read(plugin).map_err(|text| plugin.broken("options", text))
    }

    /// The same, or what is wrong as the end of a sentence.
    pub(crate) fn read(plugin: &Plugin) -> Checked<Vec<Declared>> {
        let Some(record) = offered(plugin, ext::OPTIONS, abi::ExtOptions::zeroed())? else { return Ok(Vec::new()) };
        // SAFETY: n_options records, constant as all they lead to (mpass_ext_options).
        let records = unsafe { foreign::list(record.options, record.n_options, MOST, "options") }?;
        let mut options: Vec<Declared> = Vec::new();
        for (i, record) in records.iter().enumerate() {
            // SAFETY: as above.
            let option = unsafe { option(record) }.map_err(|text| format!("option {i}: {text}"))?;
            if options.iter().any(|other| other.name == option.name) {
                return Err(format!("{:?} is declared twice", option.name));
            }
            options.push(option);
        }
        Ok(options)
    }

    /// Whether a text looks like one of its values.
    fn fits(&self, value: &str) -> bool {
        let is_word = |value: &str| self.words.is_empty() || self.words.iter().any(|word| word == value);
        match self.kind {
            Kind::Text => is_word(value),
            Kind::Integer => value.parse::<i128>().is_ok(),
            Kind::Number => value.parse::<f64>().is_ok(),
            Kind::Boolean => ["true", "false"].contains(&value),
            Kind::Path => true,
            Kind::List => value.is_empty() || value.split(',').all(|item| is_word(item.trim())),
        }
    }
}

/// # Safety
/// The record's texts are NULL or terminated.
unsafe fn option(raw: &abi::Declared) -> Checked<Declared> {
    // SAFETY: forwarded.
    let text = |from: *const c_char, what: &str| unsafe { foreign::text(from, what) };
    let name = text(raw.name, "its name")?.filter(|name| !name.is_empty()).ok_or("it has no name")?;
    let named = |text: String| format!("{name:?}: {text}");
    let about = text(raw.about, "its sentence").map_err(named)?;
    let about = about.filter(|about| !about.is_empty()).ok_or_else(|| named("it has no sentence".into()))?;
    let kind = Kind::of(raw.kind).ok_or_else(|| named(format!("unknown kind {}", raw.kind)))?;
    let words = text(raw.words, "the text of its words").map_err(named)?.unwrap_or_default();
    let words = words.split_whitespace().map(str::to_owned).collect();
    let default = text(raw.default_value, "its default").map_err(named)?;
    let option = Declared { name: name.clone(), kind, about, default, words };
    match &option.default {
        Some(default) if !option.fits(default) => Err(named(format!("its default {default:?} is none of its values"))),
        _ => Ok(option),
    }
}
