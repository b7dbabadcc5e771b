//! Losses: the plugin table is the only way in.

#[cfg(test)]
pub(crate) mod closed_form;
#[allow(clippy::module_inception)] // The file is named after its noun, like every other.
pub mod loss;
pub mod oracle;

pub use loss::{Batch, Bounds, Caps, Dtype, Identity, Info, Loss, Parameter, Split, Symmetry, SymmetryKind};
