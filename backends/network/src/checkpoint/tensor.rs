//! What a checkpoint holds for one name.

/// An array with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// As the file has it.
    pub name: String,
    /// One size per axis.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f64>,
    /// False where the file has whole numbers or booleans.
    pub is_real: bool,
}
