//! A loss in a process of its own: whatever a backend does there, crash, hang or eat memory, is an error here.
//!
//! The process is `mpass serve-loss` (`server.rs`), which opens the loss through the same registry and adapter as
//! everybody; this side (`loss.rs`) sends it calls through shared memory (`shared.rs`) and waits for the answer, the end
//! of the process or the end of its patience (`served.rs`). Healthy rows have the same bits as without isolation.
//!
//! **Recovery.** A call that ends in a death, in silence or for want of memory is asked once more in a fresh process,
//! whichever call it is: `load` and `open` (`source.rs`) as well as those of an open loss. One that asks for rows
//! (`rows.rs`: losses, metrics, the start of a seed) is repeated row by row, and a row that is lost again is *marked*: all
//! its numbers are NaN, a line in the log says so, and the run goes on. After so many marked rows without a good one
//! between them it is the backend that is broken, not the rows, and the loss gives up. A call whose answer cannot be left
//! out is an error once it is lost again. What `close` does is told and nothing else: no answer is missing then.

#![deny(unsafe_code)] // Two files of this room allow it: shared.rs, with what it calls of the system, and process.rs.

mod loss;
mod message;
mod process;
mod rows;
mod served;
mod server;
mod shared;
mod source;

use crate::error::{Error, Result};
use crate::machine::memory;
pub(super) use loss::IsolatedLoss;
pub use server::Service;
pub(super) use source::Source;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an isolated backend may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The longest that one call may take; a backend that is still silent then is killed.
    pub call: Duration,
    /// The bytes that its process may have: its own, and what it shares with others than the engine.
    pub memory: u64,
}

impl Default for Limits {
    /// A minute a call, and the memory of the machine.
    fn default() -> Limits {
        Limits { call: Duration::from_secs(60), memory: memory::total() }
    }
}

/// How backends are isolated, and what came of it.
#[derive(Debug)]
pub struct Isolation {
    server: PathBuf,
    limits: Limits,
    marked: AtomicU64,
}

impl Isolation {
    /// Backends run in `server`, which is this version's program `mpass`. Linux only.
    pub fn new(server: PathBuf, limits: Limits) -> Result<Isolation> {
        if !cfg!(target_os = "linux") {
            let text = "isolation needs Linux: memory files that are sealed, and futexes".to_owned();
            return Err(Error::Unsupported { backend: "this system".into(), text });
        }
        Ok(Isolation { server, limits, marked: AtomicU64::new(0) })
    }

    /// The program `mpass` that lies beside the engine's library or the program, if there is one.
    pub fn server() -> Option<PathBuf> {
        super::loader::server()
    }

    /// The rows that were marked so far, of all losses: values, metrics and starts.
    pub fn marked(&self) -> u64 {
        self.marked.load(Ordering::Relaxed)
    }
}
