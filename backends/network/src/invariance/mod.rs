//! What leaves a network's output unchanged, read off its graph: permutations of hidden units, their signs, their scales.
//!
//! Every axis of every array is followed through the operators (`axes.rs`). Axes that must be permuted together form one
//! class; where nothing tells their places apart, neither the data, the labels nor a constant, all parameters may be
//! permuted along them at once. For each such class `scaling.rs` then asks by which powers of a number the parameters of one
//! unit may be multiplied. Nothing is known here of layers: chains, residual streams, channels behind convolutions and
//! normalisations, heads of attention all come out of the same rules.

mod axes;
mod scaling;
#[cfg(test)]
mod tests;

use crate::graph::op::Op;
use crate::graph::{Graph, Id};
use axes::{AxisClasses, Class};
use mountainpass_sdk::{Symmetry, SymmetryKind};
use scaling::Group;

/// Generators of the output's symmetries, class by class: first the permutation of its units, then their signs, then, with
/// `scales` (where no penalty sees the size of a parameter), their scales. Of a graph without gradients.
pub fn symmetries(graph: &Graph, output: Id, scales: bool) -> Vec<Symmetry> {
    let axes = AxisClasses::of(graph, output);
    let mut all = Vec::new();
    for class in axes.hidden() {
        let Some(carriers) = carriers(graph, &axes, class) else { continue };
        let blocks = |powers: &dyn Fn(Id) -> i32, power: i32| {
            (0..axes.size(class))
                .map(|unit| {
                    let of_power = carriers.iter().filter(|carrier| powers(carrier.parameter) == power);
                    of_power.flat_map(|carrier| carrier.entries(unit)).collect()
                })
                .collect::<Vec<Vec<u64>>>()
        };
        all.push(Symmetry { kind: SymmetryKind::Permutation, blocks: blocks(&|_| 1, 1) });
        for powers in scaling::powers(graph, &axes, output, class, Group::Signs) {
            let power = |id: Id| powers.get(&id).map_or(0, |power| power.rem_euclid(2));
            all.push(Symmetry { kind: SymmetryKind::Sign, blocks: blocks(&power, 1) });
        }
        if !scales {
            continue;
        }
        for powers in scaling::powers(graph, &axes, output, class, Group::Scales) {
            let power = |id: Id| powers.get(&id).copied().unwrap_or(0);
            let (up, down) = (blocks(&power, 1), blocks(&power, -1));
            let split = up.first().map_or(0, Vec::len) as u64;
            let both = up.into_iter().zip(down).map(|(up, down)| [up, down].concat()).collect();
            all.push(Symmetry { kind: SymmetryKind::Scale { split }, blocks: both });
        }
    }
    all
}

/// A parameter with an axis, or a factor of an axis, in a class.
struct Carrier {
    parameter: Id,
    /// Of its first element in theta.
    offset: usize,
    /// How many elements stand before, in and behind the class's factor.
    outer: usize,
    size: usize,
    inner: usize,
}

impl Carrier {
    /// The places in theta of all elements of one unit, in C order.
    fn entries(&self, unit: usize) -> impl Iterator<Item = u64> + '_ {
        (0..self.outer).flat_map(move |o| {
            let start = self.offset + (o * self.size + unit) * self.inner;
            (start as u64)..(start + self.inner) as u64
        })
    }
}

/// The parameters along a class, in their order in theta; `None` where one has it twice, since its elements then move
/// between blocks, or where there is none.
fn carriers(graph: &Graph, axes: &AxisClasses, class: Class) -> Option<Vec<Carrier>> {
    let mut carriers = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let Op::Parameter { offset, .. } = node.op else { continue };
        let factors: Vec<Class> = axes.factors(i).into_iter().flatten().collect();
        let places: Vec<usize> = (0..factors.len()).filter(|k| factors[*k] == class).collect();
        let place = match places[..] {
            [] => continue,
            [place] => place,
            _ => return None,
        };
        let count = |factors: &[Class]| factors.iter().map(|class| axes.size(*class)).product();
        carriers.push(Carrier {
            parameter: graph.id(i),
            offset,
            outer: count(&factors[..place]),
            size: axes.size(class),
            inner: count(&factors[place + 1..]),
        });
    }
    carriers.sort_by_key(|carrier| carrier.offset);
    (!carriers.is_empty()).then_some(carriers)
}
