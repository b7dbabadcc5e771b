//! What leaves a network's output unchanged, read off its graph: permutations of hidden units, their signs, their scales,
//! and mixings of units that nothing but products sees.
//!
//! Parameters are first cut into the pieces that are used (`pieces.rs`). Every axis of every array is followed through the
//! operators (`axes.rs`, `classes.rs`); axes that must be permuted together form one class. Where nothing tells their places apart,
//! neither the data, the labels nor a constant, all parameters may be permuted along them at once, and where the arrays of
//! a class are never seen without another axis, at every place of this for itself (`fibres.rs`). For each class
//! `scaling.rs` then asks by which powers of a number the parameters of one unit may be multiplied, `mixing.rs` whether
//! any matrix may take the place of a permutation. Nothing is known here
//! of layers: chains, residual streams, channels behind convolutions and normalisations, heads of attention and the units
//! within them, states that a recurrence hands on all come out of the same rules.

mod axes;
mod classes;
mod fibres;
mod labels;
mod mixing;
mod pieces;
mod scaling;
#[cfg(test)]
mod tests;
mod units;

use crate::graph::{Graph, Id};
use labels::Labels;
use mountainpass_sdk::{Error, Symmetry};
use pieces::Pieces;
use scaling::{Group, Powers};
use units::Elements;

/// What penalties see of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is none.
    Nothing,
    /// The sum of the squares of its entries, or of those of some parameters.
    Squares,
    /// The absolute values of its entries.
    Sizes,
}

/// Generators of the symmetries that an output and penalties have, class by class: first the permutation of its units, then
/// their signs, then, where nothing is penalised, their scales; or their mixing, of which the others are a part. Of a
/// graph without gradients.
pub fn symmetries(graph: &Graph, output: Id, seen: Seen) -> Result<Vec<Symmetry>, Error> {
    let Pieces { graph, output, places } = Pieces::of(graph, output)?;
    let labels = Labels::of(&graph, output);
    let all = fibres::units(&labels);
    let powers = |group| all.iter().map(|units| scaling::powers(&labels, units.of[0], group)).collect();
    let signs: Vec<Vec<Powers>> = powers(Group::Signs);
    let scaled: Vec<Vec<Powers>> = match seen {
        Seen::Nothing => powers(Group::Scales),
        Seen::Squares | Seen::Sizes => vec![Vec::new(); all.len()],
    };
    let mut found = Vec::new();
    for (i, units) in all.iter().enumerate() {
        let Some(elements) = Elements::of(&labels, units, &places) else { continue };
        if seen != Seen::Sizes && mixing::is_linear(&labels, units) {
            let mixings = elements.mixings(scaled[i].first().filter(|_| scaled[i].len() == 1));
            if !mixings.is_empty() {
                found.extend(mixings);
                continue;
            }
        }
        let Some(permutations) = elements.permutations() else { continue };
        found.extend(permutations);
        // What all units within do together is no symmetry beside theirs.
        let is_new = |of: &[Vec<Powers>], powers: &&Powers| {
            let within =
                all.iter().zip(of).filter(|(inner, _)| units.of.iter().any(|class| inner.fibres.contains(class)));
            within.flat_map(|(_, inner)| inner).all(|inner| of_parameters(inner) != of_parameters(powers))
        };
        found.extend(signs[i].iter().filter(|powers| is_new(&signs, powers)).flat_map(|powers| elements.signs(powers)));
        found.extend(
            scaled[i].iter().filter(|powers| is_new(&scaled, powers)).flat_map(|powers| elements.scales(powers)),
        );
    }
    Ok(found)
}

/// The powers of parameters, whichever factor of their axes is meant.
fn of_parameters(powers: &Powers) -> Vec<(Id, i32)> {
    powers.iter().map(|((parameter, _), power)| (*parameter, *power)).collect()
}
