//! The stages of a grid and of a cloud: the samples are laid out, and get their values.

use super::explorer::Explorer;
use super::progress::Doing;
use crate::error::Result;
use crate::loss::oracle::Tally;
use crate::sample::{Axes, CloudPlan, GridPlan, Layout, Sampler, Samples, Scatter};
use crate::search::{Finding, Stage};

impl Explorer<'_, '_> {
    pub(super) fn grid(&mut self, plan: &GridPlan) -> Result<Samples> {
        let axes = Axes::new(plan, self.plan.seed, self.oracle.loss())?;
        self.sample(Stage::Grid, axes.total(), |sample, batch| axes.point(sample, batch))?;
        self.finish(Layout::Grid(axes))
    }

    pub(super) fn cloud(&mut self, plan: &CloudPlan) -> Result<Samples> {
        let scatter = Scatter::new(plan, self.plan.seed, &self.landscape, self.oracle.loss())?;
        self.sample(Stage::Cloud, plan.points, |point, batch| scatter.point(point, batch))?;
        self.finish(Layout::Cloud(scatter))
    }

    /// Takes the values of all samples, of which `point` appends the parameters.
    fn sample(&mut self, stage: Stage, total: usize, point: impl FnMut(usize, &mut Vec<f64>)) -> Result<()> {
        let Explorer { oracle, landscape, values, journal, progress, .. } = self;
        let mut keep = |first: usize, new: &[f64], spent: Tally| {
            let tally = landscape.spend(stage, spent);
            journal.commit(&[Finding::Values(first as u64, new), Finding::Evaluations(stage, tally)])
        };
        let mut tell = |done: usize| progress.at(stage, done as u64, total as u64, Doing::Next);
        Sampler { oracle, values, keep: &mut keep, tell: &mut tell }.take(total, point)
    }

    /// Hands the finished values over to what they span.
    fn finish(&mut self, layout: Layout) -> Result<Samples> {
        Samples::new(layout, std::mem::take(&mut self.values))
    }
}
