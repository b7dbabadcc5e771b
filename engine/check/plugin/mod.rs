//! How a plugin is held: through its raw table, its arguments between guards, every call noted where a death leaves it.
//!
//! Nothing is repaired or refused on the way, as the engine's own adapter would: that is what is tested. A [`Subject`] is
//! the plugin, an [`OpenLoss`] a loss of it; [`OpenCall`] and [`Call`] describe what is asked, [`EvalAnswer`] and
//! [`Refusal`] are what came back, and the [`Host`] logs what the plugin asked for.

mod answer;
mod call;
mod edges;
mod eval_memory;
mod extensions;
mod gate;
mod host;
mod journal;
mod kinks;
mod loss;
mod matrix;
mod open_call;
mod points;
pub mod process;
mod refusal;
mod region;
mod shared;
mod subject;

pub use answer::EvalAnswer;
pub use call::Call;
pub use edges::{AtEdge, edges, part};
pub use gate::Gate;
pub use host::{Host, Polls};
pub use journal::Journal;
pub use kinks::{Bent, Kinks};
pub use loss::{Evaluated, OpenLoss, shown};
pub use open_call::OpenCall;
pub use refusal::Refusal;
pub use region::Fence;
pub use subject::{Facts, Subject, Trial};
