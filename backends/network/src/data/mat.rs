//! MATLAB's files of version 5: the real numeric arrays with given names, compressed or not, in either byte order.
//!
//! Sizes are believed only as far as bytes are there: an element is a piece of its file, and a compressed one is
//! unpacked no further than its own tag says. Not read by a crate, as those known read the whole file into their own
//! types with a second inflate, and this is a page. Format: "MAT-File Format", The MathWorks, chapter 1.

use super::file::MOST;
use mountainpass_sdk::memory;
use mountainpass_sdk::npy::{Array, Values};
use std::io::Read;

const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;

/// The arrays called `names`, where there are such; shapes are MATLAB's, values have their first axis fastest. The
/// fault, if any, as one sentence.
pub(crate) fn read<const N: usize>(bytes: &[u8], names: [&str; N]) -> Result<[Option<Array>; N], String> {
    let big = match bytes.get(124..128) {
        Some([0, 1, b'I', b'M']) => false,
        Some([1, 0, b'M', b'I']) => true,
        Some([0, 2, b'I', b'M']) => return Err("is of MATLAB 7.3 (HDF5): save it with -v7".into()),
        _ => return Err("is no MATLAB file of version 5".into()),
    };
    let mut found = [const { None }; N];
    let mut file = Elements { rest: &bytes[128..], big };
    while let Some((kind, data)) = file.next()? {
        let unpacked;
        let data = match kind {
            MATRIX => data,
            COMPRESSED => {
                unpacked = inflate(data, big)?;
                &unpacked
            }
            _ => continue,
        };
        let mut matrix = Elements { rest: data, big };
        let Some(head) = matrix.head()? else { continue };
        if let Some(i) = names.iter().position(|name| name.as_bytes() == head.name) {
            found[i] = Some(matrix.values(&head).map_err(|fault| format!("array {}: {fault}", names[i]))?);
        }
    }
    Ok(found)
}

/// The one matrix that a compressed element holds.
fn inflate(packed: &[u8], big: bool) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("holds spoilt zlib data: {error}");
    let mut stream = flate2::read::ZlibDecoder::new(packed);
    let mut tag = [0; 8];
    stream.read_exact(&mut tag).map_err(wrong)?;
    let [kind, size] = [&tag[..4], &tag[4..]].map(|half| word(half, big));
    if kind != MATRIX || u64::from(size) > MOST {
        return Err(format!("holds a compressed element of type {kind} and {size} bytes, expected an array"));
    }
    match memory::rest(&mut stream.take(size.into()), None, size as usize) {
        Ok(bytes) if bytes.len() == size as usize => Ok(bytes),
        Ok(bytes) => Err(format!("is cut off: an array of {size} bytes unpacks to {}", bytes.len())),
        Err(error) if error.kind() == std::io::ErrorKind::OutOfMemory => Err(error.to_string()),
        Err(error) => Err(wrong(error)),
    }
}

fn word(bytes: &[u8], big: bool) -> u32 {
    let bytes = bytes.try_into().unwrap_or_default(); // Four, everywhere here.
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The elements that stand one after the other in a file or an array.
struct Elements<'a> {
    rest: &'a [u8],
    big: bool,
}

/// What an array says before its values.
struct MatrixHead<'a> {
    name: &'a [u8],
    shape: Vec<usize>,
    is_complex: bool,
    class: u32,
}

impl<'a> Elements<'a> {
    /// Type and bytes of the next element; up to four bytes stand in its tag.
    fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let cut =
            |needed: usize, there: usize| format!("is cut off: an element needs {needed} bytes, {there} are left");
        let tag = self.rest.get(..8).ok_or_else(|| cut(8, self.rest.len()))?;
        let kind = word(&tag[..4], self.big);
        if kind >> 16 != 0 {
            let size = (kind >> 16) as usize;
            let data = tag[4..].get(..size).ok_or_else(|| format!("has a short element of {size} bytes"))?;
            self.rest = &self.rest[8..];
            return Ok(Some((kind & 0xffff, data)));
        }
        let (size, data) = (word(&tag[4..], self.big) as usize, &self.rest[8..]);
        let element = data.get(..size).ok_or_else(|| cut(size, data.len()))?;
        // Elements begin at multiples of eight bytes, but for what follows a compressed one.
        let padded = if kind == COMPRESSED { size } else { size.next_multiple_of(8) };
        self.rest = data.get(padded..).unwrap_or_default();
        Ok(Some((kind, element)))
    }

    fn expect(&mut self, what: &str, kinds: &[u32]) -> Result<(u32, &'a [u8]), String> {
        match self.next()? {
            Some((kind, data)) if kinds.contains(&kind) => Ok((kind, data)),
            Some((kind, _)) => Err(format!("has an element of type {kind} for the {what} of an array")),
            None => Err(format!("is cut off: an array ends before its {what}")),
        }
    }

    /// Reads flags, shape and name; `None` for an empty array without any.
    fn head(&mut self) -> Result<Option<MatrixHead<'a>>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (_, flags) = self.expect("flags", &[6])?;
        let flags = word(flags.get(..4).ok_or("has flags that are cut off")?, self.big);
        let (_, shape) = self.expect("shape", &[5])?;
        let shape = shape.chunks_exact(4).map(|axis| word(axis, self.big) as usize).collect();
        let (_, name) = self.expect("name", &[1, 2, 16])?;
        Ok(Some(MatrixHead { name, shape, is_complex: flags & 0x800 != 0, class: flags & 0xff }))
    }

    /// Reads the values behind the head; they may be stored in a smaller type than the array's own.
    fn values(&mut self, head: &MatrixHead<'_>) -> Result<Array, String> {
        if head.is_complex || !(6..=15).contains(&head.class) {
            return Err(format!("has class {}, expected real numbers", head.class));
        }
        let kinds = [(1, "i1"), (2, "u1"), (3, "i2"), (4, "u2"), (5, "i4"), (6, "u4"), (7, "f4"), (9, "f8")];
        let kinds = [&kinds[..], &[(12, "i8"), (13, "u8")]].concat();
        let (kind, data) = self.expect("values", &kinds.iter().map(|(kind, _)| *kind).collect::<Vec<u32>>())?;
        let descr = kinds.iter().find(|(k, _)| *k == kind).map_or("", |(_, descr)| descr);
        let count = head.shape.iter().try_fold(1_usize, |n, axis| n.checked_mul(*axis));
        let values = Values::of_bytes(descr, data, self.big)?.filter(|values| Some(values.len()) == count);
        let shape = head.shape.clone();
        values
            .map(|values| Array { shape: shape.clone(), values })
            .ok_or_else(|| format!("shape {shape:?} does not go with {} bytes of values of type {descr}", data.len()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::file::tests::spoilt;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// An element, padded to eight bytes.
    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// An array of bytes, of MATLAB's class 9 (uint8).
    pub(crate) fn matrix(name: &str, shape: &[u32], values: &[u8]) -> Vec<u8> {
        let flags = element(6, &[9, 0, 0, 0, 0, 0, 0, 0]);
        let shape: Vec<u8> = shape.iter().flat_map(|axis| axis.to_le_bytes()).collect();
        // A short name stands inside its tag, as MATLAB writes it.
        let mut short = (1_u32 | (name.len() as u32) << 16).to_le_bytes().to_vec();
        short.extend(name.bytes().chain(std::iter::repeat(0)).take(4));
        element(MATRIX, &[flags, element(5, &shape), short, element(2, values)].concat())
    }

    pub(crate) fn compressed(matrix: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(matrix).unwrap();
        let packed = encoder.finish().unwrap();
        [&COMPRESSED.to_le_bytes()[..], &(packed.len() as u32).to_le_bytes()[..], &packed[..]].concat()
    }

    pub(crate) fn file(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
        bytes.resize(124, b' ');
        bytes.extend([0, 1, b'I', b'M']);
        bytes.extend(elements.concat());
        bytes
    }

    #[test]
    fn compressed_and_plain_arrays_read_the_same() {
        let (x, y) = (matrix("X", &[2, 3], &[1, 2, 3, 4, 5, 6]), matrix("y", &[1, 1], &[7]));
        let plain = read(&file(&[x.clone(), y.clone()]), ["X", "y", "z"]).unwrap();
        assert_eq!(plain[0], Some(Array { shape: vec![2, 3], values: vec![1_u8, 2, 3, 4, 5, 6].into() }));
        assert_eq!((&plain[1], &plain[2]), (&Some(Array { shape: vec![1, 1], values: vec![7_u8].into() }), &None));
        assert_eq!(read(&file(&[compressed(&x), compressed(&y)]), ["X", "y", "z"]).unwrap(), plain);
    }

    #[test]
    fn faults_are_said_in_a_sentence() {
        let fault = |bytes: &[u8]| read(bytes, ["X"]).unwrap_err();
        let good = file(&[matrix("X", &[2, 3], &[1, 2, 3, 4, 5, 6])]);
        assert_eq!(fault(&good[..100]), "is no MATLAB file of version 5");
        assert!(fault(&good[..good.len() - 9]).starts_with("is cut off: an element needs "));
        let mut newer = good.clone();
        newer[125] = 2;
        assert_eq!(fault(&newer), "is of MATLAB 7.3 (HDF5): save it with -v7");
        let huge = file(&[matrix("X", &[u32::MAX, u32::MAX, u32::MAX], &[1])]);
        assert!(fault(&huge).contains("does not go with 1 bytes of values"), "{}", fault(&huge));
        let mut lies = matrix("X", &[1, 1], &[1]);
        lies[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(fault(&file(&[compressed(&lies)])).contains("an array of 4294967295 bytes unpacks to"));
    }

    proptest! {
        #[test]
        fn no_spoilt_file_makes_it_panic(
            cut in 0usize..400, changes in prop::collection::vec((124usize..400, any::<u8>()), 0..5), tail: Vec<u8>, packed: bool
        ) {
            let x = matrix("X", &[2, 3], &[1, 2, 3, 4, 5, 6]);
            let good = file(&[if packed { compressed(&x) } else { x.clone() }, matrix("y", &[1, 1], &[7])]);
            let _ = read(&spoilt(&good, cut, &changes, &tail), ["X", "y"]);
            // Also what stands inside a compressed element.
            let _ = read(&file(&[compressed(&spoilt(&x, cut % 90, &changes, &tail))]), ["X", "y"]);
            let _ = read(&spoilt(&good, good.len(), &changes, &[]), ["X", "y"]);
        }
    }
}
