//! From the safe traits to the C table: every slot, behind a panic barrier.
//!
//! A handle is a `Box<Handle<L>>`: the loss, plus the C records it answers with, which live until `close`.

use crate::loss::{Backend, Error, Info, Loss, Open, Split, SymmetryKind};
use crate::{Host, abi, batch};
use abi::{Status, status};
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

struct Handle<L> {
    loss: L,
    host: Host,
    poisoned: bool,
    records: Records,
}

/// C records that point into the owned texts and shapes beside them.
struct Records {
    info: abi::LossInfo,
    parameters: Vec<abi::Parameter>,
    symmetries: Vec<abi::Symmetry>,
    metrics: [Vec<*const c_char>; 2],
    identity: abi::Identity,
    bounds: Option<crate::Bounds>,
    // What the pointers above point to; boxed contents do not move when the vectors do.
    _texts: Vec<CString>,
    _integers: Vec<Box<[u64]>>,
}

impl Records {
    fn of(loss: &impl Loss) -> Records {
        let mut texts = Vec::new();
        let mut text = |s: &str| {
            let owned = CString::new(s.replace('\0', " ")).unwrap_or_default();
            let pointer = owned.as_ptr();
            texts.push(owned);
            pointer
        };
        let mut integers: Vec<Box<[u64]>> = Vec::new();
        let mut keep = |v: Vec<u64>| {
            let owned = v.into_boxed_slice();
            let pointer = owned.as_ptr();
            integers.push(owned);
            pointer
        };
        let parameters = loss
            .parameters()
            .into_iter()
            .map(|p| abi::Parameter {
                name: text(&p.name),
                ndim: p.shape.len() as u32,
                shape: keep(p.shape),
                offset: p.offset,
                reserved: 0,
            })
            .collect();
        let symmetries = loss
            .symmetries()
            .into_iter()
            .map(|s| {
                let (kind, split, period) = match s.kind {
                    SymmetryKind::Permutation => (abi::symmetry::PERMUTATION, 0, 0.0),
                    SymmetryKind::Sign => (abi::symmetry::SIGN, 0, 0.0),
                    SymmetryKind::Scale { split } => (abi::symmetry::SCALE, split, 0.0),
                    SymmetryKind::Period(period) => (abi::symmetry::PERIOD, 0, period),
                    SymmetryKind::Rigid => (abi::symmetry::RIGID, 0, 0.0),
                };
                let block = s.blocks.first().map_or(0, Vec::len);
                assert!(s.blocks.iter().all(|b| b.len() == block), "blocks of a symmetry differ in length");
                abi::Symmetry {
                    kind,
                    reserved: 0,
                    n_blocks: s.blocks.len() as u64,
                    block: block as u64,
                    index: keep(s.blocks.concat()),
                    split,
                    period,
                }
            })
            .collect();
        let metrics =
            [Split::Train, Split::Test].map(|split| loss.metrics(split).iter().map(|name| text(name)).collect());
        let identity = loss.identity();
        let identity = abi::Identity {
            struct_size: abi::Identity::SIZE,
            reserved: 0,
            model_hash: text(&identity.model_hash),
            data_hash: text(&identity.data_hash),
            options: text(&identity.options),
        };
        Records {
            info: info(loss.info()),
            parameters,
            symmetries,
            metrics,
            identity,
            bounds: loss.bounds(),
            _texts: texts,
            _integers: integers,
        }
    }
}

fn info(info: Info) -> abi::LossInfo {
    let bit = |on: bool, code: u32| if on { 1 << code } else { 0 };
    abi::LossInfo {
        struct_size: abi::LossInfo::SIZE,
        caps: info.caps.bits(),
        params: info.params,
        samples: info.samples,
        rows_best: info.rows_best,
        rows_max: info.rows_max,
        dtypes: bit(info.dtypes.f32, abi::dtype::F32) | bit(info.dtypes.f64, abi::dtype::F64),
        memories: 1 << abi::memory::HOST,
        noise: info.noise,
    }
}

/// Runs a slot's body; an error or a panic becomes a status and a text.
unsafe fn barrier(err: *mut abi::Error, body: impl FnOnce() -> Result<(), Error>) -> Status {
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return status::OK,
        Ok(Err(error)) => error,
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let text = format!("panic: {text}");
            std::mem::forget(payload); // Its drop may panic in turn.
            Error { code: status::INTERNAL, text }
        }
    };
    // SAFETY: err is never NULL and is the caller's memory (Errors).
    if let Some(err) = unsafe { err.as_mut() } {
        err.set(error.code, &error.text);
    }
    error.code
}

struct Table<B>(std::marker::PhantomData<B>);

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
            // SAFETY: the engine's request and host are valid for this call, the host until close returns.
            let (host, request) =
                unsafe { (Host::from_raw(host), Open::from_abi(&abi::sized(raw, abi::Open::zeroed()))?) };
            if request.device != 0 {
                return Err(Error::argument(format!("no device {}: there is device 0, cpu", request.device)));
            }
            let loss = B::open(host, request)?;
            let handle = Box::new(Handle { records: Records::of(&loss), loss, host, poisoned: false });
            // SAFETY: out is valid for this call; written on success only.
            unsafe { out.write(Box::into_raw(handle).cast()) };
            Ok(())
        };
        // SAFETY: err is the caller's memory.
        unsafe { barrier(err, body) }
    }

    /// # Safety
    /// `loss` came from `open` and was not closed.
    unsafe fn records<'a>(loss: *const c_void) -> &'a Records {
        // SAFETY: forwarded; records are constant until close.
        unsafe { &(*loss.cast::<Handle<B::Loss>>()).records }
    }

    unsafe extern "C" fn info(loss: *const c_void) -> *const abi::LossInfo {
        // SAFETY: a live handle.
        unsafe { &raw const Self::records(loss).info }
    }

    /// Runs a [one] slot on a live handle; a panic poisons it.
    unsafe fn with(
        loss: *mut c_void,
        err: *mut abi::Error,
        body: impl FnOnce(&mut B::Loss) -> Result<(), Error>,
    ) -> Status {
        let guarded = || {
            // SAFETY: a live handle, one call at a time.
            let handle = unsafe { &mut *loss.cast::<Handle<B::Loss>>() };
            if handle.poisoned {
                return Err(Error { code: status::POISONED, text: "this loss panicked before; close it".into() });
            }
            handle.poisoned = true; // Until the body has returned without a panic.
            let result = body(&mut handle.loss);
            handle.poisoned = false;
            result
        };
        // SAFETY: err is the caller's memory.
        unsafe { barrier(err, guarded) }
    }

    unsafe extern "C" fn eval(loss: *mut c_void, raw: *const abi::Eval, err: *mut abi::Error) -> Status {
        // SAFETY: a live handle and a valid mpass_eval.
        unsafe {
            let Handle { host, records, .. } = &*loss.cast::<Handle<B::Loss>>();
            let (host, info) = (*host, records.info);
            Self::with(loss, err, |loss| {
                match crate::Eval::from_abi(&abi::sized(raw, abi::Eval::zeroed()), &info, host)? {
                    Some(eval) => loss.eval(eval),
                    None => Ok(()), // No rows, nothing to do.
                }
            })
        }
    }

    unsafe extern "C" fn close(loss: *mut c_void) {
        let drop = AssertUnwindSafe(|| {
            // SAFETY: the handle came from open and is given up here.
            drop(unsafe { Box::from_raw(loss.cast::<Handle<B::Loss>>()) });
        });
        if let Err(payload) = catch_unwind(drop) {
            std::mem::forget(payload);
        }
    }

    unsafe extern "C" fn extension(id: *const c_char) -> *const c_void {
        // SAFETY: a NUL-terminated identifier.
        let id = unsafe { CStr::from_ptr(id) };
        let known: [(&CStr, *const c_void); 5] = [
            (abi::ext::PARAMETERS, std::ptr::from_ref(Self::PARAMETERS).cast()),
            (abi::ext::START, std::ptr::from_ref(Self::START).cast()),
            (abi::ext::METRICS, std::ptr::from_ref(Self::METRICS).cast()),
            (abi::ext::SYMMETRY, std::ptr::from_ref(Self::SYMMETRY).cast()),
            (abi::ext::IDENTITY, std::ptr::from_ref(Self::IDENTITY).cast()),
        ];
        known.iter().find(|(name, _)| *name == id).map_or(std::ptr::null(), |(_, record)| *record)
    }

    unsafe extern "C" fn parameters(
        loss: *const c_void,
        out: *mut *const abi::Parameter,
        count: *mut u64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle; outputs are valid for this call.
        unsafe {
            let list = &Self::records(loss).parameters;
            out.write(list.as_ptr());
            count.write(list.len() as u64);
        }
        status::OK
    }

    unsafe extern "C" fn symmetries(
        loss: *const c_void,
        out: *mut *const abi::Symmetry,
        count: *mut u64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: as for parameters.
        unsafe {
            let list = &Self::records(loss).symmetries;
            out.write(list.as_ptr());
            count.write(list.len() as u64);
        }
        status::OK
    }

    unsafe extern "C" fn start(loss: *const c_void, seed: u64, theta: *mut f64, err: *mut abi::Error) -> Status {
        // SAFETY: a live handle, one call at a time on it; theta holds p values.
        unsafe {
            Self::with(loss.cast_mut(), err, |loss| {
                let start = loss.start(seed)?;
                assert_eq!(start.len() as u64, loss.info().params, "a start has p values");
                std::ptr::copy_nonoverlapping(start.as_ptr(), theta, start.len());
                Ok(())
            })
        }
    }

    unsafe extern "C" fn bounds(
        loss: *const c_void,
        lower: *mut *const f64,
        upper: *mut *const f64,
        _err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle; outputs are valid for this call.
        unsafe {
            let bounds = Self::records(loss).bounds.as_ref();
            lower.write(bounds.map_or(std::ptr::null(), |b| b.lower.as_ptr()));
            upper.write(bounds.map_or(std::ptr::null(), |b| b.upper.as_ptr()));
        }
        status::OK
    }

    unsafe extern "C" fn metric_names(
        loss: *const c_void,
        split: u32,
        out: *mut *const *const c_char,
        count: *mut u64,
        err: *mut abi::Error,
    ) -> Status {
        let body = || {
            // SAFETY: a live handle; outputs are valid for this call.
            unsafe {
                let names = &Self::records(loss).metrics[split_of(split)? as usize];
                out.write(names.as_ptr());
                count.write(names.len() as u64);
            }
            Ok(())
        };
        // SAFETY: err is the caller's memory.
        unsafe { barrier(err, body) }
    }

    unsafe extern "C" fn metrics(
        loss: *mut c_void,
        split: u32,
        theta: *const abi::View,
        out: *mut f64,
        err: *mut abi::Error,
    ) -> Status {
        // SAFETY: a live handle; theta is n x p, out holds n x count values.
        unsafe {
            Self::with(loss, err, |loss| {
                let split = split_of(split)?;
                let theta = batch::matrix(&*theta)?.ok_or_else(|| Error::argument("theta is missing"))?;
                let count = theta.n() * loss.metrics(split).len();
                let out = if count == 0 { &mut [][..] } else { std::slice::from_raw_parts_mut(out, count) };
                loss.eval_metrics(split, theta, out)
            })
        }
    }

    unsafe extern "C" fn identity(loss: *const c_void) -> *const abi::Identity {
        // SAFETY: a live handle.
        unsafe { &raw const Self::records(loss).identity }
    }
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
