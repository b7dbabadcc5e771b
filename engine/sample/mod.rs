//! A sampled loss: where the samples lie, their values, and the barcode of what they span.
//!
//! A plan becomes samples (regular places along axes, or points scattered round minima), samples get values, and values
//! a barcode. Which sample has which parameters depends on the plan, the loss and the minima alone.

#![forbid(unsafe_code)]

mod axes;
mod barcode;
mod plan;
mod scatter;
mod values;

pub use axes::Axes;
pub use barcode::{Layout, SHOWN, Samples};
pub use plan::{CloudPlan, GridPlan};
pub use scatter::Scatter;
pub use values::Sampler;
