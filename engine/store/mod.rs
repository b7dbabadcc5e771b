//! The landscape database: what was found, by what, kept so that a killed run loses nothing and a later one resumes.
//!
//! [`Provenance`] is plain data and always there; the database itself needs the feature `store` (SQLite).

#![forbid(unsafe_code)]

mod provenance;
pub use provenance::{Provenance, Space};

#[cfg(feature = "store")]
mod database;
#[cfg(feature = "store")]
mod exact;
#[cfg(feature = "store")]
pub use database::{SCHEMA_VERSION, Store};
