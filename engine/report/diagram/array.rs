//! Arrays of NumPy: rows of (birth, death), or of (degree, birth, death).

use super::rows::Rows;
use crate::npy::{self, Values};
use crate::persistence::Diagram;

pub const MAGIC: &[u8] = b"\x93NUMPY";

pub fn parse(bytes: &[u8]) -> Result<Diagram, String> {
    let array = npy::parse(bytes)?;
    let width = match array.shape[..] {
        [_, width @ 2..=3] => width,
        _ => {
            let text = "bars are rows of (birth, death) or of (degree, birth, death)";
            return Err(format!("is an array of shape {:?}: {text}", array.shape));
        }
    };
    if let Some(value) = unheld(&array.values) {
        return Err(format!("holds {value}, which a double does not: distances are taken of doubles"));
    }
    let mut rows = Rows::new("row");
    let values = array.values.into_f64().map_err(|shortage| format!("what it holds {shortage}"))?;
    values.chunks_exact(width).enumerate().try_for_each(|(at, row)| rows.push(at + 1, row))?;
    rows.diagram()
}

/// The first whole number that no double is equal to.
fn unheld(values: &Values) -> Option<i128> {
    let lost = |x: &i128| *x as f64 as i128 != *x;
    match values {
        Values::I64(values) => values.iter().map(|&x| i128::from(x)).find(lost),
        Values::U64(values) => values.iter().map(|&x| i128::from(x)).find(lost),
        _ => None,
    }
}
