//! Data sets in memory: the array `x`, samples x features of any number type, and the class labels `y`.

use crate::{Dataset, Inputs, Samples};
use mountainpass_sdk::{Array, Error};

/// Reads the arrays `x` (2-D) and `y` (1-D); there is no test part.
pub(crate) fn read(arrays: &[Array<'_>]) -> Result<Dataset, Error> {
    if let Some(array) = arrays.iter().find(|a| !["x", "y"].contains(&a.name)) {
        return Err(Error::unknown("array", array.name, &["x", "y"]));
    }
    let find = |name: &str| {
        let array = arrays.iter().find(|a| a.name == name);
        array.ok_or_else(|| Error::argument(format!("array {name:?} is missing: give x (n x features) and y (n)")))
    };
    let (x, y) = (find("x")?, find("y")?);
    let (&[n, features], &[count]) = (x.shape, y.shape) else {
        let (x, y) = (x.shape, y.shape);
        return Err(Error::argument(format!("arrays: x has shape {x:?} and y {y:?}, expected n x features and n")));
    };
    if n == 0 || features == 0 || n != count {
        return Err(Error::argument(format!("arrays: x has shape [{n}, {features}], but y has {count} labels")));
    }
    let (values, labels) = (x.to_f64()?, y.to_f64()?);
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        let (row, column) = (i / features as usize, i % features as usize);
        return Err(Error::argument(format!("array x: row {row}, column {column} is {}", values[i])));
    }
    let label = |(i, y): (usize, &f64)| match *y as u32 {
        class if f64::from(class) == *y => Ok(class),
        _ => Err(Error::argument(format!("array y: label {i} is {y}, expected a whole number from 0"))),
    };
    let labels = labels.iter().enumerate().map(label).collect::<Result<Vec<u32>, Error>>()?;
    let train = Samples { features: features as usize, inputs: Inputs::Reals(values), labels };
    let test = train.slice(0..0);
    Ok(Dataset { name: "memory".into(), train, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mountainpass_sdk::abi::dtype;

    fn array<'a, T>(name: &'a str, shape: &'a [u64], dtype: u32, data: &'a [T]) -> Array<'a> {
        assert_eq!(shape.iter().product::<u64>() as usize, data.len());
        Array { name, shape, strides: None, dtype, data: data.as_ptr().cast() }
    }

    #[test]
    fn arrays_of_any_number_type_are_read() {
        let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let y = [1i32, 0, 2];
        let set = read(&[array("x", &[3, 2], dtype::F32, &x), array("y", &[3], dtype::I32, &y)]).unwrap();
        assert_eq!(set.train.inputs, Inputs::Reals(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(set.train.labels, [1, 0, 2]);
        // The same array, transposed by strides.
        let x = [1.0f64, 3.0, 5.0, 2.0, 4.0, 6.0];
        let transposed = Array { strides: Some(&[1, 3]), ..array("x", &[3, 2], dtype::F64, &x) };
        let again = read(&[transposed, array("y", &[3], dtype::U8, &[1u8, 0, 2])]).unwrap();
        assert_eq!(again.hash(), set.hash());
    }

    #[test]
    fn faults_say_where() {
        let x = array("x", &[2, 1], dtype::F64, &[1.0, f64::NAN]);
        let y = array("y", &[2], dtype::U8, &[0u8, 1]);
        let text = |arrays: &[Array<'_>]| read(arrays).unwrap_err().text;
        assert_eq!(text(&[x, y]), "array x: row 1, column 0 is NaN");
        assert!(text(&[x]).contains("\"y\" is missing"));
        assert!(text(&[x, Array { name: "z", ..y }]).contains("unknown array \"z\""));
        assert!(text(&[x, array("y", &[1], dtype::U8, &[0u8])]).contains("y has 1 labels"));
        let x = array("x", &[2, 1], dtype::F64, &[1.0, 2.0]);
        assert_eq!(
            text(&[x, array("y", &[2], dtype::F64, &[0.0, 1.5])]),
            "array y: label 1 is 1.5, expected a whole number from 0"
        );
        assert!(text(&[x, array("y", &[2], dtype::I64, &[0i64, -1])]).contains("label 1 is -1"));
    }
}
