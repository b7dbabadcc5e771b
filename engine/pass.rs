//! What the top of a path is known to be: one word for the search that finds it and for the bar that dies there.

use crate::spelled::spelled;

spelled! {
    /// What the top of a path is known to be.
    pub enum PassKind {
        /// A point where the gradient vanishes, with one falling direction that leads to both ends.
        VerifiedSaddle = "verified saddle",
        /// The same where some kinks of the loss are at their edge (docs/kinks.md).
        VerifiedKinkSaddle = "verified kink saddle",
        /// The highest point of a path: an upper bound.
        PathMaximum = "path maximum",
    }
}

impl PassKind {
    /// Whether it is known to be a saddle, of either kind.
    pub fn is_verified(self) -> bool {
        matches!(self, PassKind::VerifiedSaddle | PassKind::VerifiedKinkSaddle)
    }
}
