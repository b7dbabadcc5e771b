//! What the top of a path is known to be: one word for the search that finds it, for the bar that dies there, and for the
//! files that keep either.

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

impl PassKind {
    /// Both.
    pub const ALL: [PassKind; 2] = [PassKind::VerifiedSaddle, PassKind::PathMaximum];

    /// The word that files have for it.
    pub const fn name(self) -> &'static str {
        match self {
            PassKind::VerifiedSaddle => "verified saddle",
            PassKind::PathMaximum => "path maximum",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<PassKind> {
        PassKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_has_one_name() {
        for kind in PassKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(PassKind::of(kind.name()), Some(kind));
        }
    }
}
