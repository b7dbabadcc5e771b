//! Folders of IDX files, the format of MNIST and Fashion-MNIST: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`
//! and, if there, the `t10k-` pair; each plain or gzip, with or without `.gz`. Pixels are divided by 255.

use crate::{Dataset, Inputs, Samples};
use mountainpass_sdk::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads a folder.
pub(crate) fn read(folder: &Path) -> Result<Dataset, Error> {
    let name = folder.display().to_string();
    let file = |stem: &str| {
        let paths = [folder.join(stem), folder.join(format!("{stem}.gz"))];
        paths.into_iter().find(|path| path.is_file())
    };
    let pair = |part: &str| {
        let stems = [format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte")];
        let found = [file(&stems[0]), file(&stems[1])];
        let missing = |i: usize| Error::not_found(format!("{name}: no file {} or {}.gz", stems[i], stems[i]));
        match found {
            [Some(images), Some(labels)] => samples(&images, &labels).map(Some),
            [None, None] if part == "t10k" => Ok(None),
            [None, _] => Err(missing(0)),
            [_, None] => Err(missing(1)),
        }
    };
    let train = pair("train")?.ok_or_else(|| Error::not_found(format!("{name}: no train samples")))?;
    let test = pair("t10k")?.unwrap_or_else(|| train.slice(0..0));
    if test.features != train.features {
        let (a, b) = (train.features, test.features);
        return Err(Error::argument(format!("{name}: train images have {a} pixels, test images {b}")));
    }
    Ok(Dataset { name, train, test })
}

fn samples(images: &Path, labels: &Path) -> Result<Samples, Error> {
    let (shape, values) = unpack(images, 3)?;
    let (count, classes) = unpack(labels, 1)?;
    if shape[0] != count[0] {
        let (a, b) = (images.display(), labels.display());
        return Err(Error::argument(format!("{a} has {} images, but {b} has {} labels", shape[0], count[0])));
    }
    let features = shape[1] * shape[2];
    if shape[0] == 0 || features == 0 {
        return Err(Error::argument(format!("{}: no images", images.display())));
    }
    let labels = classes.into_iter().map(u32::from).collect();
    Ok(Samples { features, inputs: Inputs::Bytes { values, divisor: 255.0 }, labels })
}

/// The shape and the bytes of one file with `ndim` dimensions.
fn unpack(path: &Path, ndim: usize) -> Result<(Vec<usize>, Vec<u8>), Error> {
    let wrong = |offset: usize, expected: String, found: String| {
        let file = path.display();
        Error::argument(format!("{file}: offset {offset}: expected {expected}, found {found}"))
    };
    let mut bytes = contents(path)?;
    let word = |i: usize| {
        let word = bytes.get(4 * i..4 * i + 4).and_then(|w| <[u8; 4]>::try_from(w).ok()).map(u32::from_be_bytes);
        word.ok_or_else(|| wrong(bytes.len(), format!("a header of {} bytes", 4 + 4 * ndim), "the end".into()))
    };
    let magic = 0x0800 | ndim as u32; // Unsigned bytes, then the number of dimensions.
    let found = word(0)?;
    if found != magic {
        return Err(wrong(0, format!("the magic number {magic:#010x}"), format!("{found:#010x}")));
    }
    let shape = (1..=ndim).map(|i| Ok(word(i)? as usize)).collect::<Result<Vec<usize>, Error>>()?;
    let header = 4 + 4 * ndim;
    let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_add(header).is_some());
    let size = size.ok_or_else(|| wrong(4, "a shape that fits in memory".into(), format!("{shape:?}")))?;
    let found = bytes.len() - header;
    if found != size {
        let offset = header + found.min(size);
        let rest = if found < size { "the end".into() } else { format!("{} bytes more", found - size) };
        return Err(wrong(offset, format!("{size} bytes of shape {shape:?} and the end"), rest));
    }
    bytes.drain(..header);
    Ok((shape, bytes))
}

/// The bytes of a file, unpacked if they are gzip, whatever its name.
fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    let file = |error: std::io::Error| Error::not_found(format!("{}: {error}", path.display()));
    let raw = std::fs::read(PathBuf::from(path)).map_err(file)?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    match flate2::read::MultiGzDecoder::new(&raw[..]).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let (file, n) = (path.display(), bytes.len());
            Err(Error::argument(format!("{file}: offset {n} unpacked: expected more gzip data, found: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = (0x0800 | shape.len() as u32).to_be_bytes().to_vec();
        shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder of its own for one test, removed at the end.
    struct Folder(PathBuf);
    impl Folder {
        fn new(test: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("mountainpass-idx-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
        fn put(&self, name: &str, bytes: &[u8]) -> &Folder {
            std::fs::write(self.0.join(name), bytes).unwrap();
            self
        }
        fn fails(&self) -> String {
            read(&self.0).unwrap_err().text
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "train-labels-idx1-ubyte";

    #[test]
    fn plain_and_gzip_files_read_the_same() {
        let (images, labels) = (idx(&[2, 2, 3], &[0, 51, 255, 1, 2, 3, 9, 8, 7, 6, 5, 4]), idx(&[2], &[1, 0]));
        let plain = Folder::new("plain");
        plain.put(IMAGES, &images).put(LABELS, &labels);
        let packed = Folder::new("packed");
        packed.put(&format!("{IMAGES}.gz"), &gzip(&images)).put(LABELS, &gzip(&labels));
        let (a, b) = (read(&plain.0).unwrap(), read(&packed.0).unwrap());
        assert_eq!((&a.train, a.test.n()), (&b.train, 0));
        assert_eq!((a.train.features, &a.train.labels[..]), (6, &[1, 0][..]));
        packed.put("t10k-images-idx3-ubyte", &images).put("t10k-labels-idx1-ubyte", &labels);
        assert_eq!(read(&packed.0).unwrap().test, a.train);
    }

    #[test]
    fn faults_name_file_offset_expected_and_found() {
        let folder = Folder::new("faults");
        assert!(folder.fails().contains(&format!("no file {IMAGES} or {IMAGES}.gz")));
        let (images, labels) = (idx(&[2, 1, 2], &[1, 2, 3, 4]), idx(&[2], &[0, 1]));
        folder.put(IMAGES, &images).put(LABELS, &images);
        let text = folder.fails();
        assert!(text.ends_with("offset 0: expected the magic number 0x00000801, found 0x00000803"), "{text}");
        assert!(text.contains(LABELS));
        folder.put(LABELS, &labels).put(IMAGES, &images[..18]);
        let text = folder.fails();
        assert!(text.ends_with("offset 18: expected 4 bytes of shape [2, 1, 2] and the end, found the end"), "{text}");
        folder.put(IMAGES, &images[..7]);
        assert!(folder.fails().ends_with("offset 7: expected a header of 16 bytes, found the end"));
        folder.put(IMAGES, &[&images[..], &[0, 0]].concat());
        assert!(
            folder.fails().ends_with("offset 20: expected 4 bytes of shape [2, 1, 2] and the end, found 2 bytes more")
        );
        folder.put(IMAGES, &idx(&[u32::MAX; 3], &[]));
        assert!(folder.fails().contains("fits in memory"));
        folder.put(IMAGES, &idx(&[3, 1, 1], &[0, 0, 0]));
        assert!(folder.fails().contains("has 3 images, but"));
        let packed = gzip(&images);
        folder.put(IMAGES, &packed[..packed.len() - 6]);
        assert!(folder.fails().contains("gzip"), "{}", folder.fails());
    }
}
