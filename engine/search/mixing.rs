//! Points whose coordinates are mixed: some by an invertible matrix, others by the inverse of its transpose.
//!
//! Queries and keys of a head of attention are such: only their products count. Of all copies one is least in its sum of
//! squares, up to an orthogonal matrix: where the Gram matrices of both kinds of points agree (Kempf and Ness 1979). To
//! it the geometric mean of the one Gram matrix and the other's inverse leads. The orthogonal matrix that brings one point
//! nearest to another is that of a singular value decomposition (Schönemann 1966).

use super::singular::{Columns, Singular, applied, identity, product, transposed};

/// A step that changes no more than this part is the last.
const SETTLED: f64 = 1e-9;

/// Points that are mixed together.
#[derive(Clone, Debug)]
pub struct Mixing {
    /// The coordinates of points that a matrix multiplies.
    up: Vec<Vec<usize>>,
    /// Of those that the inverse of its transpose does. Without the others both are one orthogonal matrix.
    down: Vec<Vec<usize>>,
}

/// By which matrix points were multiplied, and its inverse.
pub struct Mixed {
    by: Columns,
    back: Columns,
}

impl Mixing {
    pub fn new(mut points: Vec<Vec<usize>>, split: usize) -> Mixing {
        let down = points.split_off(split.min(points.len()));
        Mixing { up: points, down }
    }

    /// The coordinates of all points.
    pub fn points(&self) -> impl Iterator<Item = &Vec<usize>> {
        self.up.iter().chain(&self.down)
    }

    fn size(&self) -> usize {
        self.points().next().map_or(0, Vec::len)
    }

    /// Of the group.
    pub fn dimension(&self) -> usize {
        let d = self.size();
        if self.up.is_empty() { d * d.saturating_sub(1) / 2 } else { d * d }
    }

    /// A basis of the directions in which the group moves a point.
    pub fn tangents(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        let is_orthogonal = self.up.is_empty();
        let pairs =
            (0..self.size()).flat_map(|i| (0..if is_orthogonal { i } else { self.size() }).map(move |j| (i, j)));
        let tangent = |(i, j): (usize, usize)| {
            let mut t = vec![0.0; theta.len()];
            self.up.iter().for_each(|point| t[point[i]] = theta[point[j]]);
            self.down.iter().for_each(|point| t[point[j]] = -theta[point[i]]);
            if is_orthogonal {
                self.down.iter().for_each(|point| t[point[i]] = theta[point[j]]);
            }
            t
        };
        pairs.map(tangent).collect()
    }

    /// How it is where nothing is mixed yet.
    pub fn unmixed(&self) -> Mixed {
        Mixed { by: identity(self.size()), back: identity(self.size()) }
    }

    /// Makes the Gram matrices of both kinds of points equal, or, where one kind lies in a subspace, that of the other kind 1;
    /// how far the factors are from 1. Where both do, and where all are turned alone, they stay.
    pub fn balance(&self, theta: &mut [f64], mixed: &mut Mixed) -> f64 {
        let Some([by, back]) = self.balancing(theta) else { return 1.0 };
        self.multiply(theta, &by, &back);
        *mixed = Mixed { by: product(&by, &mixed.by), back: product(&mixed.back, &back) };
        let off = |m: &Columns| {
            let entry = |(k, column): (usize, &Vec<f64>)| (column[k] - 1.0).abs().max(norm_without(column, k));
            m.iter().enumerate().map(entry).fold(0.0, f64::max)
        };
        let off = off(&by).max(off(&back));
        // One step is exact; the next one's is rounding.
        if off > SETTLED { 1.0 + off } else { 1.0 }
    }

    fn balancing(&self, theta: &[f64]) -> Option<[Columns; 2]> {
        if self.up.is_empty() {
            return None;
        }
        let [up, down] = [&self.up, &self.down].map(|points| Singular::of(self.gram(points, theta)));
        match (up.powers([0.5, -0.5]), down.powers([1.0, 0.5, -0.5])) {
            (Some([root, inverse]), Some([down, ..])) => {
                let [middle] = Singular::of(product(&root, &product(&down, &root))).powers([0.5])?;
                Singular::of(product(&inverse, &product(&middle, &inverse))).powers([0.5, -0.5])
            }
            // The others leave directions open along which the sum of squares has no least one.
            (Some([root, inverse]), None) => Some([inverse, root]),
            (None, Some([_, root, inverse])) => Some([root, inverse]),
            (None, None) => None,
        }
    }

    fn gram(&self, points: &[Vec<usize>], theta: &[f64]) -> Columns {
        correlation(points.iter().zip(points), [theta, theta], self.size())
    }

    /// Undoes what was done.
    pub fn unmix(&self, theta: &mut [f64], mixed: &Mixed) {
        self.multiply(theta, &mixed.back, &transposed(&mixed.by));
    }

    /// Turns all points as near to those of the reference as an orthogonal matrix can bring them.
    pub fn turn(&self, reference: &[f64], theta: &mut [f64]) {
        let same = self.points().zip(self.points());
        let turn = Singular::of(correlation(same, [reference, theta], self.size())).orthogonal();
        self.multiply(theta, &turn, &turn);
    }

    fn multiply(&self, theta: &mut [f64], up: &Columns, down: &Columns) {
        for (points, by) in [(&self.up, up), (&self.down, down)] {
            for point in points {
                let given: Vec<f64> = point.iter().map(|&i| theta[i]).collect();
                point.iter().zip(applied(by, &given)).for_each(|(&i, x)| theta[i] = x);
            }
        }
    }
}

/// The sum of the products of the coordinates of one point with those of its partner.
pub fn correlation<'a>(
    pairs: impl Iterator<Item = (&'a Vec<usize>, &'a Vec<usize>)>,
    [x, y]: [&[f64]; 2],
    size: usize,
) -> Columns {
    let mut columns = vec![vec![0.0; size]; size];
    for (a, b) in pairs {
        for (column, &j) in columns.iter_mut().zip(b) {
            column.iter_mut().zip(a).for_each(|(sum, &i)| *sum += x[i] * y[j]);
        }
    }
    columns
}

fn norm_without(column: &[f64], k: usize) -> f64 {
    column.iter().enumerate().filter(|(i, _)| *i != k).map(|(_, x)| x.abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::vector::distance;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mixed_copy_is_undone(
            theta in prop::collection::vec(-2.0f64..2.0, 24), by in prop::collection::vec(-1.0f64..1.0, 9),
            split in prop::sample::select(vec![1usize, 2, 4, 6])
        ) {
            // Eight points of three coordinates; A = 1.2 + something smaller.
            let points: Vec<Vec<usize>> = (0..8).map(|p| (3 * p..3 * p + 3).collect()).collect();
            let mixing = Mixing::new(points.clone(), split);
            let mut a: Columns = by.chunks(3).map(|c| c.iter().map(|x| 0.3 * x).collect()).collect();
            (0..3).for_each(|k| a[k][k] += 1.2);
            // (A^T A)^(-1) A^T is its inverse, and turned over A (A^T A)^(-1).
            let [inverse] = Singular::of(product(&transposed(&a), &a)).powers([-1.0]).unwrap();
            let mut copy = theta.clone();
            mixing.multiply(&mut copy, &a, &product(&a, &inverse));
            prop_assume!(distance(&copy, &theta) > 0.1);
            let (mut wanted, mut found) = (theta.clone(), copy.clone());
            let [mut before, mut after] = [mixing.unmixed(), mixing.unmixed()];
            mixing.balance(&mut wanted, &mut before);
            mixing.balance(&mut found, &mut after);
            mixing.turn(&wanted, &mut found);
            mixing.unmix(&mut found, &before);
            prop_assert!(distance(&found, &theta) < 1e-7, "{}", distance(&found, &theta));
            // Balancing changes nothing that is balanced.
            prop_assert!(mixing.balance(&mut wanted, &mut before) < 1.0 + 1e-7);
            // Points that are only turned are no copy of stretched ones.
            let rigid = Mixing::new(points, 0);
            let mut turned = theta.clone();
            turned.iter_mut().for_each(|x| *x *= 1.5);
            rigid.turn(&theta, &mut turned);
            prop_assert!(distance(&turned, &theta) > 0.1);
        }
    }
}
