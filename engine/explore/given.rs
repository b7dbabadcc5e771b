//! Points to begin with, in the place of starts.

use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::search::Metric;

/// A point to begin with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// What reports call it: the file it came from.
    pub name: String,
    /// p values.
    pub theta: Vec<f64>,
    /// What else is known of it; kept beside the loss's metrics, and part of no result.
    pub metrics: Vec<(Metric, f64)>,
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

/// Refuses points that are all the same one: between them there is no path.
pub fn check_ends(given: &[Given]) -> Result<()> {
    match given {
        [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|other| other.theta == first.theta) => {
            let (a, b) = (&first.name, &rest[0].name);
            let all = if rest.len() > 1 { ", and so are all others" } else { "" };
            Err(Error::Argument(format!("{a} and {b} are the same point{all}: a path needs two different ends")))
        }
        _ => Ok(()),
    }
}
