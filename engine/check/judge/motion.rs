//! Random elements of the symmetries that a loss declares: points moved to where the loss must be the same.

use super::taylor::scale;
use crate::check::random::Random;
use crate::loss::{Symmetry, SymmetryKind};

/// Moves a point by a random element of one symmetry.
pub fn moved(theta: &mut [f64], symmetry: &Symmetry, random: &mut Random) {
    let blocks: Vec<Vec<usize>> =
        symmetry.blocks.iter().map(|block| block.iter().map(|&i| i as usize).collect()).collect();
    match symmetry.kind {
        SymmetryKind::Permutation => permute(theta, &blocks, &shuffled(blocks.len(), random)),
        SymmetryKind::Sign => {
            // At least one block, or nothing is tried.
            let chosen = random.below(blocks.len().max(1) as u64) as usize;
            for (i, block) in blocks.iter().enumerate() {
                if i == chosen || random.unit() < 0.5 {
                    block.iter().for_each(|&at| theta[at] = -theta[at]);
                }
            }
        }
        SymmetryKind::Scale { split } => {
            for block in &blocks {
                let factor = (2.0 * random.unit() - 1.0).exp();
                let (first, rest) = block.split_at((split as usize).min(block.len()));
                first.iter().for_each(|&at| theta[at] *= factor);
                rest.iter().for_each(|&at| theta[at] /= factor);
            }
        }
        SymmetryKind::Period(period) => {
            for &at in blocks.iter().flatten() {
                let times = 1.0 + random.below(3) as f64;
                theta[at] += period * if random.unit() < 0.5 { times } else { -times };
            }
        }
        SymmetryKind::Rigid => rigid(theta, &blocks, random),
        SymmetryKind::Conjugation { split } => {
            let order = shuffled(blocks.len(), random);
            permute(theta, &blocks, &order);
            // The rows are where they belong; their entries follow.
            let columns =
                |block: &Vec<usize>| block[split as usize..].chunks(order.len()).map(<[usize]>::to_vec).collect();
            for row in blocks.iter().flat_map(|block| -> Vec<Vec<usize>> { columns(block) }) {
                let entries: Vec<Vec<usize>> = row.into_iter().map(|at| vec![at]).collect();
                permute(theta, &entries, &order);
            }
        }
        SymmetryKind::Mixing { split } => mix(theta, &blocks, split as usize, random),
    }
}

/// The kind of a symmetry, for a message.
pub fn name(symmetry: &Symmetry) -> String {
    let (n, block) = (symmetry.blocks.len(), symmetry.blocks.first().map_or(0, Vec::len));
    let what = match symmetry.kind {
        SymmetryKind::Permutation => "a permutation",
        SymmetryKind::Sign => "changes of sign",
        SymmetryKind::Scale { .. } => "a rescaling",
        SymmetryKind::Period(_) => "shifts by whole periods",
        SymmetryKind::Rigid => "a rigid motion",
        SymmetryKind::Conjugation { .. } => "a permutation with rows and columns",
        SymmetryKind::Mixing { split: 0 } => "a rotation",
        SymmetryKind::Mixing { .. } => "a mixing",
    };
    format!("{what} of {n} blocks of {block}")
}

/// An order that is not the first one.
fn shuffled(n: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    random.shuffle(&mut order);
    if order.len() > 1 && order.iter().enumerate().all(|(i, &from)| i == from) {
        order.swap(0, 1);
    }
    order
}

fn permute(theta: &mut [f64], blocks: &[Vec<usize>], order: &[usize]) {
    let values: Vec<Vec<f64>> = blocks.iter().map(|block| block.iter().map(|&at| theta[at]).collect()).collect();
    for (to, &from) in blocks.iter().zip(order) {
        to.iter().zip(&values[from]).for_each(|(&at, &value)| theta[at] = value);
    }
}

/// A rotation about the origin, made of plane rotations so that nothing is reflected, and a translation.
fn rigid(theta: &mut [f64], points: &[Vec<usize>], random: &mut Random) {
    let dimension = points.first().map_or(0, Vec::len);
    let far = scale(theta);
    turn(theta, points, random);
    for i in 0..dimension {
        let shift = far * random.normal();
        points.iter().for_each(|point| theta[point[i]] += shift);
    }
}

/// An orthogonal matrix; or one that is none between two, by its singular values.
fn mix(theta: &mut [f64], points: &[Vec<usize>], split: usize, random: &mut Random) {
    let (up, down) = points.split_at(split);
    turn(theta, points, random);
    let dimension = points.first().map_or(0, Vec::len);
    if up.is_empty() {
        let axis = random.below(dimension.max(1) as u64) as usize;
        down.iter().for_each(|point| theta[point[axis]] = -theta[point[axis]]);
        return;
    }
    for axis in 0..dimension {
        let factor = (2.0 * random.unit() - 1.0).exp();
        up.iter().for_each(|point| theta[point[axis]] *= factor);
        down.iter().for_each(|point| theta[point[axis]] /= factor);
    }
    turn(theta, points, random);
}

/// A rotation about the origin, made of plane rotations.
fn turn(theta: &mut [f64], points: &[Vec<usize>], random: &mut Random) {
    let dimension = points.first().map_or(0, Vec::len);
    for i in 0..dimension {
        for j in i + 1..dimension {
            let (sine, cosine) = (std::f64::consts::TAU * random.unit()).sin_cos();
            for point in points {
                let (x, y) = (theta[point[i]], theta[point[j]]);
                theta[point[i]] = cosine * x - sine * y;
                theta[point[j]] = sine * x + cosine * y;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symmetry(kind: SymmetryKind, n: u64, block: u64) -> Symmetry {
        Symmetry { kind, blocks: (0..n).map(|i| (i * block..(i + 1) * block).collect()).collect() }
    }

    fn trials(symmetry: &Symmetry, p: usize, check: impl Fn(&[f64], &[f64])) {
        for seed in 0..50 {
            let mut random = Random::new(seed, "motion");
            let before = random.normals(p);
            let mut after = before.clone();
            moved(&mut after, symmetry, &mut random);
            assert_ne!(before, after);
            check(&before, &after);
        }
    }

    #[test]
    fn permutations_move_whole_blocks() {
        let pairs = |x: &[f64]| {
            let mut pairs: Vec<Vec<u64>> = x.chunks(2).map(|pair| pair.iter().map(|x| x.to_bits()).collect()).collect();
            pairs.sort();
            pairs
        };
        trials(&symmetry(SymmetryKind::Permutation, 5, 2), 10, |a, b| assert_eq!(pairs(a), pairs(b)));
    }

    #[test]
    fn conjugations_keep_the_traces_of_powers() {
        // Two own entries a block, then the rows of a 3 x 3 matrix.
        let matrix = |x: &[f64]| -> Vec<f64> { (0..9).map(|k| x[k / 3 * 5 + 2 + k % 3]).collect() };
        let square = |m: &[f64]| -> Vec<f64> {
            (0..9).map(|k| (0..3).map(|j| m[k / 3 * 3 + j] * m[3 * j + k % 3]).sum()).collect()
        };
        let trace = |m: &[f64]| m[0] + m[4] + m[8];
        trials(&symmetry(SymmetryKind::Conjugation { split: 2 }, 3, 5), 15, |a, b| {
            let (a, b) = (matrix(a), matrix(b));
            assert!((trace(&a) - trace(&b)).abs() < 1e-12);
            assert!((trace(&square(&a)) - trace(&square(&b))).abs() < 1e-12);
            let mut sorted = [a, b];
            sorted.iter_mut().for_each(|m| m.sort_by(f64::total_cmp));
            assert_eq!(sorted[0], sorted[1]);
        });
    }

    #[test]
    fn mixings_keep_the_products_of_points() {
        let product = |x: &[f64], i: usize, j: usize| -> f64 { (0..3).map(|k| x[3 * i + k] * x[3 * j + k]).sum() };
        for split in [0, 2] {
            trials(&symmetry(SymmetryKind::Mixing { split }, 4, 3), 12, |a, b| {
                let kept = |i, j| (product(a, i, j) - product(b, i, j)).abs() < 1e-12;
                assert!((0..2).all(|i| (2..4).all(|j| kept(i, j))));
                // Among points that move alike only an orthogonal matrix keeps them.
                assert_eq!((0..4).all(|i| (0..4).all(|j| kept(i, j))), split == 0);
            });
        }
    }

    #[test]
    fn signs_change_block_by_block() {
        trials(&symmetry(SymmetryKind::Sign, 4, 2), 8, |a, b| {
            assert!(a.chunks(2).zip(b.chunks(2)).all(|(a, b)| a == b || (a[0] == -b[0] && a[1] == -b[1])));
        });
    }

    #[test]
    fn rescalings_keep_the_products() {
        trials(&symmetry(SymmetryKind::Scale { split: 1 }, 4, 2), 8, |a, b| {
            assert!(a.chunks(2).zip(b.chunks(2)).all(|(a, b)| (a[0] * a[1] - b[0] * b[1]).abs() < 1e-12));
        });
    }

    #[test]
    fn periods_are_whole() {
        trials(&symmetry(SymmetryKind::Period(2.5), 3, 1), 3, |a, b| {
            assert!(a.iter().zip(b).all(|(a, b)| ((b - a) / 2.5 - ((b - a) / 2.5).round()).abs() < 1e-12));
        });
    }

    #[test]
    fn rigid_motions_keep_distances_and_orientation() {
        let edge = |x: &[f64], i: usize| -> Vec<f64> { (0..3).map(|k| x[3 * i + 3 + k] - x[k]).collect() };
        let volume = |x: &[f64]| {
            let (a, b, c) = (edge(x, 0), edge(x, 1), edge(x, 2));
            a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
        };
        trials(&symmetry(SymmetryKind::Rigid, 4, 3), 12, |a, b| {
            let length = |x: &[f64], i| edge(x, i).iter().map(|x| x * x).sum::<f64>();
            assert!((0..3).all(|i| (length(a, i) - length(b, i)).abs() < 1e-12));
            assert!((volume(a) - volume(b)).abs() < 1e-12);
        });
    }
}
