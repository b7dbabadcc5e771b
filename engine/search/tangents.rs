//! Tangents of continuous symmetries: the directions in which a declared group moves a point without changing the loss.
//!
//! A Hessian is zero along them, so they would leave every index undecided; the spectrum is taken in their complement
//! (docs/mathematics.md#the-spectrum). They hold whether or not points are compared modulo the symmetries.

use super::mixing::Mixing;
use super::vector::{axpy, dot, norm};
use crate::loss::{Symmetry, SymmetryKind};

/// The declared continuous symmetries.
#[derive(Clone, Debug, Default)]
pub struct Tangents {
    /// Sets of points that move rigidly together: the coordinates of every point.
    rigid: Vec<Vec<Vec<usize>>>,
    mixings: Vec<Mixing>,
    /// (the entries of a block that are multiplied, those that are divided).
    scales: Vec<(Vec<usize>, Vec<usize>)>,
    /// Sets of blocks that may be exchanged.
    alike: Vec<Vec<Vec<usize>>>,
}

/// More numbers than this are not held: the spectrum is then that of the whole space, and its evidence says so.
const HELD: usize = 1 << 26;

impl Tangents {
    /// Reads the records of a loss.
    pub fn new(symmetries: &[Symmetry]) -> Tangents {
        let mut tangents = Tangents::none();
        for symmetry in symmetries {
            let blocks = symmetry.blocks.iter().map(|b| b.iter().map(|&i| i as usize).collect::<Vec<usize>>());
            match symmetry.kind {
                SymmetryKind::Rigid => tangents.rigid.push(blocks.collect()),
                SymmetryKind::Scale { split } => tangents.scales.extend(blocks.map(|mut up| {
                    let down = up.split_off((split as usize).min(up.len()));
                    (up, down)
                })),
                SymmetryKind::Mixing { split } => tangents.mixings.push(Mixing::new(blocks.collect(), split as usize)),
                SymmetryKind::Permutation => tangents.alike.push(blocks.collect()),
                SymmetryKind::Conjugation { .. } | SymmetryKind::Sign | SymmetryKind::Period(_) => {}
            }
        }
        tangents
    }

    /// No continuous symmetry.
    pub fn none() -> Tangents {
        Tangents::default()
    }

    /// The sets of blocks that may be exchanged.
    pub fn alike(&self) -> &[Vec<Vec<usize>>] {
        &self.alike
    }

    /// An orthonormal basis of the tangents at a point. Directions that do not move it are left out: the axis of points
    /// on a line, a block of zeros. O(k^2 p) for k tangents that move the same numbers.
    pub fn at(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        let points = |set: &Vec<Vec<usize>>| set.first().map_or(0, |point| point.len() * (point.len() + 1) / 2);
        let mixed = self.mixings.iter().map(Mixing::dimension).sum::<usize>();
        let count = self.rigid.iter().map(points).sum::<usize>() + mixed + self.scales.len();
        if count.saturating_mul(theta.len()) > HELD {
            return Vec::new();
        }
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for set in &self.rigid {
            rigid(set, theta).into_iter().for_each(|t| join(&mut basis, t));
        }
        for mixing in &self.mixings {
            mixing.tangents(theta).into_iter().for_each(|t| join(&mut basis, t));
        }
        for (up, down) in &self.scales {
            let mut t = vec![0.0; theta.len()];
            up.iter().for_each(|&i| t[i] = theta[i]);
            down.iter().for_each(|&i| t[i] = -theta[i]);
            join(&mut basis, t);
        }
        basis
    }
}

/// The translations of a set of points and its infinitesimal rotations round the centroid.
fn rigid(set: &[Vec<usize>], theta: &[f64]) -> Vec<Vec<f64>> {
    let d = set.first().map_or(0, Vec::len);
    let centre = |axis: usize| set.iter().map(|point| theta[point[axis]]).sum::<f64>() / set.len() as f64;
    let centre: Vec<f64> = (0..d).map(centre).collect();
    let mut tangents = Vec::new();
    for axis in 0..d {
        let mut shift = vec![0.0; theta.len()];
        set.iter().for_each(|point| shift[point[axis]] = 1.0);
        tangents.push(shift);
        for other in 0..axis {
            let mut turn = vec![0.0; theta.len()];
            for point in set {
                turn[point[axis]] = theta[point[other]] - centre[other];
                turn[point[other]] = centre[axis] - theta[point[axis]];
            }
            tangents.push(turn);
        }
    }
    tangents
}

/// Adds what is new in a direction to an orthonormal basis.
fn join(basis: &mut Vec<Vec<f64>>, mut t: Vec<f64>) {
    let size = norm(&t);
    // Most symmetries move other numbers: such tangents are orthogonal already.
    let moved: Vec<usize> = (0..t.len()).filter(|&i| t[i] != 0.0).collect();
    let meeting: Vec<&Vec<f64>> = basis.iter().filter(|b| moved.iter().any(|&i| b[i] != 0.0)).collect();
    for _ in 0..2 {
        // Twice is enough (Parlett).
        remove(&meeting, &mut t);
    }
    let left = norm(&t);
    if left > 1e-8 * size {
        t.iter_mut().for_each(|x| *x /= left);
        basis.push(t);
    }
}

/// Takes the parts along an orthonormal basis out of a vector.
pub fn remove<B: AsRef<[f64]>>(basis: &[B], v: &mut [f64]) {
    for b in basis.iter().map(B::as_ref) {
        let along = dot(v, b);
        axpy(v, -along, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(points: u64, d: u64) -> Vec<Vec<u64>> {
        (0..points).map(|i| (d * i..d * i + d).collect()).collect()
    }

    #[test]
    fn points_have_the_tangents_of_their_dimension() {
        let rigid = |d| Tangents::new(&[Symmetry { kind: SymmetryKind::Rigid, blocks: set(3, d) }]);
        let at = |d: u64, theta: &[f64]| rigid(d).at(theta).len();
        assert_eq!(at(2, &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]), 3);
        assert_eq!(at(3, &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), 6);
        // On a line no rotation round it moves anything; on one spot none does.
        assert_eq!(at(3, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), 5);
        assert_eq!(at(3, &[1.0; 9]), 3);
    }

    #[test]
    fn mixed_points_have_the_tangents_of_their_group() {
        let theta = [0.7, -1.3, 0.2, 0.5, -0.4, 1.9, 1.1, 0.3];
        for (split, dimension) in [(0, 1), (2, 4)] {
            let tangents = Tangents::new(&[Symmetry { kind: SymmetryKind::Mixing { split }, blocks: set(4, 2) }]);
            let basis = tangents.at(&theta);
            assert_eq!(basis.len(), dimension);
            // Along them the products of points of either kind do not change: a . b for a of the first, b of the last two.
            for t in &basis {
                for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
                    let slope = (0..2).map(|k| t[2 * a + k] * theta[2 * b + k] + theta[2 * a + k] * t[2 * b + k]);
                    assert!(slope.sum::<f64>().abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn an_invariant_function_does_not_change_along_them() {
        // f = (a b)^2 + the squared distance of two points in the plane.
        let gradient = |x: &[f64]| {
            let (dx, dy) = (2.0 * (x[2] - x[4]), 2.0 * (x[3] - x[5]));
            vec![2.0 * x[0] * x[1] * x[1], 2.0 * x[0] * x[0] * x[1], dx, dy, -dx, -dy]
        };
        let tangents = Tangents::new(&[
            Symmetry { kind: SymmetryKind::Scale { split: 1 }, blocks: vec![vec![0, 1]] },
            Symmetry { kind: SymmetryKind::Rigid, blocks: vec![vec![2, 3], vec![4, 5]] },
        ]);
        let theta = [0.7, -1.3, 0.2, 0.5, -0.4, 1.9];
        let basis = tangents.at(&theta);
        assert_eq!(basis.len(), 4);
        for (i, t) in basis.iter().enumerate() {
            assert!(dot(t, &gradient(&theta)).abs() < 1e-14);
            for (j, other) in basis.iter().enumerate() {
                assert!((dot(t, other) - f64::from(u8::from(i == j))).abs() < 1e-14);
            }
        }
    }
}
