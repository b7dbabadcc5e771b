//! A small engine: opens a loss through the C table, runs its parallel work on threads, owns all memory it passes.
//! Outputs are filled with NaN before a call, rows have gaps, and the gaps are checked afterwards.
//!
//! What is passed outlives the call, and the host lives as long as the loss: a "live handle" below.

#![allow(dead_code)] // Each test file uses a part.

use mountainpass_faer::Faer;
use mountainpass_sdk::{Backend, Scalar, abi};
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Samples in memory: features of each, and labels.
pub struct Data {
    pub features: usize,
    pub x: Vec<f64>,
    pub y: Vec<i32>,
}

/// An array of a data set in memory.
pub struct Array {
    pub name: &'static CStr,
    pub shape: Vec<u64>,
    pub data: *const c_void,
    pub dtype: u32,
}

impl Array {
    pub fn reals(name: &'static CStr, shape: &[u64], data: &[f64]) -> Array {
        assert_eq!(shape.iter().product::<u64>(), data.len() as u64);
        Array { name, shape: shape.to_vec(), data: data.as_ptr().cast(), dtype: abi::dtype::F64 }
    }
}

// SAFETY: no slot but `close` minds the thread, and none is called on two at once through `&mut`.
unsafe impl Send for Loss {}

pub struct Loss {
    handle: *mut c_void,
    table: &'static abi::Backend,
    _host: Box<abi::Host>,
    _workers: Box<usize>,
    pub p: usize,
}

/// What to ask for, on `theta.len() / p` rows.
#[derive(Clone, Copy)]
pub struct Call<'a, T> {
    pub theta: &'a [T],
    pub ids: Option<&'a [u64]>,
    pub grad: bool,
    pub dir: Option<&'a [T]>,
    /// Counts down at every poll; fires at zero.
    pub cancel: Option<&'a AtomicI32>,
}

impl<'a, T> Call<'a, T> {
    pub fn new(theta: &'a [T]) -> Call<'a, T> {
        Call { theta, ids: None, grad: true, dir: None, cancel: None }
    }
}

/// Rows of outputs are this far apart.
const GAP: usize = 3;

/// Outputs of a call, `p + GAP` apart.
pub struct Buffers<T> {
    pub loss: Vec<f64>,
    pub status: Vec<i32>,
    pub grad: Vec<T>,
    pub hvp: Vec<T>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    pub loss: Vec<f64>,
    pub grad: Vec<T>,
    pub hvp: Vec<T>,
    pub status: Vec<i32>,
}

unsafe extern "C" fn parallel(
    ctx: *mut c_void,
    n: u64,
    body: Option<abi::ParallelBody>,
    user: *mut c_void,
) -> abi::Status {
    struct User(*mut c_void);
    // SAFETY: mpass_host.parallel: the body is called on several threads.
    unsafe impl Sync for User {}
    // SAFETY: `ctx` is the number of workers that `open_arrays` keeps.
    let workers = unsafe { *ctx.cast::<usize>() };
    let (user, next) = (&User(user), &AtomicU64::new(0));
    let work = move |worker: u32| {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return;
            }
            // SAFETY: "body for 0..n-1", and all are done before this returns.
            unsafe { body.unwrap()(user.0, i, worker) };
        }
    };
    std::thread::scope(|scope| {
        (1..workers as u32).for_each(|worker| {
            scope.spawn(move || work(worker));
        });
        work(0);
    });
    abi::status::OK
}

unsafe extern "C" fn cancelled(_: *mut c_void, token: *const c_void) -> i32 {
    // SAFETY: the token that `try_run` passes.
    i32::from(unsafe { &*token.cast::<AtomicI32>() }.fetch_sub(1, Ordering::Relaxed) <= 0)
}

impl Loss {
    pub fn open(workers: usize, model: &str, options: &[(&str, &str)], data: Option<&Data>) -> Result<Loss, String> {
        let arrays = data.map_or(Vec::new(), |d| {
            let n = d.y.len() as u64;
            let x = Array::reals(c"x", &[n, d.features as u64], &d.x);
            vec![x, Array { name: c"y", shape: vec![n], data: d.y.as_ptr().cast(), dtype: abi::dtype::I32 }]
        });
        Loss::open_arrays(workers, model, options, &arrays)
    }

    /// The arrays live at least as long as the call.
    pub fn open_arrays(
        workers: usize,
        model: &str,
        options: &[(&str, &str)],
        arrays: &[Array],
    ) -> Result<Loss, String> {
        Loss::open_of::<Faer>(workers, model, options, arrays)
    }

    /// The same of any backend.
    pub fn open_of<B: Backend>(
        workers: usize,
        model: &str,
        options: &[(&str, &str)],
        arrays: &[Array],
    ) -> Result<Loss, String> {
        let table = mountainpass_sdk::table::<B>();
        let mut workers = Box::new(workers);
        let host = Box::new(abi::Host {
            struct_size: abi::Host::SIZE,
            ctx: (&raw mut *workers).cast(),
            cancelled: Some(cancelled),
            parallel: (*workers > 1).then_some(parallel),
            workers: *workers as u32,
            ..abi::Host::zeroed()
        });
        let text = |s: &str| CString::new(s).unwrap();
        let model = text(model);
        let texts: Vec<[CString; 2]> = options.iter().map(|(k, v)| [text(k), text(v)]).collect();
        let keys: Vec<_> = texts.iter().map(|t| t[0].as_ptr()).collect();
        let values: Vec<_> = texts.iter().map(|t| t[1].as_ptr()).collect();
        let records = arrays.iter().map(|array| abi::Array {
            name: array.name.as_ptr(),
            data: array.data,
            shape: array.shape.as_ptr(),
            strides: std::ptr::null(),
            ndim: array.shape.len() as u32,
            dtype: array.dtype,
        });
        let arrays: Vec<abi::Array> = records.collect();
        let request = abi::Open {
            struct_size: abi::Open::SIZE,
            n_options: options.len() as u32,
            model: model.as_ptr(),
            keys: keys.as_ptr(),
            values: values.as_ptr(),
            data: arrays.as_ptr(),
            n_data: arrays.len() as u64,
            ..abi::Open::zeroed()
        };
        let (mut handle, mut error) = (std::ptr::null_mut(), abi::Error::NONE);
        // SAFETY: a live host and request; outputs are ours.
        match unsafe { table.open.unwrap()(&raw const *host, &request, &mut handle, &mut error) } {
            abi::status::OK => {
                let mut loss = Loss { handle, table, _host: host, _workers: workers, p: 0 };
                loss.p = loss.info().params as usize;
                Ok(loss)
            }
            _ => Err(error.message()),
        }
    }

    fn info(&self) -> &abi::LossInfo {
        // SAFETY: a live handle.
        let info = unsafe { self.table.info.unwrap()(self.handle) };
        // SAFETY: "constant until close".
        unsafe { &*info }
    }

    /// Whether theta may be f64.
    pub fn has_double(&self) -> bool {
        self.info().dtypes & (1 << abi::dtype::F64) != 0
    }

    pub fn caps(&self) -> u32 {
        self.info().caps
    }

    pub fn samples(&self) -> u64 {
        self.info().samples
    }

    /// Memory for `n` rows, full of NaN, with gaps between rows.
    pub fn buffers<T: Scalar>(&self, n: usize) -> Buffers<T> {
        let rows = || vec![T::from_f64(f64::NAN); n * (self.p + GAP)];
        Buffers { loss: vec![f64::NAN; n], status: vec![0; n], grad: rows(), hvp: rows() }
    }

    /// One evaluation into the caller's memory; theta and dir are contiguous.
    pub fn try_run<T: Scalar>(&mut self, call: &Call<'_, T>, out: &mut Buffers<T>) -> Result<(), String> {
        let (p, n) = (self.p, call.theta.len() / self.p);
        let view = |data: *const T, stride: usize, on: bool| match on {
            true => abi::View {
                data: data.cast_mut().cast(),
                rows: n as u64,
                cols: p as u64,
                row_stride: stride as u64,
                dtype: T::DTYPE,
                ..abi::View::NONE
            },
            false => abi::View::NONE,
        };
        let raw = abi::Eval {
            struct_size: abi::Eval::SIZE,
            theta: view(call.theta.as_ptr(), p, true),
            ids: call.ids.map_or(abi::View::NONE, |ids| abi::View {
                data: ids.as_ptr().cast_mut().cast(),
                rows: 1,
                cols: ids.len() as u64,
                row_stride: ids.len() as u64,
                dtype: abi::dtype::U64,
                ..abi::View::NONE
            }),
            loss: out.loss.as_mut_ptr(),
            grad: view(out.grad.as_ptr(), p + GAP, call.grad),
            dir: view(call.dir.map_or(std::ptr::null(), <[T]>::as_ptr), p, call.dir.is_some()),
            hvp: view(out.hvp.as_ptr(), p + GAP, call.dir.is_some()),
            row_status: out.status.as_mut_ptr(),
            cancel: call.cancel.map_or(std::ptr::null(), |token| std::ptr::from_ref(token).cast()),
            ..abi::Eval::zeroed()
        };
        let mut error = abi::Error::NONE;
        // SAFETY: a live handle; every view covers its elements.
        match unsafe { self.table.eval.unwrap()(self.handle, &raw, &mut error) } {
            abi::status::OK => Ok(()),
            _ => Err(error.message()),
        }
    }

    pub fn run<T: Scalar>(&mut self, call: &Call<'_, T>, out: &mut Buffers<T>) {
        self.try_run(call, out).unwrap();
    }

    pub fn eval<T: Scalar>(&mut self, call: Call<'_, T>) -> Result<Answer<T>, String> {
        let p = self.p;
        let mut out = self.buffers(call.theta.len() / p);
        self.try_run(&call, &mut out)?;
        let gather = |rows: &[T], on: bool| -> Vec<T> {
            let gaps = rows.chunks_exact(p + GAP).flat_map(|row| &row[p..]);
            assert!(gaps.into_iter().all(|x| x.to_f64().is_nan()), "a gap between rows was written");
            if on { rows.chunks_exact(p + GAP).flat_map(|row| row[..p].iter().copied()).collect() } else { Vec::new() }
        };
        let (grad, hvp) = (gather(&out.grad, call.grad), gather(&out.hvp, call.dir.is_some()));
        Ok(Answer { loss: out.loss, grad, hvp, status: out.status })
    }

    /// The loss alone of one row.
    pub fn value(&mut self, theta: &[f64]) -> f64 {
        self.eval(Call { grad: false, ..Call::new(theta) }).unwrap().loss[0]
    }

    fn extension<T>(&self, id: &CStr) -> &'static T {
        // SAFETY: a terminated text.
        let record = unsafe { self.table.extension.unwrap()(id.as_ptr()) };
        // SAFETY: the id names the record's type, and it is constant.
        unsafe { &*record.cast::<T>() }
    }

    pub fn start(&mut self, seed: u64) -> Vec<f64> {
        let mut theta = vec![0.0; self.p];
        let slot = self.extension::<abi::ExtStart>(abi::ext::START).start.unwrap();
        // SAFETY: a live handle; room for p values.
        assert_eq!(unsafe { slot(self.handle, seed, theta.as_mut_ptr(), &mut abi::Error::NONE.clone()) }, 0);
        theta
    }

    /// `[loss, accuracy]` of one row.
    pub fn metrics(&mut self, split: u32, theta: &[f64]) -> [f64; 2] {
        let view = abi::View {
            data: theta.as_ptr().cast_mut().cast(),
            rows: 1,
            cols: self.p as u64,
            row_stride: self.p as u64,
            dtype: abi::dtype::F64,
            ..abi::View::NONE
        };
        let mut out = [f64::NAN; 2];
        let slot = self.extension::<abi::ExtMetrics>(abi::ext::METRICS).eval.unwrap();
        let mut error = abi::Error::NONE;
        // SAFETY: a live handle; room for one row of two metrics.
        assert_eq!(unsafe { slot(self.handle, split, &view, out.as_mut_ptr(), &mut error) }, 0, "{}", error.message());
        out
    }

    /// Kind, blocks and split of every declared symmetry.
    pub fn symmetries(&self) -> Vec<(u32, Vec<Vec<usize>>, usize)> {
        let slot = self.extension::<abi::ExtSymmetry>(abi::ext::SYMMETRY).list.unwrap();
        let (mut list, mut count) = (std::ptr::null(), 0);
        // SAFETY: a live handle; outputs are ours.
        assert_eq!(unsafe { slot(self.handle, &mut list, &mut count, &mut abi::Error::NONE.clone()) }, 0);
        // SAFETY: `count` records, owned by the loss.
        let list = unsafe { std::slice::from_raw_parts(list, count as usize) };
        let read = |s: &abi::Symmetry| {
            // SAFETY: "n_blocks x block offsets into theta".
            let index = unsafe { std::slice::from_raw_parts(s.index, (s.n_blocks * s.block) as usize) };
            let blocks = index.chunks_exact(s.block as usize).map(|b| b.iter().map(|i| *i as usize).collect());
            (s.kind, blocks.collect(), s.split as usize)
        };
        list.iter().map(read).collect()
    }

    /// What was decided in opening.
    pub fn notes(&self) -> String {
        let slot = self.extension::<abi::ExtIdentity>(abi::ext::IDENTITY).get.unwrap();
        // SAFETY: a live handle.
        let record = unsafe { slot(self.handle) };
        // SAFETY: "owned by the loss, constant until close", its texts included.
        let record = unsafe { &*record };
        // SAFETY: as above.
        unsafe { CStr::from_ptr(record.notes) }.to_str().unwrap().to_owned()
    }

    /// Model hash, data hash, options.
    pub fn identity(&self) -> [String; 3] {
        let slot = self.extension::<abi::ExtIdentity>(abi::ext::IDENTITY).get.unwrap();
        // SAFETY: a live handle.
        let record = unsafe { slot(self.handle) };
        // SAFETY: "owned by the loss, constant until close", its texts included.
        let record = unsafe { &*record };
        [record.model_hash, record.data_hash, record.options]
            // SAFETY: as above.
            .map(|text| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned())
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        // SAFETY: a live handle, closed once.
        unsafe { self.table.close.unwrap()(self.handle) };
    }
}

/// So many cases of a property; failing seeds are kept beside the test.
pub fn cases(cases: u32) -> proptest::test_runner::Config {
    let kept = proptest::test_runner::FileFailurePersistence::WithSource("regressions");
    proptest::test_runner::Config { cases, failure_persistence: Some(Box::new(kept)), ..Default::default() }
}

/// Numbers for tests, uniform on [-1, 1): a 64-bit linear congruential generator's high bits.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    pub fn vector(&mut self, n: usize, scale: f64) -> Vec<f64> {
        (0..n).map(|_| scale * self.next()).collect()
    }
}

/// Random samples with random labels.
pub fn data(n: usize, features: usize, classes: usize, seed: u64) -> Data {
    let mut numbers = Numbers(seed);
    let x = numbers.vector(n * features, 1.0);
    let y = (0..n).map(|_| ((numbers.next() + 1.0) / 2.0 * classes as f64) as i32).collect();
    Data { features, x, y }
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a + h b`.
pub fn shifted(a: &[f64], h: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + h * b).collect()
}

/// Loss along a line through theta: its slope and the slope of the gradient, by central differences.
pub fn derivatives_are_right(what: &str, loss: &mut Loss, seed: u64, spread: f64) {
    let mut numbers = Numbers(seed);
    // A direction of length about 3, however many parameters there are.
    let (theta, dir) = (
        shifted(&loss.start(seed), 1.0, &numbers.vector(loss.p, spread)),
        numbers.vector(loss.p, 5.0 / (loss.p as f64).sqrt()),
    );
    let at = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
    let h = 1e-5;
    let mut moved = |by: f64| loss.eval(Call::new(&shifted(&theta, by, &dir))).unwrap();
    let (low, high) = (moved(-h), moved(h));
    let slope = dot(&at.grad, &dir);
    let found = (high.loss[0] - low.loss[0]) / (2.0 * h);
    // Rounding 1e-15 / h and h^2 times a third derivative.
    assert!((found - slope).abs() < 1e-6 * slope.abs().max(1.0), "{what}: {found} {slope}");
    let found = shifted(&vec![0.0; loss.p], 1.0 / (2.0 * h), &shifted(&high.grad, -1.0, &low.grad));
    let gap = shifted(&found, -1.0, &at.hvp);
    let size = dot(&at.hvp, &at.hvp).sqrt();
    assert!(dot(&gap, &gap).sqrt() < 1e-5 * size.max(1.0), "{what}: {} of {size}", dot(&gap, &gap).sqrt());
}
