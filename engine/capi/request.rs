//! `mpass_open` of a caller, as the registry takes it.

use super::argument::{optional_text, options, text};
use crate::error::{Error, Result};
use crate::loss::foreign::list;
use crate::loss::{Array, Foreign, OpenRequest, Values};
use mountainpass_sdk::abi;
use std::ffi::c_void;

/// More dimensions than an array can mean.
const MOST_DIMENSIONS: u64 = 64;
/// More options or arrays than a caller can mean.
const MOST_ITEMS: u64 = 1 << 20;

/// A request: words are copied, bytes and arrays stay the caller's.
pub(super) struct Request<'a> {
    pub model: String,
    bytes: Option<&'a [u8]>,
    options: Vec<(String, String)>,
    arrays: Vec<ForeignArray>,
    device: u32,
    threads: u32,
    repeatable: bool,
}

/// `mpass_array` with its words copied.
struct ForeignArray {
    name: String,
    shape: Vec<u64>,
    strides: Option<Vec<i64>>,
    data: *const c_void,
    dtype: u32,
}

impl<'a> Request<'a> {
    /// Reads a request; an empty one for NULL.
    ///
    /// # Safety
    /// `from` is NULL or a record whose pointers reach what its counts say, for the life `'a`.
    pub unsafe fn read(from: *const abi::Open) -> Result<Request<'a>> {
        // SAFETY: forwarded, here and for every field.
        unsafe {
            let raw = options(from, abi::Open::zeroed(), "mpass_open")?;
            if !raw.user.is_null() {
                return Err(Error::Argument("mpass_open.user is not NULL: it is given at registration".into()));
            }
            let count = u64::from(raw.n_options);
            let keys = list(raw.keys, count, MOST_ITEMS, "mpass_open.keys").map_err(Error::Argument)?;
            let values = list(raw.values, count, MOST_ITEMS, "mpass_open.values").map_err(Error::Argument)?;
            let pair = |(key, value)| {
                let key = text(key, "a key of mpass_open")?;
                let value = text(value, &format!("the value of option {key:?}"))?;
                Ok((key, value))
            };
            let arrays = list(raw.data, raw.n_data, MOST_ITEMS, "mpass_open.data").map_err(Error::Argument)?;
            let bytes = match (raw.model_bytes.cast::<u8>(), raw.model_len) {
                (bytes, _) if bytes.is_null() => None,
                (_, len) if len > isize::MAX as u64 => {
                    return Err(Error::Argument(format!("mpass_open.model_len is {len}")));
                }
                (bytes, len) => Some(std::slice::from_raw_parts(bytes, len as usize)),
            };
            Ok(Request {
                model: optional_text(raw.model, "mpass_open.model")?.unwrap_or_default(),
                bytes,
                options: keys.into_iter().zip(values).map(pair).collect::<Result<_>>()?,
                arrays: arrays.into_iter().map(|raw| ForeignArray::read(raw)).collect::<Result<_>>()?,
                device: raw.device,
                threads: raw.max_threads,
                repeatable: raw.repeatable != 0,
            })
        }
    }

    /// The same, as the registry takes it.
    ///
    /// # Safety
    /// The caller's arrays are still there.
    pub unsafe fn borrow(&self) -> OpenRequest<'_> {
        OpenRequest {
            model: self.model.clone(),
            model_bytes: self.bytes,
            options: self.options.clone(),
            device: self.device,
            dtype: None,
            threads: self.threads,
            repeatable: self.repeatable,
            // SAFETY: forwarded.
            data: self.arrays.iter().map(|array| unsafe { array.borrow() }).collect(),
        }
    }
}

impl ForeignArray {
    /// # Safety
    /// As for [`Request::borrow`].
    unsafe fn borrow(&self) -> Array<'_> {
        // SAFETY: mpass_array holds the elements that its shape and strides reach, for the call's duration.
        let values = unsafe { Foreign::new(self.data, self.strides.as_deref(), self.dtype) };
        Array { name: &self.name, shape: &self.shape, values: Values::Foreign(values) }
    }

    /// # Safety
    /// A record whose pointers reach what its counts say.
    unsafe fn read(raw: abi::Array) -> Result<ForeignArray> {
        // SAFETY: forwarded.
        unsafe {
            let name = text(raw.name, "the name of an array of mpass_open")?;
            let wrong = |fault: String| Error::Argument(format!("array {name:?}: {fault}"));
            let ndim = u64::from(raw.ndim);
            let shape = list(raw.shape, ndim, MOST_DIMENSIONS, "shape").map_err(wrong)?;
            let strides = match raw.strides.is_null() {
                true => None,
                false => Some(list(raw.strides, ndim, MOST_DIMENSIONS, "strides").map_err(wrong)?),
            };
            if raw.data.is_null() && !shape.contains(&0) {
                return Err(wrong("data is NULL".into()));
            }
            if !(abi::dtype::F32..=abi::dtype::BF16).contains(&raw.dtype) {
                return Err(wrong(format!("element type {} is none of MPASS_F32 and so on", raw.dtype)));
            }
            Ok(ForeignArray { name, shape, strides, data: raw.data, dtype: raw.dtype })
        }
    }
}
