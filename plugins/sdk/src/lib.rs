//! Write a mountainpass backend in safe Rust.
//!
//! Implement [`Backend`] (how a loss is opened) and [`Loss`] (what it computes on a batch of parameter rows), then
//! `export_backend!(Mine)` in a `cdylib` crate. The slots of the C table, the panic barrier and all pointers are
//! generated here; an author writes no `unsafe`. The contract itself is `include/mountainpass_backend.h`, mirrored
//! in [`abi`].

#![warn(missing_docs)]

pub mod abi;
mod array;
mod batch;
mod declared;
mod error;
mod handle;
mod host;
mod kinks;
mod loss;
pub mod memory;
pub mod npy;
mod panic;
mod request;
mod table;

pub use array::{Array, Dtype};
pub use batch::{Cancel, Eval, Matrix, MatrixMut, Rows, RowsMut, Scalar};
pub use declared::{Declared, Kind, joined};
pub use error::Error;
pub use host::Host;
pub use loss::{
    Backend, Bounds, Caps, Dtypes, Figures, Identity, Info, Kink, Loss, Parameter, Slope, Split, Symmetry, SymmetryKind,
};
pub use request::Open;
pub use table::{entry, table};

/// Exports the entry symbol of a plugin for one [`Backend`].
///
/// Use it in a `cdylib` crate that nothing links: a second export of the symbol in one program is an error.
#[macro_export]
macro_rules! export_backend {
    ($backend:ty) => {
        /// The only symbol of this plugin; see `mountainpass_backend.h`.
        ///
        /// # Safety
        /// `host` and `err` are null or valid for this call, as the header says.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn mpass_backend_entry_v0(
            host: *const $crate::abi::Host,
            err: *mut $crate::abi::Error,
        ) -> *const $crate::abi::Backend {
            // SAFETY: forwarded from the caller.
            unsafe { $crate::entry::<$backend>(host, err) }
        }
    };
}
