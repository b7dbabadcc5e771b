//! Which units may be permuted by themselves at every place of another axis.
//!
//! Where every array that numbers the units of a head numbers the heads too, and no operator lets units of two heads meet,
//! each head has a permutation of its own: a wreath product. The same holds for channels within the groups of a
//! convolution, or the units of one expert among several. Two axes that are never seen apart number one set of units.

use super::classes::Class;
use super::labels::Labels;
use crate::graph::Id;

/// Units that may be permuted: all combinations of `of`, at every combination of `fibres` for themselves.
#[derive(Debug)]
pub struct Units {
    pub fibres: Vec<Class>,
    pub of: Vec<Class>,
}

/// More permutations than this are not told one by one: units then move in all fibres together.
const FIBRES_MAX: usize = 1 << 12;

/// All units of a graph, in the order in which their classes appeared.
pub fn units(labels: &Labels<'_>) -> Vec<Units> {
    let hidden = labels.axes.hidden();
    let over: Vec<Vec<Class>> = hidden.iter().map(|class| over(labels, *class)).collect();
    let is_over = |a: usize, b: usize| over[a].contains(&hidden[b]);
    let mut all = Vec::new();
    for (i, class) in hidden.iter().enumerate() {
        let mutual = |j: &usize| *j == i || is_over(i, *j) && is_over(*j, i);
        let of: Vec<usize> = (0..hidden.len()).filter(mutual).collect();
        if of[0] < i {
            continue;
        }
        let of: Vec<Class> = of.into_iter().map(|j| hidden[j]).collect();
        let mut fibres: Vec<Class> = over[i].iter().copied().filter(|class| !of.contains(class)).collect();
        let count = |fibres: &[Class]| fibres.iter().map(|class| labels.axes.size(*class)).product::<usize>();
        while count(&fibres) > FIBRES_MAX {
            fibres.pop();
        }
        debug_assert!(of.contains(class));
        all.push(Units { fibres, of });
    }
    all
}

/// The classes at every unit of which the units of a class are units by themselves.
fn over(labels: &Labels<'_>, class: Class) -> Vec<Class> {
    let carrying = labels.carrying(class);
    let Some(first) = carrying.first() else { return Vec::new() };
    let mut bases: Vec<Class> = labels.at(*first).occurrences.iter().map(|o| o.class).collect();
    bases.sort_unstable();
    bases.dedup();
    bases.retain(|base| {
        *base != class
            && carrying.iter().all(|id| is_numbered(labels, *id, class, *base))
            && labels.using(class).iter().all(|id| stays(labels, *id, class, *base))
    });
    bases
}

/// Whether an array has both classes once, and every element that has a unit of the one has a unit of the other.
fn is_numbered(labels: &Labels<'_>, id: Id, class: Class, base: Class) -> bool {
    let occurrences = &labels.at(id).occurrences;
    let only = |class: Class| {
        let mut found = occurrences.iter().filter(move |o| o.class == class);
        found.next().filter(|_| found.next().is_none())
    };
    matches!((only(class), only(base)), (Some(own), Some(base)) if base.covers(own))
}

/// Whether units of two places of the base never meet in an operator: the base has one letter in all arrays with the class.
fn stays(labels: &Labels<'_>, id: Id, class: Class, base: Class) -> bool {
    let lettered = labels.at(id);
    let args = labels.graph.node(id).args.iter().map(|arg| &labels.at(*arg).occurrences[..]);
    let arrays = args.zip(&lettered.args).chain([(&lettered.occurrences[..], &lettered.own)]);
    let carrying = arrays.filter(|(occurrences, _)| occurrences.iter().any(|o| o.class == class));
    let mut letters = carrying.map(|(occurrences, letters)| Labels::letters(occurrences, letters, base).next());
    let Some(first) = letters.next() else { return true };
    first.is_some() && letters.all(|letter| letter == first)
}
