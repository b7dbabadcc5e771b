//! The kinks of surfaces: each is h = |z|, so alpha = -1, and may be put on a slope or smoothed.
//!
//! A surface with its kinks bent is a surface like any other; what is evaluated need not know.

use mountainpass_sdk::Slope;

/// What stands for the kinks of a surface.
#[derive(Clone, Debug, PartialEq)]
pub enum Bend {
    /// h itself; at z = 0 from the right.
    Own,
    /// alpha z + (1 - alpha) eps log(1 + exp(z / eps)) for a width eps.
    Smoothed(f64),
    /// t z for those with slopes, which are by id, and h itself for the others.
    Linear(Vec<Slope>),
}

impl Bend {
    /// What stands for h, and its first two derivatives by z.
    pub(crate) fn at(&self, id: u64, z: f64) -> [f64; 3] {
        let t = match self {
            Bend::Smoothed(eps) => {
                let (over, slope) = ((-z.abs() / eps).exp().ln_1p(), (0.5 * z / eps).tanh());
                return [z.abs() + 2.0 * eps * over, slope, (1.0 - slope * slope) / (2.0 * eps)];
            }
            Bend::Linear(slopes) => slopes.binary_search_by_key(&id, |slope| slope.id).ok().map(|k| slopes[k].t),
            Bend::Own => None,
        };
        let t = t.unwrap_or(if z < 0.0 { -1.0 } else { 1.0 });
        [t * z, t, 0.0]
    }
}
