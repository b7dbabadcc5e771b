//! A kept run as its report tells of it: with its barcode, and what belongs to the landscape as a whole.

use super::findings::{Findings, RunFindings};
use crate::explore;
use crate::persistence::Barcode;
use crate::run::Ended;
use crate::search::Minimum;
use crate::store::Kept;

/// Everything that the report of a run is made of.
pub struct Results {
    kept: Kept,
    barcode: Barcode,
    seconds: Vec<(String, f64)>,
    versions: Vec<(String, String)>,
}

impl Results {
    /// Of a kept run: the barcode of all samples, once all of them are there, or else one made anew of minima and paths.
    pub fn of(mut kept: Kept) -> Results {
        let barcode = match kept.record.barcode.take() {
            Some(barcode) => barcode,
            None if kept.provenance.is_of_samples() => Barcode::default(),
            None => explore::barcode(&kept.landscape, kept.noise()),
        };
        let of = &kept.provenance;
        let versions =
            vec![("mountainpass".to_owned(), of.version.clone()), (of.backend.clone(), of.backend_version.clone())];
        Results { barcode, seconds: vec![("run".to_owned(), kept.record.seconds)], versions, kept }
    }

    /// How the run ended; `None` while it has not.
    pub fn ended(&self) -> Option<Ended> {
        self.kept.record.ended
    }

    /// Whether there is a barcode to report of. Without a minimum there is none, and an empty one would pretend that
    /// there is; that of samples is there once all of them are.
    pub fn found(&self) -> bool {
        let Kept { landscape, provenance, .. } = &self.kept;
        !self.barcode.bars.is_empty() || !provenance.is_of_samples() && landscape.minima.iter().any(Minimum::counts)
    }

    /// The results as the report borrows them.
    pub fn findings(&self) -> Findings<'_> {
        let Kept { landscape, provenance, record } = &self.kept;
        let run = RunFindings {
            landscape,
            ended: record.ended,
            versions: &self.versions,
            passes: &record.passes,
            pairs: &record.pairs,
            noise: self.kept.noise(),
        };
        Findings {
            title: &record.title,
            barcode: &self.barcode,
            provenance,
            superlevel: false,
            seconds: &self.seconds,
            notes: &record.notes,
            run: Some(run),
        }
    }
}
