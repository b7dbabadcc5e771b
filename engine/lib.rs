//! mountainpass: the barcode of a loss function.
//!
//! ```text
//! loss --> minima --> paths --> saddles --> morse --> filtration --> reduce --> barcode --> score --> report
//! ```

#![warn(missing_docs)]

// Test losses are shared with the integration tests, which call this crate by its name.
#[cfg(test)]
extern crate self as mountainpass;

pub mod counted;
pub mod error;
pub mod hash;
pub mod machine;
pub mod npy;
pub mod plain;
pub mod run;

pub mod order;
pub mod pass;
mod spelled;
pub mod union_find;

pub mod loss;
pub mod search;

pub mod morse;

pub mod persistence;

pub mod explore;
pub mod sample;

pub mod store;

pub mod report;

pub mod config;

pub mod capi;
#[cfg(feature = "cli")]
pub mod check;

pub use error::{Error, Result};
