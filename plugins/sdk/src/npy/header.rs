//! What a .npy file says before its elements.

use super::fault::Fault;
use super::source::Source;
use std::io::Read;

/// The longest header that is read; NumPy's own limit.
const LONGEST: usize = 10_000;
/// NumPy's own limit.
const MOST_AXES: usize = 64;

pub(super) struct Header {
    /// The element type without its byte order.
    pub descr: String,
    pub big: bool,
    /// Whether the first axis is the fastest of several.
    pub fortran: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// The name of the elements' type.
    pub fn element(&self) -> &str {
        if self.descr == "b1" { "u1" } else { &self.descr }
    }

    pub fn strange(&self) -> Fault {
        let descr = &self.descr;
        Fault::Content(format!("has elements of type {descr:?}: integers, or floats of 32 or 64 bits, are needed"))
    }

    /// The bytes of all elements.
    pub fn needed(&self) -> Result<usize, Fault> {
        let count = self.shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        let width = self.descr.get(1..).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
        let needed = count.and_then(|n| n.checked_mul(width));
        needed.ok_or_else(|| format!("its shape {:?} has more elements than any memory", self.shape).into())
    }

    /// Reads it from the start of a file.
    pub fn read(file: &mut Source<impl Read>) -> Result<Header, Fault> {
        let no_npy = || Fault::from("is no .npy file");
        let mut start = [0; 10];
        let full = file.fill(&mut start)?;
        let rest = start[..full].strip_prefix(b"\x93NUMPY").ok_or_else(no_npy)?;
        let length = match *rest {
            [1, _, a, b] => usize::from(u16::from_le_bytes([a, b])),
            [2 | 3, _, a, b] => {
                let mut more = [0; 2];
                file.fill(&mut more)?;
                u32::from_le_bytes([a, b, more[0], more[1]]) as usize
            }
            [version, ..] if version > 3 => {
                return Err(format!("is of version {version} of the .npy format: 1 to 3 are known").into());
            }
            _ => return Err(no_npy()),
        };
        if length > LONGEST {
            return Err(format!("has a header of {length} bytes: it is no array of plain numbers").into());
        }
        let mut text = vec![0; length];
        if file.fill(&mut text)? < length {
            return Err("is cut off inside its header".into());
        }
        Header::parse(&text).map_err(Fault::Content)
    }

    fn parse(text: &[u8]) -> Result<Header, String> {
        let text = std::str::from_utf8(text).map_err(|_| "has a header that is not UTF-8")?;
        let field = |name: &str| {
            let after = text.split_once(&format!("'{name}':")).or_else(|| text.split_once(&format!("\"{name}\":")));
            after.map(|(_, value)| value.trim_start()).ok_or(format!("has a header without {name}"))
        };
        let descr = field("descr")?;
        let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let inner = quote.and_then(|quote| descr[1..].split_once(quote)).map(|(inner, _)| inner);
        let inner = inner.ok_or("holds records: an array of plain numbers is needed")?;
        let (big, descr) = match inner.as_bytes().first() {
            Some(b'<' | b'|' | b'=') => (false, &inner[1..]),
            Some(b'>') => (true, &inner[1..]),
            _ => (false, inner),
        };
        let order = field("fortran_order")?;
        let fortran = match (order.starts_with("True"), order.starts_with("False")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err("has a header whose fortran_order is neither True nor False".into()),
        };
        let axes = field("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (axes, _) = axes.ok_or("has a header whose shape is no tuple")?;
        let sizes = axes.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape: Vec<usize> = sizes
            .map(|axis| axis.trim_end_matches('L').parse().map_err(|_| format!("has an axis of size {axis:?}")))
            .collect::<Result<_, String>>()?;
        if shape.len() > MOST_AXES {
            return Err(format!("has {} axes", shape.len()));
        }
        Ok(Header { descr: descr.to_owned(), big, fortran: fortran && shape.len() > 1, shape })
    }
}
