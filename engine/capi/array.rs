//! `mpass_array` of a caller: passed on to a backend, or read as a sampled function in its own element type.

use super::argument::text;
use crate::error::{Error, Result};
use crate::loss::foreign::list;
use crate::loss::{Elements, Foreign, NamedArray};
use crate::npy;
use mountainpass_sdk::abi::{self, dtype};
use std::ffi::c_void;

/// More dimensions than an array can mean.
const MOST_DIMENSIONS: u64 = 64;

/// `mpass_array` with its words copied; the elements stay the caller's.
pub(super) struct ForeignArray {
    name: String,
    pub shape: Vec<u64>,
    strides: Option<Vec<i64>>,
    data: *const c_void,
    dtype: u32,
}

impl ForeignArray {
    /// An array that goes by its own name.
    ///
    /// # Safety
    /// A record whose pointers reach what its counts say.
    pub unsafe fn named(raw: abi::Array) -> Result<ForeignArray> {
        // SAFETY: forwarded.
        let name = unsafe { text(raw.name, "the name of an array of mpass_open") }?;
        // SAFETY: forwarded.
        unsafe { ForeignArray::new(raw, name) }
    }

    /// An argument, which goes by what the header calls it.
    ///
    /// # Safety
    /// `raw` is NULL or a record whose pointers reach what its counts say.
    pub unsafe fn argument(raw: *const abi::Array, name: &str) -> Result<ForeignArray> {
        if raw.is_null() {
            return Err(Error::Argument(format!("{name} is NULL")));
        }
        // SAFETY: forwarded; unaligned reads ask nothing else of the pointer.
        let raw = unsafe { raw.read_unaligned() };
        // SAFETY: forwarded.
        unsafe { ForeignArray::new(raw, name.to_owned()) }
    }

    /// # Safety
    /// As for [`named`](ForeignArray::named).
    unsafe fn new(raw: abi::Array, name: String) -> Result<ForeignArray> {
        let wrong = |fault: String| Error::Argument(format!("array {name:?}: {fault}"));
        let ndim = u64::from(raw.ndim);
        // SAFETY: forwarded.
        let shape = unsafe { list(raw.shape, ndim, MOST_DIMENSIONS, "shape") }.map_err(wrong)?;
        let strides = match raw.strides.is_null() {
            true => None,
            // SAFETY: forwarded.
            false => Some(unsafe { list(raw.strides, ndim, MOST_DIMENSIONS, "strides") }.map_err(wrong)?),
        };
        if raw.data.is_null() && !shape.contains(&0) {
            return Err(wrong("data is NULL".into()));
        }
        if !(dtype::F32..=dtype::BF16).contains(&raw.dtype) {
            return Err(wrong(format!("element type {} is none of MPASS_F32 and so on", raw.dtype)));
        }
        Ok(ForeignArray { name, shape, strides, data: raw.data, dtype: raw.dtype })
    }

    /// The same, as a backend takes it.
    ///
    /// # Safety
    /// The caller's elements are still there, as many as shape and strides reach.
    pub unsafe fn borrow(&self) -> NamedArray<'_> {
        // SAFETY: mpass_array holds the elements that its shape and strides reach, for the call's duration.
        let values = unsafe { Foreign::new(self.data, self.strides.as_deref(), self.dtype) };
        NamedArray { name: &self.name, shape: &self.shape, values: Elements::Foreign(values) }
    }

    /// A copy in C order and in its own type; half floats as floats, which is exact.
    ///
    /// # Safety
    /// As for [`borrow`](ForeignArray::borrow).
    pub unsafe fn copy(&self) -> Result<npy::Array> {
        let shape = self.shape.iter().map(|&axis| axis as usize).collect();
        // SAFETY: forwarded.
        let array = unsafe { self.borrow() };
        let (dtype, bytes) = array.elements()?;
        let descr = match dtype {
            dtype::F32 => "f4",
            dtype::F64 => "f8",
            dtype::U64 => "u8",
            dtype::I64 => "i8",
            dtype::I32 => "i4",
            dtype::U8 => "u1",
            _ => "",
        };
        let halves = |float: fn(u16) -> f32| {
            let half = |bytes: &[u8]| float(u16::from_ne_bytes(bytes.try_into().unwrap_or_default())); // Chunks of two.
            bytes.chunks_exact(2).map(half).collect::<Vec<f32>>().into()
        };
        let values = match dtype {
            dtype::F16 => halves(half),
            dtype::BF16 => halves(|bits| f32::from_bits(u32::from(bits) << 16)),
            _ => npy::Values::of_bytes(descr, &bytes, cfg!(target_endian = "big"))
                .map_err(|shortage| Error::Argument(format!("the array {shortage}")))?
                .ok_or_else(|| Error::Internal(format!("element type {dtype} is not read")))?,
        };
        Ok(npy::Array { shape, values })
    }
}

/// The value of an IEEE 754 half: 1 sign bit, 5 of the exponent, 10 of the fraction.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    match exponent {
        // Subnormal: a multiple of 2^-24, and zero.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        exponent => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(data: *const c_void, shape: &[u64], strides: Option<&[i64]>, dtype: u32) -> abi::Array {
        let strides = strides.map_or(std::ptr::null(), <[i64]>::as_ptr);
        abi::Array { name: std::ptr::null(), data, shape: shape.as_ptr(), strides, ndim: shape.len() as u32, dtype }
    }

    /// # Safety
    /// A live array whose elements strides and shape reach.
    unsafe fn copied(raw: &abi::Array) -> npy::Array {
        // SAFETY: forwarded.
        let array = unsafe { ForeignArray::argument(raw, "values") }.unwrap();
        // SAFETY: forwarded.
        unsafe { array.copy() }.unwrap()
    }

    #[test]
    fn half_floats_are_read_exactly() {
        let known = [(0x0000, 0.0), (0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 2_f32.powi(-24))];
        let known = known.into_iter().chain([(0x03ff, 1023.0 * 2_f32.powi(-24)), (0x7c00, f32::INFINITY)]);
        known.for_each(|(bits, value)| assert_eq!(half(bits), value));
        assert_eq!(half(0x8000).to_bits(), (-0.0_f32).to_bits());
        assert!(half(0x7e00).is_nan());
        let brain = [0x3f80_u16, 0xc040];
        let raw = array(brain.as_ptr().cast(), &[2], None, dtype::BF16);
        // SAFETY: a live array of two elements.
        let read = unsafe { copied(&raw) };
        assert_eq!(read.values, vec![1.0_f32, -3.0].into());
    }

    #[test]
    fn strides_may_go_backwards_and_stand_still() {
        let values = [1_i32, 2, 3, 4, 5, 6];
        let last = values[5..].as_ptr().cast();
        let raw = array(last, &[2, 3], Some(&[-3, -1]), dtype::I32);
        // SAFETY: six elements, reached from the last one down.
        let read = unsafe { copied(&raw) };
        assert_eq!(read, npy::Array { shape: vec![2, 3], values: vec![6, 5, 4, 3, 2, 1].into() });
        let raw = array(last, &[3], Some(&[0]), dtype::I32);
        // SAFETY: one element, three times.
        let read = unsafe { copied(&raw) };
        assert_eq!(read.values, vec![6, 6, 6].into());
    }
}
