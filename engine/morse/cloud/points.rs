//! The points of a cloud, and the one definition of their distance.

use crate::error::{Error, Result};
use crate::npy::Array;
use std::cmp::Ordering;

/// Squares of greater numbers may overflow.
const GREATEST: f64 = 1e150;

/// Points in d-dimensional space.
///
/// ```
/// use mountainpass::morse::cloud::Cloud;
/// use mountainpass::morse::graph::Graph;
/// use mountainpass::npy::Array;
/// use mountainpass::persistence::of_graph::{Wanted, canonical};
/// use mountainpass::machine::pool::Pool;
///
/// // x^4 - x^2 at 41 points of a line: minima at -0.7 and 0.7, the pass at 0 between them.
/// let points: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 20.0).collect();
/// let values: Vec<f64> = points.iter().map(|x| x.powi(4) - x.powi(2)).collect();
/// let [points, values] = [points, values].map(|values| Array { shape: vec![41], values: values.into() });
/// let (cloud, pool) = (Cloud::of_array(&points)?, Pool::new(0));
/// let graph = Graph::on_cloud(&cloud, values, 2, None, false, &pool)?;
/// let barcode = canonical(&graph.forest(&pool), Wanted::default()).barcode(&graph);
/// let bars: Vec<_> = barcode.bars.iter().map(|bar| (bar.birth_cell, bar.death_cell())).collect();
/// assert_eq!(bars, [(6, None), (34, Some(20))]);
/// # Ok::<(), mountainpass::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cloud {
    /// `n x d`, a point a row.
    pub(super) coordinates: Vec<f64>,
    pub(super) n: usize,
    pub(super) d: usize,
}

impl Cloud {
    /// Takes an array of shape (n, d), or (n) for points on a line. Refuses an empty one, and coordinates that are not
    /// finite or greater than 1e150.
    pub fn of_array(array: &Array) -> Result<Cloud> {
        Cloud::new(&array.shape, array.values.to_f64())
    }

    /// Points from coordinates in C order; one axis is points on a line.
    pub fn new(shape: &[usize], coordinates: Vec<f64>) -> Result<Cloud> {
        let (n, d) = match *shape {
            [n] => (n, 1),
            [n, d] => (n, d),
            _ => {
                return Err(Error::Argument(format!("the points have shape {shape:?}: a point a row is needed")));
            }
        };
        if n == 0 || d == 0 {
            return Err(Error::Argument(format!("the points have shape {shape:?}: there are none")));
        }
        if u32::try_from(n).is_err() {
            return Err(Error::Argument(format!("there are {n} points: fewer than 2^32 are supported")));
        }
        match coordinates.iter().position(|x| x.is_nan() || x.abs() > GREATEST) {
            Some(i) => Err(Error::Argument(format!(
                "coordinate {} of point {} is {}: finite numbers up to {GREATEST:e} are needed",
                i % d,
                i / d,
                coordinates[i]
            ))),
            None => Ok(Cloud { coordinates, n, d }),
        }
    }

    /// The bytes that `n` points of `d` dimensions and their `k` neighbours take: points twice and their squares; edges
    /// twice, sorted; values, keys, labels.
    pub fn work(n: usize, d: usize, k: usize) -> u64 {
        let bytes = n as u128 * (24 * d as u128 + 24 * k as u128 + 64);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// n, the number of points.
    pub fn points(&self) -> usize {
        self.n
    }

    /// d, the number of coordinates of each.
    pub fn dimensions(&self) -> usize {
        self.d
    }

    /// The cloud without the coordinates that all points share, one of them kept where there are no others; `None` where
    /// every coordinate counts. Distances are the same to the last bit.
    pub(super) fn varying(&self) -> Option<Cloud> {
        let (first, rest) = self.coordinates.split_at(self.d);
        let mut varies = vec![false; self.d];
        for row in rest.chunks_exact(self.d) {
            varies.iter_mut().zip(row.iter().zip(first)).for_each(|(varies, (x, y))| *varies |= x != y);
        }
        let mut kept: Vec<usize> = (0..self.d).filter(|&axis| varies[axis]).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        if kept.len() == self.d {
            return None;
        }
        let coordinates = self.coordinates.chunks_exact(self.d).flat_map(|row| kept.iter().map(|&axis| row[axis]));
        Some(Cloud { coordinates: coordinates.collect(), n: self.n, d: kept.len() })
    }

    fn point(&self, i: u32) -> &[f64] {
        &self.coordinates[i as usize * self.d..][..self.d]
    }

    /// The squared distance of two points: the one definition.
    pub(super) fn distance(&self, i: u32, j: u32) -> f64 {
        self.point(i).iter().zip(self.point(j)).map(|(x, y)| (x - y) * (x - y)).sum()
    }
}

/// A point at a squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub distance: f64,
    pub point: u32,
}

impl Near {
    pub fn order(&self, other: &Near) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.point.cmp(&other.point))
    }
}
