//! Losses: the plugin table is the only way in.

#[cfg(test)]
#[path = "../../tests/closed_form/mod.rs"]
pub(crate) mod closed_form;
pub(crate) mod lanes;
#[allow(clippy::module_inception)] // The file is named after its noun, like every other.
pub mod loss;
pub mod oracle;

mod batch;
mod declared;
pub(crate) mod extension;
pub(crate) mod foreign;
pub(crate) mod host;
mod isolated;
mod kinks;
pub(crate) mod loader;
mod plugin;
mod registry;
mod request;
mod server;
pub(crate) mod table;

pub use declared::Declared;
pub use host::Log;
pub use isolated::{Isolation, Limits};
pub use loss::{
    Batch, Bounds, Caps, Dtype, Identity, Info, Kink, Linear, Loss, Parameter, Slope, Split, Symmetry, SymmetryKind,
};
pub use mountainpass_sdk::Kind;
pub use registry::{KnownBackend, Registry};
pub use request::{Elements, Foreign, NamedArray, OpenRequest};
pub use server::Service;
pub use table::Device;
