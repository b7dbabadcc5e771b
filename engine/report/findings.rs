//! What a report tells of.

use crate::explore::{AtPass, Rivals, evidence};
use crate::order::by_value;
use crate::persistence::{Barcode, Score};
use crate::run::Ended;
use crate::search::{Evidence, Landscape, Metric, Minimum, Pair, Path, Stage, Tally};
use crate::store::Provenance;

/// What every report tells of and, where the barcode comes of a run, what the run found and took.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// What the report is called.
    pub title: &'a str,
    /// The bars, of all degrees.
    pub barcode: &'a Barcode,
    /// Where they come from.
    pub provenance: &'a Provenance,
    /// Bars of superlevel sets: death <= birth, half-lines end at minus infinity.
    pub superlevel: bool,
    /// Wall-clock seconds by stage.
    pub seconds: &'a [(String, f64)],
    /// What a reader should know besides, a sentence each.
    pub notes: &'a [String],
    /// None where the barcode is that of an array or a graph.
    pub run: Option<RunFindings<'a>>,
}

/// What a run has besides its barcode.
#[derive(Clone, Copy, Debug)]
pub struct RunFindings<'a> {
    /// Minima and paths, where it searched for them, and what was evaluated.
    pub landscape: &'a Landscape,
    /// How it ended; `None` while it has not.
    pub ended: Option<Ended>,
    /// Versions of what took part, by name.
    pub versions: &'a [(String, String)],
    /// The metrics at verified saddles and at the tops of the paths that decide bars.
    pub passes: &'a [AtPass],
    /// What lies between given points.
    pub pairs: &'a [Pair],
    /// What two evaluations of one loss may differ by.
    pub noise: f64,
}

impl<'a> Findings<'a> {
    /// True when the barcode comes of a search for minima, not of a grid or a graph.
    pub(super) fn searched(&self) -> bool {
        !self.minima().is_empty() && !self.provenance.is_of_samples()
    }

    /// The score of degree 0.
    pub(super) fn score(&self) -> Score {
        Score::of(self.barcode, 0)
    }

    /// What speaks for each bar, where they were searched for.
    pub(super) fn evidence(&self) -> Vec<Option<&'a Evidence>> {
        let bars = &self.barcode.bars;
        self.run.map_or_else(|| vec![None; bars.len()], |run| evidence(run.landscape, bars))
    }

    pub(super) fn minima(&self) -> &'a [Minimum] {
        self.run.map_or(&[], |run| &run.landscape.minima)
    }

    pub(super) fn paths(&self) -> &'a [Path] {
        self.run.map_or(&[], |run| &run.landscape.paths)
    }

    /// What was tried besides the paths that decide bars, where there are any.
    pub(super) fn rivals(&self) -> Option<Rivals> {
        self.run.filter(|run| !run.landscape.paths.is_empty()).map(|run| Rivals::of(run.landscape))
    }

    /// What each stage evaluated.
    pub(super) fn evaluations(&self) -> &'a [(Stage, Tally)] {
        self.run.map_or(&[], |run| &run.landscape.evaluations)
    }

    pub(super) fn evaluations_in_all(&self) -> u64 {
        self.evaluations().iter().map(|(_, tally)| tally.total()).sum()
    }

    pub(super) fn seconds_in_all(&self) -> f64 {
        self.seconds.iter().map(|(_, seconds)| seconds).sum()
    }

    pub(super) fn versions(&self) -> &'a [(String, String)] {
        self.run.map_or(&[], |run| run.versions)
    }

    /// Passes with their metrics, the lowest first.
    pub(super) fn passes(&self) -> Vec<(&'a Path, &'a [(Metric, f64)])> {
        let of = |at: &'a AtPass| {
            let path = self.paths().iter().find(|path| path.pass.cell == at.cell)?;
            Some((path, at.metrics.as_slice()))
        };
        let mut passes: Vec<_> = self.run.map_or(&[][..], |run| run.passes).iter().filter_map(of).collect();
        passes.sort_by(|(a, _), (b, _)| by_value((a.pass.height, a.pass.cell), (b.pass.height, b.pass.cell)));
        passes
    }

    pub(super) fn is_complete(&self) -> bool {
        self.run.is_none_or(|run| run.ended == Some(Ended::Complete))
    }
}
