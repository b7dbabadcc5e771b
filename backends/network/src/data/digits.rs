//! The embedded data set `digits`: 1,797 images of 8x8 pixels from 0 to 16; see
//! `backends/network/data/README.md` for its source.
//!
//! Pixels are divided by 16; the first 1,437 samples (80 %) are for training, the others for testing.

use super::dataset::{Dataset, Samples, Targets};
use super::stored::Stored;
use mountainpass_sdk::Error;
use std::io::Read;

const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const FEATURES: usize = 64;
const TRAIN: usize = 1437;

/// Reads the embedded file.
pub(crate) fn read() -> Result<Dataset, Error> {
    let broken = |what: String| Error::argument(format!("digits.csv.gz in the program: {what}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE).read_to_string(&mut text).map_err(|e| broken(e.to_string()))?;
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        let numbers: Result<Vec<u8>, _> = line.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([pixels @ .., label]) if pixels.len() == FEATURES => {
                values.extend_from_slice(pixels);
                labels.push(u32::from(*label));
            }
            _ => return Err(broken(format!("line {}: expected 65 numbers", i + 1))),
        }
    }
    let targets = Some(Targets::Classes { values: labels, per_sample: 1 });
    let all = Samples::new(values.len() / FEATURES, vec![Stored::Bytes(values)], targets);
    let (train, test) = (all.select(0..TRAIN)?, all.select(TRAIN..all.n)?);
    Ok(Dataset::of_one("digits".into(), &[8, 8], 16.0, train, Some(test))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_digits_are_whole() {
        let digits = read().unwrap();
        assert_eq!((digits.train.n, digits.test.n), (1437, 360));
        let mut classes = [0; 10];
        digits.train.labels().iter().chain(digits.test.labels()).for_each(|y| classes[*y as usize] += 1);
        // The class counts that the data set's description lists.
        assert_eq!(classes, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let Stored::Bytes(values) = &digits.train.inputs[0] else { panic!("bytes") };
        assert_eq!((values.iter().max(), digits.inputs[0].normalise.divisor), (Some(&16), 16.0));
    }
}
