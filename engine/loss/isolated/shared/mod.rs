//! The memory an engine shares with the process of an isolated backend: a header with one channel for each direction,
//! then the payload, an array of 8-byte words.
//!
//! The memory is a file without a name that is sealed against shrinking: whatever the other side does, nothing that the
//! engine maps lies beyond its end, and a hole that is torn into it reads as zeros. Only the engine keeps the file, and
//! grows it. The server maps it, closes it and follows, so that there is no descriptor for a backend to close or to
//! write to; copies of the server that a backend forks have no mapping of it.
//!
//! A message is a head of a few words, what lies in the payload, and the sum of both ([`sum`]). Each side copies what it
//! reads into memory of its own, in atomic words, and takes every size from there: what was written over on the way does
//! not add up, and costs that answer and nothing else.

#![allow(unsafe_code)]

mod channel;
mod mapping;
mod memory;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;

pub use channel::Patience;
pub use memory::{HEAD, Page, SharedMemory, sum};
