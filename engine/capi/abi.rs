//! The structs and constants of `include/mountainpass.h` in Rust, field for field.
//!
//! What a field means is said in the header. Layouts are compared with a C compiler's in `tests/abi_layout.rs`.

#![allow(
    missing_docs,
    reason = "every code and field has its sentence in mountainpass.h, and two texts would drift apart"
)]

use crate::run::Cancel;
use mountainpass_sdk::abi::{Device, View};
use std::ffi::{c_char, c_void};

/// `MPASS_VERSION`: major << 16 | minor of this library.
pub const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16 | number(env!("CARGO_PKG_VERSION_MINOR"));
/// `MPASS_NONE`: no cell, seed or path.
pub const NONE: u64 = u64::MAX;

/// How a run ended, `MPASS_ENDED_*`.
pub mod ended {
    pub const COMPLETE: u32 = 0;
    pub const BUDGET: u32 = 1;
    pub const CANCELLED: u32 = 2;
}

/// Flags of a minimum, `MPASS_MINIMUM_*`.
pub mod minimum {
    pub const COUNTS: u32 = 1;
    pub const UNCONVERGED: u32 = 2;
    pub const ESCAPED: u32 = 4;
    pub const NOT_FINITE: u32 = 8;
    pub const TRANSIT: u32 = 16;
    pub const GIVEN: u32 = 32;
}

/// States of a path, `MPASS_PATH_*`.
pub mod path {
    pub const STRAIGHT: u32 = 0;
    pub const RELAXED: u32 = 1;
    pub const CONVERGED: u32 = 2;
    pub const SPLIT: u32 = 3;
}

/// What ends a bar, `MPASS_DEATH_*`.
pub mod death {
    pub const NEVER: u32 = 0;
    pub const CELL: u32 = 1;
    pub const PATH_MAXIMUM: u32 = 2;
    pub const VERIFIED_SADDLE: u32 = 3;
    pub const CRITICAL_POINT: u32 = 4;
    pub const VERIFIED_KINK_SADDLE: u32 = 5;
}

/// Flags of a bar, `MPASS_BAR_*`.
pub mod bar {
    pub const BELOW_NOISE: u32 = 1;
    pub const UNCONVERGED: u32 = 2;
    pub const TRANSIT: u32 = 4;
}

/// Flags of `mpass_grid_options` and `mpass_graph_options`.
pub mod sampled {
    pub const SUPERLEVEL: u32 = 1;
    pub const TOP_CELLS: u32 = 2;
}

/// Flags of `mpass_barcode_options`, `MPASS_KEEP_*`.
pub mod keep {
    pub const ZERO_LENGTH: u32 = 1;
    pub const CYCLES: u32 = 2;
}

/// `MPASS_GEOMETRY`, a flag of `mpass_grid_complex`.
pub const GEOMETRY: u32 = 1;

mountainpass_sdk::abi_structs! {
    /// `mpass_hooks`.
    pub struct Hooks {
        struct_size: u32, log_level: i32, user: *mut c_void,
        log: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>,
        progress: Option<unsafe extern "C" fn(*mut c_void, *const c_char, u64, u64, *const c_char)>,
    }
    /// `mpass_engine_options`.
    pub struct EngineOptions {
        struct_size: u32, threads: u32, hooks: *const Hooks,
        isolate: u32, reserved: u32, isolate_seconds: f64, isolate_memory: u64, server: *const c_char,
    }
    /// `mpass_backend_info`.
    pub struct BackendInfo {
        struct_size: u32, n_devices: u32, name: *const c_char, version: *const c_char, file: *const c_char,
        devices: *const *const Device,
    }
    /// `mpass_run_options`.
    pub struct RunOptions {
        struct_size: u32, flags: u32, cancel: *const Cancel, config: *const c_char, evaluation_ids: *const View,
        theta: *const View,
    }
    /// `mpass_landscape_info`.
    pub struct LandscapeInfo {
        struct_size: u32, ended: u32, params: u64, n_minima: u64, n_paths: u64,
        n_loss: u64, n_gradient: u64, n_hessian_product: u64, noise: f64, aligned: u32, reserved: u32,
    }
    /// `mpass_minimum`.
    pub struct Minimum {
        struct_size: u32, flags: u32, cell: u64, same_as: u64, seed: u64, path: u64,
        loss: f64, gradient_norm: f64, theta: *const f64,
    }
    /// `mpass_path`.
    pub struct Path {
        struct_size: u32, state: u32, id: u64, from_cell: u64, to_cell: u64, pass_cell: u64,
        pass_kind: u32, reserved: u32, height: f64, height_error: f64, pass_arc: f64, pass_theta: *const f64,
        n_samples: u64, n_knots: u64, arc: *const f64, loss: *const f64, slope: *const f64, knots: *const f64,
    }
    /// `mpass_bar`; frozen.
    pub struct Bar {
        birth: f64, death: f64, death_error: f64, birth_cell: u64, death_cell: u64, elder_cell: u64, path: u64,
        degree: u32, death_kind: u32, flags: u32, reserved: u32,
    }
    /// `mpass_score`.
    pub struct Score {
        struct_size: u32, degree: u32, bars: u64, essential: u64, doubtful: u64, mean: f64, total: f64, max: f64,
        bottleneck: f64, wasserstein_1: f64, wasserstein_2: f64, without_doubtful: *const Score,
    }
    /// `mpass_chain`; frozen.
    pub struct Chain { n_cells: u64, first: *const u64, samples: *const u32 }
    /// `mpass_barcode_options`.
    pub struct BarcodeOptions { struct_size: u32, flags: u32, degrees: u32, reserved: u32, simplify: f64 }
    /// `mpass_grid_options`.
    pub struct GridOptions { struct_size: u32, flags: u32, periodic: u32, reserved: u32 }
    /// `mpass_graph_options`.
    pub struct GraphOptions { struct_size: u32, flags: u32, radius: f64 }
    /// `mpass_complex_info`.
    pub struct ComplexInfo {
        struct_size: u32, degrees: u32, n_cells: u64, n_of_degree: *const u64, euler_characteristic: i64,
    }
    /// `mpass_critical`.
    pub struct Critical {
        struct_size: u32, degree: u32, value: f64, sample: u64,
        n_samples: u64, n_boundary: u64, n_descending: u64, n_paths: u64,
        samples: *const u32, boundary: *const u32, descending: *const u32, path_ends: *const u32, paths: *const Chain,
    }
}

macro_rules! portable {
    ($($name:ident)*) => {$(
        // SAFETY: records the library hands out are constant and point into memory of the handle they belong to;
        // those of callers are copied on arrival and stay on the thread they came on.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}
    )*};
}

portable! {
    Hooks EngineOptions BackendInfo RunOptions LandscapeInfo Minimum Path Bar Score Chain BarcodeOptions GridOptions
    GraphOptions ComplexInfo Critical
}

/// The digits of a version.
const fn number(text: &str) -> u32 {
    let (mut value, mut i) = (0, 0);
    while i < text.len() {
        value = 10 * value + (text.as_bytes()[i] - b'0') as u32;
        i += 1;
    }
    value
}
