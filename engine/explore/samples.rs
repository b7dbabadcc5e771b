//! The stages of a grid and of a cloud: the samples are laid out, and get their values.

use super::explorer::Explorer;
use crate::error::Result;
use crate::sample::{Axes, CloudPlan, GridPlan, Sampled, Sampler, Samples, Scatter};

impl<'b> Explorer<'_, 'b> {
    pub(super) fn grid(&mut self, plan: &GridPlan) -> Result<Sampled> {
        let axes = Axes::new(plan, self.plan.seed, self.oracle.loss())?;
        self.sampler().values("grid", axes.total(), |sample, batch| axes.point(sample, batch))?;
        self.sampled(Samples::Grid(axes))
    }

    pub(super) fn cloud(&mut self, plan: &CloudPlan) -> Result<Sampled> {
        let scatter = Scatter::new(plan, self.plan.seed, &self.landscape, self.oracle.loss())?;
        self.sampler().values("cloud", plan.points, |point, batch| scatter.point(point, batch))?;
        self.sampled(Samples::Cloud(scatter))
    }

    fn sampler(&mut self) -> Sampler<'_, 'b> {
        let Explorer { oracle, landscape, journal, progress, .. } = self;
        Sampler { oracle, landscape, journal: &mut **journal, progress: &mut **progress }
    }

    /// Hands the finished values over to what they span.
    fn sampled(&mut self, samples: Samples) -> Result<Sampled> {
        Sampled::new(samples, std::mem::take(&mut self.landscape.values))
    }
}
