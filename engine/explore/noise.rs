//! What two evaluations of one loss may differ by.

use super::explorer::Explorer;
use crate::error::Result;
use crate::loss::Dtype;
use crate::search::Finding;

impl Explorer<'_, '_> {
    /// What repeating an evaluation changes, where the backend does not say; and at least the values' rounding.
    pub(super) fn measure_noise(&mut self) -> Result<()> {
        let Some(best) = self.landscape.minima.iter().find(|m| m.counts()) else { return Ok(()) };
        let (theta, loss) = (best.theta.clone(), best.loss);
        if self.oracle.noise() == 0.0 && !self.oracle.info().caps.repeatable {
            let mut values = Vec::new();
            for _ in 0..8 {
                values.extend(self.oracle.values(&theta)?);
            }
            let (low, high) = values.iter().fold((loss, loss), |(low, high), &v| (v.min(low), v.max(high)));
            self.oracle.set_noise(high - low);
        }
        let rounding = match self.oracle.info().dtype {
            Dtype::F64 => f64::EPSILON,
            Dtype::F32 => f64::from(f32::EPSILON),
        };
        let noise = self.oracle.noise().max(8.0 * rounding * loss.abs());
        self.oracle.set_noise(noise);
        // Who looks at a run that goes on, or was killed, has to know which bars count.
        self.journal.commit(&[Finding::Noise(noise)])
    }
}
