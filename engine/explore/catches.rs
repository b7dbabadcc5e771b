//! How many saddles the search for all of them missed, from how often it found each (capture and recapture).
//!
//! A saddle is caught by every climb that leads to it, and once by all paths that were led over it. If all were equally
//! hard to find, the number never caught would be about f1 (f1 - 1) / (2 (f2 + 1)) for f1 caught once and f2 caught twice
//! (Chao 1984, bias-corrected); where some are harder it is more: the estimate is a lower bound.

use crate::search::{CellId, Landscape, Path};
use serde::Serialize;

/// Of all saddles of index 1 that are listed, how often they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Catches {
    /// Different saddles.
    pub saddles: usize,
    /// Found once only.
    pub once: usize,
    /// Found twice.
    pub twice: usize,
    /// About how many were never found, at least.
    pub missed: f64,
    /// Climbs that were made.
    pub climbs: u64,
    /// How many of them led to a saddle, new or not.
    pub by_climbs: u64,
}

impl Catches {
    /// Those of a landscape; `None` where nobody asked for all saddles.
    pub fn of(landscape: &Landscape) -> Option<Catches> {
        let climbs: u64 = landscape.minima.iter().map(|m| u64::from(m.evidence.survey.climbs)).sum();
        if climbs == 0 {
            return None;
        }
        let copies: Vec<&Path> = landscape.paths.iter().filter(|p| p.pass.survey().is_some_and(|s| s.copy)).collect();
        let catches: Vec<u32> = landscape.listed().map(|path| caught(path, &copies)).collect();
        let many = |count: u32| catches.iter().filter(|&&n| n == count).count();
        let (once, twice) = (many(1), many(2));
        let missed = (once * once.saturating_sub(1)) as f64 / (2.0 * (twice + 1) as f64);
        let found =
            landscape.listed().filter_map(|path| path.pass.survey()).map(|survey| u64::from(survey.found)).sum();
        Some(Catches { saddles: catches.len(), once, twice, missed, climbs, by_climbs: found })
    }
}

fn caught(path: &Path, copies: &[&Path]) -> u32 {
    let Some(survey) = path.pass.survey() else { return 0 };
    let pair = |path: &Path| -> (CellId, CellId) { (path.ends.0.min(path.ends.1), path.ends.0.max(path.ends.1)) };
    let again = |copy: &&Path| {
        pair(copy) == pair(path)
            && (copy.pass.height - path.pass.height).abs()
                <= copy.pass.error + path.pass.error + 1e-9 * path.pass.height.abs()
    };
    survey.found + u32::from(survey.mode == 0 || copies.iter().any(again))
}
