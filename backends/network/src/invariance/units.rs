//! The numbers of theta that belong to units: what moves, changes sign or is scaled with them.

use super::fibres::Units;
use super::labels::Labels;
use super::scaling::Powers;
use crate::graph::Id;
use crate::graph::op::Op;
use mountainpass_sdk::{Symmetry, SymmetryKind};

/// A unit that an element belongs to, and by which factor of the parameter's axes.
#[derive(Clone, Copy)]
struct Belonging {
    unit: usize,
    occurrence: usize,
}

/// Elements of theta, one behind the other, that belong to the same units.
struct Stretch<'a> {
    parameter: Id,
    elements: std::ops::Range<usize>,
    to: &'a [Belonging],
}

/// All elements that belong to some units.
pub struct Elements<'a> {
    labels: &'a Labels<'a>,
    units: &'a Units,
    /// Where an element of the graph's parameters lies in theta.
    places: &'a [u64],
    /// In their order in theta.
    parameters: Vec<Id>,
    /// How many fibres, and units in each.
    fibres: usize,
    count: usize,
}

impl<'a> Elements<'a> {
    /// `None` where no parameter has them.
    pub fn of(labels: &'a Labels<'a>, units: &'a Units, places: &'a [u64]) -> Option<Elements<'a>> {
        let offset = |id: &Id| match labels.graph.node(*id).op {
            Op::Parameter { offset, .. } => Some(offset),
            _ => None,
        };
        let mut parameters: Vec<Id> =
            labels.carrying(units.of[0]).iter().copied().filter(|id| offset(id).is_some()).collect();
        parameters.sort_by_key(|id| offset(id).map(|offset| places[offset]));
        let size = |classes: &[_]| classes.iter().map(|class| labels.axes.size(*class)).product();
        let (fibres, count) = (size(&units.fibres), size(&units.of));
        let elements = Elements { labels, units, places, parameters, fibres, count };
        (!elements.parameters.is_empty()).then_some(elements)
    }

    /// The permutations, one a fibre; `None` where an element belongs to more units than two.
    pub fn permutations(&self) -> Option<Vec<Symmetry>> {
        let n = self.count;
        let mut own: Vec<Vec<u64>> = vec![Vec::new(); self.fibres * n];
        // An element of two units stands in a square matrix, whose rows and columns are permuted.
        let mut pairs: Vec<Vec<u64>> = Vec::new();
        let mut are_few = true;
        self.each(&mut |Stretch { elements, to, .. }| match to {
            [one] => own[one.unit].extend(&self.places[elements]),
            [row, column] => {
                pairs.resize(n * n, Vec::new());
                pairs[row.unit * n + column.unit].extend(&self.places[elements]);
            }
            _ => are_few = false,
        });
        if !are_few {
            return None;
        }
        let Some(matrices) = pairs.first().map(Vec::len) else {
            let fibres = own.chunks(n).map(<[_]>::to_vec);
            return Some(fibres.map(|blocks| Symmetry { kind: SymmetryKind::Permutation, blocks }).collect());
        };
        let split = own[0].len() as u64;
        for (block, rows) in own.iter_mut().zip(pairs.chunks(n)) {
            block.extend((0..matrices).flat_map(|m| rows.iter().map(move |row| row[m])));
        }
        Some(vec![Symmetry { kind: SymmetryKind::Conjugation { split }, blocks: own }])
    }

    /// Its elements as the coordinates of points, one mixing a fibre: multiplied and divided as the powers say, or, where they
    /// do not speak of all parameters, turned. None where a parameter has units that it shares with nothing.
    pub fn mixings(&self, powers: Option<&Powers>) -> Vec<Symmetry> {
        let mut parts: [Vec<Vec<u64>>; 2] = [(); 2].map(|()| vec![Vec::new(); self.fibres * self.count]);
        let mut is_told = true;
        let power = |parameter, occurrence| powers.and_then(|powers| powers.get(&(parameter, occurrence))).copied();
        self.each(&mut |Stretch { parameter, elements, to }| {
            let [one] = to else { return };
            let power = power(parameter, one.occurrence);
            is_told &= power.is_some();
            parts[usize::from(power == Some(-1))][one.unit].extend(&self.places[elements]);
        });
        let [up, down] = parts;
        let split = up.first().map_or(0, Vec::len);
        let split = if is_told && down.first().is_some_and(|down| !down.is_empty()) { split as u64 } else { 0 };
        let units: Vec<Vec<u64>> = up.into_iter().zip(down).map(|(up, down)| [up, down].concat()).collect();
        let points = |units: &[Vec<u64>]| -> Vec<Vec<u64>> {
            (0..units.first().map_or(0, Vec::len)).map(|k| units.iter().map(|unit| unit[k]).collect()).collect()
        };
        let fibres = units.chunks(self.count).map(points);
        fibres.map(|blocks| Symmetry { kind: SymmetryKind::Mixing { split }, blocks }).collect()
    }

    /// What is negated with every unit.
    pub fn signs(&self, powers: &Powers) -> Vec<Symmetry> {
        let mut blocks: Vec<Vec<u64>> = vec![Vec::new(); self.fibres * self.count];
        self.powers(powers, &mut |unit, power, elements| {
            if power.rem_euclid(2) == 1 {
                blocks[unit].extend(elements);
            }
        });
        self.declared(SymmetryKind::Sign, blocks)
    }

    /// What is multiplied and what is divided with every unit; none where some element would be by a square.
    pub fn scales(&self, powers: &Powers) -> Vec<Symmetry> {
        let mut parts: [Vec<Vec<u64>>; 2] = [(); 2].map(|()| vec![Vec::new(); self.fibres * self.count]);
        let mut are_single = true;
        self.powers(powers, &mut |unit, power, elements| match power {
            0 => {}
            1 => parts[0][unit].extend(elements),
            -1 => parts[1][unit].extend(elements),
            _ => are_single = false,
        });
        let [up, down] = parts;
        let split = up.first().map_or(0, Vec::len) as u64;
        if !are_single || split == 0 {
            return Vec::new();
        }
        let both = up.into_iter().zip(down).map(|(up, down)| [up, down].concat()).collect();
        self.declared(SymmetryKind::Scale { split }, both)
    }

    /// One record, or one a unit where elements belong to two: no index repeats in a record.
    fn declared(&self, kind: SymmetryKind, blocks: Vec<Vec<u64>>) -> Vec<Symmetry> {
        let mut all = blocks.concat();
        all.sort_unstable();
        match all.windows(2).any(|pair| pair[0] == pair[1]) {
            false => vec![Symmetry { kind, blocks }],
            true => blocks.into_iter().map(|block| Symmetry { kind, blocks: vec![block] }).collect(),
        }
    }

    /// Calls `visit` with every unit, its power and its elements.
    fn powers(&self, powers: &Powers, visit: &mut dyn FnMut(usize, i32, &[u64])) {
        self.each(&mut |Stretch { parameter, elements, to }| {
            let power = |b: &Belonging| powers.get(&(parameter, b.occurrence)).copied().unwrap_or(0);
            let elements = &self.places[elements];
            match to {
                [a, b] if a.unit == b.unit => visit(a.unit, power(a) + power(b), elements),
                _ => to.iter().for_each(|b| visit(b.unit, power(b), elements)),
            }
        });
    }

    /// All elements, parameter by parameter, in C order.
    fn each(&self, visit: &mut dyn FnMut(Stretch<'_>)) {
        for &parameter in &self.parameters {
            let Op::Parameter { offset, ref shape } = self.labels.graph.node(parameter).op else { continue };
            let mut number = 0;
            let mut axes = Vec::with_capacity(shape.len());
            for (axis, size) in shape.iter().enumerate() {
                let first = number;
                let units = |place: usize| {
                    number = first;
                    self.labels.axes.units(parameter, axis, place, &mut number)
                };
                axes.push((0..*size).map(units).map(|units| self.relevant(parameter, units)).collect());
            }
            self.walk(parameter, &axes, offset, &mut Vec::new(), visit);
        }
    }

    /// Of the units of a place those that are meant.
    fn relevant(&self, parameter: Id, units: Vec<(usize, usize)>) -> Vec<Belonging> {
        let occurrences = &self.labels.at(parameter).occurrences;
        let is_meant = |k: usize| {
            let class = occurrences[k].class;
            self.units.fibres.contains(&class) || self.units.of.contains(&class)
        };
        let units = units.into_iter().filter(|(k, _)| is_meant(*k));
        units.map(|(occurrence, unit)| Belonging { unit, occurrence }).collect()
    }

    fn walk(
        &self,
        parameter: Id,
        axes: &[Vec<Vec<Belonging>>],
        at: usize,
        to: &mut Vec<Belonging>,
        visit: &mut dyn FnMut(Stretch<'_>),
    ) {
        if axes.iter().flatten().all(Vec::is_empty) {
            let to = self.together(parameter, to);
            if !to.is_empty() {
                let count: usize = axes.iter().map(Vec::len).product();
                visit(Stretch { parameter, elements: at..at + count, to: &to });
            }
            return;
        }
        let Some((first, rest)) = axes.split_first() else { return };
        let inner: usize = rest.iter().map(Vec::len).product();
        for (place, units) in first.iter().enumerate() {
            let before = to.len();
            to.extend(units);
            self.walk(parameter, rest, at + place * inner, to, visit);
            to.truncate(before);
        }
    }

    /// The units that an element belongs to, numbered fibre by fibre. Where there are several classes to number them, an
    /// element has each of them once or not at all.
    fn together(&self, parameter: Id, to: &[Belonging]) -> Vec<Belonging> {
        let classes: Vec<_> = self.units.fibres.iter().chain(&self.units.of).copied().collect();
        if let [_] = classes[..] {
            return to.to_vec();
        }
        let occurrences = &self.labels.at(parameter).occurrences;
        let mut unit = 0;
        let mut occurrence = 0;
        for class in classes {
            let Some(own) = to.iter().find(|b| occurrences[b.occurrence].class == class) else { return Vec::new() };
            unit = unit * self.labels.axes.size(class) + own.unit;
            if class == self.units.of[0] {
                occurrence = own.occurrence;
            }
        }
        vec![Belonging { unit, occurrence }]
    }
}
