//! Convolutions: `windows` does any, and leaves some to the methods `winograd`, `direct` and `depthwise`.

mod depthwise;
mod direct;
mod method;
#[cfg(all(test, target_arch = "x86_64"))]
mod plain;
mod windows;
mod winograd;

pub(crate) use method::{Convolution, Wanted};
