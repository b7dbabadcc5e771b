//! The lowest eigenvalues of the Hessian at a point: the index check of a critical point
//! (docs/mathematics.md#the-spectrum). Tangents of declared continuous symmetries are projected out: all that is said is
//! said of their complement.

#[cfg(feature = "dense")]
use super::hessian;
pub use super::signs::{Found, Lowest, NoSpectrum};
use super::tangents::Tangents;
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// The lowest eigenvalues at theta. Costs p Hessian products up to 300 parameters, above up to 400, usually about 100. A
/// direction known to be a low mode saves some. None are there without the feature `dense`.
#[cfg_attr(not(feature = "dense"), allow(unused_variables))]
pub fn lowest(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    symmetry: &Tangents,
    known: Option<&[f64]>,
) -> Result<Found<Lowest>> {
    #[cfg(feature = "dense")]
    return hessian::lowest(oracle, theta, &symmetry.at(theta), known);
    #[cfg(not(feature = "dense"))]
    Ok(Err(NoSpectrum::NotBuilt))
}
