//! A loss in a process of its own: whatever a backend does there, crash, hang or eat memory, is an error here.
//!
//! The process is `mpass serve-loss` (`loss/server/`), which opens the loss through the same registry and adapter as
//! everybody; this side (`loss.rs`) sends it calls (`message.rs`) through shared memory (`shared/`) and waits for the
//! answer, the end of the process or the end of its patience (`served.rs`). Healthy rows have the same bits as without
//! isolation.
//!
//! **Recovery.** A call that ends in a death, in silence or for want of memory is asked once more in a fresh process,
//! whichever call it is: `load` and `open` (`launch.rs`) as well as those of an open loss. One that asks for rows
//! (`rows.rs`: losses, metrics, the start of a seed) is repeated row by row, and a row that is lost again is *marked*: all
//! its numbers are NaN, a line in the log says so, and the run goes on. After so many marked rows without a good one
//! between them it is the backend that is broken, not the rows, and the loss gives up. A call whose answer cannot be left
//! out is an error once it is lost again. What `close` does is told and nothing else: no answer is missing then.

#![deny(unsafe_code)] // Only the memory that is shared allows it.

mod launch;
mod loss;
pub(super) mod message;
pub(super) mod packed;
mod rows;
mod served;
pub(super) mod shared;
mod terms;
pub(super) mod told;

pub(super) use loss::IsolatedLoss;
pub(super) use terms::BackendSource;
pub use terms::{Isolation, Limits};
