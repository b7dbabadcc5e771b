//! Arrays as NumPy's .npy files hold them: read whole into C order, written in C order.
//!
//! Versions 1 to 3 of the format, C and Fortran order, either byte order, booleans, integers and floats of 32 and 64
//! bits. Everything else (objects, records, texts, half floats, complex numbers) is refused by name. A file is as long as
//! its header says, no more and no less; that is looked at before anything is allocated where the length is known.
//! Numbers go block by block to where they stay, so that reading takes no memory beside the array's. It stands in this
//! crate because engine and backends both read such files, and this is the one they share.
//! Format: NumPy Enhancement Proposal 1 and numpy.lib.format.

mod begin;
mod elements;
mod fault;
mod header;
mod source;
mod stream;
mod values;

pub use fault::Fault;
pub use stream::Stream;
pub use values::Values;

use begin::begin;
use elements::{Encoded, end};
use std::io::{self, Read, Write};
use values::read_wide;

/// An n-dimensional array in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// One size per axis; none for a scalar.
    pub shape: Vec<usize>,
    /// As many as the product of the shape.
    pub values: Values,
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
    let (mut file, header) = begin(file, length)?;
    let values = Values::read(&mut file, &header)?;
    end(&mut file, &header)?;
    Ok(Array { shape: header.shape, values })
}

/// Reads a .npy file from its start to its end, its elements as f64; `length` is how many bytes it has, where known.
pub fn widened(file: impl Read, length: Option<u64>) -> Result<Wide, Fault> {
    let (mut file, header) = begin(file, length)?;
    let values = read_wide(&mut file, &header)?;
    end(&mut file, &header)?;
    let is_real = header.descr.starts_with('f');
    Ok(Wide { shape: header.shape, values, is_real })
}

/// Reads the bytes of a .npy file; the fault, if any, as one sentence.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    read(bytes, Some(bytes.len() as u64)).map_err(|fault| fault.to_string())
}

/// Writes a .npy file, in C order and little-endian.
pub fn write(array: &Array, to: &mut impl Write) -> io::Result<()> {
    write_header(&array.shape, array.values.descr(), to)?;
    array.values.write(to)
}

/// Writes the start of a .npy file of f64, whose elements follow by [`write_reals`], as many as the product of the shape.
pub fn write_start(shape: &[usize], to: &mut impl Write) -> io::Result<()> {
    write_header(shape, "f8", to)
}

/// Writes elements behind the [start](write_start) of a file.
pub fn write_reals(values: &[f64], to: &mut impl Write) -> io::Result<()> {
    f64::write(values, to)
}

fn write_header(shape: &[usize], descr: &str, to: &mut impl Write) -> io::Result<()> {
    let axes: String = shape.iter().map(|axis| format!("{axis},")).collect();
    let order = if descr.ends_with('1') { '|' } else { '<' };
    let text = format!("{{'descr': '{order}{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // Magic, version and length take ten bytes; the data begins at a multiple of 64, after a line's end.
    let padding = 63 - (10 + text.len()) % 64;
    to.write_all(b"\x93NUMPY\x01\x00")?;
    to.write_all(&((text.len() + padding + 1) as u16).to_le_bytes())?;
    to.write_all(text.as_bytes())?;
    to.write_all(&[b' '; 63][..padding])?;
    to.write_all(b"\n")
}

/// The bytes of a .npy file.
pub fn bytes(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Memory takes whatever is written to it.
    let _ = write(array, &mut bytes);
    bytes
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
            prop_assert_eq!(parse(&bytes).unwrap(), array.clone());
            // Piece by piece, both ways.
            let mut written = Vec::new();
            write_start(&array.shape, &mut written).unwrap();
            let values = array.values.to_f64();
            values.chunks(3).for_each(|values| write_reals(values, &mut written).unwrap());
            prop_assert_eq!(&written, &bytes);
            let mut stream = Stream::new(&bytes[..], Some(bytes.len() as u64)).unwrap();
            let mut read = vec![0.0; n];
            read.chunks_mut(2).for_each(|values| stream.fill(values).unwrap());
            prop_assert_eq!((stream.shape(), read), (&array.shape[..], values));
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
