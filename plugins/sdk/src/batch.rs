//! One batch of parameter rows as safe slices: what a [`Loss`](crate::Loss) reads and writes in `eval`.

use crate::{abi, host::Host};
use std::ffi::c_void;
use std::marker::PhantomData;

/// An element type of parameters and gradients.
pub trait Scalar: bytemuck::Pod + Send + Sync + PartialOrd + std::fmt::Debug {
    /// Its code in the contract.
    const DTYPE: u32;
    /// The nearest f64; exact.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
}

impl Scalar for f64 {
    const DTYPE: u32 = abi::dtype::F64;
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> f64 {
        value
    }
}

impl Scalar for f32 {
    const DTYPE: u32 = abi::dtype::F32;
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
}

/// A read-only row-major matrix with a row stride.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    data: *const T,
    rows: usize,
    cols: usize,
    stride: usize,
    life: PhantomData<&'a [T]>,
}

// SAFETY: `Rows` is a shared slice with gaps; it hands out shared references only.
unsafe impl<T: Sync> Send for Rows<'_, T> {}
unsafe impl<T: Sync> Sync for Rows<'_, T> {}

impl<'a, T: Scalar> Rows<'a, T> {
    /// A matrix over contiguous memory; `data.len()` is `rows * cols`.
    pub fn new(data: &'a [T], cols: usize) -> Self {
        assert!(cols > 0 && data.len().is_multiple_of(cols), "{} elements in rows of {cols}", data.len());
        Rows { data: data.as_ptr(), rows: data.len() / cols, cols, stride: cols, life: PhantomData }
    }

    /// The number of rows.
    pub fn n(&self) -> usize {
        self.rows
    }

    /// Row `i`, `p` elements.
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        // SAFETY: THE OWNERSHIP RULE: a view covers (rows - 1) * row_stride + cols elements for the call's duration.
        unsafe { std::slice::from_raw_parts(self.data.add(i * self.stride), self.cols) }
    }
}

/// A writable row-major matrix with a row stride; the gaps between rows are never touched.
pub struct RowsMut<'a, T> {
    data: *mut T,
    rows: usize,
    cols: usize,
    stride: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: `RowsMut` owns its rows exclusively for 'a, like `&mut [T]`.
unsafe impl<T: Send> Send for RowsMut<'_, T> {}

impl<'a, T: Scalar> RowsMut<'a, T> {
    /// A matrix over contiguous memory; `data.len()` is `rows * cols`.
    pub fn new(data: &'a mut [T], cols: usize) -> Self {
        assert!(cols > 0 && data.len().is_multiple_of(cols), "{} elements in rows of {cols}", data.len());
        RowsMut { rows: data.len() / cols, data: data.as_mut_ptr(), cols, stride: cols, life: PhantomData }
    }

    /// The number of rows.
    pub fn n(&self) -> usize {
        self.rows
    }

    /// Row `i`, `p` elements.
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        // SAFETY: as in `Rows::row`; the borrow of self makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(i * self.stride), self.cols) }
    }

    /// All rows at once, so that they can be handed to different workers.
    pub fn into_rows(self) -> Vec<&'a mut [T]> {
        (0..self.rows)
            // SAFETY: as in `Rows::row`; rows do not overlap because row_stride >= cols, and self is consumed.
            .map(|i| unsafe { std::slice::from_raw_parts_mut(self.data.add(i * self.stride), self.cols) })
            .collect()
    }
}

/// A matrix of either element type.
#[derive(Clone, Copy)]
pub enum Matrix<'a> {
    F32(Rows<'a, f32>),
    F64(Rows<'a, f64>),
}

/// A writable matrix of either element type.
pub enum MatrixMut<'a> {
    F32(RowsMut<'a, f32>),
    F64(RowsMut<'a, f64>),
}

impl Matrix<'_> {
    /// The number of rows.
    pub fn n(&self) -> usize {
        match self {
            Matrix::F32(m) => m.n(),
            Matrix::F64(m) => m.n(),
        }
    }

    /// Row `i` as f64, whatever it is stored as.
    pub fn row_f64(&self, i: usize) -> Vec<f64> {
        match self {
            Matrix::F32(m) => m.row(i).iter().map(|&x| f64::from(x)).collect(),
            Matrix::F64(m) => m.row(i).to_vec(),
        }
    }
}

impl MatrixMut<'_> {
    /// Stores row `i`, rounding to the matrix's element type.
    pub fn set_row_f64(&mut self, i: usize, values: &[f64]) {
        match self {
            MatrixMut::F32(m) => m.row(i).iter_mut().zip(values).for_each(|(o, &v)| *o = v as f32),
            MatrixMut::F64(m) => m.row(i).copy_from_slice(values),
        }
    }
}

/// Tells whether the caller has lost interest; cheap enough to ask per tile.
#[derive(Clone, Copy)]
pub struct Cancel<'a> {
    pub(crate) host: Host,
    pub(crate) token: *const c_void,
    pub(crate) life: PhantomData<&'a ()>,
}

// SAFETY: `mpass_host.cancelled` is tagged [many].
unsafe impl Send for Cancel<'_> {}
unsafe impl Sync for Cancel<'_> {}

impl Cancel<'_> {
    /// True once the call should stop with [`Error::cancelled`](crate::Error::cancelled).
    pub fn fired(&self) -> bool {
        self.host.cancelled(self.token)
    }
}

/// One evaluation: `n` parameter rows in, losses and whatever else is wanted out.
pub struct Eval<'a> {
    /// The parameter vectors, `n x p`.
    pub theta: Matrix<'a>,
    /// The samples to take the loss over, the same for every row; `None` means all.
    pub ids: Option<&'a [u64]>,
    /// Where the `n` losses go.
    pub loss: &'a mut [f64],
    /// Where the gradients go, `n x p` in theta's element type, if wanted.
    pub grad: Option<MatrixMut<'a>>,
    /// Directions and where the Hessian-vector products go, `n x p` in theta's element type, if wanted.
    pub hvp: Option<(Matrix<'a>, MatrixMut<'a>)>,
    /// Per row `MPASS_OK` (preset) or `MPASS_E_NUMERIC`; one bad row must not fail the batch.
    pub row_status: &'a mut [abi::Status],
    /// Asks whether to stop.
    pub cancel: Cancel<'a>,
}

impl<'a> Eval<'a> {
    /// The number of rows.
    pub fn n(&self) -> usize {
        self.theta.n()
    }

    /// Reads a call of the C table.
    ///
    /// # Safety
    /// `raw` obeys the contract of `mpass_eval` for the duration of 'a.
    pub(crate) unsafe fn from_abi(raw: &abi::Eval, host: Host) -> Result<Eval<'a>, crate::Error> {
        let n = raw.theta.rows as usize;
        // SAFETY: forwarded from the caller; every view was checked to lie on the host.
        unsafe {
            let theta = matrix(&raw.theta)?.ok_or_else(|| crate::Error::argument("theta is missing"))?;
            let grad = matrix_mut(&raw.grad)?;
            let hvp = match (matrix(&raw.dir)?, matrix_mut(&raw.hvp)?) {
                (Some(dir), Some(out)) => Some((dir, out)),
                (None, None) => None,
                _ => return Err(crate::Error::argument("dir and hvp must come together")),
            };
            let ids = if raw.ids.data.is_null() {
                None
            } else {
                Some(std::slice::from_raw_parts(raw.ids.data.cast::<u64>(), raw.ids.cols as usize))
            };
            if n > 0 && (raw.loss.is_null() || raw.row_status.is_null()) {
                return Err(crate::Error::argument("loss and row_status are required"));
            }
            Ok(Eval {
                theta,
                ids,
                loss: slice_mut(raw.loss, n),
                grad,
                hvp,
                row_status: slice_mut(raw.row_status, n),
                cancel: Cancel { host, token: raw.cancel, life: PhantomData },
            })
        }
    }
}

unsafe fn slice_mut<'a, T>(data: *mut T, n: usize) -> &'a mut [T] {
    if n == 0 {
        return &mut [];
    }
    // SAFETY: outputs hold n elements for the call's duration (mpass_eval).
    unsafe { std::slice::from_raw_parts_mut(data, n) }
}

fn on_host(view: &abi::View) -> Result<(), crate::Error> {
    if view.memory == abi::memory::CUDA {
        return Err(crate::Error::unsupported("device memory"));
    }
    if view.row_stride < view.cols {
        return Err(crate::Error::argument(format!("row_stride {} is below cols {}", view.row_stride, view.cols)));
    }
    Ok(())
}

/// Rows, columns and stride of a view on the host; `None` where there is no matrix.
fn shape(view: &abi::View) -> Result<Option<(usize, usize, usize)>, crate::Error> {
    if view.data.is_null() {
        return Ok(None);
    }
    on_host(view)?;
    Ok(Some((view.rows as usize, view.cols as usize, view.row_stride as usize)))
}

pub(crate) unsafe fn matrix<'a>(view: &abi::View) -> Result<Option<Matrix<'a>>, crate::Error> {
    let Some((rows, cols, stride)) = shape(view)? else { return Ok(None) };
    match view.dtype {
        abi::dtype::F32 => {
            Ok(Some(Matrix::F32(Rows { data: view.data.cast(), rows, cols, stride, life: PhantomData })))
        }
        abi::dtype::F64 => {
            Ok(Some(Matrix::F64(Rows { data: view.data.cast(), rows, cols, stride, life: PhantomData })))
        }
        other => Err(crate::Error::unsupported(format!("element type {other}"))),
    }
}

unsafe fn matrix_mut<'a>(view: &abi::View) -> Result<Option<MatrixMut<'a>>, crate::Error> {
    let Some((rows, cols, stride)) = shape(view)? else { return Ok(None) };
    match view.dtype {
        abi::dtype::F32 => {
            Ok(Some(MatrixMut::F32(RowsMut { data: view.data.cast(), rows, cols, stride, life: PhantomData })))
        }
        abi::dtype::F64 => {
            Ok(Some(MatrixMut::F64(RowsMut { data: view.data.cast(), rows, cols, stride, life: PhantomData })))
        }
        other => Err(crate::Error::unsupported(format!("element type {other}"))),
    }
}
