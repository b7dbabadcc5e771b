//! The minima found so far in the order of their losses: whether a point is one of them is asked of few.

use crate::order::by_value;
use crate::search::Minimum;

/// What is looked up of the minima that count; nothing of them changes once they are found.
#[derive(Clone, Default)]
pub struct Births {
    /// How many minima have been looked at.
    seen: usize,
    /// Losses with the places of their minima, ascending.
    by_loss: Vec<(f64, usize)>,
    /// The largest loss by size.
    pub largest: f64,
}

impl Births {
    /// Takes up what is new.
    pub fn catch_up(&mut self, minima: &[Minimum]) {
        for (at, minimum) in minima.iter().enumerate().skip(self.seen).filter(|(_, m)| m.counts()) {
            let before =
                |&(loss, place): &(f64, usize)| by_value((loss, place as u64), (minimum.loss, at as u64)).is_lt();
            self.by_loss.insert(self.by_loss.partition_point(before), (minimum.loss, at));
            self.largest = self.largest.max(minimum.loss.abs());
        }
        self.seen = minima.len();
    }

    /// The places of the minima within a distance of a loss, in the order in which they were found.
    pub fn near(&self, loss: f64, distance: f64) -> Vec<usize> {
        let first = self.by_loss.partition_point(|&(other, _)| other < loss - distance);
        let near = self.by_loss[first..].iter().take_while(|(other, _)| other - loss <= distance);
        let mut places: Vec<usize> =
            near.filter(|(other, _)| (other - loss).abs() <= distance).map(|(_, at)| *at).collect();
        places.sort_unstable();
        places
    }
}
