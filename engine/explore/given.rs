//! Points to begin with, in the place of starts.

use crate::error::{Error, Result};
use crate::loss::Loss;

/// A point to begin with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// What reports call it: the file it came from.
    pub name: String,
    /// p values.
    pub theta: Vec<f64>,
    /// What else is known of it; kept beside the loss's metrics, and part of no result.
    pub metrics: Vec<(String, f64)>,
}

impl Given {
    /// Refuses what is no point of a loss.
    pub fn check(&self, loss: &dyn Loss) -> Result<()> {
        let Given { name, theta, .. } = self;
        let (p, found) = (loss.info().params, theta.len());
        if found != p {
            return Err(Error::Argument(format!("{name}: {found} values; the loss has {p} parameters")));
        }
        match theta.iter().position(|x| !x.is_finite()) {
            Some(i) => Err(Error::Argument(format!("{name}: value {i} is {}: no point of the loss", theta[i]))),
            None => Ok(()),
        }
    }
}
