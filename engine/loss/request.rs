//! Which loss to open, and the same as `mpass_open` for the backend.

use super::loss::Dtype;
use crate::error::{Error, Result};
use mountainpass_sdk::abi;
use std::borrow::Cow;
use std::ffi::{CString, c_char, c_void};

/// Which loss to open.
#[derive(Clone, Debug, Default)]
pub struct OpenRequest<'a> {
    /// A path or a name that the backend understands; empty when it needs none.
    pub model: String,
    /// The model itself, where it is handed over in memory.
    pub model_bytes: Option<&'a [u8]>,
    /// Keys and values; the backend names those it does not know.
    pub options: Vec<(String, String)>,
    /// An index of [`Registry::devices`](super::Registry::devices).
    pub device: u32,
    /// How parameters travel; `None` is f64 below 1e5 parameters where the backend has it, else f32.
    pub dtype: Option<Dtype>,
    /// The most threads the backend may use; 0 = as many as the pool has.
    pub threads: u32,
    /// Data sets in memory, borrowed for the call only.
    pub data: Vec<NamedArray<'a>>,
    /// Only a loss whose values repeat bit for bit will do, at whatever cost in speed.
    pub repeatable: bool,
}

/// A named array, in C order unless its values have strides.
#[derive(Clone, Copy, Debug)]
pub struct NamedArray<'a> {
    /// What the backend knows it by.
    pub name: &'a str,
    /// One size per axis; their product is the number of values.
    pub shape: &'a [u64],
    /// The elements, in C order unless they have strides.
    pub values: Elements<'a>,
}

/// The elements of a [`NamedArray`].
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Single precision, C order; as all that follow but the last.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
    /// Unsigned, 64 bits.
    U64(&'a [u64]),
    /// Signed, 64 bits.
    I64(&'a [i64]),
    /// Signed, 32 bits.
    I32(&'a [i32]),
    /// Bytes.
    U8(&'a [u8]),
    /// The bytes of elements of a code of [`abi::dtype`], in C order and aligned for them.
    Packed {
        /// A code of [`abi::dtype`].
        dtype: u32,
        /// As many as the elements have.
        bytes: &'a [u8],
    },
    /// Elements of a caller, of any type and strides.
    Foreign(Foreign<'a>),
}

/// Elements as a C caller has them: of any element type of the contract, with any strides. They are read only to be copied
/// to another process.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    data: *const c_void,
    strides: Option<&'a [i64]>,
    dtype: u32,
}

impl<'a> Foreign<'a> {
    /// `strides` count elements, one for each axis; `dtype` is a code of [`abi::dtype`].
    ///
    /// # Safety
    /// `data` reaches the elements that the strides and the shape of the [`NamedArray`] lead to, for the life `'a`.
    pub unsafe fn new(data: *const c_void, strides: Option<&'a [i64]>, dtype: u32) -> Foreign<'a> {
        Foreign { data, strides, dtype }
    }
}

impl Elements<'_> {
    /// Address and element type.
    fn parts(&self) -> (*const c_void, u32) {
        match self {
            Elements::F32(v) => (v.as_ptr().cast(), abi::dtype::F32),
            Elements::F64(v) => (v.as_ptr().cast(), abi::dtype::F64),
            Elements::U64(v) => (v.as_ptr().cast(), abi::dtype::U64),
            Elements::I64(v) => (v.as_ptr().cast(), abi::dtype::I64),
            Elements::I32(v) => (v.as_ptr().cast(), abi::dtype::I32),
            Elements::U8(v) => (v.as_ptr().cast(), abi::dtype::U8),
            Elements::Packed { dtype, bytes } => (bytes.as_ptr().cast(), *dtype),
            Elements::Foreign(v) => (v.data, v.dtype),
        }
    }

    /// The number of values; `None` where only their owner knows.
    fn len(&self) -> Option<usize> {
        match self {
            Elements::F32(v) => Some(v.len()),
            Elements::F64(v) => Some(v.len()),
            Elements::U64(v) => Some(v.len()),
            Elements::I64(v) => Some(v.len()),
            Elements::I32(v) => Some(v.len()),
            Elements::U8(v) => Some(v.len()),
            Elements::Packed { dtype, bytes } => element_size(*dtype).map(|size| bytes.len() / size),
            Elements::Foreign(_) => None,
        }
    }

    fn strides(&self) -> *const i64 {
        match self {
            Elements::Foreign(Foreign { strides: Some(strides), .. }) => strides.as_ptr(),
            _ => std::ptr::null(),
        }
    }
}

/// The bytes of an element; `None` for a code that is none of [`abi::dtype`].
fn element_size(dtype: u32) -> Option<usize> {
    use abi::dtype::*;
    match dtype {
        F64 | U64 | I64 => Some(8),
        F32 | I32 => Some(4),
        F16 | BF16 => Some(2),
        U8 => Some(1),
        _ => None,
    }
}

impl NamedArray<'_> {
    /// Element type and elements, as bytes in C order.
    pub(crate) fn elements(&self) -> Result<(u32, Cow<'_, [u8]>)> {
        let wrong = |what: &str| Error::Argument(format!("array {:?}: {what}", self.name));
        let (data, dtype) = self.values.parts();
        let bytes: &[u8] = match self.values {
            Elements::F32(v) => bytemuck::cast_slice(v),
            Elements::F64(v) => bytemuck::cast_slice(v),
            Elements::U64(v) => bytemuck::cast_slice(v),
            Elements::I64(v) => bytemuck::cast_slice(v),
            Elements::I32(v) => bytemuck::cast_slice(v),
            Elements::U8(v) | Elements::Packed { bytes: v, .. } => v,
            Elements::Foreign(v) => {
                let size = element_size(dtype).ok_or_else(|| wrong("an element type of no size"))?;
                let bytes = self.shape.iter().try_fold(size as u64, |bytes, &axis| bytes.checked_mul(axis));
                let bytes = bytes.and_then(|bytes| isize::try_from(bytes).ok());
                let too_many = || wrong("more elements than memory holds");
                let bytes = bytes.ok_or_else(too_many)? as usize;
                let Some(strides) = v.strides.filter(|_| bytes > 0) else {
                    let data = if bytes > 0 { data.cast() } else { std::ptr::NonNull::<u8>::dangling().as_ptr() };
                    // SAFETY: `Foreign::new` vouches for what the shape reaches; any initialized element is bytes.
                    return Ok((dtype, unsafe { std::slice::from_raw_parts(data, bytes) }.into()));
                };
                let steps = self.shape.iter().zip(strides);
                let reach: i128 = steps.map(|(&n, stride)| i128::from(n - 1) * i128::from(stride.unsigned_abs())).sum();
                if reach * size as i128 > isize::MAX as i128 {
                    return Err(wrong("strides beyond any memory"));
                }
                // SAFETY: `Foreign::new` vouches for what shape and strides reach.
                let gathered = unsafe { gather(data.cast(), self.shape, strides, size, bytes) };
                return Ok((dtype, gathered.ok_or_else(too_many)?.into()));
            }
        };
        Ok((dtype, bytes.into()))
    }
}

/// Copies elements of `size` bytes, `total` bytes in all, into C order; `None` where there is no memory for them.
///
/// # Safety
/// `data` reaches every element that shape and strides, in elements, lead to.
unsafe fn gather(data: *const u8, shape: &[u64], strides: &[i64], size: usize, total: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(total).ok()?;
    let mut index = vec![0_u64; shape.len()];
    for _ in 0..total / size {
        let at: isize = index.iter().zip(strides).map(|(&i, &stride)| i as isize * stride as isize).sum();
        let element = data.wrapping_offset(at * size as isize);
        // SAFETY: forwarded; any initialized element is bytes.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(element, size) });
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(bytes)
}

/// A request with C texts; [`record`](RawRequest::record) points into it.
pub(super) struct RawRequest<'a> {
    request: &'a OpenRequest<'a>,
    model: Option<CString>,
    /// What `keys` and `values` point to.
    _texts: Vec<CString>,
    _names: Vec<CString>,
    keys: Vec<*const c_char>,
    values: Vec<*const c_char>,
    data: Vec<abi::Array>,
}

impl<'a> RawRequest<'a> {
    /// Fails on texts with a NUL inside and on arrays whose shape and length disagree.
    pub fn new(request: &'a OpenRequest<'a>) -> Result<RawRequest<'a>> {
        let text = |text: &str, what: &str| {
            CString::new(text).map_err(|_| Error::Argument(format!("{what} {text:?} has a NUL inside")))
        };
        let (mut texts, mut names) = (Vec::new(), Vec::new());
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in &request.options {
            for (word, list) in [(key, &mut keys), (value, &mut values)] {
                let word = text(word, "option")?;
                list.push(word.as_ptr()); // A CString's bytes stay where they are when the CString moves.
                texts.push(word);
            }
        }
        let mut data = Vec::new();
        for array in &request.data {
            let (address, dtype) = array.values.parts();
            let needed = array.shape.iter().try_fold(1_u64, |product, &axis| product.checked_mul(axis));
            if let Some(len) = array.values.len().filter(|&len| needed != Some(len as u64)) {
                let NamedArray { name, shape, .. } = array;
                return Err(Error::Argument(format!("array {name:?} has {len} values for the shape {shape:?}")));
            }
            let name = text(array.name, "array")?;
            data.push(abi::Array {
                name: name.as_ptr(),
                data: address,
                shape: array.shape.as_ptr(),
                strides: array.values.strides(),
                ndim: array.shape.len() as u32,
                dtype,
            });
            names.push(name);
        }
        let model = (!request.model.is_empty()).then(|| text(&request.model, "model")).transpose()?;
        Ok(RawRequest { request, model, _texts: texts, _names: names, keys, values, data })
    }

    /// The record; valid while the request lives.
    pub fn record(&self, user: *mut c_void) -> abi::Open {
        let bytes = self.request.model_bytes;
        abi::Open {
            struct_size: abi::Open::SIZE,
            device: self.request.device,
            max_threads: self.request.threads,
            n_options: self.keys.len() as u32,
            model: self.model.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()),
            model_bytes: bytes.map_or(std::ptr::null(), |bytes| bytes.as_ptr().cast()),
            model_len: bytes.map_or(0, |bytes| bytes.len() as u64),
            keys: self.keys.as_ptr(),
            values: self.values.as_ptr(),
            data: self.data.as_ptr(),
            n_data: self.data.len() as u64,
            user,
            repeatable: self.request.repeatable.into(),
            reserved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_elements_are_copied_in_c_order() {
        let matrix: [i32; 7] = [1, 2, 3, 4, 5, 6, 0];
        let elements = |data: *const i32, shape: &[u64], strides| {
            // SAFETY: 2 x 3 elements of `matrix`, whose strides each case gives.
            let values = Elements::Foreign(unsafe { Foreign::new(data.cast(), strides, abi::dtype::I32) });
            let array = NamedArray { name: "x", shape, values };
            let (dtype, bytes) = array.elements().unwrap();
            assert_eq!(dtype, abi::dtype::I32);
            let (elements, _) = bytes.as_chunks::<4>();
            elements.iter().map(|bytes| i32::from_ne_bytes(*bytes)).collect::<Vec<_>>()
        };
        let (first, last) = (matrix.as_ptr(), &raw const matrix[5]);
        assert_eq!(elements(first, &[2, 3], None), [1, 2, 3, 4, 5, 6]);
        assert_eq!(elements(first, &[2, 3], Some(&[1, 2])), [1, 3, 5, 2, 4, 6]);
        assert_eq!(elements(last, &[6], Some(&[-1])), [6, 5, 4, 3, 2, 1]);
        assert_eq!(elements(first, &[], None), [1]);
        assert_eq!(elements(std::ptr::null(), &[3, 0], None), [0; 0]);
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused_before_the_backend_sees_it() {
        let refused = |request: &OpenRequest<'_>| RawRequest::new(request).err().unwrap().to_string();
        let shape = [2, 3];
        let data = vec![NamedArray { name: "y", shape: &shape, values: Elements::U8(&[1, 2, 3]) }];
        let request = OpenRequest { data, ..OpenRequest::default() };
        assert_eq!(refused(&request), "array \"y\" has 3 values for the shape [2, 3]");
        let request = OpenRequest { model: "a\0b".into(), ..OpenRequest::default() };
        assert_eq!(refused(&request), "model \"a\\0b\" has a NUL inside");
    }
}
