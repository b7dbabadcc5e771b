//! The engine for C: every function of `include/mountainpass.h`, one file per noun.
//!
//! The header is the specification. An entry is declared with `export!` (`barrier.rs`), which is the panic barrier; it
//! reads what the caller handed in with `argument.rs`, asks the engine, and writes out-parameters last.

pub mod abi;

#[macro_use]
mod barrier;
mod argument;
mod array;
mod backend;
mod barcode;
mod cancel;
mod chain;
mod complex;
mod engine;
mod error;
mod file;
mod graph;
mod grid;
mod hooks;
mod landscape;
mod loss;
mod request;

pub use barcode::{
    Barcode, mpass_barcode_bars, mpass_barcode_cycle, mpass_barcode_distance, mpass_barcode_free, mpass_barcode_json,
    mpass_barcode_score, mpass_barcode_wasserstein,
};
pub use cancel::{mpass_cancel_fire, mpass_cancel_free, mpass_cancel_new};
pub use complex::{Complex, mpass_complex_cell, mpass_complex_free, mpass_complex_get_info, mpass_grid_complex};
pub use engine::{
    Engine, mpass_backend_load, mpass_backend_register, mpass_engine_backend, mpass_engine_free, mpass_engine_new,
    mpass_version,
};
pub use error::mpass_last_error;
pub use file::{mpass_landscape_open, mpass_landscape_save};
pub use graph::{
    Graph, mpass_graph_barcode, mpass_graph_free, mpass_graph_labels, mpass_graph_new, mpass_graph_of_points,
    mpass_graph_path,
};
pub use grid::{Grid, mpass_grid_barcode, mpass_grid_free, mpass_grid_labels, mpass_grid_new};
pub use landscape::{
    Landscape, mpass_barcode_compute, mpass_explore, mpass_landscape_free, mpass_landscape_get_info,
    mpass_landscape_minimum, mpass_landscape_path,
};
pub use loss::{Loss, mpass_loss_eval, mpass_loss_free, mpass_loss_get_info, mpass_loss_open};

/// `const T *` may be shared by threads, and `T *` may move between them.
const fn shared<T: Send + Sync>() {}
const _: () = (shared::<Engine>(), shared::<Loss>(), shared::<Landscape>(), shared::<Barcode>()).3;
const _: () = (shared::<Grid>(), shared::<Graph>(), shared::<Complex>()).2;
