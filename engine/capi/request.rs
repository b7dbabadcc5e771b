//! `mpass_open` of a caller, as the registry takes it.

use super::argument::{optional_text, options, text};
use super::array::ForeignArray;
use crate::error::{Error, Result};
use crate::loss::OpenRequest;
use crate::loss::foreign::list;
use mountainpass_sdk::abi;

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

impl<'a> Request<'a> {
    /// Reads a request; an empty one for NULL.
    ///
    /// # Safety
    /// `from` is NULL or a record whose pointers reach what its counts say, for the life `'a`.
    pub unsafe fn read(from: *const abi::Open) -> Result<Request<'a>> {
        // SAFETY: forwarded, here and for every field below.
        let raw = unsafe { options(from, abi::Open::zeroed(), "mpass_open") }?;
        if !raw.user.is_null() {
            return Err(Error::Argument("mpass_open.user is not NULL: it is given at registration".into()));
        }
        let count = u64::from(raw.n_options);
        // SAFETY: as above.
        let keys = unsafe { list(raw.keys, count, MOST_ITEMS, "mpass_open.keys") }.map_err(Error::Argument)?;
        // SAFETY: as above.
        let values = unsafe { list(raw.values, count, MOST_ITEMS, "mpass_open.values") }.map_err(Error::Argument)?;
        let pair = |(key, value)| {
            // SAFETY: as above.
            let key = unsafe { text(key, "a key of mpass_open") }?;
            // SAFETY: as above.
            let value = unsafe { text(value, &format!("the value of option {key:?}")) }?;
            Ok((key, value))
        };
        // SAFETY: as above.
        let arrays = unsafe { list(raw.data, raw.n_data, MOST_ITEMS, "mpass_open.data") }.map_err(Error::Argument)?;
        let bytes = match (raw.model_bytes.cast::<u8>(), raw.model_len) {
            (bytes, _) if bytes.is_null() => None,
            (_, len) if len > isize::MAX as u64 => {
                return Err(Error::Argument(format!("mpass_open.model_len is {len}")));
            }
            // SAFETY: as above.
            (bytes, len) => Some(unsafe { std::slice::from_raw_parts(bytes, len as usize) }),
        };
        Ok(Request {
            // SAFETY: as above.
            model: unsafe { optional_text(raw.model, "mpass_open.model") }?.unwrap_or_default(),
            bytes,
            options: keys.into_iter().zip(values).map(pair).collect::<Result<_>>()?,
            // SAFETY: as above.
            arrays: arrays.into_iter().map(|raw| unsafe { ForeignArray::named(raw) }).collect::<Result<_>>()?,
            device: raw.device,
            threads: raw.max_threads,
            repeatable: raw.repeatable != 0,
        })
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
