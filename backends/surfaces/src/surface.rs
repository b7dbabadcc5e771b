//! What a closed-form loss is: value, gradient, Hessian, a box, and the answers that are known about it.

use mountainpass_sdk::{Bounds, Symmetry};

/// A smooth function of `n` variables in closed form. Slices have `n` entries.
pub trait Surface: Send {
    /// The number of variables.
    fn n(&self) -> usize;
    /// f(x).
    fn value(&self, x: &[f64]) -> f64;
    /// The gradient at x.
    fn gradient(&self, x: &[f64], out: &mut [f64]);
    /// The Hessian at x times v.
    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]);
    /// The box searches start in.
    fn bounds(&self) -> Bounds;
    /// What is known about the function inside its box.
    fn known(&self) -> Known;
    /// What leaves the function unchanged.
    fn symmetries(&self) -> Vec<Symmetry> {
        Vec::new()
    }
    /// The options in effect, as `key = value` lines.
    fn options(&self) -> String {
        String::new()
    }
}

/// Known answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Every critical point inside the box, unless there are too many to list.
    pub critical: Vec<Critical>,
    /// The bars of degree 0, birth and death, by birth; the half-line dies at infinity.
    pub bars: Vec<(f64, f64)>,
}

/// A critical point: where the gradient is zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Critical {
    /// Where it is.
    pub x: Vec<f64>,
    /// f there.
    pub value: f64,
    /// The number of negative eigenvalues of the Hessian: 0 at a minimum, 1 at a pass.
    pub index: usize,
}

impl Known {
    /// Critical points as `(x, value, index)`, and bars.
    pub(crate) fn new<const N: usize>(critical: &[([f64; N], f64, usize)], bars: &[(f64, f64)]) -> Known {
        let point = |&(x, value, index): &([f64; N], f64, usize)| Critical { x: x.to_vec(), value, index };
        Known { critical: critical.iter().map(point).collect(), bars: bars.to_vec() }
    }
}
