//! Data sets: train and test samples in memory, each with the numbers of one or more inputs and a label or targets.
//!
//! `data/open.rs` reads them from what the option `data` names; `data/feed.rs` hands them to a model. Values are kept
//! as the file has them, bytes as bytes; normalisation is arithmetic stated in [`Input`], done when they are handed on.

mod aim;
mod arrays;
mod choices;
mod cifar;
mod dataset;
mod digits;
mod feed;
mod file;
mod idx;
mod input;
mod mat;
pub mod npz;
mod open;
mod stored;
mod svhn;
mod tokens;

pub use dataset::{Dataset, Samples, Targets};
pub use feed::{Feed, Layout};
pub use input::{Channels, Input, Normalise};
pub use stored::Stored;
