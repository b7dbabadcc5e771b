//! What a closed-form loss is: value, gradient, Hessian, where searches start, and the answers that are known about it.

use crate::bend::Bend;
use mountainpass_sdk::{Bounds, Error, Open, Symmetry};

/// A function of `n` variables in closed form. Slices have `n` entries; rows are evaluated on several threads.
pub trait Surface: Send + Sync {
    /// The number of variables.
    fn n(&self) -> usize;
    /// f(x).
    fn value(&self, x: &[f64]) -> f64;
    /// The gradient at x; at a kink a one-sided one, and the file says from which side.
    fn gradient(&self, x: &[f64], out: &mut [f64]);
    /// The Hessian at x times v.
    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]);
    /// The box in which minima count; `None` for a function of the whole space.
    fn bounds(&self) -> Option<Bounds>;
    /// What is known about the function inside its box.
    fn known(&self) -> Answers;
    /// True where the function is twice differentiable everywhere in its box.
    fn smooth(&self) -> bool {
        true
    }
    /// What one value costs, counted in square roots, sines and the like.
    fn cost(&self) -> usize {
        self.n()
    }
    /// Where a search begins, made of numbers in [0, 1): uniform in the box unless the function knows better.
    fn start(&self, uniform: &mut dyn FnMut() -> f64) -> Vec<f64> {
        match self.bounds() {
            Some(Bounds { lower, upper }) => {
                lower.iter().zip(&upper).map(|(lower, upper)| lower + (upper - lower) * uniform()).collect()
            }
            None => (0..self.n()).map(|_| 2.0 * uniform() - 1.0).collect(),
        }
    }
    /// The surface as one that tells of its kinks, where it does.
    fn kinks(&self) -> Option<&dyn Kinks> {
        None
    }
    /// What leaves the function unchanged.
    fn symmetries(&self) -> Vec<Symmetry> {
        Vec::new()
    }
    /// The options in effect, as `key = value` lines.
    fn options(&self) -> String {
        String::new()
    }
}

/// What a surface says of its kinks. Ids are below their number.
pub trait Kinks: Send + Sync {
    /// How many there are.
    fn count(&self) -> u64;
    /// The surface with its kinks bent in this way.
    fn bent(&self, bend: Bend) -> Box<dyn Surface>;
    /// z of a kink at x, and the derivative of f by its h.
    fn figures(&self, id: u64, x: &[f64]) -> (f64, f64);
    /// The gradient of z of a kink at x.
    fn row(&self, id: u64, x: &[f64], out: &mut [f64]);
}

/// Answers answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Every critical point inside the box, unless there are too many to list or not all are known.
    pub critical: Vec<CriticalPoint>,
    /// The bars of degree 0, birth and death, by birth; the half-line dies at infinity. Empty where not known.
    pub bars: Vec<(f64, f64)>,
}

/// A critical point: where the gradient is zero, or a minimum or maximum on a kink.
#[derive(Clone, Debug, PartialEq)]
pub struct CriticalPoint {
    /// Where it is.
    pub x: Vec<f64>,
    /// f there.
    pub value: f64,
    /// The number of negative eigenvalues of the Hessian (at a kink: of directions downhill): 0 at a minimum, 1 at a pass.
    pub index: usize,
}

impl Answers {
    /// CriticalPoint points as `(x, value, index)`, and bars.
    pub(crate) fn new<const N: usize>(critical: &[([f64; N], f64, usize)], bars: &[(f64, f64)]) -> Answers {
        let point = |&(x, value, index): &([f64; N], f64, usize)| CriticalPoint { x: x.to_vec(), value, index };
        Answers { critical: critical.iter().map(point).collect(), bars: bars.to_vec() }
    }
}

/// The option `n`, the number of dimensions of a surface that has any number of them; 2 unless given.
pub(crate) fn dimensions(request: &mut Open<'_>) -> Result<usize, Error> {
    match request.parsed("n")?.unwrap_or(2) {
        n @ 1..=1_000_000 => Ok(n),
        n => Err(Error::argument(format!("option n: {n} is not a number of dimensions from 1 to 1000000"))),
    }
}
