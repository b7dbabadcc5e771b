//! What the top of a path is known to be: one word for the search that finds it and for the bar that dies there.

use serde::{Deserialize, Serialize};

/// What the top of a path is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PassKind {
    #[serde(rename = "verified saddle")]
    /// A point where the gradient vanishes, with one falling direction that leads to both ends.
    VerifiedSaddle,
    #[serde(rename = "path maximum")]
    /// The highest point of a path: an upper bound.
    PathMaximum,
}
