//! From starts into minima, of whatever loss: smooth, or made of kinks that it supplies.

use super::domain::Domain;
#[cfg(feature = "dense")]
use super::kink;
use super::minima::{self, Quenched, Recipe};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// Descends from every start ([`minima::descend`]); where the loss supplies its kinks, onto them.
pub fn quench(
    oracle: &mut Oracle<'_>,
    starts: Vec<Vec<f64>>,
    recipe: &Recipe,
    domain: &Domain,
    on_round: impl FnMut(usize, f64),
) -> (Vec<Option<Quenched>>, Result<()>) {
    #[cfg(feature = "dense")]
    if oracle.has_kinks() {
        return kink::minimum::descend(oracle, starts, recipe, domain, on_round);
    }
    minima::descend(oracle, starts, recipe, domain, on_round)
}
