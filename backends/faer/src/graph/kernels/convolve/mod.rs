//! Convolutions: `windows` does any, and leaves some to the methods `winograd`, `direct` and `depthwise`; `tiles` lets a crew share one.

mod depthwise;
mod direct;
mod method;
#[cfg(all(test, target_arch = "x86_64"))]
mod plain;
mod tiles;
mod windows;
mod winograd;

pub(crate) use method::{Convolution, Wanted};
