//! Sampled functions: grids, their discrete gradient and Morse complex.

#![forbid(unsafe_code)]

pub mod basin;
pub mod complex;
pub mod gradient;
pub mod grid;
pub mod star;
