//! What is asked of [`Backend::open`](crate::Backend::open): a model, options, data in memory.

use crate::{Array, Declared, Error, abi};
use std::ffi::{CStr, c_char};

/// Which loss to open.
pub struct Open<'a> {
    /// A path or a name only the backend understands.
    pub model: Option<&'a str>,
    /// The model itself, where it is handed over in memory.
    pub model_bytes: Option<&'a [u8]>,
    /// An index as listed by probe.
    pub device: u32,
    /// Data sets in memory.
    pub data: Vec<Array<'a>>,
    /// Whether [`Caps::repeatable`](crate::Caps::repeatable) is asked for, at whatever cost in speed. A loss that never is may ignore this: the
    /// engine looks at what it claims.
    pub repeatable: bool,
    options: Vec<(&'a str, &'a str)>,
    asked: Vec<&'static str>,
    declared: &'static [Declared],
}

impl<'a> Open<'a> {
    /// A request for a model with options, as a test or a direct user makes it.
    pub fn new(model: &'a str, options: &[(&'a str, &'a str)]) -> Open<'a> {
        Open {
            model: Some(model),
            model_bytes: None,
            device: 0,
            data: Vec::new(),
            repeatable: false,
            options: options.to_vec(),
            asked: Vec::new(),
            declared: &[],
        }
    }

    /// Reads a request of the C table, to a backend that declares these options.
    ///
    /// # Safety
    /// Arrays hold as many elements as their counts say, for the life 'a.
    pub(crate) unsafe fn from_abi(raw: &abi::Open, declared: &'static [Declared]) -> Result<Open<'a>, Error> {
        // SAFETY: mpass_open: "n_options strings", "data sets in memory", model_len bytes; here and in the lines below.
        let keys = unsafe { list(raw.keys, raw.n_options.into()) };
        // SAFETY: as above.
        let values = unsafe { list(raw.values, raw.n_options.into()) };
        // SAFETY: as above.
        let arrays = unsafe { list(raw.data, raw.n_data) };
        let option = |(key, value): (&*const c_char, &*const c_char)| {
            // SAFETY: as above.
            let key = unsafe { text(*key, "an option") }?;
            // SAFETY: as above.
            let value = unsafe { text(*value, "an option's value") }?;
            Ok((key.unwrap_or_default(), value.unwrap_or_default()))
        };
        Ok(Open {
            // SAFETY: as above.
            model: unsafe { text(raw.model, "model") }?,
            // SAFETY: as above.
            model_bytes: (!raw.model_bytes.is_null()).then(|| unsafe { list(raw.model_bytes.cast(), raw.model_len) }),
            device: raw.device,
            // SAFETY: as above.
            data: arrays.iter().map(|raw| unsafe { array(raw) }).collect::<Result<_, Error>>()?,
            repeatable: raw.repeatable != 0,
            options: keys.iter().zip(values).map(option).collect::<Result<_, Error>>()?,
            asked: Vec::new(),
            declared,
        })
    }

    /// The value of an option, if given. Every option that the model knows is asked for before [`finish`](Open::finish).
    pub fn option(&mut self, key: &'static str) -> Option<&'a str> {
        self.asked.push(key);
        self.options.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    /// The value of an option as a number or another parsed type.
    pub fn parsed<T: std::str::FromStr>(&mut self, key: &'static str) -> Result<Option<T>, Error> {
        self.option(key)
            .map(|text| text.parse().map_err(|_| Error::argument(format!("option {key}: cannot read {text:?}"))))
            .transpose()
    }

    /// Refuses options that were given but never asked for, naming the nearest known one.
    pub fn finish(&self) -> Result<(), Error> {
        let is_declared = |key: &str| self.declared.iter().any(|option| option.name.to_bytes() == key.as_bytes());
        if let Some(key) = self.asked.iter().find(|key| !self.declared.is_empty() && !is_declared(key)) {
            return Err(Error::broken(format!("the option {key:?} is asked for and not declared")));
        }
        match self.options.iter().find(|(key, _)| !self.asked.contains(key)) {
            None => Ok(()),
            Some((key, _)) if is_declared(key) => {
                Err(Error::argument(format!("option {key:?} says nothing about this model: leave it out")))
            }
            Some((key, _)) if self.asked.is_empty() => {
                Err(Error::argument(format!("unknown option {key:?}: there are none")))
            }
            Some((key, _)) => Err(Error::unknown("option", key, &self.asked)),
        }
    }
}

/// So many values from a pointer, which may be anything where there are none.
///
/// # Safety
/// Such values are there for the life 'a.
unsafe fn list<'a, T>(from: *const T, count: u64) -> &'a [T] {
    match count {
        0 => &[],
        // SAFETY: forwarded.
        count => unsafe { std::slice::from_raw_parts(from, count as usize) },
    }
}

/// # Safety
/// The array obeys the contract for the life 'a.
unsafe fn array<'a>(raw: &abi::Array) -> Result<Array<'a>, Error> {
    let ndim = raw.ndim.into();
    // SAFETY: mpass_array.shape, "ndim".
    let shape = unsafe { list(raw.shape, ndim) };
    // SAFETY: mpass_array.strides, "ndim, in elements; NULL = C order".
    let strides = (!raw.strides.is_null()).then(|| unsafe { list(raw.strides, ndim) });
    // SAFETY: "All text is UTF-8 and NUL-terminated."
    let name = unsafe { text(raw.name, "the name of an array") }?.unwrap_or_default();
    // SAFETY: forwarded: its elements are where shape and strides reach from data.
    Ok(unsafe { Array::from_raw(name, shape, strides, raw.dtype, raw.data) })
}

/// A text of the request; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or a text that lives for 'a.
unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: all text is NUL-terminated (THE OWNERSHIP RULE).
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map(Some).map_err(|_| Error::argument(format!("{what} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn an_unknown_option_names_the_nearest() {
        let mut open = Open::new("m", &[("actvation", "tanh")]);
        open.option("activation");
        open.option("data");
        let error = open.finish().unwrap_err();
        assert_eq!(error.text, "unknown option \"actvation\"; the nearest is \"activation\"");
    }

    #[test]
    fn what_is_declared_is_what_is_asked_for() {
        const OPTIONS: &[Declared] = &[
            Declared::new(c"n", Kind::Integer, c"How many."),
            Declared::new(c"side", Kind::Number, c"How long, of a cube."),
        ];
        let finished = |given: &str, asked: &[&'static str]| {
            let given = [(given, "1")];
            let mut open = Open { declared: OPTIONS, ..Open::new("sphere", &given) };
            for key in asked {
                open.option(key);
            }
            open.finish().map_err(|error| (error.code, error.text))
        };
        assert_eq!(finished("n", &["n"]), Ok(()));
        let useless = "option \"side\" says nothing about this model: leave it out".to_owned();
        assert_eq!(finished("side", &["n"]), Err((abi::status::ARGUMENT, useless)));
        let unknown = "unknown option \"m\"; the nearest is \"n\"".to_owned();
        assert_eq!(finished("m", &["n"]), Err((abi::status::ARGUMENT, unknown)));
        let hidden = "the option \"radius\" is asked for and not declared".to_owned();
        assert_eq!(finished("n", &["n", "radius"]), Err((abi::status::BACKEND, hidden)));
    }
}
