//! A table of a configuration being read: every key is taken by name, and what nobody took is an error that names the
//! nearest known key. Each reader says what it wants of a value.

use crate::error::{Error, Result};
use crate::run::Budget;
use toml::{Table, Value};

/// A table being read: every key is taken by name, and what nobody took is unknown.
pub(super) struct Section {
    pub name: &'static str,
    pub table: Table,
    asked: Vec<&'static str>,
}

impl Section {
    /// A table by its name in messages.
    pub fn new(name: &'static str, table: Table) -> Section {
        Section { name, table, asked: Vec::new() }
    }

    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    pub fn section(&mut self, name: &'static str) -> Result<Section> {
        match self.take(name) {
            None => Ok(Section::new(name, Table::new())),
            Some(Value::Table(table)) => Ok(Section::new(name, table)),
            Some(other) => Err(self.wrong(name, "a table", &other)),
        }
    }

    pub fn finish(&self) -> Result<()> {
        let Some(key) = self.table.keys().next() else { return Ok(()) };
        let unknown = Error::unknown("key", key, self.asked.iter().copied());
        Err(Error::Argument(format!("{}{unknown}", self.heading())))
    }

    pub fn wrong(&self, key: &str, wanted: &str, found: &Value) -> Error {
        let found = match found {
            Value::String(text) => format!("{text:?}"), // TOML's own form of a text with line breaks has line breaks.
            other => other.to_string(),
        };
        let heading = self.heading();
        Error::Argument(format!("{heading}{key} = {found}: wants {wanted}"))
    }

    /// Refuses the first key for which `why` has a reason.
    pub fn refuse(&self, why: impl Fn(&str) -> Option<String>) -> Result<()> {
        let refused = self.table.keys().find_map(|key| Some((key, why(key)?)));
        refused.map_or(Ok(()), |(key, why)| Err(Error::Argument(format!("{}{key}: {why}", self.heading()))))
    }

    /// What stands before a key in messages: nothing for the keys of the root.
    fn heading(&self) -> String {
        if self.asked.contains(&"loss") { String::new() } else { format!("[{}] ", self.name) }
    }

    pub fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    /// One text, or a list of them with one at least.
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let texts = match &value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let texts = texts.filter(|texts: &Vec<String>| !texts.is_empty());
        texts.map(Some).ok_or_else(|| self.wrong(key, "a text or a list of texts", &value))
    }

    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(on)) => Ok(Some(on)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    pub fn count(&mut self, key: &'static str) -> Result<Option<u64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if n >= 0 => Ok(Some(n as u64)),
            Some(other) => Err(self.wrong(key, "a whole number from 0", &other)),
        }
    }

    pub fn counts(&mut self, key: &'static str) -> Result<Option<Vec<u64>>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let numbers = value.as_array().and_then(|list| {
            list.iter().map(|n| n.as_integer().and_then(|n| u64::try_from(n).ok())).collect::<Option<Vec<u64>>>()
        });
        numbers.map(Some).ok_or_else(|| self.wrong(key, "a list of whole numbers", &value))
    }

    pub fn positive(&mut self, key: &'static str) -> Result<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = float(&value).filter(|x| *x > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(key, "a positive number", &value))
    }

    pub fn number(&mut self, key: &'static str) -> Result<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        float(&value).map(Some).ok_or_else(|| self.wrong(key, "a finite number", &value))
    }

    /// A number of an interval, which `wanted` says in words.
    pub fn within(&mut self, key: &'static str, wanted: &str, is_in: impl Fn(f64) -> bool) -> Result<Option<f64>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        float(&value).filter(|x| is_in(*x)).map(Some).ok_or_else(|| self.wrong(key, wanted, &value))
    }

    pub fn numbers(&mut self, key: &'static str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let numbers = value.as_array().and_then(|list| list.iter().map(float).collect::<Option<Vec<f64>>>());
        numbers.map(Some).ok_or_else(|| self.wrong(key, "a list of finite numbers", &value))
    }

    /// Pairs [lowest, highest], each an interval.
    pub fn intervals(&mut self, key: &'static str) -> Result<Option<Vec<[f64; 2]>>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let interval = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([low, high]) => Some([float(low)?, float(high)?]).filter(|[low, high]| low < high),
            _ => None,
        };
        let intervals = value.as_array().and_then(|list| list.iter().map(interval).collect::<Option<Vec<_>>>());
        let wanted = "a list of intervals [[lowest, highest], ...]";
        intervals.filter(|list| !list.is_empty()).map(Some).ok_or_else(|| self.wrong(key, wanted, &value))
    }

    pub fn choice<T: Clone>(&mut self, key: &'static str, known: &[(&'static str, T)]) -> Result<Option<T>> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        match known.iter().find(|(k, _)| *k == name) {
            Some((_, value)) => Ok(Some(value.clone())),
            None => {
                let unknown = Error::unknown("value", &name, known.iter().map(|(k, _)| *k));
                Err(Error::Argument(format!("[{}] {key}: {unknown}", self.name)))
            }
        }
    }

    pub fn budget(&mut self) -> Result<Budget> {
        Ok(Budget { seconds: self.positive("seconds")?, evaluations: self.count("evaluations")? })
    }
}

/// A finite number.
fn float(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|n| n as f64)).filter(|x| x.is_finite())
}

/// Takes a value that was given; a field keeps its own otherwise.
pub fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
