//! From a top to a saddle of what is smooth, or smoothed, by what suits the number of parameters.

use super::critical::{Near, Verdict};
use super::rejected::Rejected;
use super::tangents::Tangents;
use super::{following, hessian, hybrid};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// A saddle near the top of a path, or the reason why there is none. Costs at most 3,000 gradients and Hessian products, 6,000
/// where it comes down from the top, usually 300 to 1,000; where the whole Hessian is cheap, p products for each.
pub fn climb(oracle: &mut Oracle<'_>, symmetry: &Tangents, near: Near<'_>) -> Result<Verdict> {
    if near.top.len() > hessian::DENSE {
        let found = hybrid::follow(oracle, symmetry, near)?;
        if oracle.has_kinks() || !matches!(found, Err(Rejected::NoMode { .. })) {
            return Ok(found);
        }
    }
    following::follow(oracle, symmetry, near)
}
