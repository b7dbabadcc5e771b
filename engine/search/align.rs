//! Symmetry of the objective: the copy of a point that lies nearest to another.
//!
//! Blocks that may be permuted, and perhaps negated one by one, are matched by an exact assignment on their
//! correlations; families that share coordinates (the layers of a deep network) take turns until nothing improves
//! (weight matching, Ainsworth, Hayase and Srinivasa 2022). Points that move rigidly are matched and turned together
//! (`rigid.rs`). Periodic coordinates are shifted by whole periods. Blocks that may be rescaled get the scale of the
//! reference: points that only their direction tells lie on one sphere. Every
//! move leaves the objective unchanged, so a path to a copy of a minimum is a path to that minimum in the quotient,
//! and bounds the death of its start in the raw landscape too.

use super::assignment::assignment;
use super::rigid::RigidSet;
use super::vector::{distance, dot};
use crate::loss::{Symmetry, SymmetryKind};

/// The declared symmetries, ready for matching.
#[derive(Clone, Debug, Default)]
pub struct Alignment {
    families: Vec<Family>,
    /// Sets of points, with what may be done to them beside rigid motions.
    points: Vec<RigidSet>,
    /// (coordinate, period).
    periods: Vec<(usize, f64)>,
    scalings: Vec<Scaling>,
    /// Kinds that were declared but are not matched here.
    ignored: Vec<&'static str>,
}

/// Blocks of coordinates that look alike to the objective.
#[derive(Clone, Debug)]
struct Family {
    blocks: Vec<Vec<usize>>,
    permute: bool,
    negate: bool,
}

/// Turns after which blocks that share coordinates are balanced well enough.
const TURNS: usize = 100;

impl Alignment {
    /// Reads the records of a loss; `none()` searches in the raw space.
    pub fn new(symmetries: &[Symmetry]) -> Alignment {
        let mut alignment = Alignment::none();
        let mut rigid = Vec::new();
        for symmetry in symmetries {
            let blocks: Vec<Vec<usize>> =
                symmetry.blocks.iter().map(|b| b.iter().map(|&i| i as usize).collect()).collect();
            match symmetry.kind {
                SymmetryKind::Permutation => alignment.family(blocks).permute = true,
                SymmetryKind::Sign => alignment.family(blocks).negate = true,
                SymmetryKind::Period(period) => {
                    alignment.periods.extend(blocks.into_iter().flatten().map(|i| (i, period)));
                }
                SymmetryKind::Scale { split } => alignment.scalings.extend(blocks.into_iter().map(|mut up| {
                    let down = up.split_off((split as usize).min(up.len()));
                    Scaling { up, down }
                })),
                SymmetryKind::Rigid => rigid.push(blocks),
            }
        }
        for blocks in rigid {
            match RigidSet::new(blocks) {
                Some(mut points) => {
                    alignment.families.retain(|family| !family.is_absorbed(&mut points));
                    alignment.points.push(points);
                }
                None => alignment.ignored.push("rigid motion of points that have neither 2 nor 3 coordinates"),
            }
        }
        alignment
    }

    /// No symmetry at all.
    pub fn none() -> Alignment {
        Alignment::default()
    }

    /// True when points have no copies to choose from.
    pub fn is_trivial(&self) -> bool {
        self.families.is_empty() && self.points.is_empty() && self.periods.is_empty() && self.scalings.is_empty()
    }

    /// Kinds that were declared but do not identify points here.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    fn family(&mut self, blocks: Vec<Vec<usize>>) -> &mut Family {
        let known = self.families.iter().position(|f| f.blocks == blocks);
        let at = known.unwrap_or_else(|| {
            self.families.push(Family { blocks, permute: false, negate: false });
            self.families.len() - 1
        });
        &mut self.families[at]
    }

    /// The copy of `theta` nearest to `reference`, up to what taking turns between layers misses.
    ///
    /// O(h^2 b + h^3) for each family of h blocks of b coordinates and each turn; points that move rigidly cost some dozens of
    /// such turns.
    pub fn nearest(&self, reference: &[f64], theta: &[f64]) -> Vec<f64> {
        let mut theta = theta.to_vec();
        for &(i, period) in &self.periods {
            theta[i] -= period * ((theta[i] - reference[i]) / period).round();
        }
        self.points.iter().for_each(|points| points.nearest(reference, &mut theta));
        // Units are matched as if all were scaled alike, and get the scales of the reference at the end.
        let mut wanted = reference.to_vec();
        let scales = self.balance(&mut wanted);
        self.balance(&mut theta);
        self.matched(&wanted, &mut theta);
        self.scalings.iter().zip(scales).for_each(|(scaling, by)| scaling.stretch(&mut theta, 1.0 / by));
        theta
    }

    /// Takes turns between families until nothing improves.
    fn matched(&self, reference: &[f64], theta: &mut Vec<f64>) {
        let mut best = distance(reference, theta);
        for _turn in 0..20 {
            let mut trial = theta.clone();
            self.families.iter().for_each(|family| family.match_blocks(reference, &mut trial));
            let d = distance(reference, &trial);
            if d >= best * (1.0 - 1e-12) {
                break;
            }
            best = d;
            *theta = trial;
            if self.families.len() == 1 {
                break; // An exact assignment has nothing left to improve.
            }
        }
    }

    /// Scales every block so that both its parts are equally long, or its only part is of length one; by how much each was.
    fn balance(&self, theta: &mut [f64]) -> Vec<f64> {
        let mut scales = vec![1.0; self.scalings.len()];
        // Blocks that share coordinates, those of two layers, take turns: the least sum of squares has them all balanced.
        for _turn in 0..TURNS {
            let mut most = 1.0_f64;
            for (scaling, scale) in self.scalings.iter().zip(&mut scales) {
                let by = scaling.balancing(theta);
                scaling.stretch(theta, by);
                *scale *= by;
                most = most.max(by).max(1.0 / by);
            }
            if most <= 1.0 + 1e-13 {
                break;
            }
        }
        scales
    }

    /// The Betti numbers of what points are compared in: of a product of lines, circles (a coordinate with a period) and
    /// spheres (a block that only its direction tells), where the loss lives in all of that; `None` where exchanges,
    /// reflections or rotations leave another space.
    pub fn betti(&self, params: usize) -> Option<Vec<usize>> {
        let spheres =
            self.scalings.iter().map(|s| s.down.is_empty().then(|| s.up.len() - 1)).collect::<Option<Vec<usize>>>()?;
        let own =
            |block: &[usize]| self.scalings.iter().filter(|s| s.up.iter().any(|i| block.contains(i))).count() == 1;
        if !self.families.is_empty() || !self.points.is_empty() || !self.scalings.iter().all(|s| own(&s.up)) {
            return None;
        }
        let mut numbers = vec![1];
        for dimension in self.periods.iter().map(|_| 1).chain(spheres) {
            let mut product = vec![0; numbers.len() + dimension];
            for (k, number) in numbers.iter().enumerate() {
                product[k] += number;
                product[k + dimension] += number;
            }
            numbers = product;
        }
        numbers.truncate(params + 1);
        Some(numbers)
    }

    /// The distance between two points up to symmetry.
    pub fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        distance(a, &self.nearest(a, b))
    }
}

/// Entries that may be multiplied by a number if the others are divided by it.
#[derive(Clone, Debug)]
struct Scaling {
    up: Vec<usize>,
    down: Vec<usize>,
}

impl Scaling {
    fn stretch(&self, theta: &mut [f64], by: f64) {
        self.up.iter().for_each(|&i| theta[i] *= by);
        self.down.iter().for_each(|&i| theta[i] /= by);
    }

    /// The factor that balances it; 1 where a part is zero.
    fn balancing(&self, theta: &[f64]) -> f64 {
        let size = |part: &[usize]| part.iter().map(|&i| theta[i] * theta[i]).sum::<f64>().sqrt();
        let by = match (self.up.is_empty(), self.down.is_empty()) {
            (false, false) => (size(&self.down) / size(&self.up)).sqrt(),
            (_, true) => 1.0 / size(&self.up),
            (true, _) => size(&self.down),
        };
        if by > 0.0 && by.is_finite() { by } else { 1.0 }
    }
}

impl Family {
    /// Hands a symmetry of points that move rigidly over to their set: the turns below would not find the rotation.
    fn is_absorbed(&self, points: &mut RigidSet) -> bool {
        match (self.permute, self.negate, &self.blocks[..]) {
            (true, false, blocks) => points.exchange(blocks),
            (false, true, [whole]) => points.reflect(whole),
            _ => false,
        }
    }

    fn match_blocks(&self, reference: &[f64], theta: &mut [f64]) {
        let gather = |x: &[f64]| -> Vec<Vec<f64>> {
            self.blocks.iter().map(|block| block.iter().map(|&i| x[i]).collect()).collect()
        };
        let (wanted, given) = (gather(reference), gather(theta));
        let n = self.blocks.len();
        let correlation: Vec<f64> = wanted.iter().flat_map(|w| given.iter().map(|g| dot(w, g))).collect();
        let assigned: Vec<usize> = if self.permute {
            let gain = |c: &f64| if self.negate { -c.abs() } else { -c };
            assignment(&correlation.iter().map(gain).collect::<Vec<_>>(), n)
        } else {
            (0..n).collect()
        };
        for (to, &from) in assigned.iter().enumerate() {
            let sign = if self.negate && correlation[to * n + from] < 0.0 { -1.0 } else { 1.0 };
            for (&i, value) in self.blocks[to].iter().zip(&given[from]) {
                theta[i] = sign * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_permuted_and_negated_copy_is_undone(
            theta in prop::collection::vec(-3.0f64..3.0, 12), shift in 0usize..4, signs in 0u32..16
        ) {
            // Four blocks of three coordinates.
            let blocks: Vec<Vec<u64>> = (0..4).map(|b| (3 * b..3 * b + 3).collect()).collect();
            let alignment = Alignment::new(&[
                Symmetry { kind: SymmetryKind::Permutation, blocks: blocks.clone() },
                Symmetry { kind: SymmetryKind::Sign, blocks },
            ]);
            let mut copy = theta.clone();
            copy.rotate_right(3 * shift);
            for (b, block) in copy.chunks_mut(3).enumerate() {
                if signs >> b & 1 == 1 {
                    block.iter_mut().for_each(|x| *x = -*x);
                }
            }
            prop_assert!(alignment.distance(&theta, &copy) < 1e-12);
        }
    }

    #[test]
    fn a_rescaled_and_permuted_copy_is_undone() {
        // Two layers of rectifiers: the weights out of the first are those into the second.
        let scale = |blocks: Vec<Vec<u64>>, split| Symmetry { kind: SymmetryKind::Scale { split }, blocks };
        let units = |blocks| Symmetry { kind: SymmetryKind::Permutation, blocks };
        let first: Vec<Vec<u64>> = vec![vec![0, 2, 4], vec![1, 3, 5]];
        let second: Vec<Vec<u64>> = vec![vec![2, 3, 6], vec![4, 5, 7]];
        let both = [units(first.clone()), units(second.clone()), scale(first, 1), scale(second, 2)];
        let alignment = Alignment::new(&both);
        let theta = [0.7, -1.2, 0.4, 0.9, -0.3, 1.1, 0.8, -0.5];
        // The units of the first layer exchanged and stretched by 2 and 0.1, those of the second stretched by 3 and 5.
        let (a, b, c, d) = (2.0, 0.1, 3.0, 5.0);
        let copy = [
            theta[1] * a,
            theta[0] * b,
            theta[3] / a * c,
            theta[2] / b * c,
            theta[5] / a * d,
            theta[4] / b * d,
            theta[6] / c,
            theta[7] / d,
        ];
        assert!(alignment.distance(&theta, &copy) < 1e-9, "{:?}", alignment.nearest(&theta, &copy));
        let sphere = Alignment::new(&[scale(vec![vec![0, 1, 2]], 3)]);
        assert_eq!(sphere.nearest(&[3.0, 0.0, 4.0], &[0.0, 0.1, 0.0]), vec![0.0, 5.0, 0.0]);
        assert_eq!((sphere.betti(3), alignment.betti(8)), (Some(vec![1, 0, 1]), None));
    }

    #[test]
    fn a_period_is_taken_off() {
        let alignment = Alignment::new(&[Symmetry { kind: SymmetryKind::Period(2.0), blocks: vec![vec![0]] }]);
        assert_eq!(alignment.nearest(&[0.9, 0.0], &[-0.9, 5.0]), vec![1.1, 5.0]);
    }
}
