//! Token ids in one .npy file: windows for the prediction of the next token.
//!
//! With `context = N`, sample i is the tokens iN to iN + N - 1 and its labels are the N tokens that follow each of
//! them, iN + 1 to iN + N: windows do not overlap, every token but the first is predicted once, and a rest too short
//! for a window is left out. The first nine tenths of the windows (rounded up) are for training, the rest for testing.

use super::choices::Choices;
use super::dataset::{Dataset, Samples, Targets};
use super::stored::Stored;
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};
use mountainpass_sdk::npy::{self, Fault};
use std::fs::File;
use std::path::Path;

/// Reads a file.
pub(crate) fn read(path: &Path, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let name = path.display().to_string();
    let wrong = |fault: String| Error::argument(format!("{name}: {fault}"));
    let failed = |error: std::io::Error| Error::not_found(format!("{name}: {error}"));
    let file = File::open(path).map_err(failed)?;
    let length = memory::length(&file).map_err(failed)?;
    let array = npy::read(file, length).map_err(|fault| match fault {
        Fault::Content(text) => wrong(format!("the file {text}")),
        Fault::Source(error) => failed(error),
    })?;
    let context = choices.context.take().ok_or_else(|| {
        wrong("token ids need the option context, the length of a window (arrays with labels go into a .npz)".into())
    })?;
    let (shape, kind) = (&array.shape, array.values.descr());
    if shape.len() != 1 || kind.starts_with('f') {
        return Err(wrong(format!(
            "shape {shape:?} of type {kind}, expected one axis of whole numbers, the token ids"
        )));
    }
    let token = |(i, id): (usize, f64)| match id as u32 {
        token if f64::from(token) == id => Ok(token),
        _ => Err(wrong(format!("token {i} is {id}, expected a whole number from 0 below 2^32"))),
    };
    let ids = (0..array.values.len()).map(|i| (i, array.values.get(i)));
    let tokens = memory::try_collected(array.values.len(), ids.map(token))?;
    drop(array);
    let n = tokens.len().saturating_sub(1).checked_div(context).unwrap_or(0);
    if n == 0 {
        let needed = context.max(1).saturating_add(1);
        return Err(wrong(format!("{} tokens, but context = {context} needs at least {needed}", tokens.len())));
    }
    let train = n - n / 10;
    let part = |windows: std::ops::Range<usize>| {
        let (first, end) = (windows.start * context, windows.end * context);
        let values = memory::copied(&tokens[first + 1..=end])?;
        let inputs = vec![Stored::Indices(memory::copied(&tokens[first..end])?)];
        let targets = Some(Targets::Classes { values, per_sample: context });
        Ok::<Samples, Shortage>(Samples::new(windows.len(), inputs, targets))
    };
    Ok(Dataset::of_one(name, &[context], 1.0, part(0..train)?, Some(part(train..n)?))?)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{TempFolder, spoilt};
    use super::*;
    use mountainpass_sdk::Open;
    use proptest::prelude::*;

    fn open(folder: &TempFolder, context: Option<&str>) -> Result<Dataset, String> {
        let path = folder.path("tokens.npy");
        let options: Vec<_> = [("data", path.as_str())].into_iter().chain(context.map(|n| ("context", n))).collect();
        Dataset::from_options(&mut Open::new("", &options)).map_err(|error| error.text)
    }

    fn file(values: npy::Values) -> Vec<u8> {
        npy::bytes(&npy::Array { shape: vec![values.len()], values })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn every_token_but_the_first_is_predicted_once(tokens in prop::collection::vec(any::<u16>(), 5..200), context in 1usize..5) {
            let folder = TempFolder::new("tokens");
            folder.put("tokens.npy", &file(tokens.clone().into()));
            let set = open(&folder, Some(&context.to_string())).unwrap();
            let n = (tokens.len() - 1) / context;
            prop_assert_eq!((set.train.n, set.test.n), (n - n / 10, n / 10));
            let (mut read, mut predicted): (Vec<u32>, Vec<u32>) = Default::default();
            for samples in [&set.train, &set.test] {
                let Stored::Indices(ids) = &samples.inputs[0] else { panic!("ids") };
                let Some(Targets::Classes { values, per_sample }) = &samples.targets else { panic!("classes") };
                prop_assert_eq!((ids.len(), *per_sample), (samples.n * context, context));
                read.extend(ids);
                predicted.extend(values);
            }
            let tokens: Vec<u32> = tokens.into_iter().map(u32::from).collect();
            prop_assert_eq!(&read[..], &tokens[..n * context]);
            prop_assert_eq!(&predicted[..], &tokens[1..n * context + 1]);
        }

        #[test]
        fn no_spoilt_file_makes_it_panic(cut in 0usize..200, changes in prop::collection::vec((0usize..200, any::<u8>()), 0..5)) {
            let folder = TempFolder::new("tokens-fuzz");
            folder.put("tokens.npy", &spoilt(&file(vec![1_u16, 2, 3, 4, 5].into()), cut, &changes, &[]));
            let _ = open(&folder, Some("2"));
        }
    }

    #[test]
    fn faults_say_what_is_needed() {
        let folder = TempFolder::new("tokens-faults");
        let fault = |values: npy::Values, context: Option<&str>| {
            folder.put("tokens.npy", &file(values));
            open(&folder, context).unwrap_err()
        };
        let (few, real) = (|| vec![1_i64, 2, 3].into(), vec![1.0_f32].into());
        assert!(fault(few(), None).contains("token ids need the option context"));
        assert!(fault(few(), Some("3")).ends_with("3 tokens, but context = 3 needs at least 4"));
        assert!(fault(few(), Some("0")).ends_with("3 tokens, but context = 0 needs at least 2"));
        assert!(fault(real, Some("1")).contains("shape [1] of type f4, expected one axis of whole numbers"));
        assert!(fault(vec![4_i64, -2].into(), Some("1")).contains("token 1 is -2"));
    }
}
