//! What a handle of the C table leads to: the loss, what it said about itself when it was opened, and the host.
//!
//! Nothing in it changes between `open` and `close` but the poison flag, and whoever is called holds a shared reference
//! only. So calls may overlap as they like: a [`Loss`] is `Sync`, and the records beside it are constant. What a loss
//! announced at `open` is also what its outputs are measured by: it is not asked again, since it might answer otherwise.

use crate::loss::{Info, Loss, Split, SymmetryKind};
use crate::panic::caught;
use crate::{Error, Host, abi};
use abi::{Status, status};
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Handle<L> {
    pub loss: L,
    pub records: Records,
    host: abi::Host,
    poisoned: AtomicBool,
}

impl<L: Loss> Handle<L> {
    /// A loss that was opened on `host`; refused if what it says about itself does not fit together.
    ///
    /// # Safety
    /// The slots of `host` may be called, as `mpass_host` says, for as long as the handle lives.
    pub unsafe fn new(loss: L, host: abi::Host) -> Result<Handle<L>, Error> {
        Ok(Handle { records: Records::of(&loss)?, loss, host, poisoned: AtomicBool::new(false) })
    }

    /// The engine's services while this handle lives.
    pub fn host(&self) -> Host<'_> {
        // SAFETY: `new`: the record holds as long as the handle.
        unsafe { Host::of(&self.host) }
    }

    /// Runs a slot's body; once one has panicked, none is run any more.
    pub fn run(&self, body: impl FnOnce(&Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(Error { code: status::POISONED, text: "this loss panicked before; close it".into() });
        }
        caught(|| body(self)).unwrap_or_else(|panic| {
            self.poisoned.store(true, Ordering::Relaxed);
            Err(panic)
        })
    }
}

/// What a slot returns: the status, and the text where the caller wants it.
///
/// # Safety
/// `err` is NULL or the caller's memory.
pub(crate) unsafe fn report(err: *mut abi::Error, result: Result<(), Error>) -> Status {
    let Err(error) = result else { return status::OK };
    // SAFETY: forwarded.
    if let Some(err) = unsafe { err.as_mut() } {
        err.set(error.code, &error.text);
    }
    error.code
}

/// C records that point into the texts and numbers beside them.
pub(crate) struct Records {
    pub info: abi::LossInfo,
    pub parameters: Vec<abi::Parameter>,
    pub symmetries: Vec<abi::Symmetry>,
    /// The names of the metrics on the train and the test split.
    pub metrics: [Vec<*const c_char>; 2],
    pub identity: abi::Identity,
    pub bounds: Option<crate::Bounds>,
    _kept: Kept,
}

/// What records point to. Vectors, whose elements stay where they are when they are moved; a box may not be moved while
/// something else points into it.
#[derive(Default)]
struct Kept {
    texts: Vec<Vec<u8>>,
    numbers: Vec<Vec<u64>>,
}

impl Kept {
    fn text(&mut self, text: &str) -> *const c_char {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default().into_bytes_with_nul();
        let pointer = text.as_ptr();
        self.texts.push(text);
        pointer.cast()
    }

    fn numbers(&mut self, numbers: Vec<u64>) -> *const u64 {
        let pointer = numbers.as_ptr();
        self.numbers.push(numbers);
        pointer
    }
}

impl Records {
    fn of(loss: &impl Loss) -> Result<Records, Error> {
        let mut kept = Kept::default();
        let info = info(loss.info());
        let bounds = loss.bounds();
        if let Some(bounds) = &bounds {
            let sides = (bounds.lower.len(), bounds.upper.len());
            if [sides.0, sides.1].iter().any(|side| *side as u64 != info.params) {
                let text = format!("{} lower and {} upper bounds of {} parameters", sides.0, sides.1, info.params);
                return Err(Error::broken(text));
            }
        }
        let parameters = loss.parameters().into_iter().map(|block| abi::Parameter {
            name: kept.text(&block.name),
            ndim: block.shape.len() as u32,
            shape: kept.numbers(block.shape),
            offset: block.offset,
            reserved: 0,
        });
        let parameters = parameters.collect();
        let symmetries = loss.symmetries().into_iter().map(|symmetry| record(symmetry, &mut kept));
        let symmetries = symmetries.collect::<Result<_, Error>>()?;
        let metrics =
            [Split::Train, Split::Test].map(|split| loss.metrics(split).iter().map(|name| kept.text(name)).collect());
        let identity = loss.identity();
        let identity = abi::Identity {
            struct_size: abi::Identity::SIZE,
            reserved: 0,
            model_hash: kept.text(&identity.model_hash),
            data_hash: kept.text(&identity.data_hash),
            options: kept.text(&identity.options),
            notes: kept.text(&identity.notes),
        };
        Ok(Records { info, parameters, symmetries, metrics, identity, bounds, _kept: kept })
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

fn record(symmetry: crate::Symmetry, kept: &mut Kept) -> Result<abi::Symmetry, Error> {
    let (kind, split, period) = match symmetry.kind {
        SymmetryKind::Permutation => (abi::symmetry::PERMUTATION, 0, 0.0),
        SymmetryKind::Sign => (abi::symmetry::SIGN, 0, 0.0),
        SymmetryKind::Scale { split } => (abi::symmetry::SCALE, split, 0.0),
        SymmetryKind::Period(period) => (abi::symmetry::PERIOD, 0, period),
        SymmetryKind::Rigid => (abi::symmetry::RIGID, 0, 0.0),
        SymmetryKind::Conjugation { split } => (abi::symmetry::CONJUGATION, split, 0.0),
        SymmetryKind::Mixing { split } => (abi::symmetry::MIXING, split, 0.0),
    };
    let blocks = symmetry.blocks;
    let block = blocks.first().map_or(0, Vec::len);
    if blocks.iter().any(|other| other.len() != block) {
        return Err(Error::broken("the blocks of a symmetry differ in length"));
    }
    let (n_blocks, index) = (blocks.len() as u64, kept.numbers(blocks.concat()));
    Ok(abi::Symmetry { kind, reserved: 0, n_blocks, block: block as u64, index, split, period })
}
