//! Products of matrices through faer, one after the other along the batch.

use crate::graph::view::{View, place};
use crate::real::Real;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// `[.., m, k]` by `[.., k, n]` into C order.
#[derive(Debug)]
pub(crate) struct Product {
    batch: Vec<usize>,
    size: [usize; 3],
    sides: [Side; 2],
}

/// One factor: how matrices follow each other, and how one lies.
#[derive(Debug)]
struct Side {
    batch: Vec<isize>,
    layout: Layout,
}

/// A matrix whose rows, or columns, are contiguous and so far apart.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows(usize),
    Columns(usize),
}

/// The layout of the last two axes, if products take it as it is.
fn layout(shape: &[usize], view: &View) -> Option<Layout> {
    let (&[.., m, n], &[.., row, column]) = (shape, &view.strides[..]) else { return None };
    // Along an axis of size 1 any stride will do.
    let whole = |stride: isize| usize::try_from(stride).ok();
    if n == 1 || column == 1 {
        return if m == 1 { Some(Layout::Rows(n)) } else { whole(row).filter(|row| *row >= n).map(Layout::Rows) };
    }
    if m == 1 || row == 1 {
        return whole(column).filter(|column| *column >= m).map(Layout::Columns);
    }
    None
}

/// Whether a view can be a factor without being copied.
pub(crate) fn takes(shape: &[usize], view: &View) -> bool {
    layout(shape, view).is_some()
}

impl Product {
    /// Both views are ones that [`takes`] accepts.
    pub(crate) fn new(shapes: [&[usize]; 2], views: [&View; 2]) -> Option<Product> {
        let (&[ref batch @ .., m, k], &[.., n]) = (shapes[0], shapes[1]) else { return None };
        let side = |i: usize| {
            let batch = views[i].strides[..batch.len()].to_vec();
            Some(Side { batch, layout: layout(shapes[i], views[i])? })
        };
        Some(Product { batch: batch.to_vec(), size: [m, k, n], sides: [side(0)?, side(1)?] })
    }

    pub(crate) fn run<T: Real>(&self, [a, b]: [(&[T], usize); 2], out: &mut [T]) {
        let [m, k, n] = self.size;
        for (i, out) in out.chunks_exact_mut(m * n).enumerate() {
            let matrix = |side: usize, (from, offset): (&'_ [T], usize)| {
                offset.wrapping_add_signed(place(i, &self.batch, &self.sides[side].batch)).min(from.len())
            };
            let lhs = self.sides[0].layout.of(&a.0[matrix(0, a)..], m, k);
            let rhs = self.sides[1].layout.of(&b.0[matrix(1, b)..], k, n);
            matmul(MatMut::from_row_major_slice_mut(out, m, n), Accum::Replace, lhs, rhs, T::ONE, Par::Seq);
        }
    }
}

impl Layout {
    fn of<T>(self, from: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
        match self {
            Layout::Rows(by) => MatRef::from_row_major_slice_with_stride(from, rows, columns, by),
            Layout::Columns(by) => MatRef::from_column_major_slice_with_stride(from, rows, columns, by),
        }
    }
}

/// Rows of `columns` numbers, `by` apart.
pub(crate) fn rows<T>(x: &[T], rows: usize, columns: usize, by: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice_with_stride(x, rows, columns, by)
}

/// `dst = lhs rhs` or added to it; rows of `dst` are `by` apart.
pub(crate) fn into<T: Real>(dst: &mut [T], by: usize, add: bool, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    let (rows, columns) = (lhs.nrows(), rhs.ncols());
    let accum = if add { Accum::Add } else { Accum::Replace };
    // faer 0.24.4's constructor of strided rows makes columns of them, outside of the slice.
    let dst = MatMut::from_column_major_slice_with_stride_mut(dst, columns, rows, by).transpose_mut();
    matmul(dst, accum, lhs, rhs, T::ONE, Par::Seq);
}
