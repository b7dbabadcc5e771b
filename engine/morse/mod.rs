//! Sampled functions: grids with their discrete gradient and Morse complex, graphs and point clouds with their basins.

#![forbid(unsafe_code)]

pub mod basin;
pub mod cloud;
pub mod complex;
pub mod gradient;
pub mod graph;
pub mod grid;
mod labels;
pub mod levels;
pub mod star;
