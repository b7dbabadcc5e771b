//! One theta of an evaluation.

/// One row: what comes in and where results go.
pub(crate) struct Row<'a, T> {
    pub theta: &'a [T],
    pub loss: &'a mut f64,
    pub grad: Option<&'a mut [T]>,
    pub hvp: Option<(&'a [T], &'a mut [T])>,
    pub status: &'a mut i32,
}
