//! By which powers of a number the parameters of one unit may be multiplied.
//!
//! Let everything that belongs to one unit of a class be multiplied by a power of a number c: an array by c^e. Operators
//! demand linear relations between the powers e: a product adds them, a sum wants them equal, a tanh wants 0 (or, where c
//! is -1, lets them pass), a sum over the units wants 0. What solves them all is a symmetry.

use super::classes::Class;
use super::labels::{Labels, Letter};
use crate::graph::op::{Binary, Op, Unary};
use crate::graph::{Id, Node};
use std::collections::{BTreeMap, BTreeSet};

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

/// By which power, by parameter and factor of its axes.
pub type Powers = BTreeMap<(Id, usize), i32>;

/// A basis of the solutions in which parameters take part with the powers -1, 0 and 1 only.
pub fn powers(labels: &Labels<'_>, class: Class, group: Group) -> Vec<Powers> {
    // An array with several axes in the class has a power for each.
    let mut column: BTreeMap<(Id, usize), usize> = BTreeMap::new();
    for id in labels.carrying(class) {
        for (k, _) in labels.at(*id).occurrences.iter().enumerate().filter(|(_, o)| o.class == class) {
            let next = column.len();
            column.insert((*id, k), next);
        }
    }
    let mut system = System { columns: column.len(), rows: BTreeMap::new(), prime: group.prime() };
    for id in labels.using(class) {
        let Some(all) = by_letter(labels, *id, class) else { return Vec::new() };
        let at = |occurrence: Option<(Id, usize)>| occurrence.map(|occurrence| column[&occurrence]);
        for (own, args) in all {
            let (own, args) = (at(own), args.into_iter().map(at).collect::<Vec<_>>());
            relations(group, (own, labels.graph.node(*id)), &args, &mut |terms| system.demand(terms));
        }
    }
    let is_parameter = |id: &Id| matches!(labels.graph.node(*id).op, Op::Parameter { .. });
    let parameters: Vec<((Id, usize), usize)> = column.into_iter().filter(|((id, _), _)| is_parameter(id)).collect();
    let mut found = Vec::new();
    for solution in system.solutions(&parameters.iter().map(|(_, k)| *k).collect::<Vec<usize>>()) {
        let power = |k: usize| match solution[k] {
            0 => Some(0),
            1 => Some(1),
            x if x == system.prime - 1 => Some(-1),
            _ => None,
        };
        let powers: Option<Powers> = parameters.iter().map(|(id, k)| Some((*id, power(*k)?))).collect();
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

/// Which factor of its axes the class is in an operator's array and in its arguments, where they carry it.
pub type Columns = (Option<(Id, usize)>, Vec<Option<(Id, usize)>>);

/// What an operator relates, letter by letter; `None` where arrays that run together differ in their axes.
pub fn by_letter(labels: &Labels<'_>, id: Id, class: Class) -> Option<Vec<Columns>> {
    let (lettered, args) = (labels.at(id), &labels.graph.node(id).args);
    // Of an array by letter: the columns of its axes in the class, in order.
    let columns = |id: Id, letters: &[Letter]| {
        let mut found: BTreeMap<Letter, Vec<(Id, usize)>> = BTreeMap::new();
        for (k, (o, letter)) in labels.at(id).occurrences.iter().zip(letters).enumerate() {
            if o.class == class {
                found.entry(*letter).or_default().push((id, k));
            }
        }
        found
    };
    let own = columns(id, &lettered.own);
    let args: Vec<_> = args.iter().zip(&lettered.args).map(|(arg, letters)| columns(*arg, letters)).collect();
    let letters: BTreeSet<Letter> = args.iter().chain([&own]).flat_map(|of| of.keys().copied()).collect();
    let mut all = Vec::new();
    for letter in letters {
        let in_order = |of: &BTreeMap<Letter, Vec<(Id, usize)>>| of.get(&letter).cloned().unwrap_or_default();
        let own = in_order(&own);
        let args: Vec<Vec<(Id, usize)>> = match (&labels.graph.node(id).op, letter) {
            // Along the joined axis each argument runs by itself.
            (Op::Concat(_), (_, 1..)) => vec![in_order(&args[letter.1 - 1])],
            _ => args.iter().map(in_order).collect(),
        };
        let count = args.iter().chain([&own]).map(Vec::len).max().unwrap_or(0);
        if args.iter().chain([&own]).any(|of| !of.is_empty() && of.len() != count) {
            return None;
        }
        all.extend((0..count).map(|j| (own.get(j).copied(), args.iter().map(|of| of.get(j).copied()).collect())));
    }
    Some(all)
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
    args: &[Option<usize>],
    demand: &mut dyn FnMut(&[Term]),
) {
    let arg = |k: usize| args[k];
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
        Op::Concat(_) => args.iter().for_each(|arg| demand(&[(own, 1), (*arg, -1)])),
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

/// Homogeneous linear equations modulo a prime, in echelon form: rows by the column that they lead with, which has factor 1.
/// Most say that two powers are equal; rows stay short.
struct System {
    columns: usize,
    rows: BTreeMap<usize, BTreeMap<usize, i64>>,
    prime: i64,
}

impl System {
    /// Adds an equation; a missing column is 0.
    fn demand(&mut self, terms: &[Term]) {
        let mut row = BTreeMap::new();
        terms.iter().filter_map(|(column, factor)| Some((column.as_ref()?, factor))).for_each(|(column, factor)| {
            self.add(&mut row, *column, *factor);
        });
        while let Some((&lead, &times)) = row.first_key_value() {
            let Some(known) = self.rows.get(&lead) else {
                let inverse = self.inverse(times);
                row.values_mut().for_each(|x| *x = *x * inverse % self.prime);
                self.rows.insert(lead, row);
                return;
            };
            known.iter().for_each(|(column, factor)| self.add(&mut row, *column, -(times * factor % self.prime)));
        }
    }

    fn add(&self, row: &mut BTreeMap<usize, i64>, column: usize, factor: i64) {
        let sum = (row.get(&column).unwrap_or(&0) + factor).rem_euclid(self.prime);
        match sum {
            0 => row.remove(&column),
            sum => row.insert(column, sum),
        };
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
        let free = (0..self.columns).filter(|k| !self.rows.contains_key(k));
        let solution = |free: usize| {
            let mut solution = vec![0; self.columns];
            solution[free] = 1;
            for (lead, row) in self.rows.iter().rev() {
                let sum = row.iter().skip(1).fold(0, |sum, (k, factor)| (sum + factor * solution[*k]) % self.prime);
                solution[*lead] = (-sum).rem_euclid(self.prime);
            }
            solution
        };
        // Arrays that no parameter enters may have free powers of their own, which are no symmetry.
        free.map(solution).filter(|solution| seen.iter().any(|k| solution[*k] != 0)).collect()
    }
}
