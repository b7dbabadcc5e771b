//! NumPy's .npz files: named arrays, as `numpy.savez` and `numpy.savez_compressed` write them.
//!
//! The zip directory is read by `rawzip`, which has no dependencies and leaves unpacking to the inflate that is here
//! anyway (`zip` brings five crates, `npyz`'s own reader zstd). Checksums are compared; all arrays together may unpack
//! to no more than 8 GiB.

use super::file::MOST;
use mountainpass_sdk::Error;
use mountainpass_sdk::npy::{self, Array};
use rawzip::{CompressionMethod, ZipArchive};
use std::io::Read;
use std::path::Path;

/// The arrays of a file in its order, by their names without `.npy`.
pub fn read(path: &Path) -> Result<Vec<(String, Array)>, Error> {
    let file = path.display();
    let bytes = std::fs::read(path).map_err(|error| Error::not_found(format!("{file}: {error}")))?;
    parse(&bytes).map_err(|fault| Error::argument(format!("{file}: {fault}")))
}

/// Reads the bytes of a .npz file; the fault, if any, as one sentence.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let broken = |error: rawzip::Error| format!("the file is no whole .npz (zip) file: {error}");
    let archive = ZipArchive::from_slice(bytes).map_err(broken)?;
    let (mut arrays, mut left): (Vec<(String, Array)>, u64) = (Vec::new(), MOST);
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(broken)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let short = name.strip_suffix(".npy").ok_or_else(|| format!("member {name:?} is no .npy array"))?;
        if arrays.iter().any(|(other, _)| other == short) {
            return Err(format!("two arrays are called {short:?}"));
        }
        let member = archive.get_entry(entry.wayfinder()).map_err(broken)?;
        let unpacker: Box<dyn Read + '_> = match entry.compression_method() {
            _ if entry.flags().is_encrypted() => return Err(format!("array {short} is encrypted")),
            CompressionMethod::STORE => Box::new(member.data()),
            CompressionMethod::DEFLATE => Box::new(flate2::bufread::DeflateDecoder::new(member.data())),
            method => return Err(format!("array {short} is packed as {method:?}: use numpy.savez_compressed")),
        };
        let mut unpacked = Vec::new();
        let mut verified = member.verifying_reader(unpacker).take(left + 1);
        verified.read_to_end(&mut unpacked).map_err(|error| format!("array {short} is spoilt: {error}"))?;
        left = left.checked_sub(unpacked.len() as u64).ok_or(format!("unpacks to more than {MOST} bytes"))?;
        arrays.push((short.to_owned(), npy::parse(&unpacked).map_err(|fault| format!("array {short} {fault}"))?));
    }
    Ok(arrays)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::file::tests::spoilt;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// A .npz file.
    pub(crate) fn npz(arrays: &[(&str, Array)], packed: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
        let method = if packed { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        for (name, array) in arrays {
            let (data, name) = (npy::bytes(array), format!("{name}.npy"));
            let (mut entry, config) = archive.new_file(&name).compression_method(method).start().unwrap();
            let descriptor = if packed {
                let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
                let mut writer = config.wrap(encoder);
                writer.write_all(&data).unwrap();
                let (encoder, descriptor) = writer.finish().unwrap();
                encoder.finish().unwrap();
                descriptor
            } else {
                let mut writer = config.wrap(&mut entry);
                writer.write_all(&data).unwrap();
                writer.finish().unwrap().1
            };
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
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
