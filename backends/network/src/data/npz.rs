//! NumPy's .npz files: named arrays, as `numpy.savez` and `numpy.savez_compressed` write them.
//!
//! The zip directory is read by `rawzip`, which has no dependencies and leaves unpacking to the inflate that is here
//! anyway (`zip` brings five crates, `npyz`'s own reader zstd). Checksums are compared; all arrays together may unpack
//! to no more than 8 GiB.

use super::file::MOST;
use mountainpass_sdk::npy::{self, Array, Fault, Wide};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// Deflate packs 258 bytes into two bits at the best: a member that says it unpacks to more has no such numbers.
const RATIO: u64 = 1032;

/// The arrays of a file in its order, by their names without `.npy`; the fault, if any, as one sentence.
pub fn read(path: &Path) -> Result<Vec<(String, Array)>, String> {
    opened(path, |member, size| npy::read(member, size))
}

/// The same, their elements as f64.
pub fn widened(path: &Path) -> Result<Vec<(String, Wide)>, String> {
    opened(path, |member, size| npy::widened(member, size))
}

/// Reads the bytes of a .npz file.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let archive = ZipArchive::from_seekable(Cursor::new(bytes), &mut vec![0; RECOMMENDED_BUFFER_SIZE]);
    arrays(&archive.map_err(broken)?, |member, size| npy::read(member, size))
}

/// Reads one array out of what its member unpacks to, of a length that is known.
type Unpacked<A> = fn(&mut dyn Read, Option<u64>) -> Result<A, Fault>;

fn opened<A>(path: &Path, read: Unpacked<A>) -> Result<Vec<(String, A)>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let archive = ZipArchive::from_file(file, &mut vec![0; RECOMMENDED_BUFFER_SIZE]);
    arrays(&archive.map_err(broken)?, read)
}

fn broken(error: rawzip::Error) -> String {
    format!("the file is no whole .npz (zip) file: {error}")
}

/// Members go from the file to their arrays, and packed ones through a block between.
fn arrays<R: ReaderAt, A>(archive: &ZipArchive<R>, read: Unpacked<A>) -> Result<Vec<(String, A)>, String> {
    let (mut arrays, mut all): (Vec<(String, A)>, u64) = (Vec::new(), 0);
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(broken)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let short = name.strip_suffix(".npy").ok_or_else(|| format!("member {name:?} is no .npy array"))?;
        if arrays.iter().any(|(other, _)| other == short) {
            return Err(format!("two arrays are called {short:?}"));
        }
        let shown = short.escape_debug(); // Whatever it is called, the message is a line.
        let (packed, size) = (entry.compressed_size_hint(), entry.uncompressed_size_hint());
        let member = archive.get_entry(entry.wayfinder()).map_err(broken)?;
        let unpacker: Box<dyn Read + '_> = match entry.compression_method() {
            _ if entry.flags().is_encrypted() => return Err(format!("array {shown} is encrypted")),
            CompressionMethod::STORE if size == packed => Box::new(member.reader()),
            CompressionMethod::DEFLATE if size <= packed.saturating_mul(RATIO) => {
                Box::new(flate2::read::DeflateDecoder::new(member.reader()))
            }
            CompressionMethod::STORE | CompressionMethod::DEFLATE => {
                return Err(format!("array {shown} is spoilt: {packed} bytes cannot unpack to {size}"));
            }
            method => return Err(format!("array {shown} is packed as {method:?}: use numpy.savez_compressed")),
        };
        all = all.saturating_add(size);
        if all > MOST {
            return Err(format!("unpacks to more than {MOST} bytes"));
        }
        // Size and sum are verified where the reader ends, and arrays are read to their end.
        let array = read(&mut member.verifying_reader(unpacker), Some(size)).map_err(|fault| match fault {
            Fault::Content(text) => format!("array {shown} {text}"),
            Fault::Source(error) => format!("array {shown} is spoilt: {error}"),
        });
        arrays.push((short.to_owned(), array?));
    }
    Ok(arrays)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::file::tests::spoilt;
    use super::*;
    use crate::archive::zip;
    use proptest::prelude::*;

    /// A .npz file.
    pub(crate) fn npz(arrays: &[(&str, Array)], packed: bool) -> Vec<u8> {
        let files: Vec<(String, Vec<u8>)> =
            arrays.iter().map(|(name, array)| (format!("{name}.npy"), npy::bytes(array))).collect();
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, data)| (name.as_str(), data.clone())).collect();
        zip(&files, packed)
    }

    fn arrays() -> [(&'static str, Array); 2] {
        let x = Array { shape: vec![2, 2], values: vec![1.0_f32, 2.0, 3.0, 4.0].into() };
        [("x", x), ("y", Array { shape: vec![2], values: vec![0_i64, 1].into() })]
    }

    #[test]
    fn stored_and_packed_arrays_read_the_same() {
        let expected: Vec<(String, Array)> = arrays().into_iter().map(|(name, array)| (name.into(), array)).collect();
        assert_eq!(parse(&npz(&arrays(), false)).unwrap(), expected);
        assert_eq!(parse(&npz(&arrays(), true)).unwrap(), expected);
    }

    #[test]
    fn faults_are_said_in_a_sentence() {
        let good = npz(&arrays(), false);
        assert!(parse(&good[..good.len() - 30]).unwrap_err().starts_with("the file is no whole .npz (zip) file: "));
        let mut flipped = good.clone();
        let place = good.windows(4).position(|w| w == 3.0_f32.to_le_bytes()).unwrap();
        flipped[place] ^= 1;
        let fault = parse(&flipped).unwrap_err();
        assert!(fault.starts_with("array x is spoilt: "), "{fault}");
        let [x, _] = arrays();
        assert_eq!(parse(&npz(&[x.clone(), x], true)).unwrap_err(), "two arrays are called \"x\"");
    }

    proptest! {
        #[test]
        fn no_spoilt_file_makes_it_panic(
            cut in 0usize..900, changes in prop::collection::vec((0usize..900, any::<u8>()), 0..5), tail: Vec<u8>, packed: bool
        ) {
            let good = npz(&arrays(), packed);
            let _ = parse(&spoilt(&good, cut, &[], &tail));
            let _ = parse(&spoilt(&good, good.len(), &changes, &[]));
        }
    }
}
