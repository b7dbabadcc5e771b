//! What steps compute. Every kernel adds in one fixed order: the bits of a result depend on the inputs and the machine only.

pub(crate) mod chain;
pub(crate) mod convolve;
pub(crate) mod copy;
mod each;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod reduce;
