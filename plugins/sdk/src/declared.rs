//! The options that a backend declares, and their records in the C table.

use crate::abi;
use std::ffi::CStr;
use std::ptr::null;

/// An option that a backend knows. Texts carry their C terminator: `c"units"`.
///
/// ```
/// use mountainpass_sdk::{Declared, Kind};
/// const OPTIONS: &[Declared] = &[
///     Declared::new(c"units", Kind::Integer, c"The number of units.").default(c"2"),
///     Declared::new(c"scale", Kind::Text, c"How they are scaled.").words(c"linear logarithmic"),
///     Declared::new(c"data", Kind::Path, c"A file of points, or the measured ones.").words(c"measured"),
/// ];
/// # assert_eq!(OPTIONS.len(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What users write; each option has its own.
    pub name: &'static CStr,
    /// What its values look like.
    pub kind: Kind,
    /// One sentence for a person.
    pub about: &'static CStr,
    /// What is taken where it is not given; `None` if there is no such value, or it depends on others.
    pub default: Option<&'static CStr>,
    /// Words, separated by blanks: of a text or a list all that it may be, of a path what is none.
    pub words: Option<&'static CStr>,
}

impl Declared {
    /// An option without default and words.
    pub const fn new(name: &'static CStr, kind: Kind, about: &'static CStr) -> Declared {
        Declared { name, kind, about, default: None, words: None }
    }

    /// The same with what is taken where it is not given.
    pub const fn default(self, value: &'static CStr) -> Declared {
        Declared { default: Some(value), ..self }
    }

    /// The same with words.
    pub const fn words(self, words: &'static CStr) -> Declared {
        Declared { words: Some(words), ..self }
    }

    /// The record of the C table.
    const fn record(&self) -> abi::Declared {
        const fn text(text: Option<&'static CStr>) -> *const std::ffi::c_char {
            match text {
                Some(text) => text.as_ptr(),
                None => null(),
            }
        }
        abi::Declared {
            name: self.name.as_ptr(),
            about: self.about.as_ptr(),
            default_value: text(self.default),
            words: text(self.words),
            kind: self.kind as u32,
            reserved: 0,
        }
    }
}

/// What the values of an option look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// One of its words; any text where it has none.
    Text = abi::option::TEXT,
    /// A whole number.
    Integer = abi::option::INTEGER,
    /// A number.
    Number = abi::option::NUMBER,
    /// `true` or `false`.
    Boolean = abi::option::BOOLEAN,
    /// A file or a folder, unless it is one of its words.
    Path = abi::option::PATH,
    /// Items joined by commas.
    List = abi::option::LIST,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [Kind::Text, Kind::Integer, Kind::Number, Kind::Boolean, Kind::Path, Kind::List];

    /// From a code of `MPASS_OPTION_*`.
    pub fn of(code: u32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u32 == code)
    }
}

/// Several lists as one.
///
/// ```
/// # use mountainpass_sdk::{Declared, Kind, joined};
/// # const SIZES: [Declared; 1] = [Declared::new(c"n", Kind::Integer, c"How many.")];
/// # const FILES: [Declared; 1] = [Declared::new(c"data", Kind::Path, c"Which file.")];
/// const OPTIONS: [Declared; SIZES.len() + FILES.len()] = joined(&[&SIZES, &FILES]);
/// # assert_eq!(OPTIONS, [SIZES[0], FILES[0]]);
/// ```
pub const fn joined<const N: usize>(lists: &[&[Declared]]) -> [Declared; N] {
    let mut all = [Declared::new(c"", Kind::Text, c""); N];
    let (mut n, mut list) = (0, 0);
    while list < lists.len() {
        let mut i = 0;
        while i < lists[list].len() {
            all[n] = lists[list][i];
            (n, i) = (n + 1, i + 1);
        }
        list += 1;
    }
    assert!(n == N, "as many as there are in all");
    all
}

/// The most options that a backend may have.
pub(crate) const MOST: usize = 64;

/// The records of a list, those of the table first; the list is refused where there are more than [`MOST`].
pub(crate) const fn records(options: &[Declared]) -> [abi::Declared; MOST] {
    let mut records = [abi::Declared::zeroed(); MOST];
    let mut i = 0;
    while i < options.len() {
        records[i] = options[i].record();
        i += 1;
    }
    records
}
