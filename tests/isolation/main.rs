//! Plugins that do their worst in a process of their own: every sin is a sentence here, and the other rows are as they
//! would have been.
#![cfg(all(target_os = "linux", feature = "cli", feature = "faer", feature = "surfaces"))]

#[path = "../built/mod.rs"]
mod built;
#[path = "../mpass/mod.rs"]
mod mpass;

mod calls;
mod engine;
mod evaluations;
mod files;
mod harm;
mod runs;
