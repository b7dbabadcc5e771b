//! Why a call failed, in words that a person reads.

use crate::abi;

/// Why a call failed: a status code and one line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// A code of [`abi::status`], not 0.
    pub code: abi::Status,
    /// What is wrong, with which thing, and what to do about it.
    pub text: String,
}

impl Error {
    /// The caller asked for something that makes no sense.
    pub fn argument(text: impl Into<String>) -> Error {
        Error { code: abi::status::ARGUMENT, text: line(text.into()) }
    }

    /// It makes sense, but not here.
    pub fn unsupported(text: impl Into<String>) -> Error {
        Error { code: abi::status::UNSUPPORTED, text: line(text.into()) }
    }

    /// Something that was named does not exist.
    pub fn not_found(text: impl Into<String>) -> Error {
        Error { code: abi::status::NOT_FOUND, text: line(text.into()) }
    }

    /// What a loss says of itself does not fit together.
    pub(crate) fn broken(text: impl Into<String>) -> Error {
        Error { code: abi::status::BACKEND, text: text.into() }
    }

    /// The cancel token fired.
    pub fn cancelled() -> Error {
        Error { code: abi::status::CANCELLED, text: "cancelled".into() }
    }

    /// `what "name"` is unknown; names the nearest of those known.
    pub fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
        let nearest = known.iter().min_by_key(|k| distance(k, name));
        let hint = nearest.map_or(String::new(), |k| format!("; the nearest is {k:?}"));
        Error::argument(format!("unknown {what} {name:?}{hint}"))
    }
}

/// A text as one line, whatever the names in it hold.
fn line(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Levenshtein distance, for "the nearest is": twenty lines, so that the sdk depends on bytemuck only.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
