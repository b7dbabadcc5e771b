//! What a server tells in JSON: of its backend, of the loss that it has opened, and what went wrong.

#![forbid(unsafe_code)]

use super::message::Call;
use crate::error::Error;
use crate::loss::{Bounds, Caps, Declared, Dtype, Identity, Info, Kind, Kink, Parameter, Symmetry, SymmetryKind};
use mountainpass_sdk::abi::Status;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The backend that a server has loaded.
#[derive(Serialize, Deserialize)]
pub struct Loaded {
    pub backend: String,
    pub version: String,
}

/// [`Info`] on its way.
#[derive(PartialEq, Serialize, Deserialize)]
pub struct ToldInfo {
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

impl ToldInfo {
    pub fn of(info: &Info) -> ToldInfo {
        let Info { params, samples, rows_best, rows_max, caps, noise, dtype, .. } = *info;
        let (backend, version) = (info.backend.clone(), info.version.clone());
        ToldInfo { backend, version, params, samples, rows_best, rows_max, caps: caps.bits(), noise, dtype }
    }

    pub fn into_info(self) -> Info {
        let ToldInfo { backend, version, params, samples, rows_best, rows_max, caps, noise, dtype } = self;
        Info { backend, version, params, samples, rows_best, rows_max, caps: Caps::from_bits(caps), noise, dtype }
    }
}

/// An [`Error`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToldError {
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

impl ToldError {
    pub fn of(error: Error) -> ToldError {
        match error {
            Error::Argument(text) => ToldError::Argument(text),
            Error::Refused { backend, slot, code, text } => {
                ToldError::Refused { backend, slot: slot.into(), code, text }
            }
            Error::Backend { backend, slot, text } => ToldError::Broken { backend, slot: slot.into(), text },
            Error::Plugin { code, text, .. } => ToldError::Plugin { code, text },
            Error::Unsupported { backend, text } => ToldError::Unsupported { backend, text },
            Error::Cancelled => ToldError::Cancelled,
            Error::Internal(text) => ToldError::Lost(text),
            other if other.is_usage() => ToldError::Argument(other.to_string()),
            other => ToldError::Lost(other.to_string()),
        }
    }

    /// The error again, or how the server was lost; `file` is the plugin's, where the backend comes from one.
    pub fn into_error(self, call: Call, file: Option<&Path>) -> Result<Error, String> {
        // Slots are named by the code that calls them; only a few calls of ours reach more than one.
        let slot = |name: String| {
            let known = ["open", "info", "eval", "extension", "probe", "register", "kinks.count"];
            known.into_iter().find(|known| *known == name).unwrap_or(call.slot())
        };
        Ok(match self {
            ToldError::Argument(text) => Error::Argument(text),
            ToldError::Refused { backend, slot: name, code, text } => {
                Error::Refused { backend, slot: slot(name), code, text }
            }
            ToldError::Broken { backend, slot: name, text } => Error::Backend { backend, slot: slot(name), text },
            ToldError::Plugin { code, text } => match file {
                Some(file) => Error::Plugin { path: file.to_owned(), code, text },
                None => Error::Argument(text),
            },
            ToldError::Unsupported { backend, text } => Error::Unsupported { backend, text },
            ToldError::Cancelled => Error::Cancelled,
            ToldError::Lost(text) => return Err(text),
        })
    }
}

/// Records of the sdk, which knows no serialization, as tuples.
pub type ToldParameter = (String, Vec<u64>, u64);
/// Name, code of the kind, sentence, default, words.
pub type ToldOption = (String, u32, String, Option<String>, Vec<String>);
pub type ToldSymmetry = (u32, u64, f64, Vec<Vec<u64>>);
/// Id, z, alpha, delta.
pub type ToldKink = (u64, f64, f64, f64);

pub fn parameter_told(Parameter { name, shape, offset }: Parameter) -> ToldParameter {
    (name, shape, offset)
}

pub fn parameter((name, shape, offset): ToldParameter) -> Parameter {
    Parameter { name, shape, offset }
}

pub fn option_told(Declared { name, kind, about, default, words }: Declared) -> ToldOption {
    (name, kind as u32, about, default, words)
}

pub fn option((name, kind, about, default, words): ToldOption) -> Option<Declared> {
    Some(Declared { name, kind: Kind::of(kind)?, about, default, words })
}

pub fn symmetry_told(Symmetry { kind, blocks }: Symmetry) -> ToldSymmetry {
    match kind {
        SymmetryKind::Permutation => (0, 0, 0.0, blocks),
        SymmetryKind::Sign => (1, 0, 0.0, blocks),
        SymmetryKind::Scale { split } => (2, split, 0.0, blocks),
        SymmetryKind::Period(period) => (3, 0, period, blocks),
        SymmetryKind::Rigid => (4, 0, 0.0, blocks),
        SymmetryKind::Conjugation { split } => (5, split, 0.0, blocks),
        SymmetryKind::Mixing { split } => (6, split, 0.0, blocks),
    }
}

pub fn symmetry((kind, split, period, blocks): ToldSymmetry) -> Option<Symmetry> {
    let kind = match kind {
        0 => SymmetryKind::Permutation,
        1 => SymmetryKind::Sign,
        2 => SymmetryKind::Scale { split },
        3 => SymmetryKind::Period(period),
        4 => SymmetryKind::Rigid,
        5 => SymmetryKind::Conjugation { split },
        6 => SymmetryKind::Mixing { split },
        _ => return None,
    };
    Some(Symmetry { kind, blocks })
}

pub fn kink_told(Kink { id, z, alpha, delta }: Kink) -> ToldKink {
    (id, z, alpha, delta)
}

pub fn kink((id, z, alpha, delta): ToldKink) -> Kink {
    Kink { id, z, alpha, delta }
}

pub fn bounds((lower, upper): (Vec<f64>, Vec<f64>)) -> Bounds {
    Bounds { lower, upper }
}

pub fn identity([model_hash, data_hash, options, notes]: [String; 4]) -> Identity {
    Identity { model_hash, data_hash, options, notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_on_the_other_side() {
        let path = Path::new("p.so");
        for (error, call) in [
            (Error::Refused { backend: "b 1".into(), slot: "open", code: 5, text: "no".into() }, Call::Open),
            (Error::Refused { backend: "b 1".into(), slot: "symmetry", code: 5, text: "no".into() }, Call::Symmetries),
            (Error::Backend { backend: "b 1".into(), slot: "info", text: "params is 0".into() }, Call::Open),
            (Error::Plugin { path: path.into(), code: 3, text: "is no plugin".into() }, Call::Load),
            (Error::Unsupported { backend: "b".into(), text: "no gradient".into() }, Call::Eval),
            (Error::Cancelled, Call::Eval),
            (Error::Argument("ids is empty".into()), Call::Eval),
        ] {
            let (line, code) = (error.to_string(), error.code());
            let text = serde_json::to_string(&ToldError::of(error)).unwrap();
            let again = serde_json::from_str::<ToldError>(&text).unwrap().into_error(call, Some(path)).unwrap();
            assert_eq!((again.to_string(), again.code()), (line, code));
        }
        let ours = ToldError::of(Error::Internal("a call out of turn".into()));
        assert_eq!(ours.into_error(Call::Eval, None).unwrap_err(), "a call out of turn", "no bug of the engine's");
    }
}
