//! A small engine: opens a loss through the C table and calls its slots, from as many threads as a test likes.
//!
//! Everything is Rust, so that Miri can run it.

#![allow(dead_code, reason = "each test file uses a part")]

use mountainpass_sdk::abi::{self, Status, status};
use mountainpass_sdk::{Backend, table};
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// An open loss, closed on drop.
pub struct Opened {
    table: &'static abi::Backend,
    handle: *mut c_void,
    _host: Box<abi::Host>,
}

// SAFETY: which call may overlap which is for the tests to know: [many] and [one] of the header.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

/// Status and text of a refusal.
pub type Refusal = (Status, String);

/// So many workers run parallel bodies.
pub const WORKERS: u64 = 2;

unsafe extern "C" fn parallel(
    _: *mut c_void,
    n: u64,
    body: Option<abi::ParallelBody>,
    user: *mut c_void,
) -> abi::Status {
    struct User(*mut c_void);
    // SAFETY: mpass_host.parallel: the body is called on several threads.
    unsafe impl Sync for User {}
    let (user, next) = (&User(user), &AtomicU64::new(0));
    let work = move |worker: u64| {
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                // SAFETY: every index once, and all are done before this returns.
                i if i < n => unsafe { body.unwrap()(user.0, i, worker as u32) },
                _ => return,
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    status::OK
}

fn answer(call: impl FnOnce(&mut abi::Error) -> Status) -> Result<(), Refusal> {
    let mut error = abi::Error::NONE;
    match call(&mut error) {
        status::OK => Ok(()),
        code => Err((code, error.message())),
    }
}

/// The view of rows of `p` values.
pub fn view<T>(theta: &[T], p: usize, dtype: u32) -> abi::View {
    let (rows, cols) = ((theta.len() / p) as u64, p as u64);
    abi::View { data: theta.as_ptr().cast_mut().cast(), rows, cols, row_stride: cols, dtype, ..abi::View::NONE }
}

impl Opened {
    pub fn open<B: Backend>(options: &[(&str, &str)]) -> Result<Opened, Refusal> {
        let table = table::<B>();
        let host = Box::new(abi::Host {
            struct_size: abi::Host::SIZE,
            parallel: Some(parallel),
            workers: WORKERS as u32,
            ..abi::Host::zeroed()
        });
        let text = |s: &str| CString::new(s).unwrap();
        let texts: Vec<[CString; 2]> = options.iter().map(|(key, value)| [text(key), text(value)]).collect();
        let [keys, values] = [0, 1].map(|i| texts.iter().map(|pair| pair[i].as_ptr()).collect::<Vec<_>>());
        let request = abi::Open {
            struct_size: abi::Open::SIZE,
            n_options: options.len() as u32,
            keys: keys.as_ptr(),
            values: values.as_ptr(),
            ..abi::Open::zeroed()
        };
        let mut handle = std::ptr::null_mut();
        // SAFETY: a live host and request; outputs are ours.
        answer(|err| unsafe { table.open.unwrap()(&raw const *host, &raw const request, &raw mut handle, err) })?;
        Ok(Opened { table, handle, _host: host })
    }

    pub fn info(&self) -> abi::LossInfo {
        // SAFETY: a live handle.
        let info = unsafe { self.table.info.unwrap()(self.handle) };
        // SAFETY: the record is constant until close.
        unsafe { *info }
    }

    /// The losses of rows of `p` values.
    pub fn eval(&self, theta: &[f64]) -> Result<Vec<f64>, Refusal> {
        let theta = view(theta, self.info().params as usize, abi::dtype::F64);
        self.eval_of(theta)
    }

    pub fn eval_of(&self, theta: abi::View) -> Result<Vec<f64>, Refusal> {
        let n = theta.rows as usize;
        let (mut loss, mut status) = (vec![f64::NAN; n], vec![status::OK; n]);
        let (loss_out, row_status) = (loss.as_mut_ptr(), status.as_mut_ptr());
        let call = abi::Eval { struct_size: abi::Eval::SIZE, theta, loss: loss_out, row_status, ..abi::Eval::zeroed() };
        // SAFETY: a live handle and call.
        answer(|err| unsafe { self.table.eval.unwrap()(self.handle, &raw const call, err) })?;
        Ok(loss)
    }

    fn extension<T>(&self, id: &CStr) -> &'static T {
        // SAFETY: a terminated text.
        let record = unsafe { self.table.extension.unwrap()(id.as_ptr()) };
        // SAFETY: the id names the record's type, and it is constant.
        unsafe { &*record.cast::<T>() }
    }

    /// How many metrics there are on the train split.
    pub fn metric_names(&self) -> usize {
        let (mut names, mut count) = (std::ptr::null(), 0);
        let slot = self.extension::<abi::ExtMetrics>(abi::ext::METRICS).names.unwrap();
        // SAFETY: a live handle; outputs are ours.
        answer(|err| unsafe { slot(self.handle, abi::split::TRAIN, &raw mut names, &raw mut count, err) }).unwrap();
        count as usize
    }

    /// Writes the metrics of one row to where `out` begins.
    pub fn metrics(&self, theta: &abi::View, out: &mut [f64]) -> Result<(), Refusal> {
        let slot = self.extension::<abi::ExtMetrics>(abi::ext::METRICS).eval.unwrap();
        // SAFETY: a live handle; `out` has more room than was announced.
        answer(|err| unsafe { slot(self.handle, abi::split::TRAIN, theta, out.as_mut_ptr(), err) })
    }

    /// Writes a start to where `out` begins.
    pub fn start(&self, out: &mut [f64]) -> Result<(), Refusal> {
        let slot = self.extension::<abi::ExtStart>(abi::ext::START).start.unwrap();
        // SAFETY: a live handle; `out` has more room than p values.
        answer(|err| unsafe { slot(self.handle, 26, out.as_mut_ptr(), err) })
    }

    /// The lower side of the box, if there is one.
    pub fn lower(&self) -> Option<Vec<f64>> {
        let (mut lower, mut upper) = (std::ptr::null(), std::ptr::null());
        let slot = self.extension::<abi::ExtStart>(abi::ext::START).r#box.unwrap();
        // SAFETY: a live handle; outputs are ours.
        answer(|err| unsafe { slot(self.handle, &raw mut lower, &raw mut upper, err) }).unwrap();
        // SAFETY: "p values each, owned by the loss".
        (!lower.is_null()).then(|| unsafe { std::slice::from_raw_parts(lower, self.info().params as usize) }.to_vec())
    }

    /// Names and shapes of the blocks of theta.
    pub fn blocks(&self) -> Vec<(String, Vec<u64>)> {
        let (mut list, mut count) = (std::ptr::null(), 0);
        let slot = self.extension::<abi::ExtParameters>(abi::ext::PARAMETERS).list.unwrap();
        // SAFETY: a live handle; outputs are ours.
        answer(|err| unsafe { slot(self.handle, &raw mut list, &raw mut count, err) }).unwrap();
        // SAFETY: `count` records, owned by the loss.
        let list = unsafe { std::slice::from_raw_parts(list, count as usize) };
        let block = |block: &abi::Parameter| {
            // SAFETY: a terminated name.
            let name = unsafe { CStr::from_ptr(block.name) }.to_str().unwrap().to_owned();
            // SAFETY: ndim sizes.
            (name, unsafe { std::slice::from_raw_parts(block.shape, block.ndim as usize) }.to_vec())
        };
        list.iter().map(block).collect()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: a live handle, closed once.
        unsafe { self.table.close.unwrap()(self.handle) };
    }
}
