//! `include/mountainpass_base.h` and `include/mountainpass_backend.h` in Rust, field for field.
//!
//! The headers are the specification: what a field means, who owns it and which thread may call a slot is said
//! there. Layouts are compared with a C compiler's in the root package's `tests/abi_layout.rs`.

#![allow(
    missing_docs,
    reason = "every code and field has its sentence in the headers, and two texts would drift apart"
)]

use std::ffi::{c_char, c_void};

/// The minor version of the contract this file describes; the major is in the entry symbol's name.
pub const MINOR: u32 = 1;
/// The name of the only symbol that a plugin exports.
pub const ENTRY_SYMBOL: &std::ffi::CStr = c"mpass_backend_entry_v0";

/// A status code of the contract; codes a reader does not know mean [`INTERNAL`](status::INTERNAL).
pub type Status = i32;

/// The status codes, `MPASS_OK` and `MPASS_E_*`.
pub mod status {
    use super::Status;
    pub const OK: Status = 0;
    pub const ARGUMENT: Status = 1;
    pub const UNSUPPORTED: Status = 2;
    pub const VERSION: Status = 3;
    pub const NOT_FOUND: Status = 4;
    pub const MEMORY: Status = 5;
    pub const DEVICE: Status = 6;
    pub const NUMERIC: Status = 7;
    pub const CANCELLED: Status = 8;
    pub const BUDGET: Status = 9;
    pub const BUSY: Status = 10;
    pub const BACKEND: Status = 11;
    pub const POISONED: Status = 12;
    pub const INTERNAL: Status = 13;
}

/// Element types, `MPASS_F32` and so on.
pub mod dtype {
    pub const F32: u32 = 1;
    pub const F64: u32 = 2;
    pub const U64: u32 = 3;
    pub const I64: u32 = 4;
    pub const I32: u32 = 5;
    pub const U8: u32 = 6;
    pub const F16: u32 = 7;
    pub const BF16: u32 = 8;
}

/// Kinds of memory, `MPASS_HOST` and so on.
pub mod memory {
    pub const HOST: u32 = 0;
    pub const HOST_PINNED: u32 = 1;
    pub const CUDA: u32 = 2;
}

/// Levels of the log, `MPASS_LOG_*`.
pub mod log {
    pub const ERROR: i32 = 1;
    pub const WARN: i32 = 2;
    pub const INFO: i32 = 3;
    pub const DEBUG: i32 = 4;
}

/// Capability bits, `MPASS_CAP_*`.
pub mod cap {
    pub const GRAD: u32 = 1;
    pub const HVP: u32 = 2;
    pub const MINIBATCH: u32 = 4;
    pub const MANY: u32 = 8;
    pub const REPEATABLE: u32 = 16;
    pub const CANCEL: u32 = 32;
    pub const CALLER_THREAD: u32 = 64;
    pub const SMOOTH: u32 = 128;
    pub const JOINT: u32 = 256;
}

/// Kinds of symmetry, `MPASS_SYMMETRY_*`.
pub mod symmetry {
    pub const PERMUTATION: u32 = 1;
    pub const SIGN: u32 = 2;
    pub const SCALE: u32 = 3;
    pub const PERIOD: u32 = 4;
    pub const RIGID: u32 = 5;
    pub const CONJUGATION: u32 = 6;
    pub const MIXING: u32 = 7;
}

/// Kinds of options, `MPASS_OPTION_*`.
pub mod option {
    pub const TEXT: u32 = 1;
    pub const INTEGER: u32 = 2;
    pub const NUMBER: u32 = 3;
    pub const BOOLEAN: u32 = 4;
    pub const PATH: u32 = 5;
    pub const LIST: u32 = 6;
}

/// Splits of a data set, `MPASS_TRAIN` and `MPASS_TEST`.
pub mod split {
    pub const TRAIN: u32 = 0;
    pub const TEST: u32 = 1;
}

/// Identifiers of the extensions the engine knows.
pub mod ext {
    use std::ffi::CStr;
    pub const OPTIONS: &CStr = c"mountainpass.options/1";
    pub const PARAMETERS: &CStr = c"mountainpass.parameters/1";
    pub const START: &CStr = c"mountainpass.start/1";
    pub const METRICS: &CStr = c"mountainpass.metrics/1";
    pub const SYMMETRY: &CStr = c"mountainpass.symmetry/1";
    pub const IDENTITY: &CStr = c"mountainpass.identity/1";
    pub const KINKS: &CStr = c"mountainpass.kinks/1";
}

/// `mpass_error`: the caller's memory, frozen for ever.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Error {
    pub code: Status,
    pub text: [u8; 508],
}

#[doc(hidden)]
pub use bytemuck::Zeroable;

/// Declares structs of the contract, laid out as C does. Fields of which zero bytes are no value are refused:
///
/// ```compile_fail,E0277
/// mountainpass_sdk::abi_structs! { pub struct Bad { name: &'static str } }
/// Bad::zeroed();
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! abi_structs {
    ($($(#[$doc:meta])* pub struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name { $(pub $field: $type),* }
        // SAFETY: so are all its fields, as `zeroed` proves.
        unsafe impl $crate::abi::Zeroable for $name {}
        impl $name {
            /// Every byte zero: the cautious answer of a struct that was never filled, the default of an option.
            pub const fn zeroed() -> Self {
                const fn is_zeroable<T: $crate::abi::Zeroable>() {}
                $(is_zeroable::<$type>();)*
                // SAFETY: zero bytes are a value of every field.
                unsafe { std::mem::zeroed() }
            }
            /// What its filler stamps into `struct_size`, where it has one.
            pub const SIZE: u32 = std::mem::size_of::<$name>() as u32;
        }
    )*};
}

abi_structs! {
    /// `mpass_view`: a row-major matrix someone else owns; frozen.
    pub struct View {
        data: *mut c_void, rows: u64, cols: u64, row_stride: u64, dtype: u32, memory: u32, device: u32, reserved: u32,
    }
    /// `mpass_array`: a named n-dimensional array someone else owns; frozen.
    pub struct Array {
        name: *const c_char, data: *const c_void, shape: *const u64, strides: *const i64, ndim: u32, dtype: u32,
    }
    /// `mpass_open`: which loss to open.
    pub struct Open {
        struct_size: u32, device: u32, max_threads: u32, n_options: u32,
        model: *const c_char, model_bytes: *const c_void, model_len: u64,
        keys: *const *const c_char, values: *const *const c_char,
        data: *const Array, n_data: u64, user: *mut c_void,
        repeatable: u32, reserved: u32,
    }
    /// `mpass_host`: what the engine offers to a loss, valid until `close` returns.
    pub struct Host {
        struct_size: u32, abi_minor: u32, ctx: *mut c_void,
        log: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char)>,
        cancelled: Option<unsafe extern "C" fn(*mut c_void, *const c_void) -> i32>,
        parallel: Option<unsafe extern "C" fn(*mut c_void, u64, Option<ParallelBody>, *mut c_void) -> Status>,
        extension: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void>,
        workers: u32, reserved: u32,
    }
    /// `mpass_device`.
    pub struct Device { struct_size: u32, memory: u32, name: *const c_char, memory_bytes: u64 }
    /// `mpass_loss_info`: constant until `close`.
    pub struct LossInfo {
        struct_size: u32, caps: u32, params: u64, samples: u64, rows_best: u64, rows_max: u64,
        dtypes: u32, memories: u32, noise: f64,
    }
    /// `mpass_eval`: one batch of parameter rows.
    pub struct Eval {
        struct_size: u32, reserved: u32, theta: View, ids: View, loss: *mut f64, grad: View, dir: View, hvp: View,
        row_status: *mut Status, cancel: *const c_void, stream: *mut c_void,
    }
    /// `mpass_backend`: the table a plugin returns.
    pub struct Backend {
        struct_size: u32, abi_minor: u32, name: *const c_char, version: *const c_char,
        probe: Option<unsafe extern "C" fn(u32) -> *const Device>,
        open: Option<unsafe extern "C" fn(*const Host, *const Open, *mut *mut c_void, *mut Error) -> Status>,
        info: Option<unsafe extern "C" fn(*const c_void) -> *const LossInfo>,
        eval: Option<unsafe extern "C" fn(*mut c_void, *const Eval, *mut Error) -> Status>,
        close: Option<unsafe extern "C" fn(*mut c_void)>,
        extension: Option<unsafe extern "C" fn(*const c_char) -> *const c_void>,
    }
    /// `mpass_option`: an option that a backend declares; frozen.
    pub struct Declared {
        name: *const c_char, about: *const c_char, default_value: *const c_char, words: *const c_char,
        kind: u32, reserved: u32,
    }
    /// `mpass_ext_options`: constant, as all it leads to.
    pub struct ExtOptions { struct_size: u32, reserved: u32, options: *const Declared, n_options: u64 }
    /// `mpass_parameter`: one named block of theta; frozen.
    pub struct Parameter { name: *const c_char, shape: *const u64, offset: u64, ndim: u32, reserved: u32 }
    /// `mpass_ext_parameters`.
    pub struct ExtParameters {
        struct_size: u32, reserved: u32,
        list: Option<unsafe extern "C" fn(*const c_void, *mut *const Parameter, *mut u64, *mut Error) -> Status>,
    }
    /// `mpass_ext_start`.
    pub struct ExtStart {
        struct_size: u32, reserved: u32,
        start: Option<unsafe extern "C" fn(*const c_void, u64, *mut f64, *mut Error) -> Status>,
        r#box: Option<unsafe extern "C" fn(*const c_void, *mut *const f64, *mut *const f64, *mut Error) -> Status>,
    }
    /// `mpass_ext_metrics`.
    pub struct ExtMetrics {
        struct_size: u32, reserved: u32,
        names: Option<
            unsafe extern "C" fn(*const c_void, u32, *mut *const *const c_char, *mut u64, *mut Error) -> Status,
        >,
        eval: Option<unsafe extern "C" fn(*mut c_void, u32, *const View, *mut f64, *mut Error) -> Status>,
    }
    /// `mpass_symmetry`; frozen.
    pub struct Symmetry {
        kind: u32, reserved: u32, n_blocks: u64, block: u64, index: *const u64, split: u64, period: f64,
    }
    /// `mpass_ext_symmetry`.
    pub struct ExtSymmetry {
        struct_size: u32, reserved: u32,
        list: Option<unsafe extern "C" fn(*const c_void, *mut *const Symmetry, *mut u64, *mut Error) -> Status>,
    }
    /// `mpass_identity`.
    pub struct Identity {
        struct_size: u32, reserved: u32, model_hash: *const c_char, data_hash: *const c_char, options: *const c_char,
        notes: *const c_char,
    }
    /// `mpass_ext_identity`.
    pub struct ExtIdentity {
        struct_size: u32, reserved: u32,
        get: Option<unsafe extern "C" fn(*const c_void) -> *const Identity>,
    }
    /// `mpass_kink`; frozen.
    pub struct Kink { id: u64, z: f64, alpha: f64, delta: f64 }
    /// `mpass_slope`; frozen.
    pub struct Slope { id: u64, t: f64 }
    /// `mpass_ext_kinks`.
    pub struct ExtKinks {
        struct_size: u32, reserved: u32,
        count: Option<unsafe extern "C" fn(*const c_void, *mut u64, *mut Error) -> Status>,
        eval_smoothed: Option<unsafe extern "C" fn(*mut c_void, f64, *const Eval, *mut Error) -> Status>,
        near: Option<
            unsafe extern "C" fn(*mut c_void, *const f64, f64, *mut Kink, u64, *mut u64, *mut Error) -> Status,
        >,
        eval_linear: Option<
            unsafe extern "C" fn(
                *mut c_void, *const Slope, u64, *const Eval, *mut f64, *mut f64, *mut Error,
            ) -> Status,
        >,
        rows: Option<
            unsafe extern "C" fn(*mut c_void, *const f64, *const Slope, u64, *mut f64, *mut Error) -> Status,
        >,
    }
}

/// Copies a sized record by THE SIZE RULE: min(theirs, ours) bytes, the rest stays as in `zero`.
///
/// # Safety
/// `from` points to a record of this type, of whatever minor, whose first field says how large it is.
pub unsafe fn sized<T: Copy>(from: *const T, zero: T) -> T {
    let mut to = zero;
    // SAFETY: every sized record begins with `uint32_t struct_size`.
    let theirs = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    let (from, bytes) = (from.cast::<u8>(), theirs.min(size_of::<T>()));
    // SAFETY: its filler vouches for that many bytes, `to` has size_of::<T>, and any bytes are a value of the records of
    // this file.
    unsafe { std::ptr::copy_nonoverlapping(from, (&raw mut to).cast::<u8>(), bytes) };
    to
}

/// What `mpass_host.parallel` calls for every index: `body(user, i, worker)`.
pub type ParallelBody = unsafe extern "C" fn(*mut c_void, u64, u32);
/// The entry symbol's type.
pub type Entry = unsafe extern "C" fn(*const Host, *mut Error) -> *const Backend;

impl Error {
    /// No error, no text.
    pub const NONE: Error = Error { code: status::OK, text: [0; 508] };

    /// Stores a code and a text, cut at a character boundary so that it stays UTF-8 and NUL-terminated.
    pub fn set(&mut self, code: Status, text: &str) {
        let mut end = text.len().min(self.text.len() - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.code = code;
        self.text.fill(0);
        self.text[..end].copy_from_slice(&text.as_bytes()[..end]);
    }

    /// The text up to its NUL (or the end of the field, should the writer have forgotten it), lossily as UTF-8.
    pub fn message(&self) -> String {
        let end = self.text.iter().position(|&b| b == 0).unwrap_or(self.text.len());
        String::from_utf8_lossy(&self.text[..end]).into_owned()
    }
}

impl View {
    /// No matrix: an output not wanted, or "all samples".
    pub const NONE: View = View::zeroed();
}
