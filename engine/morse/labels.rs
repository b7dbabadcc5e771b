//! Which basin a sample or a vertex belongs to: labels that lead from one to the next, down to a basin.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// In the place of a basin: none, as what is in no sublevel set.
pub const NOWHERE: u32 = BASIN - 1;
/// Marks a label as a basin; without it, it is a sample that leads to one.
pub(super) const BASIN: u32 = 1 << 31;

/// Replaces the labels of some samples, which lead from sample to sample, by the basin at the end.
pub(super) fn lead_home(samples: Range<usize>, labels: &[AtomicU32]) {
    for sample in samples {
        let mut at = labels[sample].load(Relaxed);
        while at & BASIN == 0 {
            at = labels[at as usize].load(Relaxed);
        }
        let (basin, mut walk) = (at, sample);
        loop {
            // Another thread may have been here: whatever it wrote leads to the same basin.
            let next = labels[walk].load(Relaxed);
            if next & BASIN != 0 {
                break;
            }
            labels[walk].store(basin, Relaxed);
            walk = next as usize;
        }
    }
}
