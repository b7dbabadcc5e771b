//! One batch of parameter rows as safe slices: what a [`Loss`](crate::Loss) reads and writes in `eval`.

use crate::{Dtype, abi, host::Host};
use std::ffi::c_void;
use std::marker::PhantomData;

/// An element type of parameters and gradients.
pub trait Scalar: Dtype + Send + Sync + PartialOrd + std::fmt::Debug {
    /// The nearest f64; exact.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
}

impl Scalar for f64 {
    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline]
    fn from_f64(value: f64) -> f64 {
        value
    }
}

impl Scalar for f32 {
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline]
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
// SAFETY: as above.
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
        let row = self.data.wrapping_add(i * self.stride);
        // SAFETY: mpass_view: row_stride elements from one row to the next, and cols of them in each.
        unsafe { std::slice::from_raw_parts(row, self.cols) }
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
        let row = self.data.wrapping_add(i * self.stride);
        // SAFETY: as in `Rows::row`; the borrow of self makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(row, self.cols) }
    }

    /// All rows at once, so that they can be handed to different workers.
    pub fn into_rows(self) -> Vec<&'a mut [T]> {
        let RowsMut { data, rows, cols, stride, .. } = self;
        // SAFETY: as in `Rows::row`; rows do not overlap because row_stride >= cols, and self is consumed.
        let row = |i| unsafe { std::slice::from_raw_parts_mut(data.wrapping_add(i * stride), cols) };
        (0..rows).map(row).collect()
    }
}

/// A matrix of either element type.
#[derive(Clone, Copy)]
pub enum Matrix<'a> {
    /// Of single precision.
    F32(Rows<'a, f32>),
    /// Of double precision.
    F64(Rows<'a, f64>),
}

/// A writable matrix of either element type.
pub enum MatrixMut<'a> {
    /// Of single precision.
    F32(RowsMut<'a, f32>),
    /// Of double precision.
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
    host: Host<'a>,
    token: *const c_void,
}

// SAFETY: `mpass_host.cancelled` is tagged [many], and nobody else looks behind the token.
unsafe impl Send for Cancel<'_> {}
// SAFETY: as above.
unsafe impl Sync for Cancel<'_> {}

impl Cancel<'_> {
    /// Of a call that nobody stops.
    pub fn never() -> Cancel<'static> {
        Cancel { host: Host::none(), token: std::ptr::null() }
    }

    /// True once the call should stop with [`Error::cancelled`](crate::Error::cancelled).
    pub fn fired(&self) -> bool {
        // SAFETY: the token of an eval that lasts for 'a (`Eval::from_abi`).
        unsafe { self.host.cancelled(self.token) }
    }
}

/// One evaluation: `n` parameter rows in, losses and whatever else is wanted out.
pub struct Eval<'a> {
    /// The parameter vectors, `n x p`.
    pub theta: Matrix<'a>,
    /// The samples to take the loss over, the same for every row, at least one and each in range; `None` means all.
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
    /// Workers and the log.
    pub host: Host<'a>,
}

impl<'a> Eval<'a> {
    /// The number of rows.
    pub fn n(&self) -> usize {
        self.theta.n()
    }

    /// Reads a call of the C table and refuses what its loss did not promise to take; `None` where there are no rows.
    ///
    /// # Safety
    /// `raw` obeys the contract of `mpass_eval` for the duration of 'a.
    pub(crate) unsafe fn from_abi(
        raw: &abi::Eval,
        info: &abi::LossInfo,
        host: Host<'a>,
    ) -> Result<Option<Eval<'a>>, crate::Error> {
        asked(raw, info)?;
        // SAFETY: forwarded from the caller.
        let ids = unsafe { ids(&raw.ids, info) }?;
        let n = raw.theta.rows as usize;
        if n == 0 {
            return Ok(None);
        }
        if raw.loss.is_null() || raw.row_status.is_null() {
            return Err(crate::Error::argument("loss and row_status are required"));
        }
        // SAFETY: forwarded from the caller, here and for all views; each is checked to lie on the host.
        let theta = unsafe { matrix(&raw.theta) }?.ok_or_else(|| crate::Error::argument("theta is missing"))?;
        // SAFETY: as above.
        let dir = unsafe { matrix(&raw.dir) }?;
        Ok(Some(Eval {
            theta,
            ids,
            // SAFETY: mpass_eval.loss, "out n".
            loss: unsafe { std::slice::from_raw_parts_mut(raw.loss, n) },
            // SAFETY: as for theta.
            grad: unsafe { matrix_mut(&raw.grad) }?,
            // SAFETY: as for theta.
            hvp: dir.zip(unsafe { matrix_mut(&raw.hvp) }?),
            // SAFETY: mpass_eval.row_status, "out n".
            row_status: unsafe { std::slice::from_raw_parts_mut(raw.row_status, n) },
            cancel: Cancel { host, token: raw.cancel },
            host,
        }))
    }
}

/// Refuses rows of another shape or element type than those of this loss, or too many of them.
pub(crate) fn check(theta: &abi::View, info: &abi::LossInfo) -> Result<(), crate::Error> {
    let argument = |text: String| Err(crate::Error::argument(text));
    let (n, most) = (theta.rows, info.rows_max);
    if theta.cols != info.params {
        return argument(format!("theta has {} columns, and the loss {} parameters", theta.cols, info.params));
    }
    if 1u32.checked_shl(theta.dtype).is_none_or(|bit| info.dtypes & bit == 0) {
        return Err(crate::Error::unsupported("theta is of an element type that this loss does not offer"));
    }
    if most != 0 && n > most {
        return argument(format!("{n} rows, where rows_max is {most}"));
    }
    Ok(())
}

/// Refuses a call that asks for what the loss does not claim, or in another shape than theta's.
fn asked(raw: &abi::Eval, info: &abi::LossInfo) -> Result<(), crate::Error> {
    let lacks = |text: &str| Err(crate::Error::unsupported(text));
    let has = |cap: u32| info.caps & cap != 0;
    let theta = &raw.theta;
    check(theta, info)?;
    let wanted = [("grad", &raw.grad), ("dir", &raw.dir), ("hvp", &raw.hvp)];
    for (name, view) in wanted.into_iter().filter(|(_, view)| !view.data.is_null()) {
        if (view.rows, view.cols, view.dtype) != (theta.rows, theta.cols, theta.dtype) {
            return Err(crate::Error::argument(format!("{name} is not of theta's shape and element type")));
        }
    }
    match (raw.dir.data.is_null(), raw.hvp.data.is_null()) {
        (true, true) => {}
        (false, false) if has(abi::cap::HVP) => {}
        (false, false) => return lacks("this loss has no Hessian-vector product"),
        _ => return Err(crate::Error::argument("dir and hvp must come together")),
    }
    match raw.grad.data.is_null() || has(abi::cap::GRAD) {
        true => Ok(()),
        false => lacks("this loss has no gradient"),
    }
}

/// The chosen samples; `None` for all.
///
/// # Safety
/// The view obeys the contract for the duration of 'a.
unsafe fn ids<'a>(view: &abi::View, info: &abi::LossInfo) -> Result<Option<&'a [u64]>, crate::Error> {
    if view.data.is_null() {
        return Ok(None);
    }
    let argument = |text: String| Err(crate::Error::argument(text));
    if info.caps & abi::cap::MINIBATCH == 0 {
        return Err(crate::Error::unsupported("this loss cannot be taken over chosen samples"));
    }
    if !is_on_host(view) || view.dtype != abi::dtype::U64 || view.rows != 1 {
        return argument("ids are one row of u64 on the host".into());
    }
    let data = aligned::<u64>(view)?;
    // SAFETY: mpass_eval.ids, "1 x m, u64, host".
    let ids = unsafe { std::slice::from_raw_parts(data, view.cols as usize) };
    match ids.iter().position(|&id| id >= info.samples) {
        Some(i) => argument(format!("sample id {} at place {i}, but there are {} samples", ids[i], info.samples)),
        None if ids.is_empty() => argument("the minibatch has no samples".into()),
        None => Ok(Some(ids)),
    }
}

/// True for memory of a kind that this code can read; kinds that came after its time are none.
fn is_on_host(view: &abi::View) -> bool {
    matches!(view.memory, abi::memory::HOST | abi::memory::HOST_PINNED)
}

/// The first element of a view, where one may lie.
fn aligned<T>(view: &abi::View) -> Result<*mut T, crate::Error> {
    match view.data.cast::<T>() {
        data if data.is_aligned() => Ok(data),
        data => Err(crate::Error::argument(format!("no element lies at {data:?}: it is not aligned"))),
    }
}

/// Rows, columns and stride of a view on the host; `None` where there is no matrix.
fn shape(view: &abi::View) -> Result<Option<(usize, usize, usize)>, crate::Error> {
    if view.data.is_null() {
        return Ok(None);
    }
    if !is_on_host(view) {
        return Err(crate::Error::unsupported("device memory"));
    }
    if view.row_stride < view.cols {
        return Err(crate::Error::argument(format!("row_stride {} is below cols {}", view.row_stride, view.cols)));
    }
    Ok(Some((view.rows as usize, view.cols as usize, view.row_stride as usize)))
}

/// # Safety
/// The view obeys the contract for the duration of 'a.
pub(crate) unsafe fn matrix<'a>(view: &abi::View) -> Result<Option<Matrix<'a>>, crate::Error> {
    fn rows<'a, T>(view: &abi::View, (rows, cols, stride): (usize, usize, usize)) -> Result<Rows<'a, T>, crate::Error> {
        Ok(Rows { data: aligned(view)?, rows, cols, stride, life: PhantomData })
    }
    let Some(shape) = shape(view)? else { return Ok(None) };
    match view.dtype {
        abi::dtype::F32 => Ok(Some(Matrix::F32(rows(view, shape)?))),
        abi::dtype::F64 => Ok(Some(Matrix::F64(rows(view, shape)?))),
        other => Err(crate::Error::unsupported(format!("element type {other}"))),
    }
}

/// # Safety
/// As for [`matrix`], and nobody else touches the rows.
unsafe fn matrix_mut<'a>(view: &abi::View) -> Result<Option<MatrixMut<'a>>, crate::Error> {
    fn rows<'a, T>(
        view: &abi::View,
        (rows, cols, stride): (usize, usize, usize),
    ) -> Result<RowsMut<'a, T>, crate::Error> {
        Ok(RowsMut { data: aligned(view)?, rows, cols, stride, life: PhantomData })
    }
    let Some(shape) = shape(view)? else { return Ok(None) };
    match view.dtype {
        abi::dtype::F32 => Ok(Some(MatrixMut::F32(rows(view, shape)?))),
        abi::dtype::F64 => Ok(Some(MatrixMut::F64(rows(view, shape)?))),
        other => Err(crate::Error::unsupported(format!("element type {other}"))),
    }
}
