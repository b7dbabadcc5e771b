//! Numbers of a file: from a tensor message, its fields or another file to f64 and i64, checked before anything is
//! allocated.

use super::messages::{TensorProto, data_type, entry};
use crate::graph::op::{Shape, Values};
use bytes::Bytes;
use half::{bf16, f16};
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What an ONNX value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Real,
    Whole,
    /// True or false, as the reals 1 and 0.
    Truth,
}

/// An array whose numbers are known when the file is read.
#[derive(Clone, Debug)]
pub(crate) struct KnownArray {
    pub kind: ValueKind,
    pub shape: Shape,
    /// Indices for whole numbers, reals for all others.
    pub values: Arc<Values>,
}

/// No tensor of a network has more axes.
pub(super) const AXES_MAX: usize = 64;

/// A file larger than this is none: protobuf's own limit, and that of the weights behind one.
pub(crate) const BYTES_MAX: u64 = i32::MAX as u64;

impl KnownArray {
    /// Whole numbers along one axis.
    pub fn wholes(values: Vec<i64>) -> KnownArray {
        KnownArray { kind: ValueKind::Whole, shape: vec![values.len()], values: Arc::new(Values::Index(values)) }
    }

    /// One real.
    pub fn real(value: f64) -> KnownArray {
        KnownArray { kind: ValueKind::Real, shape: Vec::new(), values: Arc::new(Values::Real(vec![value])) }
    }

    /// All numbers as reals, in order.
    pub fn numbers(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match &*self.values {
            Values::Real(values) => Box::new(values.iter().copied()),
            Values::Index(values) => Box::new(values.iter().map(|i| *i as f64)),
        }
    }

    /// The same as a vector, which is the array's own if nobody else has it.
    pub fn into_reals(self) -> Result<Vec<f64>, Shortage> {
        let values = match Arc::try_unwrap(self.values) {
            Ok(Values::Real(values)) => return Ok(values),
            Ok(values) => Arc::new(values),
            Err(shared) => shared,
        };
        memory::collected(values.len(), KnownArray { values, ..self }.numbers())
    }

    /// As reals; whole numbers beyond 2^53 are rounded.
    pub fn reals(&self) -> Vec<f64> {
        match &*self.values {
            Values::Real(values) => values.clone(),
            Values::Index(values) => values.iter().map(|i| *i as f64).collect(),
        }
    }

    /// As whole numbers, towards zero. Files compute in f32, so that what is a whole number but for a rounding of it is that
    /// number: 2 log 2 / log 4 may come out below 1.
    pub fn indices(&self) -> Vec<i64> {
        let whole = |x: &f64| {
            let nearest = x.round();
            if (x - nearest).abs() <= f64::from(f32::EPSILON) * x.abs() { nearest as i64 } else { *x as i64 }
        };
        match &*self.values {
            Values::Real(values) => values.iter().map(whole).collect(),
            Values::Index(values) => values.clone(),
        }
    }

    /// The same numbers as another kind.
    pub fn cast(&self, to: ValueKind) -> KnownArray {
        let values = match (self.kind, to) {
            (from, to) if from == to => self.values.clone(),
            (_, ValueKind::Whole) => Arc::new(Values::Index(self.indices())),
            (ValueKind::Truth, ValueKind::Real) => self.values.clone(),
            (_, ValueKind::Real) => Arc::new(Values::Real(self.reals())),
            (_, ValueKind::Truth) => {
                Arc::new(Values::Real(self.reals().iter().map(|x| f64::from(u8::from(*x != 0.0))).collect()))
            }
        };
        KnownArray { kind: to, shape: self.shape.clone(), values }
    }
}

/// The kind of a data type; `None` for texts, complex and packed numbers.
pub(crate) fn kind(of: i32) -> Option<ValueKind> {
    match of {
        data_type::FLOAT | data_type::DOUBLE | data_type::FLOAT16 | data_type::BFLOAT16 => Some(ValueKind::Real),
        data_type::UINT8 | data_type::INT8 | data_type::UINT16 | data_type::INT16 => Some(ValueKind::Whole),
        data_type::INT32 | data_type::INT64 | data_type::UINT32 | data_type::UINT64 => Some(ValueKind::Whole),
        data_type::BOOL => Some(ValueKind::Truth),
        _ => None,
    }
}

/// The name of a data type.
pub(super) fn type_name(of: i32) -> String {
    let name = usize::try_from(of).ok().and_then(|i| data_type::NAMES.get(i));
    name.map_or_else(|| format!("of type {of}"), |name| (*name).to_owned())
}

/// The axes of a tensor message and how many numbers they hold.
pub(super) fn shape(tensor: &TensorProto) -> Result<(Shape, usize), Error> {
    if tensor.dims.len() > AXES_MAX {
        return Err(Error::argument(format!("tensor {:?} has {} axes", tensor.name(), tensor.dims.len())));
    }
    let wrong = || Error::argument(format!("tensor {:?} has the shape {:?}", tensor.name(), tensor.dims));
    let shape = tensor.dims.iter().map(|d| usize::try_from(*d).map_err(|_| wrong())).collect::<Result<Shape, _>>()?;
    // An empty axis hides no others: their product must make sense too.
    let product = shape.iter().try_fold(1usize, |n, d| n.checked_mul((*d).max(1)));
    match product.filter(|n| *n as u64 <= BYTES_MAX) {
        Some(_) if shape.contains(&0) => Ok((shape, 0)),
        Some(n) => Ok((shape, n)),
        None => Err(Error::unsupported(format!(
            "tensor {:?} of the shape {shape:?} has more than 2 GB: networks of that size are not read",
            tensor.name()
        ))),
    }
}

/// The numbers of a tensor message; `folder` is where its external data may be.
pub(crate) fn read(tensor: &TensorProto, folder: Option<&Path>) -> Result<KnownArray, Error> {
    let name = tensor.name();
    let of = tensor.data_type();
    let kind = kind(of).ok_or_else(|| {
        Error::unsupported(format!(
            "tensor {name:?} holds {}: only reals, whole numbers and bool are read",
            type_name(of)
        ))
    })?;
    let (shape, count) = shape(tensor)?;
    let raw = match (tensor.data_location(), &tensor.raw_data) {
        (0, None) => None,
        (0, Some(raw)) => Some(raw.clone()),
        _ => Some(external(tensor, count * width(of), folder)?),
    };
    let values = match raw {
        Some(raw) if raw.len() != count * width(of) => {
            let (has, wants) = (raw.len(), count * width(of));
            return Err(Error::argument(format!("tensor {name:?} has {has} bytes, but {shape:?} wants {wants}")));
        }
        Some(raw) => from_bytes(&raw, of)?,
        None => {
            let has = fields(tensor, of);
            if has != count {
                return Err(Error::argument(format!("tensor {name:?} has {has} numbers, but {shape:?} wants {count}")));
            }
            from_fields(tensor, of)?
        }
    };
    let values = match (kind, values) {
        (ValueKind::Truth, Values::Index(values)) => {
            Values::Real(memory::collected(values.len(), values.iter().map(|i| f64::from(u8::from(*i != 0))))?)
        }
        (_, values) => values,
    };
    Ok(KnownArray { kind, shape, values: Arc::new(values) })
}

/// Bytes of one number.
fn width(of: i32) -> usize {
    match of {
        data_type::DOUBLE | data_type::INT64 | data_type::UINT64 => 8,
        data_type::FLOAT | data_type::INT32 | data_type::UINT32 => 4,
        data_type::FLOAT16 | data_type::BFLOAT16 | data_type::INT16 | data_type::UINT16 => 2,
        _ => 1,
    }
}

fn from_bytes(raw: &[u8], of: i32) -> Result<Values, Shortage> {
    fn all<const N: usize, T>(raw: &[u8], from: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Shortage> {
        let numbers = raw.as_chunks::<N>().0;
        memory::collected(numbers.len(), numbers.iter().map(|bytes| from(*bytes)))
    }
    Ok(match of {
        data_type::FLOAT => Values::Real(all(raw, |b| f64::from(f32::from_le_bytes(b)))?),
        data_type::DOUBLE => Values::Real(all(raw, f64::from_le_bytes)?),
        data_type::FLOAT16 => Values::Real(all(raw, |b| f16::from_le_bytes(b).to_f64())?),
        data_type::BFLOAT16 => Values::Real(all(raw, |b| bf16::from_le_bytes(b).to_f64())?),
        data_type::INT64 => Values::Index(all(raw, i64::from_le_bytes)?),
        data_type::UINT64 => Values::Index(all(raw, |b| saturated(u64::from_le_bytes(b)))?),
        data_type::INT32 => Values::Index(all(raw, |b| i64::from(i32::from_le_bytes(b)))?),
        data_type::UINT32 => Values::Index(all(raw, |b| i64::from(u32::from_le_bytes(b)))?),
        data_type::INT16 => Values::Index(all(raw, |b| i64::from(i16::from_le_bytes(b)))?),
        data_type::UINT16 => Values::Index(all(raw, |b| i64::from(u16::from_le_bytes(b)))?),
        data_type::INT8 => Values::Index(all(raw, |b| i64::from(i8::from_le_bytes(b)))?),
        _ => Values::Index(all(raw, |[byte]| i64::from(byte))?),
    })
}

/// How many numbers the field of a type holds.
fn fields(tensor: &TensorProto, of: i32) -> usize {
    match of {
        data_type::FLOAT => tensor.float_data.len(),
        data_type::DOUBLE => tensor.double_data.len(),
        data_type::INT64 => tensor.int64_data.len(),
        data_type::UINT32 | data_type::UINT64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    }
}

fn from_fields(tensor: &TensorProto, of: i32) -> Result<Values, Shortage> {
    fn all<S: Copy, T>(numbers: &[S], from: impl Fn(S) -> T) -> Result<Vec<T>, Shortage> {
        memory::collected(numbers.len(), numbers.iter().map(|number| from(*number)))
    }
    let whole = &tensor.int32_data[..];
    Ok(match of {
        data_type::FLOAT => Values::Real(all(&tensor.float_data, f64::from)?),
        data_type::DOUBLE => Values::Real(memory::copied(&tensor.double_data)?),
        data_type::FLOAT16 => Values::Real(all(whole, |bits| f16::from_bits(bits as u16).to_f64())?),
        data_type::BFLOAT16 => Values::Real(all(whole, |bits| bf16::from_bits(bits as u16).to_f64())?),
        data_type::INT64 => Values::Index(memory::copied(&tensor.int64_data)?),
        data_type::UINT32 | data_type::UINT64 => Values::Index(all(&tensor.uint64_data, saturated)?),
        _ => Values::Index(all(whole, i64::from)?),
    })
}

/// Only ends of slices are that large, and they are cut anyway.
fn saturated(u: u64) -> i64 {
    i64::try_from(u).unwrap_or(i64::MAX)
}

/// The `count` bytes that another file holds for a tensor.
fn external(tensor: &TensorProto, count: usize, folder: Option<&Path>) -> Result<Bytes, Error> {
    let name = tensor.name();
    let location = entry(&tensor.external_data, "location").unwrap_or_default();
    let number = |key: &str| match entry(&tensor.external_data, key) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::argument(format!("tensor {name:?}: external {key} is {text:?}, expected a number"))),
        },
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let path = inside(name, location, folder)?;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!(
            "tensor {name:?} is in the file {location:?}, which is not beside the model: keep both in one folder"
        )),
        _ => Error::argument(format!("tensor {name:?}: cannot read {location:?}: {error}")),
    };
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if length.is_some_and(|length| length != count as u64) {
        let length = length.unwrap_or(0);
        return Err(Error::argument(format!("tensor {name:?}: {length} bytes of {location:?}, expected {count}")));
    }
    if offset.checked_add(count as u64).is_none_or(|end| end > size) {
        return Err(Error::argument(format!(
            "tensor {name:?}: {count} bytes from {offset} on of {location:?}, which has {size}"
        )));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let bytes = memory::rest(&mut file.take(count as u64), Some(count), count).map_err(failed)?;
    match bytes.len() {
        n if n == count => Ok(bytes.into()),
        n => Err(Error::argument(format!("tensor {name:?}: {n} bytes of {location:?}, expected {count}"))),
    }
}

/// The path of an external file, which must be inside the model's folder, links followed.
fn inside(name: &str, location: &str, folder: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(folder) = folder else {
        return Err(Error::argument(format!("tensor {name:?} is in another file, but the model was given as bytes")));
    };
    let escapes = || {
        Error::argument(format!(
            "tensor {name:?} is in the file {location:?}: only files inside the model's folder are read"
        ))
    };
    let relative = Path::new(location);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !plain {
        return Err(escapes());
    }
    let path = folder.join(relative);
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(real)) if !real.starts_with(&folder) => Err(escapes()),
        _ => Ok(path),
    }
}
