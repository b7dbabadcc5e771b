//! By which powers of a number the parameters of one unit may be multiplied.
//!
//! Let everything that belongs to one unit of a class be multiplied by a power of a number c: an array by c^e. Operators
//! demand linear relations between the powers e: a product adds them, a sum wants them equal, a tanh wants 0 (or, where c
//! is -1, lets them pass), a sum over the units wants 0. What solves them all is a symmetry.

use super::axes::{AxisClasses, Class};
use crate::graph::op::{Binary, Op, Unary};
use crate::graph::{Graph, Id, Node};
use std::collections::BTreeMap;

/// Which numbers c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// c = -1; powers count modulo 2.
    Signs,
    /// All c > 0.
    Scales,
}

/// A prime so large that the small fractions in question are told apart by their residues: powers are solved for
/// modulo 2 or modulo this, with one elimination for both.
const PRIME: i64 = 2_147_483_647;

/// A basis of the solutions in which parameters take part with the powers -1, 0 and 1 only; by parameter.
pub fn powers(graph: &Graph, axes: &AxisClasses, output: Id, class: Class, group: Group) -> Vec<BTreeMap<Id, i32>> {
    let needed = graph.needed(&[output]);
    let carrying: Vec<Id> = (0..graph.nodes().len())
        .map(|i| graph.id(i))
        .filter(|id| needed[id.index()] && axes.carries(*id, class))
        .collect();
    // Of two axes in one class the power of a unit would depend on which of them is meant.
    if carrying.iter().any(|id| axes.factors(id.index()).concat().iter().filter(|c| **c == class).count() > 1) {
        return Vec::new();
    }
    let column: BTreeMap<Id, usize> = carrying.iter().enumerate().map(|(k, id)| (*id, k)).collect();
    let mut system = System { columns: carrying.len(), rows: Vec::new(), prime: group.prime() };
    for (i, node) in graph.nodes().iter().enumerate().filter(|(i, _)| needed[*i]) {
        let of = |id: &Id| column.get(id).copied();
        relations(group, (of(&graph.id(i)), node), &of, &mut |terms| system.demand(terms));
    }
    let is_parameter = |id: &Id| matches!(graph.node(*id).op, Op::Parameter { .. });
    let parameters: Vec<(Id, usize)> = carrying.iter().copied().zip(0..).filter(|(id, _)| is_parameter(id)).collect();
    let mut found = Vec::new();
    for solution in system.solutions(&parameters.iter().map(|(_, k)| *k).collect::<Vec<usize>>()) {
        let power = |k: usize| match solution[k] {
            0 => Some(0),
            1 => Some(1),
            x if x == system.prime - 1 => Some(-1),
            _ => None,
        };
        let powers: Option<BTreeMap<Id, i32>> = parameters.iter().map(|(id, k)| Some((*id, power(*k)?))).collect();
        let Some(mut powers) = powers else { continue };
        powers.retain(|_, power| *power != 0);
        // Up first: what comes before an activation grows, what comes behind shrinks.
        if group == Group::Scales && powers.values().next() == Some(&-1) {
            powers.values_mut().for_each(|power| *power = -*power);
        }
        if !powers.is_empty() {
            found.push(powers);
        }
    }
    found
}

impl Group {
    fn prime(self) -> i64 {
        match self {
            Group::Signs => 2,
            Group::Scales => PRIME,
        }
    }
}

/// An array's column, if it carries the class, and a factor.
type Term = (Option<usize>, i64);

/// Calls `demand` with terms that must add to 0.
fn relations(
    group: Group,
    (own, node): (Option<usize>, &Node),
    of: &impl Fn(&Id) -> Option<usize>,
    demand: &mut dyn FnMut(&[Term]),
) {
    let arg = |k: usize| of(&node.args[k]);
    let signs = group == Group::Signs;
    let mut invariant = |columns: &[Option<usize>]| columns.iter().for_each(|column| demand(&[(*column, 1)]));
    match &node.op {
        Op::Parameter { .. } => {}
        Op::Input { .. } | Op::Constant(_) | Op::Fill(..) | Op::Direction { .. } | Op::OneHot { .. } => {
            invariant(&[own])
        }
        Op::ToReal | Op::ToIndex | Op::TopK { .. } => invariant(&[own, arg(0)]),
        Op::Unary(f) => match law(*f, group) {
            Law::Invariant => invariant(&[own, arg(0)]),
            Law::Forgets => invariant(&[own]),
            Law::Power(times, power) => demand(&[(own, times), (arg(0), -power)]),
        },
        Op::Binary(f) => match f {
            Binary::Mul => demand(&[(own, 1), (arg(0), -1), (arg(1), -1)]),
            Binary::Div => demand(&[(own, 1), (arg(0), -1), (arg(1), 1)]),
            Binary::Max | Binary::Min | Binary::Less if signs => invariant(&[own, arg(0), arg(1)]),
            Binary::Less | Binary::Equal => {
                invariant(&[own]);
                demand(&[(arg(0), 1), (arg(1), -1)]);
            }
            Binary::Add | Binary::Sub | Binary::Max | Binary::Min => {
                demand(&[(own, 1), (arg(0), -1)]);
                demand(&[(own, 1), (arg(1), -1)]);
            }
        },
        Op::Select => {
            invariant(&[arg(0)]);
            demand(&[(own, 1), (arg(1), -1)]);
            demand(&[(own, 1), (arg(2), -1)]);
        }
        Op::Concat(_) => (0..node.args.len()).for_each(|k| demand(&[(own, 1), (arg(k), -1)])),
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice { .. }
        | Op::Place { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::SumPool(_)
        | Op::SumUnpool { .. } => demand(&[(own, 1), (arg(0), -1)]),
        // What is repeated along the class is the same for all units.
        Op::Broadcast(_) => demand(&[(own, 1), (arg(0), -1)]),
        // Over the units themselves only what does not change may be added up: then there is no column of its own.
        Op::Sum(_) => demand(&[(own, 1), (arg(0), -1)]),
        Op::Largest(_) if signs => invariant(&[own, arg(0)]),
        Op::Largest(_) => demand(&[(own, 1), (arg(0), -1)]),
        Op::Softmax | Op::LogSoftmax => invariant(&[own, arg(0)]),
        Op::MatMul | Op::Convolve { .. } | Op::ConvolveImage { .. } | Op::ConvolveKernel { .. } => {
            demand(&[(own, 1), (arg(0), -1), (arg(1), -1)]);
        }
        Op::PickMax(_) | Op::PlaceMax(_) => {
            if signs {
                invariant(&[arg(0)]);
            }
            demand(&[(own, 1), (arg(1), -1)]);
        }
    }
}

/// What a function makes of a factor c^e of its argument.
enum Law {
    /// Only e = 0 will do.
    Invariant,
    /// The value does not depend on it.
    Forgets,
    /// The value's power times the first is the argument's times the second.
    Power(i64, i64),
}

fn law(f: Unary, group: Group) -> Law {
    match (f, group) {
        (Unary::Neg | Unary::Reciprocal, Group::Signs) => Law::Power(1, 1),
        (Unary::Neg | Unary::Relu | Unary::Abs, Group::Scales) => Law::Power(1, 1),
        (Unary::Reciprocal, Group::Scales) => Law::Power(1, -1),
        (Unary::Sqrt, Group::Scales) => Law::Power(2, 1),
        (Unary::Sign | Unary::Step, Group::Scales) => Law::Forgets,
        (Unary::Sign | Unary::Tanh | Unary::Erf | Unary::Sin | Unary::Atan, Group::Signs) => Law::Power(1, 1),
        (Unary::Abs | Unary::Cos, Group::Signs) => Law::Forgets,
        (Unary::Power(c), _) if c.get().fract() == 0.0 && c.get().abs() <= 64.0 => Law::Power(1, c.get() as i64),
        _ => Law::Invariant,
    }
}

/// Homogeneous linear equations modulo a prime, rows in echelon form.
struct System {
    columns: usize,
    rows: Vec<Vec<i64>>,
    prime: i64,
}

impl System {
    /// Adds an equation; a missing column is 0.
    fn demand(&mut self, terms: &[Term]) {
        let mut row = vec![0; self.columns];
        for (column, factor) in terms {
            if let Some(k) = column {
                row[*k] = (row[*k] + factor).rem_euclid(self.prime);
            }
        }
        for known in &self.rows {
            let lead = lead(known);
            let times = row[lead];
            row.iter_mut().zip(known).for_each(|(x, y)| *x = (*x - times * y % self.prime).rem_euclid(self.prime));
        }
        if row.iter().any(|x| *x != 0) {
            let k = lead(&row);
            let inverse = self.inverse(row[k]);
            row.iter_mut().for_each(|x| *x = *x * inverse % self.prime);
            for known in &mut self.rows {
                let times = known[k];
                known.iter_mut().zip(&row).for_each(|(x, y)| *x = (*x - times * y % self.prime).rem_euclid(self.prime));
            }
            self.rows.push(row);
        }
    }

    /// By Fermat's little theorem.
    fn inverse(&self, x: i64) -> i64 {
        let (mut result, mut square, mut power) = (1, x, self.prime - 2);
        while power > 0 {
            if power % 2 == 1 {
                result = result * square % self.prime;
            }
            square = square * square % self.prime;
            power /= 2;
        }
        result
    }

    /// A basis of the solutions, one for each column that no row leads with, reduced to those that differ in `seen`.
    fn solutions(&self, seen: &[usize]) -> Vec<Vec<i64>> {
        let leads: BTreeMap<usize, &Vec<i64>> = self.rows.iter().map(|row| (lead(row), row)).collect();
        let free = (0..self.columns).filter(|k| !leads.contains_key(k));
        let solution = |free: usize| {
            (0..self.columns)
                .map(|k| match leads.get(&k) {
                    Some(row) => (-row[free]).rem_euclid(self.prime),
                    None => i64::from(k == free),
                })
                .collect::<Vec<i64>>()
        };
        // Arrays that no parameter enters may have free powers of their own, which are no symmetry.
        free.map(solution).filter(|solution| seen.iter().any(|k| solution[*k] != 0)).collect()
    }
}

fn lead(row: &[i64]) -> usize {
    row.iter().position(|x| *x != 0).unwrap_or(0)
}
