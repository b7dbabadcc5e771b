//! Point clouds: the exact nearest neighbours of every point, and the graph they make.
//!
//! The distance of two points is the sum of the squares of their coordinates' differences, added in the order of the
//! coordinates in f64; points at equal distance are ordered by number. That is what every road below answers exactly, by
//! computing the distances that could matter in just this way: a k-d tree up to [`TREE`] dimensions, products of blocks of
//! points above. Coordinates that all points share add nothing to any distance and are left out first: a tree that splits
//! along them separates nothing.

mod points;
mod product;
mod tree;

pub use points::Cloud;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::machine::pool::Pool;

/// Up to so many dimensions a tree beats the products.
pub const TREE: usize = 8;

impl Cloud {
    /// The k nearest other points of each point, nearest first: `n x k`. About O(n k log n) where up to [`TREE`]
    /// coordinates vary, O(n^2 d) above. The same for any number of threads.
    pub fn neighbours(&self, k: usize, pool: &Pool) -> Result<Vec<u32>> {
        if k == 0 {
            return Err(Error::Argument("k is 0: at least one neighbour is needed".into()));
        }
        if k >= self.n {
            let n = self.n;
            return Err(Error::Argument(format!("k is {k}, but {n} points have {} neighbours each", n - 1)));
        }
        let varying = self.varying();
        let cloud = varying.as_ref().unwrap_or(self);
        match cloud.d {
            1 => tree::neighbours::<1>(cloud, k, pool),
            2 => tree::neighbours::<2>(cloud, k, pool),
            3 => tree::neighbours::<3>(cloud, k, pool),
            4 => tree::neighbours::<4>(cloud, k, pool),
            5 => tree::neighbours::<5>(cloud, k, pool),
            6 => tree::neighbours::<6>(cloud, k, pool),
            7 => tree::neighbours::<7>(cloud, k, pool),
            8 => tree::neighbours::<8>(cloud, k, pool),
            _ => Ok(product::neighbours(cloud, k, pool)),
        }
    }

    /// The edges from each point to its k nearest, those longer than `radius` left out. As edges have no direction, two
    /// points are joined where either is among the nearest of the other.
    pub fn edges(&self, k: usize, radius: Option<f64>, pool: &Pool) -> Result<Vec<[u32; 2]>> {
        let reach = match radius {
            Some(radius) if radius > 0.0 => radius * radius,
            Some(radius) => return Err(Error::Argument(format!("the radius is {radius}: it must be positive"))),
            None => f64::INFINITY,
        };
        let neighbours = self.neighbours(k, pool)?;
        let edges = neighbours.iter().enumerate().map(|(i, &j)| [(i / k) as u32, j]);
        Ok(edges.filter(|&[i, j]| reach == f64::INFINITY || self.distance(i, j) <= reach).collect())
    }
}
