//! Folders of IDX files, the format of MNIST and Fashion-MNIST: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`
//! and, if there, the `t10k-` pair; each plain or gzip, with or without `.gz`. Pixels are divided by 255.

use super::dataset::{Dataset, Samples, Targets};
use super::file::{Contents, find, need};
use super::stored::Stored;
use mountainpass_sdk::{Error, memory};
use std::path::Path;

/// No file of samples has more.
const AXES: usize = 3;

/// Reads a folder.
pub(crate) fn read(folder: &Path) -> Result<Dataset, Error> {
    let name = folder.display().to_string();
    let pair = |part: &str| {
        let stems = [format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte")];
        match (find(folder, &stems[0]), find(folder, &stems[1])) {
            (None, None) if part == "t10k" => Ok(None),
            _ => samples(&need(folder, &stems[0])?, &need(folder, &stems[1])?).map(Some),
        }
    };
    let (shape, train) = pair("train")?.ok_or_else(|| Error::not_found(format!("{name}: no train samples")))?;
    let test = match pair("t10k")? {
        Some((other, _)) if other != shape => {
            return Err(Error::argument(format!("{name}: train images are {shape:?}, test images {other:?}")));
        }
        test => test.map(|(_, test)| test),
    };
    Ok(Dataset::of_one(name, &shape, 255.0, train, test)?)
}

/// The shape of an image, and all images with their labels.
fn samples(images: &Path, labels: &Path) -> Result<(Vec<usize>, Samples), Error> {
    let (mut shape, values) = unpack(images, 3)?;
    let (count, classes) = unpack(labels, 1)?;
    if shape[0] != count[0] {
        let (a, b) = (images.display(), labels.display());
        return Err(Error::argument(format!("{a} has {} images, but {b} has {} labels", shape[0], count[0])));
    }
    if values.is_empty() {
        return Err(Error::argument(format!("{}: no images", images.display())));
    }
    let classes = memory::collected(classes.len(), classes.into_iter().map(u32::from))?;
    let targets = Some(Targets::Classes { values: classes, per_sample: 1 });
    let n = shape.remove(0);
    Ok((shape, Samples::new(n, vec![Stored::Bytes(values)], targets)))
}

/// The shape and the bytes of one file with `ndim` dimensions.
fn unpack(path: &Path, ndim: usize) -> Result<(Vec<usize>, Vec<u8>), Error> {
    let wrong = |offset: usize, expected: String, found: String| {
        let file = path.display();
        Error::argument(format!("{file}: offset {offset}: expected {expected}, found {found}"))
    };
    let mut file = Contents::open(path)?;
    let header = 4 + 4 * ndim;
    let mut start = [0; 4 + 4 * AXES];
    let there = memory::fill(&mut file, &mut start[..header]).map_err(|error| file.failed(error))?;
    let word = |i: usize| {
        let word =
            start[..there].get(4 * i..4 * i + 4).and_then(|w| <[u8; 4]>::try_from(w).ok()).map(u32::from_be_bytes);
        word.ok_or_else(|| wrong(there, format!("a header of {header} bytes"), "the end".into()))
    };
    let magic = 0x0800 | ndim as u32; // Unsigned bytes, then the number of dimensions.
    let found = word(0)?;
    if found != magic {
        return Err(wrong(0, format!("the magic number {magic:#010x}"), format!("{found:#010x}")));
    }
    let shape = (1..=ndim).map(|i| Ok(word(i)? as usize)).collect::<Result<Vec<usize>, Error>>()?;
    let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_add(header).is_some());
    let size = size.ok_or_else(|| wrong(4, "a shape that fits in memory".into(), format!("{shape:?}")))?;
    match file.exactly(size).map_err(|error| file.failed(error))? {
        Ok(bytes) => Ok((shape, bytes)),
        Err(found) => {
            let offset = header + usize::try_from(found).unwrap_or(size).min(size);
            let rest =
                if found < size as u64 { "the end".into() } else { format!("{} bytes more", found - size as u64) };
            Err(wrong(offset, format!("{size} bytes of shape {shape:?} and the end"), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::file::tests::{TempFolder, gzip, spoilt};
    use proptest::prelude::*;

    fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = (0x0800 | shape.len() as u32).to_be_bytes().to_vec();
        shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn fails(folder: &TempFolder) -> String {
        read(&folder.0).unwrap_err().text
    }

    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "train-labels-idx1-ubyte";

    #[test]
    fn plain_and_gzip_files_read_the_same() {
        let (images, labels) = (idx(&[2, 2, 3], &[0, 51, 255, 1, 2, 3, 9, 8, 7, 6, 5, 4]), idx(&[2], &[1, 0]));
        let plain = TempFolder::new("idx-plain");
        plain.put(IMAGES, &images).put(LABELS, &labels);
        let packed = TempFolder::new("idx-packed");
        packed.put(&format!("{IMAGES}.gz"), &gzip(&images)).put(LABELS, &gzip(&labels));
        let (a, b) = (read(&plain.0).unwrap(), read(&packed.0).unwrap());
        assert_eq!((&a.train, a.test.n), (&b.train, 0));
        assert_eq!((&a.inputs[0].shape[..], a.train.labels()), (&[2, 3][..], &[1, 0][..]));
        packed.put("t10k-images-idx3-ubyte", &images).put("t10k-labels-idx1-ubyte", &labels);
        assert_eq!(read(&packed.0).unwrap().test, a.train);
    }

    #[test]
    fn faults_name_file_offset_expected_and_found() {
        let folder = TempFolder::new("idx-faults");
        assert!(fails(&folder).contains(&format!("no file {IMAGES} or {IMAGES}.gz")));
        let (images, labels) = (idx(&[2, 1, 2], &[1, 2, 3, 4]), idx(&[2], &[0, 1]));
        folder.put(IMAGES, &images).put(LABELS, &images);
        let text = fails(&folder);
        assert!(text.ends_with("offset 0: expected the magic number 0x00000801, found 0x00000803"), "{text}");
        assert!(text.contains(LABELS));
        folder.put(LABELS, &labels).put(IMAGES, &images[..18]);
        let text = fails(&folder);
        assert!(text.ends_with("offset 18: expected 4 bytes of shape [2, 1, 2] and the end, found the end"), "{text}");
        folder.put(IMAGES, &images[..7]);
        assert!(fails(&folder).ends_with("offset 7: expected a header of 16 bytes, found the end"));
        folder.put(IMAGES, &[&images[..], &[0, 0]].concat());
        assert!(
            fails(&folder).ends_with("offset 20: expected 4 bytes of shape [2, 1, 2] and the end, found 2 bytes more")
        );
        folder.put(IMAGES, &idx(&[u32::MAX; 3], &[]));
        assert!(fails(&folder).contains("fits in memory"));
        folder.put(IMAGES, &idx(&[3, 1, 1], &[0, 0, 0]));
        assert!(fails(&folder).contains("has 3 images, but"));
        let packed = gzip(&images);
        folder.put(IMAGES, &packed[..packed.len() - 6]);
        assert!(fails(&folder).contains("gzip"), "{}", fails(&folder));
    }
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_spoilt_file_makes_it_panic(
            cut in 0usize..40, changes in prop::collection::vec((0usize..40, any::<u8>()), 0..4), tail: Vec<u8>, packed: bool
        ) {
            let folder = TempFolder::new("idx-fuzz");
            let good = idx(&[3, 2, 2], &[7; 12]);
            let good = if packed { gzip(&good) } else { good };
            let bytes = spoilt(&good, cut, &changes, &tail[..tail.len() % 9]);
            folder.put(IMAGES, &bytes).put(LABELS, &idx(&[3], &[0, 1, 2]));
            let _ = read(&folder.0);
            folder.put(IMAGES, &good).put(LABELS, &bytes);
            let _ = read(&folder.0);
        }
    }
}
