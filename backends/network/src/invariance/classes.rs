//! Classes of axes: what they are made of, and how they become one, products or sums.
//!
//! An axis is a product of factors, outer first: a reshape may split `width` into `heads x each`. Every factor belongs to
//! a class, and a class may be a sum: arrays that are joined along an axis keep their classes, one behind the other.

use crate::graph::op::Stride;

/// An axis that is a sum of more parts than these has its places told apart: doubled thirty times they would be a billion.
const PARTS_MAX: usize = 1 << 9;

/// A set of axes (or factors of axes) of one size that are permuted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(usize);

/// The factors of one axis.
pub type Factors = Vec<Class>;

#[derive(Clone, Debug, PartialEq)]
pub enum Freedom {
    Free,
    Frozen,
    /// United with another class.
    Same(Class),
    /// The product of two, outer first.
    Split(Class, Class),
    /// The places of several axes, one behind the other.
    Joined(Vec<Factors>),
}

/// A factor in one of an array's axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    pub class: Class,
    pub axis: usize,
    /// Which factor of the axis; where that is a sum, which of its parts, which factor of this, and so on.
    path: Vec<usize>,
}

impl Occurrence {
    /// The factor of the axis that it is, or lies in.
    pub fn factor(&self) -> usize {
        self.path[0]
    }

    /// The part of a sum that it lies in, where the axis is one.
    pub fn part(&self) -> Option<usize> {
        self.path.get(1).copied()
    }

    /// Whether every element that `other` numbers is numbered by this one too.
    pub fn covers(&self, other: &Occurrence) -> bool {
        let depth = self.path.len() - 1;
        depth == 0 || self.axis == other.axis && other.path.len() > depth && self.path[..depth] == other.path[..depth]
    }
}

/// All classes, by number: size and freedom.
#[derive(Default)]
pub struct Classes(Vec<(usize, Freedom)>);

impl Classes {
    /// Classes that may be permuted, of two units or more, in the order in which they appeared.
    pub fn hidden(&self) -> Vec<Class> {
        let is_hidden = |i: &usize| matches!(self.0[*i], (2.., Freedom::Free));
        (0..self.0.len()).filter(is_hidden).map(Class).collect()
    }

    /// The number of units.
    pub fn size(&self, class: Class) -> usize {
        self.0[class.0].0
    }

    /// Adds the factors of an axis, those within sums too.
    pub fn occurring(&self, factors: &[Class], axis: usize, before: &[usize], found: &mut Vec<Occurrence>) {
        for (i, class) in self.leaves(factors).into_iter().enumerate() {
            let path = [before, &[i]].concat();
            match &self.0[class.0].1 {
                Freedom::Joined(parts) => {
                    for (k, part) in parts.iter().enumerate() {
                        self.occurring(part, axis, &[&path[..], &[k]].concat(), found);
                    }
                }
                _ => found.push(Occurrence { class, axis, path }),
            }
        }
    }

    /// Adds which unit of which factor a place is, factors being numbered on from `number`.
    pub fn numbered(
        &self,
        factors: &[Class],
        place: Option<usize>,
        number: &mut usize,
        units: &mut Vec<(usize, usize)>,
    ) {
        let leaves = self.leaves(factors);
        let mut inner: usize = leaves.iter().map(|class| self.size(*class)).product();
        for class in leaves {
            inner /= self.size(class);
            let at = place.map(|place| place / inner % self.size(class));
            match &self.0[class.0].1 {
                Freedom::Joined(parts) => {
                    let mut start = 0;
                    for part in parts {
                        let end = start + self.width(part);
                        let within = at.filter(|at| (start..end).contains(at)).map(|at| at - start);
                        self.numbered(part, within, number, units);
                        start = end;
                    }
                }
                _ => {
                    units.extend(at.map(|at| (*number, at)));
                    *number += 1;
                }
            }
        }
    }

    /// Where the parts of an axis that is a sum begin.
    pub fn starts(&self, axis: &[Class]) -> Vec<usize> {
        let [sum] = self.leaves(axis)[..] else { return Vec::new() };
        let Freedom::Joined(parts) = &self.0[sum.0].1 else { return Vec::new() };
        let mut end = 0;
        let start = |part: &Factors| {
            end += self.width(part);
            end - self.width(part)
        };
        parts.iter().map(start).collect()
    }

    /// How many places an axis has.
    pub fn width(&self, axis: &[Class]) -> usize {
        axis.iter().map(|class| self.size(*class)).product()
    }

    pub fn leaves(&self, axis: &[Class]) -> Factors {
        let mut leaves = Vec::new();
        for &class in axis {
            match self.0[class.0].1 {
                Freedom::Free | Freedom::Frozen | Freedom::Joined(_) => leaves.push(class),
                Freedom::Same(other) => leaves.extend(self.leaves(&[other])),
                Freedom::Split(outer, inner) => leaves.extend(self.leaves(&[outer, inner])),
            }
        }
        leaves
    }

    pub fn class(&mut self, size: usize, freedom: Freedom) -> Factors {
        if size == 1 {
            return Vec::new();
        }
        self.0.push((size, freedom));
        vec![Class(self.0.len() - 1)]
    }

    pub fn freeze(&mut self, axis: &[Class]) {
        for class in self.leaves(axis) {
            if let Some(parts) = self.parts(class) {
                parts.iter().for_each(|part| self.freeze(part));
            }
            self.0[class.0].1 = Freedom::Frozen;
        }
    }

    /// The parts of a leaf that is a sum, those of sums within it too.
    fn parts(&self, class: Class) -> Option<Vec<Factors>> {
        let Freedom::Joined(parts) = &self.0[class.0].1 else { return None };
        let flat = parts.iter().flat_map(|part| match self.leaves(part)[..] {
            [inner] => self.parts(inner).unwrap_or_else(|| vec![vec![inner]]),
            _ => vec![part.clone()],
        });
        Some(flat.collect())
    }

    /// Splits a leaf into `outer x inner`; parts of a sum lie across, and are told apart.
    fn split(&mut self, class: Class, outer: usize) {
        if self.parts(class).is_some() {
            self.freeze(&[class]);
        }
        let (size, freedom) = self.0[class.0].clone();
        let parts = [outer, size / outer].map(|size| {
            self.0.push((size, freedom.clone()));
            Class(self.0.len() - 1)
        });
        self.0[class.0].1 = Freedom::Split(parts[0], parts[1]);
    }

    /// Makes two axes of one size the same, factor by factor.
    pub fn unite(&mut self, a: &[Class], b: &[Class]) {
        loop {
            let (left, right) = (self.leaves(a), self.leaves(b));
            let differ = left.iter().zip(&right).find(|(l, r)| l != r);
            let Some((&l, &r)) = differ else {
                return;
            };
            let (small, large) = if self.size(l) <= self.size(r) { (l, r) } else { (r, l) };
            let (m, n) = (self.size(small), self.size(large));
            if m == n {
                self.identify(small, large);
            } else if n.is_multiple_of(m) {
                self.split(large, m);
            } else {
                // Two grids that do not fit: nothing may be permuted along either.
                self.freeze(a);
                self.freeze(b);
                return;
            }
        }
    }

    /// Makes two leaves of one size the same, part by part where they are sums.
    fn identify(&mut self, one: Class, other: Class) {
        let (kept, gone) = match (self.parts(one), self.parts(other)) {
            (Some(a), Some(b)) => {
                let Some((a, b)) = self.refined(a, b) else {
                    self.freeze(&[one, other]);
                    return;
                };
                a.iter().zip(&b).for_each(|(a, b)| self.unite(a, b));
                // What was united may have frozen either.
                self.0[one.0].1 = Freedom::Joined(a);
                (one, other)
            }
            (None, Some(_)) => (other, one),
            _ => (one, other),
        };
        let is_frozen = [one, other].iter().any(|class| self.0[class.0].1 == Freedom::Frozen);
        self.0[gone.0].1 = Freedom::Same(kept);
        if is_frozen {
            self.freeze(&[kept]);
        }
        self.keep_few(&[kept]);
    }

    /// Two lists of parts, cut where either has a boundary; `None` where a part is no single class to cut.
    fn refined(&mut self, mut a: Vec<Factors>, mut b: Vec<Factors>) -> Option<(Vec<Factors>, Vec<Factors>)> {
        let mut i = 0;
        while i < a.len().min(b.len()) {
            let (m, n) = (self.width(&a[i]), self.width(&b[i]));
            if m != n {
                let (longer, least) = if m > n { (&mut a, n) } else { (&mut b, m) };
                let [class] = self.leaves(&longer[i])[..] else { return None };
                let cut = self.parts(class).unwrap_or_else(|| self.cut_off(class, least));
                longer.splice(i..=i, cut);
                continue;
            }
            i += 1;
        }
        Some((a, b))
    }

    /// Makes a class the sum of its first units and the others.
    fn cut_off(&mut self, class: Class, first: usize) -> Vec<Factors> {
        let (size, freedom) = self.0[class.0].clone();
        let parts = vec![self.class(first, freedom.clone()), self.class(size - first, freedom)];
        self.0[class.0].1 = Freedom::Joined(parts.clone());
        parts
    }

    /// Cuts a list of factors so that the first of them multiply to `size`; `None` where no cut does.
    pub fn cut(&mut self, factors: &[Class], size: usize) -> Option<(Factors, Factors)> {
        let mut left = size;
        let mut leaves = self.leaves(factors);
        for i in 0..leaves.len() {
            if left == 1 {
                return Some((leaves[..i].to_vec(), leaves[i..].to_vec()));
            }
            let own = self.size(leaves[i]);
            if left.is_multiple_of(own) {
                left /= own;
            } else if own.is_multiple_of(left) {
                self.split(leaves[i], left);
                leaves = self.leaves(&leaves);
                return Some((leaves[..=i].to_vec(), leaves[i + 1..].to_vec()));
            } else {
                return None;
            }
        }
        (left == 1).then_some((leaves, Vec::new()))
    }

    pub fn reshaped(&mut self, from: &[Factors], shape: &[usize]) -> Vec<Factors> {
        let mut rest: Factors = from.concat();
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            match self.cut(&rest, size) {
                Some((axis, behind)) => {
                    axes.push(axis);
                    rest = behind;
                }
                None => {
                    self.freeze(&from.concat());
                    return self.fresh(shape, Freedom::Frozen);
                }
            }
        }
        axes
    }

    pub fn fresh(&mut self, shape: &[usize], freedom: Freedom) -> Vec<Factors> {
        shape.iter().map(|size| self.class(*size, freedom.clone())).collect()
    }

    /// Axes one behind the other.
    pub fn joined(&mut self, parts: Vec<Factors>, size: usize) -> Factors {
        let is_told_apart = |class: &Class| self.0[class.0].1 == Freedom::Frozen;
        if parts.iter().all(|part| self.leaves(part).iter().all(is_told_apart)) {
            return self.class(size, Freedom::Frozen);
        }
        let sum = self.class(size, Freedom::Joined(parts));
        self.keep_few(&sum);
        sum
    }

    /// Freezes an axis of too many parts.
    fn keep_few(&mut self, axis: &[Class]) {
        if self.spread(axis, PARTS_MAX) > PARTS_MAX {
            self.freeze(axis);
        }
    }

    /// How many parts an axis has, those of sums within sums too; counted until they are more than `most`.
    fn spread(&self, axis: &[Class], most: usize) -> usize {
        let mut count = 0;
        for class in self.leaves(axis) {
            let Freedom::Joined(parts) = &self.0[class.0].1 else {
                count += 1;
                continue;
            };
            for part in parts {
                if count > most {
                    return count;
                }
                count += self.spread(part, most - count);
            }
        }
        count
    }

    /// The part of an axis: all of it, or a whole stretch of `count` out of several, or places that are told apart.
    pub fn part(&mut self, axis: &[Class], size: usize, by: Stride, count: usize) -> Factors {
        if by.step == 1 && count == size {
            return axis.to_vec();
        }
        let is_stretch = by.step == 1 && size.is_multiple_of(count) && by.start.is_multiple_of(count);
        if let Some((stretches, inner)) = is_stretch.then(|| self.cut(axis, size / count)).flatten() {
            self.freeze(&stretches);
            return inner;
        }
        self.freeze(axis);
        self.class(count, Freedom::Frozen)
    }
}
