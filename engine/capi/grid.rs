//! A function sampled on an array: its barcode, basins, and discrete Morse complex (`complex.rs`).

use super::abi::{BarcodeOptions, GridOptions, keep, sampled};
use super::argument::{check_length, handle, options, out_pointer, unknown_flags};
use super::array::ForeignArray;
use super::barcode::{self, Barcode};
use super::barrier::{give, take};
use super::engine::Engine;
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::morse::basin::Components;
use crate::morse::grid::{self, Construction, Sampling, Shape};
use crate::persistence::of_grid::{Wanted, canonical};
use crate::store::By;
use mountainpass_sdk::abi::Array;
use std::sync::Arc;

/// `mpass_grid`.
pub struct Grid {
    pub(super) grid: grid::Grid,
    pub(super) pool: Arc<Pool>,
}

export! {
    /// Reads an array.
    fn mpass_grid_new(engine: *mut Engine, values: *const Array, given: *const GridOptions, out: *mut *mut Grid) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let pool = unsafe { handle(engine, "engine") }?.lock()?.pool.clone();
        // SAFETY: the caller's array.
        let values = unsafe { ForeignArray::argument(values, "values") }?;
        // SAFETY: NULL or the caller's options.
        let given = unsafe { options(given, GridOptions::zeroed(), "mpass_grid_options") }?;
        // SAFETY: the caller's elements.
        let grid = unsafe { read(&values, &given) }?;
        // SAFETY: checked above.
        unsafe { give(out, Grid { grid, pool }) };
        Ok(())
    }
}

/// # Safety
/// The elements of `values` are there.
unsafe fn read(values: &ForeignArray, given: &GridOptions) -> Result<grid::Grid> {
    unknown_flags(given.flags, sampled::SUPERLEVEL | sampled::TOP_CELLS, "mpass_grid_options")?;
    if given.reserved != 0 {
        return Err(Error::Argument(format!("mpass_grid_options.reserved is {}, and must be 0", given.reserved)));
    }
    let periodic: Vec<usize> = (0..32).filter(|axis| given.periodic >> axis & 1 == 1).collect();
    let (top_cells, superlevel) = (given.flags & sampled::TOP_CELLS != 0, given.flags & sampled::SUPERLEVEL != 0);
    let construction = if top_cells { Construction::TopCell } else { Construction::Vertex };
    // A shape that makes no sense is refused before its elements are read.
    Shape::new(&values.shape.iter().map(|&axis| axis as usize).collect::<Vec<_>>(), &periodic)?;
    // SAFETY: forwarded from the caller.
    let array = unsafe { values.copy() }?;
    grid::Grid::new(array, Sampling { periodic: &periodic, construction, superlevel, max_degree: None })
}

export! {
    /// The barcode.
    fn mpass_grid_barcode(grid: *const Grid, given: *const BarcodeOptions, out: *mut *mut Barcode) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let Grid { grid, pool } = unsafe { handle(grid, "grid") }?;
        // SAFETY: NULL or the caller's options.
        let given = unsafe { barcode::wanted(given) }?;
        if given.simplify != 0.0 {
            let text = format!("mpass_barcode_options.simplify is {}: grids are not simplified", given.simplify);
            return Err(Error::Unsupported { backend: "mpass_grid_barcode".into(), text });
        }
        let wanted = Wanted {
            max_degree: given.degrees.checked_sub(1).map_or(usize::MAX, |degree| degree as usize),
            zero_length: given.flags & keep::ZERO_LENGTH != 0,
            cycles: given.flags & keep::CYCLES != 0,
            ..Wanted::default()
        };
        let bars = canonical(grid, wanted, pool).barcode(grid);
        // SAFETY: checked above.
        unsafe { give(out, Barcode::of_samples(bars, grid.superlevel(), By::Grid)) };
        Ok(())
    }
}

export! {
    /// The basin of every sample.
    fn mpass_grid_labels(grid: *const Grid, labels: *mut i64, count: u64) {
        // SAFETY: the caller's handle.
        let Grid { grid, pool } = unsafe { handle(grid, "grid") }?;
        let labels = check_length(labels, count, grid.shape.count(), "labels")?;
        for (i, label) in Components::of(grid, pool).labels().into_iter().enumerate() {
            // SAFETY: the caller's memory for `count` labels.
            unsafe { labels.wrapping_add(i).write_unaligned(label) };
        }
        Ok(())
    }
}

export! {
    /// Frees a grid.
    fn mpass_grid_free(grid: *mut Grid) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(grid) };
        Ok(())
    }
}
