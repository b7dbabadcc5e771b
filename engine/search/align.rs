//! Symmetry of the objective: the copy of a point that lies nearest to another.
//!
//! Blocks that may be permuted, and perhaps negated one by one, are matched by an exact assignment on their
//! correlations; families that share coordinates (the layers of a deep network) take turns until nothing improves
//! (weight matching, Ainsworth, Hayase and Srinivasa 2022). Points that move rigidly are matched and turned together
//! (`rigid.rs`). Periodic coordinates are shifted by whole periods. Every
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
                SymmetryKind::Scale { .. } => alignment.ignored.push("positive rescaling"),
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
        self.families.is_empty() && self.points.is_empty() && self.periods.is_empty()
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
        let mut best = distance(reference, &theta);
        for _turn in 0..20 {
            let mut trial = theta.clone();
            self.families.iter().for_each(|family| family.match_blocks(reference, &mut trial));
            let d = distance(reference, &trial);
            if d >= best * (1.0 - 1e-12) {
                break;
            }
            best = d;
            theta = trial;
            if self.families.len() == 1 {
                break; // An exact assignment has nothing left to improve.
            }
        }
        theta
    }

    /// The distance between two points up to symmetry.
    pub fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        distance(a, &self.nearest(a, b))
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
    fn a_period_is_taken_off() {
        let alignment = Alignment::new(&[Symmetry { kind: SymmetryKind::Period(2.0), blocks: vec![vec![0]] }]);
        assert_eq!(alignment.nearest(&[0.9, 0.0], &[-0.9, 5.0]), vec![1.1, 5.0]);
    }
}
