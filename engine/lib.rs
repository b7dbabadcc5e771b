//! mountainpass: the barcode of a loss function.
//!
//! ```text
//! loss --> minima --> paths --> saddles --> morse --> filtration --> reduce --> barcode --> score --> report
//! ```

pub mod error;
pub mod run;

pub mod loss;
pub mod search;

pub mod persistence;

pub mod store;

pub mod report;
