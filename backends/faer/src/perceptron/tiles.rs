//! Samples cut into fixed tiles and laid out for the products: feature after feature, one value per sample.
//!
//! Tile t holds samples `t * size ..`; the last one may be shorter. The size depends on the network only, so sums over
//! tiles have one order whatever the number of threads and rows.

use crate::real::Real;
use mountainpass_network::{Feed, Layout, Samples};
use mountainpass_sdk::Host;
use mountainpass_sdk::memory::{self, Shortage};

/// Samples in the element type of theta.
#[derive(Default)]
pub(crate) struct Tiles<T> {
    values: Vec<T>,
    labels: Vec<u32>,
    features: usize,
    size: usize,
}

/// One tile: `features` columns of `labels.len()` values.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, T> {
    pub x: &'a [T],
    pub labels: &'a [u32],
}

impl<T: Real> Tiles<T> {
    /// Lays out the samples `ids`, or all; memory of an earlier filling is reused.
    pub(crate) fn fill(
        &mut self,
        (feed, samples): (&Feed, &Samples),
        ids: Option<&[u64]>,
        size: usize,
        host: Host<'_>,
    ) -> Result<(), Shortage> {
        let features = feed.size();
        let n = ids.map_or(samples.n, <[u64]>::len);
        let id = |i: usize| ids.map_or(i, |ids| ids[i] as usize);
        (self.features, self.size) = (features, size);
        self.labels.clear();
        let labels = samples.labels();
        memory::reserve(&mut self.labels, n)?;
        self.labels.extend((0..n).map(|i| labels[id(i)]));
        memory::grow(&mut self.values, n.saturating_mul(features))?;
        let mut tiles: Vec<&mut [T]> = self.values[..n * features].chunks_mut(size * features).collect();
        host.for_each(&mut tiles, |tile, t, _| {
            feed.fill(samples, |i| id(t * size + i), Layout::Numbers, T::from_f64, tile);
        });
        Ok(())
    }

    /// Tile `t`.
    pub(crate) fn get(&self, t: usize) -> Tile<'_, T> {
        let range = t * self.size..self.labels.len().min((t + 1) * self.size);
        Tile { x: &self.values[range.start * self.features..range.end * self.features], labels: &self.labels[range] }
    }
}
