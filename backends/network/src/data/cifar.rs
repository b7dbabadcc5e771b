//! Folders of CIFAR's binary version, each file plain or `.gz`. A record is one label byte (CIFAR-100: the coarse, then
//! the fine label) and 3,072 pixels, the red, green and blue planes of 32 x 32. A sample is `[3, 32, 32]`, channels
//! first; pixels are divided by 255. Format: www.cs.toronto.edu/~kriz/cifar.html.
//!
//! CIFAR-10 is `data_batch_1.bin` to `data_batch_5.bin` and, if there, `test_batch.bin`; or one file
//! `cifar10_train.bin` and, if there, `cifar10_test.bin`. CIFAR-100 is `train.bin` and, if there, `test.bin`.

use super::choices::Choices;
use super::dataset::{Dataset, Samples, Targets};
use super::file::{Contents, find, need};
use super::input::Channels;
use super::stored::Stored;
use mountainpass_sdk::{Error, memory};
use std::path::{Path, PathBuf};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The number of classes of each label byte, in order.
type Labels = &'static [u8];
const CIFAR_10: Labels = &[10];
const CIFAR_100: Labels = &[20, 100];

/// Reads a folder of CIFAR-10.
pub(crate) fn read_10(folder: &Path) -> Result<Dataset, Error> {
    let single = find(folder, "cifar10_train.bin");
    let (train, test) = match single {
        Some(path) if find(folder, "data_batch_1.bin").is_none() => (vec![path], find(folder, "cifar10_test.bin")),
        _ => {
            let batch = |i| need(folder, &format!("data_batch_{i}.bin"));
            ((1..=5).map(batch).collect::<Result<_, Error>>()?, find(folder, "test_batch.bin"))
        }
    };
    dataset(folder, &train, test, CIFAR_10, 0)
}

/// Reads a folder of CIFAR-100 with its fine labels, or with the coarse ones if the option `labels` says so.
pub(crate) fn read_100(folder: &Path, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let which = match choices.labels.take() {
        None | Some("fine") => 1,
        Some("coarse") => 0,
        Some(other) => return Err(Error::unknown("value of labels", other, &["fine", "coarse"])),
    };
    dataset(folder, &[need(folder, "train.bin")?], find(folder, "test.bin"), CIFAR_100, which)
}

fn dataset(
    folder: &Path,
    train: &[PathBuf],
    test: Option<PathBuf>,
    labels: Labels,
    which: usize,
) -> Result<Dataset, Error> {
    let train = samples(train, labels, which)?;
    let test = test.map(|path| samples(&[path], labels, which)).transpose()?;
    let mut set = Dataset::of_one(folder.display().to_string(), &SHAPE, 255.0, train, test)?;
    set.inputs[0].channels = Some(Channels::First);
    Ok(set)
}

/// The records of files, one file after the other.
fn samples(files: &[PathBuf], labels: Labels, which: usize) -> Result<Samples, Error> {
    let record = labels.len() + PIXELS;
    let (mut pixels, mut classes) = (Vec::new(), Vec::new());
    for path in files {
        let (mut contents, file) = (Contents::open(path)?, path.display());
        let wrong = |n: u64| {
            let whole = n / record as u64;
            Error::argument(format!(
                "{file}: {n} bytes are {whole} records of {record} bytes and a rest: cut off, or another format"
            ))
        };
        let length = contents.left();
        if let Some(n) = length.filter(|n| *n == 0 || n % record as u64 != 0) {
            return Err(wrong(n));
        }
        let known = length.map_or(0, |n| n as usize / record);
        memory::reserve(&mut pixels, known * PIXELS)?;
        memory::reserve(&mut classes, known)?;
        let mut one = vec![0; record];
        for i in 0_u64.. {
            match memory::fill(&mut contents, &mut one).map_err(|error| contents.failed(error))? {
                0 if i > 0 => break,
                n if n < record => return Err(wrong(i * record as u64 + n as u64)),
                _ => {}
            }
            let (head, image) = one.split_at(labels.len());
            if let Some((label, n)) = head.iter().zip(labels).find(|(label, n)| label >= n) {
                return Err(Error::argument(format!("{file}: sample {i} has label {label}, expected 0 to {}", n - 1)));
            }
            memory::extend(&mut classes, 1, usize::MAX)?;
            memory::extend(&mut pixels, PIXELS, usize::MAX)?;
            classes.push(u32::from(head[which]));
            pixels.extend_from_slice(image);
        }
    }
    let n = classes.len();
    let targets = Some(Targets::Classes { values: classes, per_sample: 1 });
    Ok(Samples::new(n, vec![Stored::Bytes(pixels)], targets))
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{TempFolder, gzip, spoilt};
    use super::*;
    use mountainpass_sdk::Open;
    use proptest::prelude::*;

    /// A record with these labels whose pixels are 0, 1, 2, ... modulo 251.
    fn record(labels: &[u8]) -> Vec<u8> {
        labels.iter().copied().chain((0..PIXELS).map(|i| (i % 251) as u8)).collect()
    }

    #[test]
    fn five_batches_are_one_training_set() {
        let folder = TempFolder::new("cifar-10");
        for i in 1..5 {
            folder.put(&format!("data_batch_{i}.bin"), &record(&[i]));
        }
        let text = Dataset::open(&folder.path("")).unwrap_err().text;
        assert!(text.ends_with("no file data_batch_5.bin or data_batch_5.bin.gz"), "{text}");
        folder.put("data_batch_5.bin.gz", &gzip(&[record(&[9]), record(&[0])].concat()));
        folder.put("test_batch.bin", &record(&[3]));
        let set = Dataset::open(&folder.path("")).unwrap();
        assert_eq!((set.train.labels(), set.test.labels()), (&[1, 2, 3, 4, 9, 0][..], &[3][..]));
        assert_eq!((&set.inputs[0].shape[..], set.inputs[0].channels), (&SHAPE[..], Some(Channels::First)));
        assert_eq!(set.test.inputs, [Stored::Bytes(record(&[]))]);
        assert_eq!(set.train.select(4..5).unwrap().inputs, set.test.inputs);
    }

    #[test]
    fn cifar_100_has_two_labels_to_choose_from() {
        let folder = TempFolder::new("cifar-100");
        folder.put("train.bin", &[record(&[4, 99]), record(&[19, 0])].concat());
        let path = folder.path("");
        let read = |labels| {
            Dataset::from_options(&mut Open::new("", &[("data", path.as_str()), ("labels", labels)]))
                .map_err(|e| e.text)
        };
        assert_eq!(Dataset::open(&path).unwrap().train.labels(), [99, 0]);
        assert_eq!(read("coarse").unwrap().train.labels(), [4, 19]);
        assert_eq!(read("coarse").unwrap().choices, "labels = coarse\n");
        assert_eq!(read("corse").unwrap_err(), "unknown value of labels \"corse\"; the nearest is \"coarse\"");
        folder.put("train.bin", &[record(&[4, 99]), record(&[20, 0])].concat());
        assert!(read("fine").unwrap_err().ends_with("train.bin: sample 1 has label 20, expected 0 to 19"));
    }

    #[test]
    fn faults_name_file_and_sample() {
        let folder = TempFolder::new("cifar-faults");
        let text = || Dataset::open(&folder.path("")).unwrap_err().text;
        folder.put("cifar10_train.bin", &[record(&[4]), record(&[10])].concat());
        assert!(text().ends_with("cifar10_train.bin: sample 1 has label 10, expected 0 to 9"));
        folder.put("cifar10_train.bin", &record(&[4])[1..]);
        assert!(text().contains("3072 bytes are 0 records of 3073 bytes and a rest"), "{}", text());
        folder.put("cifar10_train.bin", &[]);
        assert!(text().contains("0 bytes are 0 records"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn no_spoilt_file_makes_it_panic(
            cut in 0usize..7000, changes in prop::collection::vec((0usize..7000, any::<u8>()), 0..4), packed: bool
        ) {
            let folder = TempFolder::new("cifar-fuzz");
            let good = [record(&[4]), record(&[9])].concat();
            let good = if packed { gzip(&good) } else { good };
            folder.put("cifar10_train.bin", &spoilt(&good, cut, &changes, &[]));
            let _ = Dataset::open(&folder.path(""));
        }
    }
}
