//! The type of a written file's reals.

use super::super::messages::data_type;

/// How a file holds reals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes, which every runtime computes with; theta is rounded.
    Single,
    /// 8 bytes: theta as it is.
    Double,
}

impl Precision {
    pub(super) fn data_type(self) -> i32 {
        match self {
            Precision::Single => data_type::FLOAT,
            Precision::Double => data_type::DOUBLE,
        }
    }

    pub(super) fn bytes(self, values: &[f64]) -> Vec<u8> {
        match self {
            Precision::Single => values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
            Precision::Double => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}
