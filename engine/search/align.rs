//! Symmetry of the objective: the copy of a point that lies nearest to another.
//!
//! Blocks that may be permuted, and perhaps negated one by one, are matched by an exact assignment on their
//! correlations (`family.rs`); families that share coordinates (the layers of a deep network, heads of attention and the
//! units within them) take turns until nothing improves (weight matching, Ainsworth, Hayase and Srinivasa 2022): from the
//! point as it is, and from its units as far as they are told by what no other family changes. Points that move rigidly
//! are matched and turned together (`rigid.rs`); those whose coordinates are mixed get the least sum of squares, and are
//! turned with every turn of the families (`mixing.rs`). Periodic coordinates are shifted by whole periods. Blocks that may be
//! rescaled get the scale of the reference: points that only their direction tells lie on one sphere. Every
//! move leaves the objective unchanged, so a path to a copy of a minimum is a path to that minimum in the quotient,
//! and bounds the death of its start in the raw landscape too.

use super::family::{Family, Membership, Points};
use super::mixing::{Mixed, Mixing};
use super::rigid::RigidSet;
use super::vector::{distance, norm};
use crate::loss::{Symmetry, SymmetryKind};

/// The declared symmetries, ready for matching.
#[derive(Clone, Debug, Default)]
pub struct Alignment {
    families: Vec<Family>,
    /// Blocks that may be negated.
    signs: Vec<Vec<usize>>,
    /// Sets of points, with what may be done to them beside rigid motions.
    points: Vec<RigidSet>,
    /// (coordinate, period).
    periods: Vec<(usize, f64)>,
    scalings: Vec<Scaling>,
    mixings: Vec<Mixing>,
    /// Kinds that were declared but are not matched here.
    ignored: Vec<&'static str>,
}

/// Nearer than this part of its length a point is a copy, and no nearer one is looked for.
const COPY: f64 = 1e-9;
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
                SymmetryKind::Permutation => {
                    let own = blocks.first().map_or(0, Vec::len);
                    alignment.families.push(Family::new(blocks, own));
                }
                SymmetryKind::Conjugation { split } => alignment.families.push(Family::new(blocks, split as usize)),
                SymmetryKind::Sign => alignment.signs.extend(blocks),
                SymmetryKind::Period(period) => {
                    alignment.periods.extend(blocks.into_iter().flatten().map(|i| (i, period)));
                }
                SymmetryKind::Scale { split } => alignment.scalings.extend(blocks.into_iter().map(|mut up| {
                    let down = up.split_off((split as usize).min(up.len()));
                    Scaling { up, down }
                })),
                SymmetryKind::Mixing { split } => alignment.mixings.push(Mixing::new(blocks, split as usize)),
                SymmetryKind::Rigid => rigid.push(blocks),
            }
        }
        for blocks in rigid {
            match RigidSet::new(blocks) {
                Some(mut points) => {
                    // The turns below would not find the rotation.
                    alignment.families.retain(|family| !(family.is_linear() && points.exchange(&family.blocks)));
                    alignment.signs.retain(|block| !points.reflect(block));
                    alignment.points.push(points);
                }
                None => alignment.ignored.push("rigid motion of points that have neither 2 nor 3 coordinates"),
            }
        }
        alignment.couple();
        alignment
    }

    /// Tells the families of each other, and of their signs.
    fn couple(&mut self) {
        let signs = Membership::of(self.signs.iter().map(Vec::as_slice));
        let coordinates: Vec<Vec<usize>> = self.families.iter().map(|family| family.blocks.concat()).collect();
        let families = Membership::of(coordinates.iter().map(Vec::as_slice));
        let likeness: Vec<[usize; 3]> = self.families.iter().map(Family::likeness).collect();
        let points = Points::of(&self.mixings);
        for (at, family) in self.families.iter_mut().enumerate() {
            family.mix(&points);
            family.sign(&self.signs, &signs);
            family.tell(at, &likeness, &families, &signs);
        }
    }

    /// No symmetry at all.
    pub fn none() -> Alignment {
        Alignment::default()
    }

    /// True when points have no copies to choose from.
    pub fn is_trivial(&self) -> bool {
        let are_moved = self.families.is_empty() && self.signs.is_empty() && self.points.is_empty();
        are_moved && self.periods.is_empty() && self.scalings.is_empty() && self.mixings.is_empty()
    }

    /// Kinds that were declared but do not identify points here.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    /// The copy of `theta` nearest to `reference`, up to what taking turns between layers misses.
    ///
    /// O(h^2 b + h^3) for each family of h blocks of b coordinates and each turn, and as much again for what units are told
    /// by; points that move rigidly cost some dozens of such turns.
    pub fn nearest(&self, reference: &[f64], theta: &[f64]) -> Vec<f64> {
        let mut theta = theta.to_vec();
        for &(i, period) in &self.periods {
            theta[i] -= period * ((theta[i] - reference[i]) / period).round();
        }
        self.points.iter().for_each(|points| points.nearest(reference, &mut theta));
        // Units are matched as if all were scaled alike, and get the scales of the reference at the end.
        let mut wanted = reference.to_vec();
        let (scales, mixed) = self.balance(&mut wanted);
        self.balance(&mut theta);
        self.matched(&wanted, &mut theta);
        self.scalings.iter().zip(scales).for_each(|(scaling, by)| scaling.stretch(&mut theta, 1.0 / by));
        self.mixings.iter().zip(&mixed).for_each(|(mixing, mixed)| mixing.unmix(&mut theta, mixed));
        theta
    }

    /// The nearer of what turns come to from the point itself, and from where its units are told by what no other family
    /// changes.
    fn matched(&self, reference: &[f64], theta: &mut Vec<f64>) {
        let mut told = theta.clone();
        let near = self.turns(reference, theta);
        if !self.families.iter().any(Family::is_coupled) || near <= COPY * norm(reference) {
            return;
        }
        // Heads before the units within them.
        let mut order: Vec<&Family> = self.families.iter().collect();
        order.sort_by_key(|family| std::cmp::Reverse(family.blocks.len() * family.blocks[0].len()));
        order.into_iter().for_each(|family| family.describe(reference, &mut told));
        if self.turns(reference, &mut told) < near * (1.0 - 1e-9) {
            *theta = told;
        }
    }

    /// Takes turns between families until nothing improves; how far the point is then.
    fn turns(&self, reference: &[f64], theta: &mut Vec<f64>) -> f64 {
        let mut best = distance(reference, theta);
        for _turn in 0..20 {
            let mut trial = theta.clone();
            self.mixings.iter().for_each(|mixing| mixing.turn(reference, &mut trial));
            self.families.iter().for_each(|family| family.correlate(reference, &mut trial));
            self.negate(reference, &mut trial);
            // Units that came to another place are turned as those that are there.
            self.mixings.iter().for_each(|mixing| mixing.turn(reference, &mut trial));
            let d = distance(reference, &trial);
            if d >= best * (1.0 - 1e-12) {
                break;
            }
            best = d;
            *theta = trial;
            if self.families.len() == 1 && self.families[0].is_linear() && self.mixings.is_empty() {
                break; // An exact assignment has nothing left to improve.
            }
        }
        best
    }

    /// Negates every block that is then nearer.
    fn negate(&self, reference: &[f64], theta: &mut [f64]) {
        for block in &self.signs {
            if block.iter().map(|&i| reference[i] * theta[i]).sum::<f64>() < 0.0 {
                block.iter().for_each(|&i| theta[i] = -theta[i]);
            }
        }
    }

    /// Scales every block so that both its parts are equally long, or its only part is of length one, and mixes points
    /// likewise; by how much each was.
    fn balance(&self, theta: &mut [f64]) -> (Vec<f64>, Vec<Mixed>) {
        let mut scales = vec![1.0; self.scalings.len()];
        let mut mixed: Vec<Mixed> = self.mixings.iter().map(Mixing::unmixed).collect();
        // Blocks that share coordinates, those of two layers, take turns: the least sum of squares has them all balanced.
        for _turn in 0..TURNS {
            let mut most = 1.0_f64;
            for (scaling, scale) in self.scalings.iter().zip(&mut scales) {
                let by = scaling.balancing(theta);
                scaling.stretch(theta, by);
                *scale *= by;
                most = most.max(by).max(1.0 / by);
            }
            for (mixing, mixed) in self.mixings.iter().zip(&mut mixed) {
                most = most.max(mixing.balance(theta, mixed));
            }
            if most <= 1.0 + 1e-13 {
                break;
            }
        }
        (scales, mixed)
    }

    /// The Betti numbers of what points are compared in: of a product of lines, circles (a coordinate with a period) and
    /// spheres (a block that only its direction tells), where the loss lives in all of that; `None` where exchanges,
    /// reflections or rotations leave another space.
    pub fn betti(&self, params: usize) -> Option<Vec<usize>> {
        let spheres =
            self.scalings.iter().map(|s| s.down.is_empty().then(|| s.up.len() - 1)).collect::<Option<Vec<usize>>>()?;
        let own =
            |block: &[usize]| self.scalings.iter().filter(|s| s.up.iter().any(|i| block.contains(i))).count() == 1;
        let is_flat =
            self.families.is_empty() && self.signs.is_empty() && self.points.is_empty() && self.mixings.is_empty();
        if !is_flat || !self.scalings.iter().all(|s| own(&s.up)) {
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

    proptest! {
        #[test]
        fn a_copy_with_all_layers_permuted_is_undone(
            theta in prop::collection::vec(-3.0f64..3.0, 155), shift in 1usize..5, step in 1usize..5
        ) {
            // Five layers of five units: weights into the first, biases, weights from each to the next, weights out.
            let (layers, n) = (5, 5);
            let weight = |layer: usize, to: usize, from: usize| (30 * layer + 6 * to + from) as u64;
            let block = |layer: usize, unit: usize| -> Vec<u64> {
                let bias = weight(layer, unit, n);
                (0..n).map(|k| weight(layer, unit, k)).chain([bias]).chain(out(layer, unit)).collect()
            };
            fn out(layer: usize, unit: usize) -> Vec<u64> {
                match layer {
                    4 => vec![150 + unit as u64],
                    _ => (0..5).map(|k| (30 * (layer + 1) + 6 * k + unit) as u64).collect(),
                }
            }
            let families: Vec<Symmetry> = (0..layers)
                .map(|l| Symmetry { kind: SymmetryKind::Permutation, blocks: (0..n).map(|u| block(l, u)).collect() })
                .collect();
            let mut copy = theta.clone();
            for family in &families {
                let before = copy.clone();
                for (to, block) in family.blocks.iter().enumerate() {
                    let from = &family.blocks[(to * step + shift) % n];
                    block.iter().zip(from).for_each(|(to, from)| copy[*to as usize] = before[*from as usize]);
                }
            }
            // Two descents to one minimum end a little apart.
            copy.iter_mut().enumerate().for_each(|(i, x)| *x += 1e-7 * (i % 7) as f64);
            prop_assert!(Alignment::new(&families).distance(&theta, &copy) < 1e-5);
        }

        #[test]
        fn a_conjugated_and_negated_copy_is_undone(
            theta in prop::collection::vec(-3.0f64..3.0, 24), shift in 1usize..4, signs in 0u32..16
        ) {
            // Four units: two numbers of their own, of which a sign changes one, and a row of a 4 x 4 matrix.
            let n = 4;
            let at = |row: usize, k: usize| (6 * row + k) as u64;
            let blocks: Vec<Vec<u64>> = (0..n).map(|row| (0..6).map(|k| at(row, k)).collect()).collect();
            let negated = |unit: usize| -> Vec<u64> {
                let others = (0..n).filter(move |j| *j != unit);
                [at(unit, 1)].into_iter().chain(others.flat_map(|j| [at(unit, 2 + j), at(j, 2 + unit)])).collect()
            };
            let mut all = vec![Symmetry { kind: SymmetryKind::Conjugation { split: 2 }, blocks }];
            all.extend((0..n).map(|unit| Symmetry { kind: SymmetryKind::Sign, blocks: vec![negated(unit)] }));
            let mut copy = theta.clone();
            for row in 0..n {
                for k in 0..6 {
                    let from = if k < 2 { k } else { 2 + (k - 2 + shift) % n };
                    copy[at(row, k) as usize] = theta[at((row + shift) % n, from) as usize];
                }
            }
            for unit in (0..n).filter(|unit| signs >> unit & 1 == 1) {
                negated(unit).iter().for_each(|&i| copy[i as usize] = -copy[i as usize]);
            }
            prop_assert!(Alignment::new(&all).distance(&theta, &copy) < 1e-12);
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

    proptest! {
        #[test]
        fn heads_that_are_mixed_and_exchanged_are_told_beside_a_permuted_stream(
            theta in prop::collection::vec(-3.0f64..3.0, 84), turn in 0.1f64..3.0, stretch in 0.5f64..2.0,
            shift in 0usize..6, exchanged: bool, split in prop::sample::select(vec![0u64, 6]),
        ) {
            // Two heads of queries and keys of three: 6 x 3 each, stream dimension by dimension; and what else each of those is.
            let at = |head: usize, kind: usize, row: usize, k: usize| (head * 36 + kind * 18 + row * 3 + k) as u64;
            let point = |h: usize, p: usize| (0..3).map(|k| at(h, p / 6, p % 6, k)).collect::<Vec<u64>>();
            let head = |h: usize| (0..12).map(|p| point(h, p)).collect::<Vec<_>>();
            let row = |r: usize| -> Vec<u64> {
                let of_heads = (0..4).flat_map(|p| point(p / 2, p % 2 * 6 + r));
                of_heads.chain([72 + 2 * r as u64, 73 + 2 * r as u64]).collect()
            };
            let all = [
                Symmetry { kind: SymmetryKind::Permutation, blocks: (0..2).map(|h| head(h).concat()).collect() },
                Symmetry { kind: SymmetryKind::Permutation, blocks: (0..6).map(row).collect() },
                Symmetry { kind: SymmetryKind::Mixing { split }, blocks: head(0) },
                Symmetry { kind: SymmetryKind::Mixing { split }, blocks: head(1) },
            ];
            let mut copy = theta.clone();
            for (h, by) in [(0, turn), (1, 1.7 * turn)] {
                let (sin, cos) = by.sin_cos();
                for (p, point) in head(h).iter().enumerate() {
                    let [a, b, c] = [0, 1, 2].map(|k| copy[point[k] as usize]);
                    let factor = if split == 0 { 1.0 } else if p < 6 { stretch } else { 1.0 / stretch };
                    for (k, x) in [factor * (cos * a - sin * b), sin * a + cos * b, -c].into_iter().enumerate() {
                        copy[point[k] as usize] = x;
                    }
                }
            }
            let before = copy.clone();
            for r in 0..6 {
                let from = row((r * 5 + shift) % 6);
                row(r).iter().zip(from).for_each(|(to, from)| copy[*to as usize] = before[from as usize]);
            }
            if exchanged {
                let (a, b) = copy[..72].split_at_mut(36);
                a.swap_with_slice(b);
            }
            let alignment = Alignment::new(&all);
            prop_assert!(alignment.distance(&theta, &copy) < 1e-6, "{}", alignment.distance(&theta, &copy));
            prop_assert_eq!(alignment.betti(84), None);
        }
    }

    #[test]
    fn a_period_is_taken_off() {
        let alignment = Alignment::new(&[Symmetry { kind: SymmetryKind::Period(2.0), blocks: vec![vec![0]] }]);
        assert_eq!(alignment.nearest(&[0.9, 0.0], &[-0.9, 5.0]), vec![1.1, 5.0]);
    }
}
