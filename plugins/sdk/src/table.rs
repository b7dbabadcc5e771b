//! From the safe traits to the C table: every slot, behind a panic barrier.
//!
//! A handle is a `Box<Handle<L>>`; a slot sees no more of it than a shared reference, whatever its tag.

use crate::handle::{Handle, report};
use crate::loss::{Backend, Loss, Split};
use crate::panic::caught;
use crate::{Error, Host, Open, abi, batch, declared};
use abi::{Status, status};
use std::ffi::{CStr, c_char, c_void};

/// The C table of a backend: what its entry symbol returns, and what a program that links the backend registers.
pub fn table<B: Backend>() -> &'static abi::Backend {
    Table::<B>::TABLE
}

/// The body of the entry symbol; see [`export_backend!`](crate::export_backend).
///
/// # Safety
/// `host` and `err` are null or valid for this call.
pub unsafe fn entry<B: Backend>(_host: *const abi::Host, _err: *mut abi::Error) -> *const abi::Backend {
    table::<B>()
}

pub(crate) struct Table<B>(std::marker::PhantomData<B>);

impl<B: Backend> Table<B> {
    const TABLE: &'static abi::Backend = &abi::Backend {
        struct_size: abi::Backend::SIZE,
        abi_minor: abi::MINOR,
        name: B::NAME.as_ptr(),
        version: B::VERSION.as_ptr(),
        probe: Some(probe),
        open: Some(Self::open),
        info: Some(Self::info),
        eval: Some(Self::eval),
        close: Some(Self::close),
        extension: Some(Self::extension),
    };
    const DECLARED: &'static [abi::Declared; declared::MOST] = &declared::records(B::OPTIONS);
    const OPTIONS: &'static abi::ExtOptions = &abi::ExtOptions {
        struct_size: abi::ExtOptions::SIZE,
        reserved: 0,
        options: Self::DECLARED.as_ptr(),
        n_options: B::OPTIONS.len() as u64,
    };
    const PARAMETERS: &'static abi::ExtParameters =
        &abi::ExtParameters { struct_size: abi::ExtParameters::SIZE, reserved: 0, list: Some(Self::parameters) };
    const START: &'static abi::ExtStart = &abi::ExtStart {
        struct_size: abi::ExtStart::SIZE,
        reserved: 0,
        start: Some(Self::start),
        r#box: Some(Self::bounds),
    };
    const METRICS: &'static abi::ExtMetrics = &abi::ExtMetrics {
        struct_size: abi::ExtMetrics::SIZE,
        reserved: 0,
        names: Some(Self::metric_names),
        eval: Some(Self::metrics),
    };
    const SYMMETRY: &'static abi::ExtSymmetry =
        &abi::ExtSymmetry { struct_size: abi::ExtSymmetry::SIZE, reserved: 0, list: Some(Self::symmetries) };
    const IDENTITY: &'static abi::ExtIdentity =
        &abi::ExtIdentity { struct_size: abi::ExtIdentity::SIZE, reserved: 0, get: Some(Self::identity) };

    unsafe extern "C" fn open(
        host: *const abi::Host,
        raw: *const abi::Open,
        out: *mut *mut c_void,
        err: *mut abi::Error,
    ) -> Status {
        let body = || {
            // SAFETY: mpass_host, "given to open: valid until close returns".
            let host = unsafe { Host::read(host) };
            // SAFETY: open is given an mpass_open that says how large it is (THE SIZE RULE).
            let raw = unsafe { abi::sized(raw, abi::Open::zeroed()) };
            // SAFETY: what it leads to is borrowed for the call (mpass_open).
            let request = unsafe { Open::from_abi(&raw, B::OPTIONS) }?;
            if request.device != 0 {
                return Err(Error::argument(format!("no device {}: there is device 0, cpu", request.device)));
            }
            // SAFETY: as for `host`.
            let loss = B::open(unsafe { Host::of(&host) }, request)?;
            // SAFETY: as for `host`; the handle lives until close.
            let handle = Box::new(unsafe { Handle::new(loss, host) }?);
            // SAFETY: out is the caller's memory; written on success only.
            unsafe { out.write(Box::into_raw(handle).cast()) };
            Ok(())
        };
        let opened = caught(body).unwrap_or_else(Err);
        // SAFETY: err is the caller's memory ("err is never NULL").
        unsafe { report(err, opened) }
    }

    /// # Safety
    /// `loss` came from `open` of this table and is not closed before 'a ends.
    unsafe fn handle<'a>(loss: *const c_void) -> &'a Handle<B::Loss> {
        // SAFETY: forwarded; nobody holds more than a shared reference until close.
        unsafe { &*loss.cast::<Handle<B::Loss>>() }
    }

    /// Runs a slot that calls the author's code.
    ///
    /// # Safety
    /// `loss` is a live handle, `err` the caller's memory.
    pub(crate) unsafe fn with(
        loss: *const c_void,
        err: *mut abi::Error,
        body: impl FnOnce(&Handle<B::Loss>) -> Result<(), Error>,
    ) -> Status {
        // SAFETY: forwarded.
        let ran = unsafe { Self::handle(loss) }.run(body);
        // SAFETY: forwarded.
        unsafe { report(err, ran) }
    }

    unsafe extern "C" fn info(loss: *const c_void) -> *const abi::LossInfo {
        // SAFETY: a live handle.
        &raw const unsafe { Self::handle(loss) }.records.info
    }

    unsafe extern "C" fn eval(loss: *mut c_void, raw: *const abi::Eval, err: *mut abi::Error) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            // SAFETY: eval is given an mpass_eval that says how large it is (THE SIZE RULE).
            let raw = unsafe { abi::sized(raw, abi::Eval::zeroed()) };
            // SAFETY: mpass_eval, "pointers valid during the call; outputs never alias inputs".
            match unsafe { crate::Eval::from_abi(&raw, &handle.records.info, handle.host()) }? {
                Some(eval) => handle.loss.eval(eval),
                None => Ok(()), // No rows, nothing to do.
            }
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn close(loss: *mut c_void) {
        // SAFETY: the handle came from open and is given up here: close is [one], and the last call.
        let handle = unsafe { Box::from_raw(loss.cast::<Handle<B::Loss>>()) };
        let _ = caught(|| drop(handle)); // "never fails"
    }

    unsafe extern "C" fn extension(id: *const c_char) -> *const c_void {
        // SAFETY: "All text is UTF-8 and NUL-terminated."
        let id = unsafe { CStr::from_ptr(id) };
        let options = if B::OPTIONS.is_empty() { std::ptr::null() } else { std::ptr::from_ref(Self::OPTIONS) };
        let known: [(&CStr, *const c_void); 7] = [
            (abi::ext::OPTIONS, options.cast()),
            (abi::ext::PARAMETERS, std::ptr::from_ref(Self::PARAMETERS).cast()),
            (abi::ext::START, std::ptr::from_ref(Self::START).cast()),
            (abi::ext::METRICS, std::ptr::from_ref(Self::METRICS).cast()),
            (abi::ext::SYMMETRY, std::ptr::from_ref(Self::SYMMETRY).cast()),
            (abi::ext::IDENTITY, std::ptr::from_ref(Self::IDENTITY).cast()),
            (abi::ext::KINKS, std::ptr::from_ref(Self::KINKS).cast()),
        ];
        known.iter().find(|(name, _)| *name == id).map_or(std::ptr::null(), |(_, record)| *record)
    }

    unsafe extern "C" fn parameters(
        loss: *const c_void,
        out: *mut *const abi::Parameter,
        count: *mut u64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle.
        let records = &unsafe { Self::handle(loss) }.records;
        // SAFETY: outputs are the caller's memory.
        unsafe { listed(&records.parameters, out, count) }
    }

    unsafe extern "C" fn symmetries(
        loss: *const c_void,
        out: *mut *const abi::Symmetry,
        count: *mut u64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle.
        let records = &unsafe { Self::handle(loss) }.records;
        // SAFETY: outputs are the caller's memory.
        unsafe { listed(&records.symmetries, out, count) }
    }

    unsafe extern "C" fn start(loss: *const c_void, seed: u64, theta: *mut f64, err: *mut abi::Error) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            let (start, p) = (handle.loss.start(seed)?, handle.records.info.params);
            if start.len() as u64 != p {
                return Err(Error::broken(format!("a start of {} values for {p} parameters", start.len())));
            }
            // SAFETY: "writes p values", and there are as many.
            unsafe { std::ptr::copy_nonoverlapping(start.as_ptr(), theta, start.len()) };
            Ok(())
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn bounds(
        loss: *const c_void,
        lower: *mut *const f64,
        upper: *mut *const f64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle.
        let bounds = unsafe { Self::handle(loss) }.records.bounds.as_ref();
        // SAFETY: the caller's memory.
        unsafe { lower.write(bounds.map_or(std::ptr::null(), |b| b.lower.as_ptr())) };
        // SAFETY: as above.
        unsafe { upper.write(bounds.map_or(std::ptr::null(), |b| b.upper.as_ptr())) };
        status::OK
    }

    unsafe extern "C" fn metric_names(
        loss: *const c_void,
        split: u32,
        out: *mut *const *const c_char,
        count: *mut u64,
        err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle.
        let metrics = &unsafe { Self::handle(loss) }.records.metrics;
        match split_of(split) {
            // SAFETY: outputs are the caller's memory.
            Ok(split) => unsafe { listed(&metrics[split as usize], out, count) },
            // SAFETY: as above.
            Err(error) => unsafe { report(err, Err(error)) },
        }
    }

    unsafe extern "C" fn metrics(
        loss: *mut c_void,
        split: u32,
        theta: *const abi::View,
        out: *mut f64,
        err: *mut abi::Error,
    ) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            let (split, records) = (split_of(split)?, &handle.records);
            // SAFETY: theta is the caller's view.
            let theta = unsafe { theta.as_ref() }.ok_or_else(|| Error::argument("theta is missing"))?;
            batch::check(theta, &records.info)?;
            // SAFETY: it is valid for this call.
            let theta = unsafe { batch::matrix(theta) }?.ok_or_else(|| Error::argument("theta is missing"))?;
            let out: &mut [f64] = match theta.n() * records.metrics[split as usize].len() {
                0 => &mut [],
                // SAFETY: "n x count", of which count is what `names` has said.
                count => unsafe { std::slice::from_raw_parts_mut(out, count) },
            };
            handle.loss.eval_metrics(handle.host(), split, theta, out)
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn identity(loss: *const c_void) -> *const abi::Identity {
        // SAFETY: a live handle.
        &raw const unsafe { Self::handle(loss) }.records.identity
    }
}

/// Answers with a list that lives as long as its loss.
///
/// # Safety
/// Both outputs are the caller's memory.
unsafe fn listed<T>(list: &[T], out: *mut *const T, count: *mut u64) -> Status {
    // SAFETY: forwarded.
    unsafe { out.write(list.as_ptr()) };
    // SAFETY: forwarded.
    unsafe { count.write(list.len() as u64) };
    status::OK
}

fn split_of(code: u32) -> Result<Split, Error> {
    match code {
        abi::split::TRAIN => Ok(Split::Train),
        abi::split::TEST => Ok(Split::Test),
        other => Err(Error::argument(format!("no split {other}"))),
    }
}

/// One host device; a backend with others writes its own table for now.
unsafe extern "C" fn probe(index: u32) -> *const abi::Device {
    struct Constant(abi::Device);
    // SAFETY: constant text and numbers.
    unsafe impl Sync for Constant {}
    static CPU: Constant = Constant(abi::Device {
        struct_size: abi::Device::SIZE,
        memory: abi::memory::HOST,
        name: c"cpu".as_ptr(),
        memory_bytes: 0,
    });
    if index == 0 { &raw const CPU.0 } else { std::ptr::null() }
}
