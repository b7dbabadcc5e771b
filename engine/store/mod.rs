//! The landscape database: what was found, by what, kept so that a killed run loses nothing and a later one resumes.
//!
//! [`Provenance`] and [`RunRecord`] are plain data and always there; the database itself needs the feature `store` (SQLite).

#![forbid(unsafe_code)]

mod kept;
mod provenance;
mod record;
pub use kept::Kept;
pub use provenance::{By, Heights, Provenance, Source, Space, VERSION};
pub use record::RunRecord;

#[cfg(feature = "store")]
mod census;
#[cfg(feature = "store")]
mod database;
#[cfg(feature = "store")]
mod exact;
#[cfg(feature = "store")]
mod reading;
#[cfg(feature = "store")]
mod rows;
#[cfg(feature = "store")]
mod salvage;
#[cfg(feature = "store")]
mod tables;
#[cfg(feature = "store")]
pub use database::Store;
#[cfg(feature = "store")]
pub use reading::{BESIDE, DATABASE};
#[cfg(feature = "store")]
pub use salvage::{Salvaged, Saved, salvage};
