//! A matrix between guards, as an argument of a call lies in memory.

#![cfg_attr(not(test), forbid(unsafe_code))]

use super::region::{CANARY, Fence, GuardedRegion};
use crate::check::verdict::Outcome;
use mountainpass_sdk::abi;

/// A row-major matrix in a region, with gaps between its rows, as a plugin is given it.
pub struct GuardedMatrix {
    region: GuardedRegion,
    rows: usize,
    cols: usize,
    stride: usize,
    /// Bytes of an element.
    size: usize,
    dtype: u32,
}

impl GuardedMatrix {
    /// A matrix whose every element is `preset`; its gaps are canaries.
    pub fn filled<T: bytemuck::Pod>(
        preset: T,
        (rows, cols): (usize, usize),
        gap: usize,
        dtype: u32,
        fence: Fence,
    ) -> Outcome<GuardedMatrix> {
        // What saturates is more than any machine has.
        let (size, stride) = (size_of::<T>(), cols.saturating_add(gap));
        let elements = match rows {
            0 => 0,
            _ => (rows - 1).saturating_mul(stride).saturating_add(cols),
        };
        let region = GuardedRegion::new(elements.saturating_mul(size), stride.saturating_mul(size), fence)?;
        let mut matrix = GuardedMatrix { region, rows, cols, stride, size, dtype };
        if gap > 0 {
            matrix.region.bytes_mut().fill(CANARY);
        }
        for row in 0..rows {
            let cells = matrix.cells(row);
            bytemuck::cast_slice_mut::<u8, T>(&mut matrix.region.bytes_mut()[cells]).fill(preset);
        }
        Ok(matrix)
    }

    /// A matrix of `values`, which a plugin may read only.
    pub fn input<T: bytemuck::Pod>(
        values: &[T],
        cols: usize,
        gap: usize,
        dtype: u32,
        fence: Fence,
    ) -> Outcome<GuardedMatrix> {
        let rows = values.len().checked_div(cols).unwrap_or(1);
        let mut matrix = GuardedMatrix::filled(T::zeroed(), (rows, cols), gap, dtype, fence)?;
        for (row, values) in values.chunks_exact(cols.max(1)).enumerate() {
            let cells = matrix.cells(row);
            matrix.region.bytes_mut()[cells].copy_from_slice(bytemuck::cast_slice(values));
        }
        // Room is for those who stray, and what they break there is another test's to find.
        if fence == Fence::Guard {
            matrix.region = matrix.region.read_only();
        }
        Ok(matrix)
    }

    /// The view a plugin is given; it lives as long as the matrix.
    pub fn view(&self) -> abi::View {
        abi::View {
            data: self.region.start().cast(),
            rows: self.rows as u64,
            cols: self.cols as u64,
            row_stride: self.stride as u64,
            dtype: self.dtype,
            memory: abi::memory::HOST,
            device: 0,
            reserved: 0,
        }
    }

    /// Takes the matrix away for good; see [`GuardedRegion::bury`].
    pub fn bury(self) {
        self.region.bury();
    }

    /// The size of its memory, for a budget.
    pub fn weight(&self) -> usize {
        self.region.weight()
    }

    /// The elements, gaps left out.
    pub fn read<T: bytemuck::Pod>(&self) -> Vec<T> {
        let rows = (0..self.rows).map(|row| bytemuck::cast_slice(&self.region.bytes()[self.cells(row)]));
        rows.collect::<Vec<&[T]>>().concat()
    }

    /// Where outside its elements something was written, as the end of "wrote ...".
    pub fn strayed(&self, name: &str) -> Option<String> {
        let gap = |row: &usize| self.region.bytes()[self.cells(*row).end..self.cells(row + 1).start].to_vec();
        let torn = |row: &usize| gap(row).iter().any(|&byte| byte != CANARY);
        match self.region.strayed() {
            Some(side) => Some(format!("{side} of {name} ({} x {})", self.rows, self.cols)),
            None if self.stride == self.cols => None,
            None => {
                let row = (0..self.rows.saturating_sub(1)).find(torn)?;
                Some(format!("into the gap behind row {row} of {name}"))
            }
        }
    }

    /// The bytes of a row.
    fn cells(&self, row: usize) -> std::ops::Range<usize> {
        let start = row * self.stride * self.size;
        start..start + self.cols * self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::dtype::F64;

    #[test]
    fn elements_lie_a_stride_apart_and_gaps_are_canaries() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        for fence in [Fence::Room, Fence::Guard] {
            let matrix = GuardedMatrix::input(&values, 2, 3, F64, fence).unwrap();
            let view = matrix.view();
            assert_eq!((view.rows, view.cols, view.row_stride), (3, 2, 5));
            // SAFETY: the second row of three.
            assert_eq!(unsafe { *view.data.cast::<f64>().wrapping_add(5) }, 2.0);
            assert_eq!(matrix.read::<f64>(), values);
            assert_eq!(matrix.strayed("theta"), None);
        }
    }

    #[test]
    fn whoever_strays_is_told_where() {
        for (at, says) in [
            (-1, Some("before the start of grad (2 x 2)")),
            (0, None),
            (1, None),
            (2, Some("into the gap behind row 0 of grad")),
            (3, None),
            (4, None),
            (5, Some("past the end of grad (2 x 2)")),
            (500, Some("past the end of grad (2 x 2)")),
        ] {
            let matrix = GuardedMatrix::filled(f64::NAN, (2, 2), 1, F64, Fence::Room).unwrap();
            // SAFETY: a page and more lies on either side of the elements.
            unsafe { matrix.view().data.cast::<f64>().wrapping_offset(at).write(1.0) };
            assert_eq!(matrix.strayed("grad").as_deref(), says);
        }
    }

    #[test]
    fn nothing_is_as_good_as_anything() {
        for fence in [Fence::Room, Fence::Guard] {
            let matrix = GuardedMatrix::filled(0.0, (0, 3), 0, F64, fence).unwrap();
            assert!(!matrix.view().data.is_null() && matrix.read::<f64>().is_empty());
            assert_eq!(matrix.strayed("loss"), None);
        }
    }
}
