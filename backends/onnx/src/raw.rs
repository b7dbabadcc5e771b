//! The raw calls: a run whose inputs and outputs are memory of the caller's, copied neither in nor out.
//!
//! `ort` has no such run in safe words: its own lends inputs by reference counts and allocates outputs.

use mountainpass_sdk::{Scalar, abi::dtype};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{RunOptions, Session};
use ort::{AsPointer, Error, api};
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::{NonNull, null_mut};

/// Why a file is not the library.
pub(crate) enum Unfit {
    /// The system's loader cannot load it, in its words.
    Missing(String),
    /// It lacks the entry.
    Other,
}

/// The version of the library in a file, which stays loaded: it cannot be unloaded.
pub(crate) fn version(path: &Path) -> Result<String, Unfit> {
    type Base = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: whoever names a library lets it run what it does when it is loaded.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Unfit::Missing(reason)
    })?;
    let library = std::mem::ManuallyDrop::new(library);
    // SAFETY: the symbol of this name has this type in every version.
    let base = unsafe { library.get::<Base>(b"OrtGetApiBase") }.map_err(|_| Unfit::Other)?;
    // SAFETY: it may be called at any time.
    let base = unsafe { base() };
    // SAFETY: NULL, or the record, which is constant.
    let base = unsafe { base.as_ref() }.ok_or(Unfit::Other)?;
    let get = base.GetVersionString;
    // SAFETY: it may be called at any time.
    let text = unsafe { get() };
    // SAFETY: a terminated text that is constant.
    Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// A tensor over memory that is lent for 'a.
pub(crate) struct Lent<'a> {
    value: NonNull<ort::sys::OrtValue>,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> Lent<'a> {
    /// Numbers that are read.
    pub fn reals<T: Scalar>(info: &MemoryInfo<'_>, data: &'a [T], shape: &[i64]) -> ort::Result<Lent<'a>> {
        // SAFETY: as many as the slice has; ONNX Runtime writes to no input.
        unsafe { Lent::new(info, data.as_ptr().cast_mut().cast(), size_of_val(data), shape, element::<T>()) }
    }

    /// Numbers that are written.
    pub fn results<T: Scalar>(info: &MemoryInfo<'_>, data: &'a mut [T], shape: &[i64]) -> ort::Result<Lent<'a>> {
        // SAFETY: as many as the slice has, and nobody else's for 'a.
        unsafe { Lent::new(info, data.as_mut_ptr().cast(), size_of_val(data), shape, element::<T>()) }
    }

    /// Whole numbers that are read.
    pub fn indices(info: &MemoryInfo<'_>, data: &'a [i64], shape: &[i64]) -> ort::Result<Lent<'a>> {
        let element = ort::sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
        // SAFETY: as many as the slice has; ONNX Runtime writes to no input.
        unsafe { Lent::new(info, data.as_ptr().cast_mut().cast(), size_of_val(data), shape, element) }
    }

    /// # Safety
    /// For 'a there are `bytes` bytes behind `data`, of this element; whoever runs on it may do to them what it does.
    unsafe fn new(
        info: &MemoryInfo<'_>,
        data: *mut c_void,
        bytes: usize,
        shape: &[i64],
        element: ort::sys::ONNXTensorElementDataType,
    ) -> ort::Result<Lent<'a>> {
        let mut value = null_mut();
        let create = api().CreateTensorWithDataAsOrtValue;
        // SAFETY: OrtApi::CreateTensorWithDataAsOrtValue: "p_data_len Size of p_data in bytes"; it fails where the shape wants
        // more. The rest lives through the call.
        let status = unsafe { create(info.ptr(), data, bytes, shape.as_ptr(), shape.len(), element, &raw mut value) };
        // SAFETY: a status that the call above gave away.
        unsafe { Error::result_from_status(status) }?;
        let value = NonNull::new(value).ok_or_else(|| Error::new("no tensor was made"))?;
        Ok(Lent { value, life: PhantomData })
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let release = api().ReleaseValue;
        // SAFETY: made by `new`, and by nobody else released; the memory behind it stays the lender's.
        unsafe { release(self.value.as_ptr()) };
    }
}

fn element<T: Scalar>() -> ort::sys::ONNXTensorElementDataType {
    match T::DTYPE {
        dtype::F64 => ort::sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        _ => ort::sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    }
}

/// Memory of the CPU.
pub(crate) fn cpu() -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
}

/// Runs a session: inputs by their names, results into what is lent for them.
pub(crate) fn run(
    session: &mut Session,
    options: &RunOptions,
    inputs: (&[CString], &[Lent<'_>]),
    outputs: (&[CString], &[Lent<'_>]),
) -> ort::Result<()> {
    if (inputs.0.len(), outputs.0.len()) != (inputs.1.len(), outputs.1.len()) {
        return Err(Error::new("not as many tensors as names"));
    }
    let names = |all: &[CString]| all.iter().map(|name| name.as_ptr()).collect::<Vec<*const c_char>>();
    let (input_names, output_names) = (names(inputs.0), names(outputs.0));
    let read: Vec<*const ort::sys::OrtValue> = inputs.1.iter().map(|lent| lent.value.as_ptr().cast_const()).collect();
    let mut written: Vec<*mut ort::sys::OrtValue> = outputs.1.iter().map(|lent| lent.value.as_ptr()).collect();
    let run = api().Run;
    // SAFETY: OrtApi::Run: as many values as names; outputs that are not null are written in place. All of it lives through
    // the call, and the session is nobody else's meanwhile.
    let status = unsafe {
        run(
            session.ptr().cast_mut(),
            options.ptr(),
            input_names.as_ptr(),
            read.as_ptr(),
            read.len(),
            output_names.as_ptr(),
            written.len(),
            written.as_mut_ptr(),
        )
    };
    // SAFETY: a status that the call above gave away.
    unsafe { Error::result_from_status(status) }
}
