//! `mpass check`: the conformance kit for backend plugins.
//!
//! A test is a name, a claim of one sentence, the sentence of the header that it holds a plugin to, the tests that must
//! hold before it makes sense, and a body. The list of all of them (`groups/mod.rs`) is the specification that
//! `mpass check --list` prints. A group is a file, with its part of the list on top.
//!
//! **A body** is a plain function, `fn(&Subject, &mut Random) -> Outcome`:
//! ```ignore
//! fn repeatable(subject: &Subject, random: &mut Random) -> Outcome {
//!     let loss = subject.open()?;                                        // closed when it is dropped
//!     loss.requires(cap::REPEATABLE, "MPASS_CAP_REPEATABLE")?;           // else "skip"
//!     let theta = loss.points(3, random)?;                               // 3 x p values
//!     let first = loss.eval(&Call::of(&theta).grad())?.numbers()?;       // else "fail"
//!     let again = loss.eval(&Call::of(&theta).grad())?.numbers()?;
//!     for row in 0..3 {
//!         if first.loss[row].to_bits() != again.loss[row].to_bits() {
//!             return Err(fail(format!("{}", first.loss[row]), format!("{}", again.loss[row])).at(row));
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//! It talks to the plugin through `Subject` and `OpenLoss`, which call the raw table and note every call in the journal;
//! `Call` describes an `eval`, `EvalAnswer` is what came back, `Host` notes how it is used. It draws from `Random` only,
//! so that a seed replays it, and ends with `Ok(())`, or with `Err` of `fail`, `warn` or `skip`. Nothing that depends on
//! time is worse than a warning. Each body runs in a process of its own (`run.rs`): a death or a hang of the plugin is a
//! verdict, and what it leaves behind harms no other test.
//!
//! **Storeys**, each of which knows those before it only: `verdict.rs` and `random.rs`, what a body ends with and draws
//! from; `judge/`, numbers; `plugin/`, how a plugin is held; `test.rs`, one test; `groups/`, a file for each chapter of the
//! contract; `run.rs` and `report.rs`.
//!
//! **One sin, one failure.** A body looks at its own claim only. What other claims cover it takes as it comes, or
//! names in its `needs`: calls lie between canaries but only value.bounds looks at them, arguments stay mapped until
//! the loss is closed unless `Call::fleeting` asks otherwise, and so on.

mod groups;
mod judge;
mod plugin;
mod random;
pub mod report;
mod run;
mod test;
mod verdict;

pub use groups::select;
pub use plugin::{Facts, Trial};
pub use run::{Checked, Runner, run, run_alone, run_child};
pub use test::Test;
pub use verdict::{Finished, Verdict};
