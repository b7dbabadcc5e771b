//! Data sets of named arrays, in memory or in a .npz file: every array is samples x the axes of one sample.
//!
//! `y` are labels or targets; every other array is an input, named as the model names it (one input may have any
//! name). The same names with `_test` are the test part. Whole-number types make `y` classes, floats real targets,
//! until an objective wants classes. Stored are taken as they are, unsigned bytes too.

use super::choices::Choices;
use super::dataset::{Dataset, Samples, Targets};
use super::input::{Input, Normalise};
use super::stored::Stored;
use mountainpass_sdk::memory::{self, Shortage};
use mountainpass_sdk::{Array, Error, abi::dtype, npy};

const TARGETS: &str = "y";
const TEST: &str = "_test";

/// An array and where it comes from.
struct Named {
    name: String,
    shape: Vec<usize>,
    values: Stored,
    is_integer: bool,
}

/// Reads arrays handed over in memory.
pub(crate) fn of_memory(arrays: &[Array<'_>], choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let named = |array: &Array<'_>| {
        let is_integer = !matches!(array.dtype(), dtype::F32 | dtype::F64);
        let values = Stored::Reals(array.to_f64()?);
        let shape = array.shape().iter().map(|axis| *axis as usize).collect();
        Ok(Named { name: array.name().into(), shape, values, is_integer })
    };
    dataset("memory", "", arrays.iter().map(named).collect::<Result<_, Error>>()?, choices)
}

/// Reads the arrays of a file.
pub(crate) fn of_file(
    file: String,
    arrays: Vec<(String, npy::Array)>,
    choices: &mut Choices<'_>,
) -> Result<Dataset, Error> {
    let named = |(name, array): (String, npy::Array)| {
        let is_integer = !array.values.descr().starts_with('f');
        let values = match array.values {
            npy::Values::U8(values) => Stored::Bytes(values),
            npy::Values::F32(values) => Stored::Singles(values),
            npy::Values::F64(values) => Stored::Reals(values),
            whole => indices(whole).map_err(|shortage| format!("array {name} {shortage}"))?,
        };
        Ok(Named { name, shape: array.shape, values, is_integer })
    };
    let arrays = arrays.into_iter().map(named).collect::<Result<_, String>>();
    dataset(&file, &format!("{file}: "), arrays.map_err(|fault| Error::argument(format!("{file}: {fault}")))?, choices)
}

/// Whole numbers from 0 that fit as indices, others as reals.
fn indices(whole: npy::Values) -> Result<Stored, Shortage> {
    let n = whole.len();
    let fits = (0..n).all(|i| f64::from(whole.get(i) as u32) == whole.get(i));
    match fits {
        true => memory::collected(n, (0..n).map(|i| whole.get(i) as u32)).map(Stored::Indices),
        false => whole.into_f64().map(Stored::Reals),
    }
}

/// `from` begins messages about one array.
fn dataset(name: &str, from: &str, arrays: Vec<Named>, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let wrong = |text: String| Error::argument(format!("{from}{text}"));
    for (i, array) in arrays.iter().enumerate() {
        if arrays[..i].iter().any(|other| other.name == array.name) {
            return Err(wrong(format!("two arrays are called {:?}", array.name)));
        }
        array.check().map_err(wrong)?;
    }
    let (mut test, mut train): (Vec<Named>, Vec<Named>) = arrays.into_iter().partition(|a| a.name.ends_with(TEST));
    let test_name = |array: &Named| format!("{}{TEST}", array.name);
    if let Some(lonely) = test.iter().find(|t| train.iter().all(|array| t.name != test_name(array))) {
        let missing = lonely.name.strip_suffix(TEST).unwrap_or_default();
        return Err(wrong(format!("array {:?} is there, but no {missing:?}", lonely.name)));
    }
    // The test part in the order of the train part.
    let pairs = if test.is_empty() { 0 } else { train.len() };
    for (place, array) in train.iter().take(pairs).enumerate() {
        let name = test_name(array);
        let Some(at) = test.iter().position(|other| other.name == name) else {
            return Err(wrong(format!("array {:?} is there, but no {name:?}", test[0].name)));
        };
        test.swap(place, at);
        let (shape, expected) = (&test[place].shape, &array.shape);
        if shape[1..] != expected[1..] {
            return Err(wrong(format!("array {name}: shape {shape:?}, but {} has {expected:?}", array.name)));
        }
    }
    let (mut train_y, mut test_y) = (None, None);
    if let Some(at) = train.iter().position(|array| array.name == TARGETS) {
        train_y = Some(train.remove(at));
        test_y = (!test.is_empty()).then(|| test.remove(at));
    }
    let (mut train_weights, mut test_weights) = (None, None);
    if let Some(name) = choices.sample_weights.take() {
        let Some(at) = train.iter().position(|array| array.name == name) else {
            return Err(wrong(format!("option sample_weights: there is no array {name:?}")));
        };
        train_weights = Some(train.remove(at));
        test_weights = (!test.is_empty()).then(|| test.remove(at));
    }
    if train.is_empty() {
        return Err(wrong("no array of inputs: give x, or arrays named as the model's inputs".into()));
    }
    let input = |array: &Named| Input {
        name: array.name.clone(),
        shape: array.shape[1..].to_vec(),
        channels: choices.channels.filter(|_| array.shape.len() == 4),
        normalise: Normalise::by(1.0),
    };
    let inputs: Vec<Input> = train.iter().map(input).collect();
    if choices.channels.take().is_some() && inputs.iter().all(|input| input.channels.is_none()) {
        return Err(wrong("option channels: no array has samples of three axes".into()));
    }
    let aims = train_y.as_ref().map(|y| y.shape[1..].to_vec());
    let train = samples(train, train_y, train_weights).map_err(wrong)?;
    let test = match test.is_empty() {
        true => train.none()?,
        false => samples(test, test_y, test_weights).map_err(wrong)?,
    };
    Ok(Dataset { name: name.into(), inputs, aims, train, test, choices: String::new() })
}

impl Named {
    fn check(&self) -> Result<(), String> {
        let (name, shape) = (&self.name, &self.shape);
        if shape.is_empty() || self.values.is_empty() {
            return Err(format!("array {name}: shape {shape:?}, expected samples x the axes of one sample"));
        }
        match self.values.position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(i) => {
                let each = self.values.len() / shape[0];
                let (row, column, value) = (i / each, i % each, self.values.get(i));
                Err(format!("array {name}: row {row}, column {column} is {value}"))
            }
        }
    }

    /// A factor for each sample.
    fn weights(self) -> Result<Vec<f64>, String> {
        let Named { name, shape, values, .. } = self;
        if values.len() != shape[0] {
            return Err(format!("array {name}: shape {shape:?}, expected one weight a sample"));
        }
        match values.position(|weight| weight < 0.0) {
            Some(i) => Err(format!("array {name}: weight {} of sample {i} is below 0", values.get(i))),
            None => Ok(values.reals()?),
        }
    }

    fn targets(self) -> Result<Targets, Shortage> {
        let per_sample = self.values.len() / self.shape[0];
        let classes = if self.is_integer { self.values.indices()? } else { None };
        Ok(match classes {
            Some(values) => Targets::Classes { values, per_sample },
            None => Targets::Reals { values: self.values.reals()?, per_sample },
        })
    }
}

/// Arrays of as many samples as each other; the fault, if any, as one sentence.
fn samples(inputs: Vec<Named>, targets: Option<Named>, weights: Option<Named>) -> Result<Samples, String> {
    let n = inputs[0].shape[0];
    if let Some(other) = inputs.iter().chain(&targets).chain(&weights).find(|array| array.shape[0] != n) {
        let (first, shape, other, m) = (&inputs[0].name, &inputs[0].shape, &other.name, other.shape[0]);
        let what = if other.starts_with(TARGETS) { "labels" } else { "samples" };
        return Err(format!("arrays: {first} has shape {shape:?}, but {other} has {m} {what}"));
    }
    let targets = targets.map(Named::targets).transpose()?;
    let weights = weights.map(Named::weights).transpose()?;
    let inputs = inputs.into_iter().map(|array| array.values).collect();
    Ok(Samples { weights, ..Samples::new(n, inputs, targets) })
}

#[cfg(test)]
mod tests {
    use super::super::Channels;
    use super::super::file::tests::TempFolder;
    use super::super::npz::tests::npz;
    use super::*;
    use mountainpass_sdk::{Dtype, Open};

    fn array<'a, T: Dtype>(name: &'a str, shape: &'a [u64], data: &'a [T]) -> Array<'a> {
        Array::new(name, shape, data).unwrap()
    }

    fn read(arrays: &[Array<'_>]) -> Result<Dataset, Error> {
        of_memory(arrays, &mut Choices::default())
    }

    #[test]
    fn arrays_of_any_number_type_are_read() {
        let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let y = [1i32, 0, 2];
        let set = read(&[array("x", &[3, 2], &x), array("y", &[3], &y)]).unwrap();
        assert_eq!(set.train.inputs, [Stored::Reals(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
        assert_eq!(set.train.labels(), [1, 0, 2]);
        // The hash of these arrays as it was before there were named inputs.
        assert_eq!(set.hash(), "d748680c96ff2c3f599bb0fcf306bdea6de1bd65a63dc49fb1e47606282637c9");
        // The same arrays, of other types.
        let x = x.map(f64::from);
        let mut again = read(&[array("x", &[3, 2], &x), array("y", &[3], &[1.0, 0.0, 2.0])]).unwrap();
        assert_eq!(again.train.targets, Some(Targets::Reals { values: vec![1.0, 0.0, 2.0], per_sample: 1 }));
        again.classify(None).unwrap();
        assert_eq!(again.hash(), set.hash());
    }

    #[test]
    fn faults_say_where() {
        let x = array("x", &[2, 1], &[1.0, f64::NAN]);
        let labels = [0u8, 1];
        let y = array("y", &[2], &labels);
        let text = |arrays: &[Array<'_>]| {
            let fault = read(arrays).and_then(|mut set| set.classify(None));
            fault.unwrap_err().text
        };
        assert_eq!(text(&[x, y]), "array x: row 1, column 0 is NaN");
        let reals = [1.0, 2.0];
        let x = array("x", &[2, 1], &reals);
        assert_eq!(text(&[x]), "memory has no labels: give them as the array y");
        assert_eq!(text(&[y]), "no array of inputs: give x, or arrays named as the model's inputs");
        assert_eq!(text(&[x, x, y]), "two arrays are called \"x\"");
        assert!(text(&[x, array("y", &[1], &[0u8])]).contains("y has 1 labels"));
        assert_eq!(
            text(&[x, array("y", &[2], &[0.0, 1.5])]),
            "memory: train sample 1 has label 1.5, expected a class, a whole number from 0"
        );
        assert!(text(&[x, array("y", &[2], &[0i64, -1])]).contains("sample 1 has label -1"));
        assert!(text(&[x, array("y", &[2, 0], &[0u8; 0])]).starts_with("array y: shape [2, 0], expected "));
        assert_eq!(text(&[x, y, array("x_test", &[2, 1], &reals)]), "array \"x_test\" is there, but no \"y_test\"");
        assert_eq!(text(&[x, y, array("z_test", &[2, 1], &reals)]), "array \"z_test\" is there, but no \"z\"");
        assert_eq!(text(&[x, y, array("y_test", &[2], &labels)]), "array \"y_test\" is there, but no \"x_test\"");
        let all =
            [x, y, array("x_test", &[2, 1], &reals), array("y_test", &[2], &labels), array("z_test", &[2], &labels)];
        assert_eq!(text(&all), "array \"z_test\" is there, but no \"z\"");
    }

    #[test]
    fn a_npz_holds_named_inputs_and_a_test_part() {
        let folder = TempFolder::new("npz");
        let ids = npy::Array { shape: vec![2, 3], values: vec![5_i64, 0, 1, 2, 3, 4].into() };
        let image = npy::Array { shape: vec![2, 1, 2, 1], values: vec![1_u8, 2, 3, 255].into() };
        let y = npy::Array { shape: vec![2, 2], values: vec![0.5_f32, -1.0, 2.0, 0.0].into() };
        let one = |array: &npy::Array| npy::Array {
            shape: [&[1], &array.shape[1..]].concat(),
            values: match &array.values {
                npy::Values::I64(v) => v[..3].to_vec().into(),
                npy::Values::U8(v) => v[..2].to_vec().into(),
                other => npy::Values::F64(other.to_f64()[..2].to_vec()),
            },
        };
        let arrays = [
            ("y", y.clone()),
            ("ids", ids.clone()),
            ("ids_test", one(&ids)),
            ("y_test", one(&y)),
            ("image_test", one(&image)),
            ("image", image),
        ];
        folder.put("data.npz", &npz(&arrays, true));
        let path = folder.path("data.npz");
        let mut open = Open::new("", &[("data", path.as_str()), ("channels", "last")]);
        let set = Dataset::from_options(&mut open).unwrap();
        let names: Vec<&str> = set.inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["ids", "image"]);
        assert_eq!((set.inputs[0].channels, set.inputs[1].channels), (None, Some(Channels::Last)));
        let inputs = [Stored::Indices(vec![5, 0, 1, 2, 3, 4]), Stored::Bytes(vec![1, 2, 3, 255])];
        assert_eq!((set.train.n, &set.train.inputs[..]), (2, &inputs[..]));
        let targets = Targets::Reals { values: vec![0.5, -1.0, 2.0, 0.0], per_sample: 2 };
        assert_eq!(set.train.targets, Some(targets));
        assert_eq!(set.test, set.train.select(0..1).unwrap());
        let mut open = Open::new("", &[("data", path.as_str()), ("normalise", "divisor 2")]);
        assert!(Dataset::from_options(&mut open).unwrap_err().text.contains("has 2 inputs, normalise them there"));
        folder.put("data.npz", &npz(&[("x", y)], false)[..90]);
        assert!(Dataset::open(&path).unwrap_err().text.contains("data.npz: the file is no whole .npz (zip) file"));
    }
}
