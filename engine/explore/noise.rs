//! What is measured at the first minimum, before a second one is told from it: what two evaluations of one loss may
//! differ by, and the landscape's units of curvature and loss. A resumed run measures the same there.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::minima::SMALL;
use crate::search::noise::{direction, noise};
use crate::search::vector::norm;
use crate::search::{Descent, Finding};

/// Powers of the Hessian that a random direction is multiplied with: its length then tells the largest curvature.
const POWERS: usize = 5;

impl Explorer<'_, '_> {
    /// Measures once, as soon as there is a minimum.
    pub(super) fn measure_units(&mut self) -> Result<()> {
        let first = self.landscape.minima.iter().find(|m| m.counts()).filter(|_| self.curvature.is_none());
        let Some((theta, loss)) = first.map(|m| (m.theta.clone(), m.loss)) else { return Ok(()) };
        let curvature = self.largest_curvature(&theta)?;
        let noise = match self.oracle.noise() {
            0.0 => noise(self.oracle, &theta, self.domain.length())?,
            told => told,
        };
        let noise = noise.max(8.0 * self.oracle.rounding() * loss.abs());
        self.oracle.set_noise(noise);
        self.curvature = Some(curvature);
        // Who looks at a run that goes on, or was killed, has to know which bars count.
        self.journal.commit(&[Finding::Noise(noise)])
    }

    fn largest_curvature(&mut self, theta: &[f64]) -> Result<f64> {
        let mut v = direction(theta.len());
        let mut size = 0.0;
        for _ in 0..POWERS {
            v = self.oracle.hessian_products(theta, &v)?;
            size = norm(&v);
            if !(size > 0.0 && size.is_finite()) {
                return Ok(0.0);
            }
            v.iter_mut().for_each(|x| *x /= size);
        }
        Ok(size)
    }

    /// The gradient norm below which a point is critical; no smaller than the first minimum's, which may be all that the
    /// loss's precision allows.
    pub(super) fn critical(&self) -> f64 {
        let small = SMALL * self.curvature.unwrap_or(0.0) * self.domain.length();
        let mut converged = self.landscape.minima.iter().filter(|m| m.counts() && m.descent == Descent::Converged);
        let reached = converged.next().map_or(0.0, |m| m.evidence.gradient_norm);
        self.plan.recipe.tolerance.unwrap_or(small.max(reached))
    }

    /// What the largest curvature makes of a unit of length.
    pub(super) fn unit_of_loss(&self) -> f64 {
        self.curvature.unwrap_or(0.0) * self.domain.length().powi(2)
    }
}
