//! Arrays as NumPy's .npy files hold them: read whole into C order, written in C order.
//!
//! Versions 1 to 3 of the format, C and Fortran order, either byte order, booleans, integers and floats of 32 and 64
//! bits. Everything else (objects, records, texts, half floats, complex numbers) is refused by name. A file is as long as
//! its header says, no more and no less; that is looked at before anything is allocated where the length is known.
//! Numbers go block by block to where they stay, so that reading takes no memory beside the array's. It stands in this
//! crate because engine and backends both read such files, and this is the one they share.
//! Format: NumPy Enhancement Proposal 1 and numpy.lib.format.

mod source;

use crate::memory::{self, Shortage};
use source::Source;
use std::fmt;
use std::io::{self, Read};

/// An n-dimensional array in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// One size per axis; none for a scalar.
    pub shape: Vec<usize>,
    /// As many as the product of the shape.
    pub values: Values,
}

/// Declares the element types: variant, Rust type, NumPy's letter and width.
macro_rules! element_types {
    ($($variant:ident $type:ident $descr:literal)*) => {
        /// The elements of an [`Array`], exact in their own type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Values {
            $(#[doc = concat!("NumPy's ", $descr, ".")] $variant(Vec<$type>)),*
        }

        /// NumPy's names of the element types.
        const KNOWN: &[&str] = &[$($descr),*];

        impl Values {
            /// The number of elements.
            pub fn len(&self) -> usize {
                match self { $(Values::$variant(values) => values.len()),* }
            }

            /// Element `i` as f64: exact for floats and for integers up to 2^53.
            pub fn get(&self, i: usize) -> f64 {
                match self { $(Values::$variant(values) => values[i] as f64),* }
            }

            /// NumPy's name of the element type, without its byte order: "f8", "i4".
            pub fn descr(&self) -> &'static str {
                match self { $(Values::$variant(_) => $descr),* }
            }

            /// The elements of the type `descr` in little- or big-endian bytes; `None` if there is no such type. A rest
            /// that fills no element is left out.
            pub fn of_bytes(descr: &str, bytes: &[u8], big: bool) -> Result<Option<Values>, Shortage> {
                Ok(match descr {
                    $($descr => {
                        let (count, chunks) = (bytes.len() / $type::WIDTH, bytes.chunks_exact($type::WIDTH));
                        Some(Values::$variant(memory::collected(count, chunks.map(|chunk| $type::of(chunk, big)))?))
                    })*
                    _ => None,
                })
            }

            /// The elements that a file holds behind its header, in their own type.
            fn read(file: &mut Source<impl Read>, header: &Header) -> Result<Values, Fault> {
                match header.element() {
                    $($descr => file.elements(header, |x: $type| x).map(Values::$variant),)*
                    _ => Err(header.strange()),
                }
            }

            fn write(&self, to: &mut Vec<u8>) {
                match self { $(Values::$variant(values) => values.iter().for_each(|v| to.extend(v.to_le_bytes()))),* }
            }
        }

        $(impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Values {
                Values::$variant(values)
            }
        }

        impl Element for $type {
            const WIDTH: usize = size_of::<$type>();

            fn of(bytes: &[u8], big: bool) -> $type {
                let bytes = bytes.try_into().unwrap_or_default(); // As many as the width, everywhere here.
                if big { $type::from_be_bytes(bytes) } else { $type::from_le_bytes(bytes) }
            }
        })*

        /// The elements that a file holds behind its header, as f64.
        fn read_wide(file: &mut Source<impl Read>, header: &Header) -> Result<Vec<f64>, Fault> {
            match header.element() {
                $($descr => file.elements(header, |x: $type| x as f64),)*
                _ => Err(header.strange()),
            }
        }
    };
}

/// A number as a file holds it.
trait Element: Copy {
    const WIDTH: usize;

    fn of(bytes: &[u8], big: bool) -> Self;
}

element_types! {
    F32 f32 "f4"  F64 f64 "f8"
    I8 i8 "i1"  I16 i16 "i2"  I32 i32 "i4"  I64 i64 "i8"
    U8 u8 "u1"  U16 u16 "u2"  U32 u32 "u4"  U64 u64 "u8"
}

impl Values {
    /// True for an array without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as f64: exact for floats and for integers up to 2^53.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.get(i)).collect()
    }

    /// The same out of a vector that nobody else needs; f64 stay where they are.
    pub fn into_f64(self) -> Result<Vec<f64>, Shortage> {
        match self {
            Values::F64(values) => Ok(values),
            other => memory::collected(other.len(), (0..other.len()).map(|i| other.get(i))),
        }
    }
}

/// Why there is no array.
#[derive(Debug)]
pub enum Fault {
    /// What is wrong with the file, as the end of a sentence.
    Content(String),
    /// The file could not be read.
    Source(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Content(text) => f.write_str(text),
            Fault::Source(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault::Content(text)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Fault {
        Fault::Content(text.into())
    }
}

impl From<Shortage> for Fault {
    fn from(shortage: Shortage) -> Fault {
        Fault::Content(shortage.into())
    }
}

/// An array whose elements were widened as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Wide {
    /// One size per axis.
    pub shape: Vec<usize>,
    /// Exact for floats and for integers up to 2^53.
    pub values: Vec<f64>,
    /// False where the file has whole numbers or booleans.
    pub is_real: bool,
}

/// Reads a .npy file from its start to its end, at which it must end; `length` is how many bytes it has, where that is
/// known.
pub fn read(file: impl Read, length: Option<u64>) -> Result<Array, Fault> {
    let (mut file, header) = Source::begin(file, length)?;
    let values = Values::read(&mut file, &header)?;
    file.end(&header)?;
    Ok(Array { shape: header.shape, values })
}

/// The same, its elements as f64.
pub fn widened(file: impl Read, length: Option<u64>) -> Result<Wide, Fault> {
    let (mut file, header) = Source::begin(file, length)?;
    let values = read_wide(&mut file, &header)?;
    file.end(&header)?;
    let is_real = header.descr.starts_with('f');
    Ok(Wide { shape: header.shape, values, is_real })
}

/// Reads the bytes of a .npy file; the fault, if any, as one sentence.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    read(bytes, Some(bytes.len() as u64)).map_err(|fault| fault.to_string())
}

/// The bytes of a .npy file.
pub fn bytes(array: &Array) -> Vec<u8> {
    let axes: String = array.shape.iter().map(|axis| format!("{axis},")).collect();
    let order = if array.values.descr().ends_with('1') { '|' } else { '<' };
    let text = format!("{{'descr': '{order}{}', 'fortran_order': False, 'shape': ({axes}), }}", array.values.descr());
    // Magic, version and length take ten bytes; the data begins at a multiple of 64, after a line's end.
    let padding = 63 - (10 + text.len()) % 64;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((text.len() + padding + 1) as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes.extend(std::iter::repeat_n(b' ', padding));
    bytes.push(b'\n');
    array.values.write(&mut bytes);
    bytes
}

/// The longest header that is read; NumPy's own limit.
const LONGEST: usize = 10_000;
/// NumPy's own limit.
const MOST_AXES: usize = 64;

struct Header {
    /// The element type without its byte order.
    descr: String,
    big: bool,
    /// Whether the first axis is the fastest of several.
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// The name of the elements' type.
    fn element(&self) -> &str {
        if self.descr == "b1" { "u1" } else { &self.descr }
    }

    fn strange(&self) -> Fault {
        let descr = &self.descr;
        Fault::Content(format!("has elements of type {descr:?}: integers, or floats of 32 or 64 bits, are needed"))
    }

    /// The bytes of all elements.
    fn needed(&self) -> Result<usize, Fault> {
        let count = self.shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        let width = self.descr.get(1..).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
        let needed = count.and_then(|n| n.checked_mul(width));
        needed.ok_or_else(|| format!("its shape {:?} has more elements than any memory", self.shape).into())
    }

    fn read(file: &mut Source<impl Read>) -> Result<Header, Fault> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes().chain(data.iter().copied()));
        bytes
    }

    #[test]
    fn fortran_order_and_big_endian_read_as_c_order() {
        let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        let data: Vec<u8> = [0_i16, 10, 1, 11, -2, 12].iter().flat_map(|v| v.to_be_bytes()).collect();
        let array = parse(&file(header, &data)).unwrap();
        assert_eq!(array, Array { shape: vec![2, 3], values: vec![0_i16, 1, -2, 10, 11, 12].into() });
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused_in_a_sentence() {
        let refused = |header: &str, data: &[u8]| parse(&file(header, data)).unwrap_err();
        let of = |descr: &str, shape: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
        assert_eq!(parse(b"PK\x03\x04").unwrap_err(), "is no .npy file");
        assert!(refused(&of("'|O'", "(3,)"), &[0; 99]).starts_with("has elements of type \"O\""));
        assert!(refused(&of("'<c16'", "(1,)"), &[0; 16]).starts_with("has elements of type \"c16\""));
        assert!(refused(&of("[('a', '<f8')]", "(3,)"), &[]).starts_with("holds records"));
        assert_eq!(
            refused(&of("'<f8'", "(3,)"), &[0; 23]),
            "is cut off: shape [3] needs 24 bytes of data, there are 23"
        );
        let huge = format!("({0}, {0}, {0})", u64::MAX / 2);
        assert!(refused(&of("'<f8'", &huge), &[]).contains("more elements than any memory"));
        assert_eq!(refused(&of("'<f8'", "(-3,)"), &[]), "has an axis of size \"-3\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(shape in prop::collection::vec(0_usize..4, 0..4), seed: u64) {
            let n: usize = shape.iter().product();
            let value = |i: usize| f64::from_bits(seed.wrapping_mul(i as u64 + 1) & !(0x7ff << 52)) + i as f64;
            let array = Array { shape, values: (0..n).map(value).collect::<Vec<f64>>().into() };
            let bytes = bytes(&array);
            prop_assert_eq!(bytes.len() % 64, 8 * n % 64);
            prop_assert_eq!(parse(&bytes).unwrap(), array);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 0_usize..90, header: String) {
            let good = super::bytes(&Array { shape: vec![2, 2], values: vec![1_i32, 2, 3, 4].into() });
            let mut spoilt = good[..keep].to_vec();
            spoilt.extend(&bytes);
            let _ = (parse(&bytes), parse(&spoilt), parse(&file(&header, &bytes)));
            let torn = format!("{{'descr': '<f{}', 'fortran_order': True, 'shape': ({header})", bytes.len());
            let _ = parse(&file(&torn, &bytes));
        }
    }
}
