//! Samples cut into fixed tiles and laid out for the products: feature after feature, one value per sample.
//!
//! Tile t holds samples `t * size ..`; the last one may be shorter. The size depends on the network only, so sums over
//! tiles have one order whatever the number of threads and rows.

use crate::real::Real;
use crate::scratch::grow;
use mountainpass_network::{Inputs, Samples};
use mountainpass_sdk::Host;

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
    pub(crate) fn fill(&mut self, samples: &Samples, ids: Option<&[u64]>, size: usize, host: &Host) {
        let features = samples.features;
        let n = ids.map_or(samples.n(), <[u64]>::len);
        let id = |i: usize| ids.map_or(i, |ids| ids[i] as usize);
        (self.features, self.size) = (features, size);
        self.labels.clear();
        self.labels.extend((0..n).map(|i| samples.labels[id(i)]));
        grow(&mut self.values, n * features);
        let bytes: [T; 256] = match &samples.inputs {
            Inputs::Bytes { divisor, .. } => std::array::from_fn(|b| T::from_f64(b as f64 / divisor)),
            Inputs::Reals(_) => [T::ZERO; 256],
        };
        let mut tiles: Vec<&mut [T]> = self.values[..n * features].chunks_mut(size * features).collect();
        host.for_each(&mut tiles, |tile, t, _| {
            let m = tile.len() / features;
            let ids = |i: usize| id(t * size + i);
            match &samples.inputs {
                Inputs::Bytes { values, .. } => transpose(tile, m, features, ids, values, |b| bytes[usize::from(b)]),
                Inputs::Reals(values) => transpose(tile, m, features, ids, values, T::from_f64),
            }
        });
    }

    /// The number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The number of tiles.
    pub(crate) fn count(&self) -> usize {
        self.labels.len().div_ceil(self.size.max(1))
    }

    /// Tile `t`.
    pub(crate) fn get(&self, t: usize) -> Tile<'_, T> {
        let range = t * self.size..self.labels.len().min((t + 1) * self.size);
        Tile { x: &self.values[range.start * self.features..range.end * self.features], labels: &self.labels[range] }
    }
}

/// Columns of `m` out of rows of `features`, sixteen rows at a time so that both sides stay in cache lines.
fn transpose<S: Copy, T>(
    tile: &mut [T],
    m: usize,
    features: usize,
    id: impl Fn(usize) -> usize,
    values: &[S],
    convert: impl Fn(S) -> T,
) {
    for start in (0..m).step_by(16) {
        for k in 0..features {
            for i in start..m.min(start + 16) {
                tile[k * m + i] = convert(values[id(i) * features + k]);
            }
        }
    }
}
