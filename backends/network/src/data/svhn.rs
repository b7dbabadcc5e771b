//! Folders of SVHN's cropped digits, MATLAB files: `train_32x32.mat` and, if there, `test_32x32.mat`.
//!
//! `X` is 32 x 32 x 3 x n bytes: rows, columns, channels, samples, the first axis fastest. A sample is `[32, 32, 3]`,
//! channels last; pixels are divided by 255. `y` are labels from 1 to 10, of which 10 stands for the digit 0 and
//! becomes class 0. Source: ufldl.stanford.edu/housenumbers.

use super::dataset::{Dataset, Samples, Targets};
use super::file::{Contents, find, need};
use super::input::Channels;
use super::mat;
use super::stored::Stored;
use mountainpass_sdk::{Error, memory, npy};
use std::path::Path;

const SHAPE: [usize; 3] = [32, 32, 3];

/// Reads a folder.
pub(crate) fn read(folder: &Path) -> Result<Dataset, Error> {
    let train = samples(&need(folder, "train_32x32.mat")?)?;
    let test = find(folder, "test_32x32.mat").map(|path| samples(&path)).transpose()?;
    let mut set = Dataset::of_one(folder.display().to_string(), &SHAPE, 255.0, train, test)?;
    set.inputs[0].channels = Some(Channels::Last);
    Ok(set)
}

fn samples(path: &Path) -> Result<Samples, Error> {
    let wrong = |fault: String| Error::argument(format!("{}: {fault}", path.display()));
    let arrays =
        mat::read(&Contents::open(path)?.rest()?, ["X", "y"]).map_err(|fault| wrong(format!("the file {fault}")))?;
    let [Some(images), Some(labels)] = arrays else { return Err(wrong("no arrays X and y".into())) };
    let (n, bytes) = match (&images.shape[..], images.values) {
        (&[32, 32, 3, n], npy::Values::U8(bytes)) if n > 0 => (n, bytes),
        (shape, values) => {
            let kind = values.descr();
            return Err(wrong(format!("X has shape {shape:?} of type {kind}, expected 32 x 32 x 3 x n bytes")));
        }
    };
    if labels.values.len() != n {
        return Err(wrong(format!("X has {n} images, but y has {} labels", labels.values.len())));
    }
    let class = |(i, label): (usize, f64)| match label as u32 {
        digit @ 1..=10 if f64::from(digit) == label => Ok(digit % 10),
        _ => Err(wrong(format!("sample {i} has label {label}, expected 1 to 10 (10 is the digit 0)"))),
    };
    let values = memory::try_collected(n, (0..n).map(|i| (i, labels.values.get(i))).map(class))?;
    let mut pixels = memory::filled(0, bytes.len())?;
    for (stored, sample) in bytes.chunks_exact(3072).zip(pixels.chunks_exact_mut(3072)) {
        for (k, pixel) in sample.iter_mut().enumerate() {
            let (row, column, channel) = (k / 96, k / 3 % 32, k % 3);
            *pixel = stored[channel * 1024 + column * 32 + row];
        }
    }
    let targets = Some(Targets::Classes { values, per_sample: 1 });
    Ok(Samples::new(n, vec![Stored::Bytes(pixels)], targets))
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::TempFolder;
    use super::super::mat::tests::{compressed, file, matrix};
    use super::*;

    #[test]
    fn samples_are_rows_columns_channels_and_ten_is_zero() {
        let folder = TempFolder::new("svhn");
        // Pixel (row, column, channel) of sample n has a value that tells them apart.
        let value =
            |n: usize, row: usize, column: usize, channel: usize| (97 * n + 7 * row + column + 64 * channel) as u8;
        let mut stored = Vec::new();
        for n in 0..2 {
            for channel in 0..3 {
                (0..1024).for_each(|k| stored.push(value(n, k % 32, k / 32, channel)));
            }
        }
        let x = matrix("X", &[32, 32, 3, 2], &stored);
        folder.put("train_32x32.mat", &file(&[compressed(&x), compressed(&matrix("y", &[2, 1], &[10, 3]))]));
        let set = Dataset::open(&folder.path("")).unwrap();
        assert_eq!((set.train.labels(), set.test.n), (&[0, 3][..], 0));
        let Stored::Bytes(pixels) = &set.train.inputs[0] else { panic!("bytes") };
        let expected = (0..2 * 3072).map(|k| value(k / 3072, k % 3072 / 96, k / 3 % 32, k % 3));
        assert_eq!(*pixels, expected.collect::<Vec<u8>>());

        let text = |elements: &[Vec<u8>]| {
            folder.put("train_32x32.mat", &file(elements));
            Dataset::open(&folder.path("")).unwrap_err().text
        };
        let y = |labels: &[u8]| matrix("y", &[labels.len() as u32, 1], labels);
        assert!(text(&[x.clone(), y(&[1, 0])]).ends_with("sample 1 has label 0, expected 1 to 10 (10 is the digit 0)"));
        assert!(text(&[x.clone(), y(&[1])]).ends_with("X has 2 images, but y has 1 labels"));
        assert!(text(&[x]).ends_with("train_32x32.mat: no arrays X and y"));
        let other = matrix("X", &[3, 2], &[0; 6]);
        assert!(text(&[other, y(&[1])]).ends_with("X has shape [3, 2] of type u1, expected 32 x 32 x 3 x n bytes"));
    }
}
