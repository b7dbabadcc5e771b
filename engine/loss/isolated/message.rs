//! What an engine and a server say to each other: the calls, where the numbers of a batch lie, and everything else as
//! JSON with raw bytes behind it. Finite numbers survive JSON bit for bit; those that may be NaN travel as words.

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::loss::request::{Array, OpenRequest, Values};
use crate::loss::{Bounds, Caps, Declared, Dtype, Identity, Info, Kind, Parameter, Symmetry, SymmetryKind};
use mountainpass_sdk::abi::Status;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is asked; the first word of a request's head. The further words are the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Op {
    /// The version of the server's program; before anything foreign is loaded.
    Hello,
    /// [`Loaded`].
    Load,
    /// The devices: name, kind of memory, size.
    Devices,
    /// The declared options: [`Words`].
    Options,
    /// The length of a packed request, which fills the payload; [`Told`].
    Open,
    /// Rows, sample ids or [`ALL`], flags; both payloads by [`Shape`].
    Eval,
    /// Seed; the answer's p words.
    Start,
    /// Split, rows, columns of the answer; n x p words, n x columns back.
    Metrics,
    Bounds,
    Parameters,
    /// Split.
    MetricNames,
    Symmetries,
    Identity,
    /// The next piece of a text longer than the payload.
    More,
    Close,
}

impl Op {
    /// The call of a word.
    pub fn of(word: u64) -> Option<Op> {
        use Op::*;
        let all = [
            Hello,
            Load,
            Devices,
            Options,
            Open,
            Eval,
            Start,
            Metrics,
            Bounds,
            Parameters,
            MetricNames,
            Symmetries,
            Identity,
            More,
            Close,
        ];
        all.into_iter().find(|op| *op as u64 == word)
    }

    /// The slot of the contract that messages name.
    pub fn slot(self) -> &'static str {
        match self {
            Op::Hello | Op::Load | Op::More => "load",
            Op::Devices => "probe",
            Op::Options => "options",
            Op::Open => "open",
            Op::Eval => "eval",
            Op::Start => "start",
            Op::Metrics | Op::MetricNames => "metrics",
            Op::Bounds => "box",
            Op::Parameters => "parameters",
            Op::Symmetries => "symmetry",
            Op::Identity => "identity",
            Op::Close => "close",
        }
    }
}

/// How a call was answered; the first word of a reply's head. The second is the length of a text in bytes, the third is
/// not 0 where the text goes on.
pub mod answer {
    /// Numbers lie in the payload.
    pub const DONE: u64 = 1;
    /// There is nothing to say.
    pub const NOTHING: u64 = 2;
    /// A text lies in the payload.
    pub const TEXT: u64 = 3;
    /// The text is a [`Fault`](super::Fault).
    pub const FAULT: u64 = 4;
}

/// How a backend is lost that wrote where it must not: the end of a sentence.
pub const SCRIBBLED: &str = "wrote over the memory that its process shares with the engine";

/// In place of a count of sample ids: all samples.
pub const ALL: u64 = u64::MAX;

/// The shape of a batch.
#[derive(Clone, Copy)]
pub struct Shape {
    pub n: usize,
    pub p: usize,
    pub ids: Option<usize>,
    pub grad: bool,
    pub hvp: bool,
}

impl Shape {
    /// Words of theta, ids, dir, which are asked, and of loss, ok, grad, hvp, which are answered; those of either follow
    /// each other in the payload. `None` for more than memory can hold.
    pub fn words(&self) -> Option<([usize; 3], [usize; 4])> {
        let cells = self.n.checked_mul(self.p)?;
        let if_wanted = |wanted: bool| if wanted { cells } else { 0 };
        let (grad, hvp) = (if_wanted(self.grad), if_wanted(self.hvp));
        let (asked, answered) = ([cells, self.ids.unwrap_or(0), hvp], [self.n, self.n, grad, hvp]);
        let all = asked.iter().chain(&answered);
        all.copied().try_fold(0_usize, usize::checked_add).map(|_| (asked, answered))
    }

    /// The arguments of [`Op::Eval`].
    pub fn arguments(&self) -> [u64; 3] {
        let flags = u64::from(self.grad) | u64::from(self.hvp) << 1;
        [self.n as u64, self.ids.map_or(ALL, |m| m as u64), flags]
    }

    /// The shape of such arguments.
    pub fn of([n, ids, flags]: [u64; 3], p: usize) -> Shape {
        let ids = (ids != ALL).then_some(ids as usize);
        Shape { n: n as usize, p, ids, grad: flags & 1 != 0, hvp: flags & 2 != 0 }
    }
}

/// Parts of the words of a message, one behind the other; `None` where there are fewer words.
pub fn parts<const N: usize>(mut words: &[u64], lengths: [usize; N]) -> Option<[&[u64]; N]> {
    let mut parts = [&words[..0]; N];
    for (part, length) in parts.iter_mut().zip(lengths) {
        (*part, words) = words.split_at_checked(length)?;
    }
    Some(parts)
}

/// The same of words to be written, of which there are enough.
pub fn parts_mut<const N: usize>(mut words: &mut [u64], lengths: [usize; N]) -> [&mut [u64]; N] {
    lengths.map(|length| {
        let (part, behind) = std::mem::take(&mut words).split_at_mut(length);
        words = behind;
        part
    })
}

/// Bytes as words, the last one filled up with zeros.
pub fn words(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0; bytes.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

/// The backend that a server has loaded.
#[derive(Serialize, Deserialize)]
pub struct Loaded {
    pub backend: String,
    pub version: String,
}

/// [`Info`] on its way.
#[derive(PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub backend: String,
    version: String,
    pub params: usize,
    samples: u64,
    rows_best: usize,
    rows_max: usize,
    caps: u32,
    noise: f64,
    dtype: Dtype,
}

impl Told {
    pub fn of(info: &Info) -> Told {
        let Info { params, samples, rows_best, rows_max, caps, noise, dtype, .. } = *info;
        let (backend, version) = (info.backend.clone(), info.version.clone());
        Told { backend, version, params, samples, rows_best, rows_max, caps: caps.bits(), noise, dtype }
    }

    pub fn into_info(self) -> Info {
        let Told { backend, version, params, samples, rows_best, rows_max, caps, noise, dtype } = self;
        Info { backend, version, params, samples, rows_best, rows_max, caps: Caps::from_bits(caps), noise, dtype }
    }
}

/// An [`Error`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub enum Fault {
    Argument(String),
    Refused {
        backend: String,
        slot: String,
        code: Status,
        text: String,
    },
    Broken {
        backend: String,
        slot: String,
        text: String,
    },
    Plugin {
        code: Status,
        text: String,
    },
    Unsupported {
        backend: String,
        text: String,
    },
    Cancelled,
    /// No error of the backend's: the server itself cannot go on. For the engine that is a death like another.
    Lost(String),
}

impl Fault {
    pub fn of(error: Error) -> Fault {
        match error {
            Error::Argument(text) => Fault::Argument(text),
            Error::Refused { backend, slot, code, text } => Fault::Refused { backend, slot: slot.into(), code, text },
            Error::Backend { backend, slot, text } => Fault::Broken { backend, slot: slot.into(), text },
            Error::Plugin { code, text, .. } => Fault::Plugin { code, text },
            Error::Unsupported { backend, text } => Fault::Unsupported { backend, text },
            Error::Cancelled => Fault::Cancelled,
            Error::Internal(text) => Fault::Lost(text),
            other if other.is_usage() => Fault::Argument(other.to_string()),
            other => Fault::Lost(other.to_string()),
        }
    }

    /// The error again, or how the server was lost; `file` is the plugin's, where the backend comes from one.
    pub fn into_error(self, op: Op, file: Option<&Path>) -> Result<Error, String> {
        // Slots are named by the code that calls them; only a few calls of ours reach more than one.
        let slot = |name: String| {
            let known = ["open", "info", "eval", "extension", "probe", "register"];
            known.into_iter().find(|known| *known == name).unwrap_or(op.slot())
        };
        Ok(match self {
            Fault::Argument(text) => Error::Argument(text),
            Fault::Refused { backend, slot: name, code, text } => {
                Error::Refused { backend, slot: slot(name), code, text }
            }
            Fault::Broken { backend, slot: name, text } => Error::Backend { backend, slot: slot(name), text },
            Fault::Plugin { code, text } => match file {
                Some(file) => Error::Plugin { path: file.to_owned(), code, text },
                None => Error::Argument(text),
            },
            Fault::Unsupported { backend, text } => Error::Unsupported { backend, text },
            Fault::Cancelled => Error::Cancelled,
            Fault::Lost(text) => return Err(text),
        })
    }
}

/// Bytes behind the JSON of a packed request.
#[derive(Serialize, Deserialize)]
struct Place {
    at: usize,
    len: usize,
}

#[derive(Serialize, Deserialize)]
struct Request {
    model: String,
    options: Vec<(String, String)>,
    device: u32,
    dtype: Option<Dtype>,
    threads: u32,
    repeatable: bool,
    model_bytes: Option<Place>,
    /// Name, shape, element type.
    data: Vec<(String, Vec<u64>, u32, Place)>,
}

/// A request with copies of all it borrows, in words: the length of the JSON, the JSON, and the bytes at multiples of 64.
pub fn pack(request: &OpenRequest<'_>) -> Result<Vec<u64>, Error> {
    let mut bytes = Vec::new();
    let mut place = |piece: &[u8]| {
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        bytes.extend_from_slice(piece);
        Place { at: bytes.len() - piece.len(), len: piece.len() }
    };
    let model_bytes = request.model_bytes.map(&mut place);
    let mut data = Vec::new();
    for array in &request.data {
        let (dtype, elements) = array.elements()?;
        data.push((array.name.to_owned(), array.shape.to_vec(), dtype, place(&elements)));
    }
    let OpenRequest { device, dtype, threads, repeatable, .. } = *request;
    let (model, options) = (request.model.clone(), request.options.clone());
    let head = Request { model, options, device, dtype, threads, repeatable, model_bytes, data };
    let head = serde_json::to_vec(&head).map_err(|e| Error::Internal(format!("a request has no JSON: {e}")))?;
    let mut packed = (head.len() as u64).to_le_bytes().to_vec();
    packed.extend_from_slice(&head);
    packed.resize(packed.len().next_multiple_of(64), 0);
    packed.extend_from_slice(&bytes);
    Ok(words(&packed))
}

/// Calls `use_it` with the request that was packed; its arrays lie in `packed`.
pub fn unpack<T>(packed: &[u64], use_it: impl FnOnce(&OpenRequest<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let lost = || Error::Internal("a packed request does not unpack".into());
    let packed: &[u8] = bytemuck::cast_slice(packed);
    let (len, rest) = packed.split_first_chunk::<8>().ok_or_else(lost)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok().filter(|len| *len <= rest.len()).ok_or_else(lost)?;
    let head: Request = serde_json::from_slice(&rest[..len]).map_err(|_| lost())?;
    let bytes = packed.get((8 + len).next_multiple_of(64)..).unwrap_or_default();
    let piece = |place: &Place| place.at.checked_add(place.len).and_then(|end| bytes.get(place.at..end));
    let array = |(name, shape, dtype, place): &'_ (String, Vec<u64>, u32, Place)| {
        Some((name.clone(), shape.clone(), *dtype, piece(place)?))
    };
    let arrays: Option<Vec<_>> = head.data.iter().map(array).collect();
    let arrays = arrays.ok_or_else(lost)?;
    let data = arrays.iter().map(|(name, shape, dtype, bytes)| {
        let values = Values::Packed { dtype: *dtype, bytes };
        Array { name, shape, values }
    });
    use_it(&OpenRequest {
        model: head.model,
        model_bytes: head.model_bytes.as_ref().map(|place| piece(place).ok_or_else(lost)).transpose()?,
        options: head.options,
        device: head.device,
        dtype: head.dtype,
        threads: head.threads,
        data: data.collect(),
        repeatable: head.repeatable,
    })
}

/// Records of the sdk, which knows no serialization, as tuples.
pub type Block = (String, Vec<u64>, u64);
pub type Generator = (u32, u64, f64, Vec<Vec<u64>>);

/// Name, code of the kind, sentence, default, words.
pub type Words = (String, u32, String, Option<String>, Vec<String>);

pub fn option(Declared { name, kind, about, default, words }: Declared) -> Words {
    (name, kind as u32, about, default, words)
}

pub fn declared((name, kind, about, default, words): Words) -> Option<Declared> {
    Some(Declared { name, kind: Kind::of(kind)?, about, default, words })
}

pub fn block(Parameter { name, shape, offset }: Parameter) -> Block {
    (name, shape, offset)
}

pub fn parameter((name, shape, offset): Block) -> Parameter {
    Parameter { name, shape, offset }
}

pub fn generator(Symmetry { kind, blocks }: Symmetry) -> Generator {
    match kind {
        SymmetryKind::Permutation => (0, 0, 0.0, blocks),
        SymmetryKind::Sign => (1, 0, 0.0, blocks),
        SymmetryKind::Scale { split } => (2, split, 0.0, blocks),
        SymmetryKind::Period(period) => (3, 0, period, blocks),
        SymmetryKind::Rigid => (4, 0, 0.0, blocks),
    }
}

pub fn symmetry((kind, split, period, blocks): Generator) -> Option<Symmetry> {
    let kind = match kind {
        0 => SymmetryKind::Permutation,
        1 => SymmetryKind::Sign,
        2 => SymmetryKind::Scale { split },
        3 => SymmetryKind::Period(period),
        4 => SymmetryKind::Rigid,
        _ => return None,
    };
    Some(Symmetry { kind, blocks })
}

pub fn bounds((lower, upper): (Vec<f64>, Vec<f64>)) -> Bounds {
    Bounds { lower, upper }
}

pub fn identity((model_hash, data_hash, options): (String, String, String)) -> Identity {
    Identity { model_hash, data_hash, options }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mountainpass_sdk::abi::dtype;

    #[test]
    fn a_request_arrives_as_it_was() {
        let halves = [1_u16, 2, 3, 4, 5, 6].map(u16::to_ne_bytes);
        let packed = Values::Packed { dtype: dtype::F16, bytes: halves.as_flattened() };
        let data = vec![
            Array { name: "x", shape: &[2, 3], values: packed },
            Array { name: "y", shape: &[2], values: Values::F64(&[0.1, f64::NAN]) },
        ];
        let options = vec![("l2".to_owned(), "0.1".to_owned())];
        let request = OpenRequest {
            model: "grün".into(),
            model_bytes: Some(b"onnx"),
            options,
            device: 3,
            dtype: Some(Dtype::F32),
            threads: 2,
            data,
            repeatable: true,
        };
        let packed = pack(&request).unwrap();
        unpack(&packed, |arrived| {
            assert_eq!((&arrived.model, &arrived.options), (&request.model, &request.options));
            assert_eq!((arrived.model_bytes, arrived.device, arrived.threads), (Some(&b"onnx"[..]), 3, 2));
            assert_eq!((arrived.dtype, arrived.repeatable), (Some(Dtype::F32), true));
            let [x, y] = &arrived.data[..] else { panic!("two arrays") };
            assert_eq!((x.name, x.shape, y.shape), ("x", &[2, 3][..], &[2][..]));
            assert_eq!(x.elements().unwrap(), (dtype::F16, halves.as_flattened().into()));
            assert_eq!(y.elements().unwrap().1.as_ref(), [0.1, f64::NAN].map(f64::to_ne_bytes).as_flattened());
            Ok(())
        })
        .unwrap();
        assert!(unpack(&packed[..2], |_| Ok(())).is_err() && unpack(&[], |_| Ok(())).is_err());
    }

    #[test]
    fn an_error_is_the_same_on_the_other_side() {
        let path = Path::new("p.so");
        for (error, op) in [
            (Error::Refused { backend: "b 1".into(), slot: "open", code: 5, text: "no".into() }, Op::Open),
            (Error::Refused { backend: "b 1".into(), slot: "symmetry", code: 5, text: "no".into() }, Op::Symmetries),
            (Error::Backend { backend: "b 1".into(), slot: "info", text: "params is 0".into() }, Op::Open),
            (Error::Plugin { path: path.into(), code: 3, text: "is no plugin".into() }, Op::Load),
            (Error::Unsupported { backend: "b".into(), text: "no gradient".into() }, Op::Eval),
            (Error::Cancelled, Op::Eval),
            (Error::Argument("ids is empty".into()), Op::Eval),
        ] {
            let (line, code) = (error.to_string(), error.code());
            let text = serde_json::to_string(&Fault::of(error)).unwrap();
            let again = serde_json::from_str::<Fault>(&text).unwrap().into_error(op, Some(path)).unwrap();
            assert_eq!((again.to_string(), again.code()), (line, code));
        }
        let ours = Fault::of(Error::Internal("a call out of turn".into()));
        assert_eq!(ours.into_error(Op::Eval, None).unwrap_err(), "a call out of turn", "no bug of the engine's");
    }

    #[test]
    fn a_batch_larger_than_memory_has_no_place() {
        let shape = Shape { n: 1 << 40, p: 1 << 40, ids: None, grad: true, hvp: false };
        assert!(shape.words().is_none());
        let shape = Shape { n: 2, p: 3, ids: Some(5), grad: true, hvp: true };
        assert_eq!(shape.words(), Some(([6, 5, 6], [2, 2, 6, 6])));
        let again = Shape::of(shape.arguments(), 3);
        assert_eq!(again.words(), shape.words());
        assert_eq!(Shape::of(Shape { ids: None, ..shape }.arguments(), 3).ids, None);
    }

    #[test]
    fn every_call_has_a_word_of_its_own() {
        let calls: Vec<Op> = (0..20).filter_map(Op::of).collect();
        assert!(calls.len() == 15 && calls.iter().zip(0..).all(|(op, word)| *op as u64 == word));
    }
}
