//! Units that look alike to the objective: which of one point is which of another.
//!
//! A unit is a block of coordinates. Units are matched by an exact assignment on the correlations of their blocks, each
//! taken with the signs that suit it best. What belongs to two units, the weights from a recurrent layer to itself, is
//! compared as the other of the two stands at the time: a quadratic assignment, solved by linear ones in turns.
//!
//! Where much of a block is moved by other families too, correlations say little before those are matched. So units can
//! also be told by what no other family changes: numbers that only this one moves in their places, all others sorted, by
//! size where a sign may change. Between copies these agree exactly, and sorting brings no two vectors further apart.
//! Of a point whose coordinates are mixed its length is such a number. Points that a unit has for itself are compared as
//! turned each best.

use super::assignment::assignment;
use super::mixing::{Mixing, correlation};
use super::singular::Singular;
use super::vector::{distance, dot, norm};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks of coordinates that may be permuted.
#[derive(Clone, Debug)]
pub struct Family {
    pub blocks: Vec<Vec<usize>>,
    /// Entries of a block that belong to its unit alone; behind them stand rows of square matrices.
    own: usize,
    /// Own entries by the signs that negate them, a bit a sign.
    signed: Vec<(u32, Vec<usize>)>,
    /// Of every unit, what each of its signs negates.
    signs: Vec<Vec<Vec<usize>>>,
    /// What units are told by: sets of own entries that are sorted, one by one where nothing else moves them, and whether
    /// their signs count.
    told: Vec<(Vec<Place>, bool)>,
    held: Held,
    /// Whether signs of entries of the matrices count.
    is_matrix_signed: bool,
}

/// Own entries of which the length counts: one, or the coordinates of a point.
type Place = Vec<usize>;

/// What a unit has of points whose coordinates are mixed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    /// Own entries by the points whose coordinates they are, if these are mixed in the unit alone.
    turned: Vec<Vec<Place>>,
    /// The points that it has of others.
    seen: Vec<(usize, Place)>,
    /// Own entries that are in a point of which the unit does not have all, or in two.
    blurred: BTreeSet<usize>,
}

/// More signs than this of one unit are not tried in all combinations.
const SIGNS_MAX: usize = 6;

/// Which of some sets a coordinate lies in.
pub struct Membership {
    starts: Vec<usize>,
    sets: Vec<usize>,
}

impl Membership {
    pub fn of<'s>(sets: impl Iterator<Item = &'s [usize]> + Clone) -> Membership {
        let count = sets.clone().flatten().max().map_or(0, |most| most + 1);
        let mut starts = vec![0; count + 1];
        sets.clone().flatten().for_each(|i| starts[i + 1] += 1);
        (0..count).for_each(|i| starts[i + 1] += starts[i]);
        let mut next = starts.clone();
        let mut all = vec![0; starts[count]];
        for (set, entries) in sets.enumerate() {
            for &i in entries {
                all[next[i]] = set;
                next[i] += 1;
            }
        }
        Membership { starts, sets: all }
    }

    fn at(&self, i: usize) -> &[usize] {
        match i + 1 < self.starts.len() {
            true => &self.sets[self.starts[i]..self.starts[i + 1]],
            false => &[],
        }
    }
}

/// Points whose coordinates are mixed, and which a coordinate belongs to.
pub struct Points<'a> {
    /// Every point and the number of its mixing.
    all: Vec<(usize, &'a Vec<usize>)>,
    /// How many points a mixing has.
    counts: Vec<usize>,
    of: Membership,
}

impl<'a> Points<'a> {
    pub fn of(mixings: &'a [Mixing]) -> Points<'a> {
        let numbered = mixings.iter().enumerate();
        let all: Vec<(usize, &Vec<usize>)> = numbered.flat_map(|(k, m)| m.points().map(move |p| (k, p))).collect();
        let of = Membership::of(all.iter().map(|(_, point)| &point[..]));
        Points { all, counts: mixings.iter().map(|mixing| mixing.points().count()).collect(), of }
    }
}

impl Family {
    /// Blocks of which the first `own` entries are in no matrix.
    pub fn new(blocks: Vec<Vec<usize>>, own: usize) -> Family {
        let signed = vec![(0, (0..own).collect())];
        let signs = vec![Vec::new(); blocks.len()];
        Family { blocks, own, signed, signs, told: Vec::new(), held: Held::default(), is_matrix_signed: false }
    }

    /// Whether an assignment is all there is to it.
    pub fn is_linear(&self) -> bool {
        self.own == self.blocks[0].len()
    }

    /// Whether another family moves some of it, or it moves itself.
    pub fn is_coupled(&self) -> bool {
        let is_alone = |(places, _): &(Vec<Place>, bool)| matches!(&places[..], [place] if place.len() == 1);
        !self.is_linear() || !self.held.blurred.is_empty() || !self.told.iter().all(is_alone)
    }

    /// What the family is like; families that a third one exchanges are alike.
    pub fn likeness(&self) -> [usize; 3] {
        [self.blocks.len(), self.blocks[0].len(), self.own]
    }

    /// Takes note of the points in its units whose coordinates are mixed; before it is told of signs.
    pub fn mix(&mut self, points: &Points<'_>) {
        let first = self.points_of(0, points);
        if (1..self.blocks.len()).any(|unit| self.points_of(unit, points) != first) {
            let is_in_point = |k: &usize| self.blocks.iter().any(|block| !points.of.at(block[*k]).is_empty());
            self.held.blurred = (0..self.own).filter(is_in_point).collect();
            return;
        }
        self.held = first;
        let turned: BTreeSet<usize> = self.held.turned.iter().flatten().flatten().copied().collect();
        self.signed = vec![(0, (0..self.own).filter(|k| !turned.contains(k)).collect())];
    }

    /// Of a unit the mixings that it has for itself, point by point; its points of others, by mixing; and what is neither.
    fn points_of(&self, unit: usize, points: &Points<'_>) -> Held {
        let own = &self.blocks[unit][..self.own];
        let places: BTreeMap<usize, usize> = own.iter().enumerate().map(|(k, i)| (*i, k)).collect();
        let mut blurred = BTreeSet::new();
        let mut mixings: BTreeMap<usize, Vec<Place>> = BTreeMap::new();
        for (k, i) in own.iter().enumerate() {
            let [point] = points.of.at(*i) else {
                blurred.extend((!points.of.at(*i).is_empty()).then_some(k));
                continue;
            };
            let (mixing, coordinates) = points.all[*point];
            match coordinates.iter().map(|i| places.get(i).copied()).collect::<Option<Place>>() {
                Some(place) if place[0] == k => mixings.entry(mixing).or_default().push(place),
                Some(_) => {}
                None => blurred.extend([k]),
            }
        }
        mixings.values_mut().for_each(|places| places.retain(|place| place.iter().all(|k| !blurred.contains(k))));
        let (whole, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            mixings.into_iter().partition(|(mixing, places)| places.len() == points.counts[*mixing]);
        let mut whole: Vec<Vec<Place>> = whole.into_values().collect();
        whole.sort();
        let others =
            others.into_iter().flat_map(|(mixing, places)| places.into_iter().map(move |place| (mixing, place)));
        Held { turned: whole, seen: others.collect(), blurred }
    }

    /// Takes note of the signs that belong to its units.
    pub fn sign(&mut self, signs: &[Vec<usize>], of: &Membership) {
        // A unit's are those that touch no other unit's own entries.
        let mut unit: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        for (u, block) in self.blocks.iter().enumerate() {
            for sign in block[..self.own].iter().flat_map(|i| of.at(*i)) {
                let known = unit.entry(*sign).or_insert(Some(u));
                *known = known.filter(|known| *known == u);
            }
        }
        let mut units = vec![Vec::new(); self.blocks.len()];
        unit.iter().filter_map(|(sign, unit)| Some((sign, (*unit)?))).for_each(|(sign, u)| units[u].push(*sign));
        let compared = self.signed.iter().flat_map(|(_, entries)| entries.clone()).collect::<Vec<usize>>();
        let masks = |u: usize| -> Vec<u32> {
            let bit = |sign: &usize| units[u].iter().position(|own| own == sign).map_or(0, |k| 1 << k);
            compared.iter().map(|k| of.at(self.blocks[u][*k]).iter().map(bit).sum()).collect()
        };
        let count = units[0].len();
        if count > SIGNS_MAX || units.iter().any(|unit| unit.len() != count) {
            return;
        }
        let first = masks(0);
        if (1..self.blocks.len()).any(|u| masks(u) != first) {
            return;
        }
        let mut by_mask: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        first.into_iter().zip(&compared).for_each(|(mask, k)| by_mask.entry(mask).or_default().push(*k));
        self.signed = by_mask.into_iter().collect();
        self.signs = units.iter().map(|unit| unit.iter().map(|sign| signs[*sign].clone()).collect()).collect();
    }

    /// What its units are told by, if there are these families with it, and signs.
    pub fn tell(&mut self, at: usize, likeness: &[[usize; 3]], families: &Membership, signs: &Membership) {
        let mut together: BTreeMap<(BTreeSet<[usize; 3]>, usize), Vec<Place>> = BTreeMap::new();
        let is_signed = |i: &usize| !signs.at(*i).is_empty();
        for place in self.places() {
            let i = self.blocks[0][place[0]];
            let others = families.at(i).iter().filter(|family| **family != at).map(|family| likeness[*family]);
            match others.collect::<BTreeSet<_>>() {
                others if others.is_empty() => self.told.push((vec![place], is_signed(&i))),
                others => together.entry((others, place.len())).or_default().push(place),
            }
        }
        let any = |places: &[Place]| places.iter().flatten().any(|k| is_signed(&self.blocks[0][*k]));
        let together: Vec<_> = together.into_values().map(|entries| (any(&entries), entries)).collect();
        self.told.extend(together.into_iter().map(|(is_signed, entries)| (entries, is_signed)));
        self.is_matrix_signed = self.blocks.iter().any(|block| block[self.own..].iter().any(is_signed));
    }

    /// What other families and mixings leave to look at, in the order of the block.
    fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.held.turned.concat();
        places.extend(self.held.seen.iter().map(|(_, place)| place.clone()));
        let in_points: BTreeSet<usize> = places.iter().flatten().copied().collect();
        let is_alone = |k: &usize| !in_points.contains(k) && !self.held.blurred.contains(k);
        places.extend((0..self.own).filter(is_alone).map(|k| vec![k]));
        places.sort();
        places
    }

    /// Permutes units, and gives them signs, as they correlate with a reference.
    pub fn correlate(&self, reference: &[f64], theta: &mut [f64]) {
        let n = self.blocks.len();
        let mut gain = vec![0.0; n * n];
        let by_sign = self.correlations(reference, theta);
        for (k, gain) in gain.iter_mut().enumerate() {
            *gain = self.best(&by_sign, k).1 + self.turned(k, reference, theta);
        }
        self.correlate_matrices(reference, theta, &mut gain);
        let assigned = assignment(&gain.iter().map(|x| -x).collect::<Vec<f64>>(), n);
        self.apply(&assigned, &by_sign, theta);
    }

    /// The same by what no other family changes.
    pub fn describe(&self, reference: &[f64], theta: &mut [f64]) {
        let n = self.blocks.len();
        let told = |x: &[f64]| (0..n).map(|unit| self.description(unit, x)).collect::<Vec<Vec<f64>>>();
        let (wanted, given) = (told(reference), told(theta));
        let apart = |w: &Vec<f64>| given.iter().map(|g| distance(w, g).powi(2)).collect::<Vec<f64>>();
        let cost: Vec<f64> = wanted.iter().flat_map(apart).collect();
        let assigned = assignment(&cost, n);
        self.apply(&assigned, &self.correlations(reference, theta), theta);
    }

    /// Every unit becomes the one assigned to it, with its best signs.
    fn apply(&self, assigned: &[usize], by_sign: &[(u32, Vec<f64>)], theta: &mut [f64]) {
        let n = self.blocks.len();
        let gather = |block: &Vec<usize>| block.iter().map(|&i| theta[i]).collect::<Vec<f64>>();
        let given: Vec<Vec<f64>> = self.blocks.iter().map(gather).collect();
        for (to, &from) in assigned.iter().enumerate() {
            for (k, &i) in self.blocks[to].iter().enumerate() {
                let column = |k: usize| self.own + (k - self.own) / n * n + assigned[(k - self.own) % n];
                theta[i] = given[from][if k < self.own { k } else { column(k) }];
            }
        }
        for (to, &from) in assigned.iter().enumerate() {
            let chosen = self.best(by_sign, to * n + from).0;
            for (k, sign) in self.signs[to].iter().enumerate() {
                if chosen >> k & 1 == 1 {
                    sign.iter().for_each(|&i| theta[i] = -theta[i]);
                }
            }
        }
    }

    /// How the points of a pair of units correlate, turned best.
    fn turned(&self, pair: usize, reference: &[f64], theta: &[f64]) -> f64 {
        let n = self.blocks.len();
        let points = |mixing: &[Place], unit: usize| -> Vec<Vec<usize>> {
            mixing.iter().map(|place| place.iter().map(|k| self.blocks[unit][*k]).collect()).collect()
        };
        let of = |mixing: &Vec<Place>| {
            let (wanted, given) = (points(mixing, pair / n), points(mixing, pair % n));
            Singular::of(correlation(wanted.iter().zip(&given), [reference, theta], mixing[0].len())).sum()
        };
        self.held.turned.iter().map(of).sum()
    }

    /// By the signs that negate them, the correlations of own entries of every unit of the reference with every other.
    fn correlations(&self, reference: &[f64], theta: &[f64]) -> Vec<(u32, Vec<f64>)> {
        let of_signs = |(mask, entries): &(u32, Vec<usize>)| {
            let gather = |x: &[f64]| -> Vec<Vec<f64>> {
                self.blocks.iter().map(|block| entries.iter().map(|&k| x[block[k]]).collect()).collect()
            };
            let (wanted, given) = (gather(reference), gather(theta));
            (*mask, wanted.iter().flat_map(|w| given.iter().map(|g| dot(w, g))).collect())
        };
        self.signed.iter().map(of_signs).collect()
    }

    /// The signs under which a pair of units correlates most, and by how much.
    fn best(&self, by_sign: &[(u32, Vec<f64>)], pair: usize) -> (u32, f64) {
        let of = |chosen: u32| {
            let signed = by_sign.iter().map(|(mask, all)| match (mask & chosen).count_ones() % 2 {
                0 => all[pair],
                _ => -all[pair],
            });
            signed.sum::<f64>()
        };
        let mut best = (0, of(0));
        for chosen in 1..1 << self.signs[0].len() {
            let gain = of(chosen);
            if gain > best.1 {
                best = (chosen, gain);
            }
        }
        best
    }

    /// Adds how rows and columns correlate, the others being where they are.
    fn correlate_matrices(&self, reference: &[f64], theta: &[f64], gain: &mut [f64]) {
        let n = self.blocks.len();
        for first in (self.own..self.blocks[0].len()).step_by(n) {
            let (w, g) = (self.matrix(first, reference), self.matrix(first, theta));
            for to in 0..n {
                for from in 0..n {
                    let others = (0..n).filter(|&j| j != to && j != from);
                    let rest = others.map(|j| w[to * n + j] * g[from * n + j] + w[j * n + to] * g[j * n + from]);
                    let mut sum = w[to * n + to] * g[from * n + from] + rest.sum::<f64>();
                    if to != from {
                        sum += w[to * n + from] * g[from * n + to] + w[from * n + to] * g[to * n + from];
                    }
                    gain[to * n + from] += sum;
                }
            }
        }
    }

    fn matrix(&self, first: usize, x: &[f64]) -> Vec<f64> {
        let n = self.blocks.len();
        self.blocks.iter().flat_map(|block| block[first..first + n].iter().map(|&i| x[i])).collect()
    }

    /// What a unit is told by.
    fn description(&self, unit: usize, x: &[f64]) -> Vec<f64> {
        let n = self.blocks.len();
        let block = &self.blocks[unit];
        let mut all = Vec::with_capacity(block.len());
        let length = |place: &Place| match place[..] {
            [k] => x[block[k]],
            _ => norm(&place.iter().map(|k| x[block[*k]]).collect::<Vec<f64>>()),
        };
        for (places, is_signed) in &self.told {
            sorted(places.iter().map(length), *is_signed, &mut all);
        }
        for first in (self.own..block.len()).step_by(n) {
            let others = || (0..n).filter(|&j| j != unit);
            let is_signed = self.is_matrix_signed;
            sorted(std::iter::once(x[block[first + unit]]), is_signed, &mut all);
            sorted(others().map(|j| x[block[first + j]]), is_signed, &mut all);
            sorted(others().map(|j| x[self.blocks[j][first + unit]]), is_signed, &mut all);
        }
        all
    }
}

/// Adds numbers in order, by size where signs do not count.
fn sorted(values: impl Iterator<Item = f64>, is_signed: bool, all: &mut Vec<f64>) {
    let first = all.len();
    all.extend(values.map(|x| if is_signed { x.abs() } else { x }));
    all[first..].sort_by(f64::total_cmp);
}
