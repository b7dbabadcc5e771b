//! The discrete Morse complex of a grid, to be read.

use super::abi::{self, GEOMETRY};
use super::argument::{handle, out_pointer, record, unknown_flags};
use super::barrier::{give, take};
use super::chain::Chains;
use super::grid::Grid;
use crate::morse::complex;

/// `mpass_complex`: critical cells, and a record of each that points into them.
pub struct Complex {
    info: abi::ComplexInfo,
    cells: Vec<abi::Critical>,
    /// What the records point to; never changed again.
    _complex: complex::MorseComplex,
    _paths: Chains,
    _path_ends: Vec<u32>,
    _n_of_degree: Vec<u64>,
}

export! {
    /// Computes the complex.
    fn mpass_grid_complex(grid: *const Grid, flags: u32, out: *mut *mut Complex) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let Grid { grid, pool } = unsafe { handle(grid, "grid") }?;
        unknown_flags(flags, GEOMETRY, "mpass_grid_complex")?;
        let complex = Complex::new(complex::MorseComplex::of(grid, flags & GEOMETRY != 0, pool)?, grid.shape.axes());
        // SAFETY: checked above.
        unsafe { give(out, complex) };
        Ok(())
    }
}

export! {
    /// Counts.
    fn mpass_complex_get_info(complex: *const Complex) -> *const abi::ComplexInfo, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        Ok(&raw const unsafe { handle(complex, "complex") }?.info)
    }
}

export! {
    /// One critical cell.
    fn mpass_complex_cell(complex: *const Complex, index: u64) -> *const abi::Critical, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        record(&unsafe { handle(complex, "complex") }?.cells, index, "critical cell")
    }
}

export! {
    /// Frees a complex.
    fn mpass_complex_free(complex: *mut Complex) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(complex) };
        Ok(())
    }
}

impl Complex {
    fn new(complex: complex::MorseComplex, axes: usize) -> Complex {
        let mut n_of_degree = vec![0; axes + 1];
        complex.cells.iter().for_each(|cell| n_of_degree[cell.degree as usize] += 1);
        let all_paths = || complex.cells.iter().flat_map(|cell| &cell.paths);
        let paths = Chains::new(all_paths().map(|path| &path.cells[..]));
        let path_ends: Vec<u32> = all_paths().map(|path| path.to).collect();
        let mut begun = 0;
        let record = |cell: &complex::Critical| {
            let own = begun..begun + cell.paths.len();
            begun = own.end;
            abi::Critical {
                struct_size: abi::Critical::SIZE,
                degree: cell.degree,
                value: cell.value,
                sample: cell.sample.into(),
                n_samples: cell.samples.len() as u64,
                n_boundary: cell.boundary.len() as u64,
                n_descending: cell.descending.len() as u64,
                n_paths: own.len() as u64,
                samples: cell.samples.as_ptr(),
                boundary: cell.boundary.as_ptr(),
                descending: cell.descending.as_ptr(),
                path_ends: path_ends[own.clone()].as_ptr(),
                paths: paths.records()[own].as_ptr(),
            }
        };
        let cells: Vec<abi::Critical> = complex.cells.iter().map(record).collect();
        let info = abi::ComplexInfo {
            struct_size: abi::ComplexInfo::SIZE,
            degrees: n_of_degree.len() as u32,
            n_cells: cells.len() as u64,
            n_of_degree: n_of_degree.as_ptr(),
            euler_characteristic: complex.euler_characteristic(),
        };
        Complex { info, cells, _complex: complex, _paths: paths, _path_ends: path_ends, _n_of_degree: n_of_degree }
    }
}
