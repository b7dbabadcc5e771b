//! Arrays as NumPy's .npy files hold them: read whole into C order, written in C order.
//!
//! Versions 1 to 3 of the format, C and Fortran order, either byte order, booleans, integers and floats of 32 and 64
//! bits. Everything else (objects, records, texts, half floats, complex numbers) is refused by name. Sizes are checked
//! against the file's length before anything is allocated, so a header cannot ask for more memory than the file fills.
//! It stands in this crate because engine and backends both read such files, and this is the one they share.
//! Format: NumPy Enhancement Proposal 1 and numpy.lib.format.

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

        impl Values {
            /// The number of elements.
            pub fn len(&self) -> usize {
                match self { $(Values::$variant(values) => values.len()),* }
            }

            /// NumPy's name of the element type, without its byte order: "f8", "i4".
            pub fn descr(&self) -> &'static str {
                match self { $(Values::$variant(_) => $descr),* }
            }

            /// The elements of the type `descr` in little- or big-endian bytes; `None` if there is no such type. A rest
            /// that fills no element is left out.
            pub fn of_bytes(descr: &str, bytes: &[u8], big: bool) -> Option<Values> {
                match descr {
                    $($descr => {
                        let read = |bytes: &[u8]| {
                            let bytes = bytes.try_into().unwrap_or_default(); // Chunks of exactly this size.
                            if big { $type::from_be_bytes(bytes) } else { $type::from_le_bytes(bytes) }
                        };
                        Some(Values::$variant(bytes.chunks_exact(size_of::<$type>()).map(read).collect()))
                    })*
                    _ => None,
                }
            }

            fn write(&self, to: &mut Vec<u8>) {
                match self { $(Values::$variant(values) => values.iter().for_each(|v| to.extend(v.to_le_bytes()))),* }
            }

            /// The values at `place(i)` for every i.
            fn gather(&self, place: impl Fn(usize) -> usize) -> Values {
                match self { $(Values::$variant(v) => Values::$variant((0..v.len()).map(|i| v[place(i)]).collect())),* }
            }
        }

        $(impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Values {
                Values::$variant(values)
            }
        })*
    };
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
        match self {
            Values::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::F64(v) => v.clone(),
            Values::I8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::I16(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Values::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::U16(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::U64(v) => v.iter().map(|&x| x as f64).collect(),
        }
    }
}

/// Reads the bytes of a .npy file; the fault, if any, as one sentence.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let header = Header::read(bytes)?;
    let count = header.shape.iter().try_fold(1_usize, |n, &axis| n.checked_mul(axis));
    let width = header.descr.get(1..).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let needed = count.and_then(|n| n.checked_mul(width));
    let data = &bytes[header.end..];
    let needed = needed.ok_or_else(|| format!("its shape {:?} has more elements than any memory", header.shape))?;
    if data.len() < needed {
        let shape = &header.shape;
        return Err(format!("is cut off: shape {shape:?} needs {needed} bytes of data, there are {}", data.len()));
    }
    let bool_as = if header.descr == "b1" { "u1" } else { &header.descr };
    let values = Values::of_bytes(bool_as, &data[..needed], header.big).ok_or_else(|| {
        format!("has elements of type {:?}: integers, or floats of 32 or 64 bits, are needed", header.descr)
    })?;
    let values = if header.fortran && header.shape.len() > 1 { from_fortran(&header.shape, &values) } else { values };
    Ok(Array { shape: header.shape, values })
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

/// Values of an array stored with its first axis fastest, with the last one fastest.
fn from_fortran(shape: &[usize], values: &Values) -> Values {
    values.gather(|mut flat| {
        let mut place = 0;
        for (axis, &size) in shape.iter().enumerate().rev() {
            let stride: usize = shape[..axis].iter().product();
            place += flat % size * stride;
            flat /= size;
        }
        place
    })
}

/// The longest header that is read; NumPy's own limit.
const LONGEST: usize = 10_000;
/// NumPy's own limit.
const MOST_AXES: usize = 64;

struct Header {
    /// The element type without its byte order.
    descr: String,
    big: bool,
    fortran: bool,
    shape: Vec<usize>,
    /// Where the data begins.
    end: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, String> {
        let no_npy = || "is no .npy file".to_owned();
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(no_npy)?;
        let (start, length) = match rest {
            [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
            [version, ..] if *version > 3 => {
                return Err(format!("is of version {version} of the .npy format: 1 to 3 are known"));
            }
            _ => return Err(no_npy()),
        };
        if length > LONGEST {
            return Err(format!("has a header of {length} bytes: it is no array of plain numbers"));
        }
        let end = start + length;
        let text = bytes.get(start..end).ok_or("is cut off inside its header")?;
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
        Ok(Header { descr: descr.to_owned(), big, fortran, shape, end })
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
