//! Arrays handed over in memory: how their numbers are read.

use crate::{Error, abi};
use std::ffi::c_void;
use std::marker::PhantomData;

/// A named array handed over in memory, borrowed for the call: [`to_f64`](Array::to_f64) copies.
///
/// It is a promise about memory, so it comes from an engine, from a slice ([`Array::new`]) or from who vouches for it
/// ([`Array::from_raw`]); nobody else can make one up:
///
/// ```compile_fail
/// use mountainpass_sdk::{Array, abi::dtype};
/// let array = Array { name: "x", shape: &[1 << 20], strides: None, dtype: dtype::F64, data: std::ptr::dangling() }; // private
/// array.to_f64();
/// ```
/// ```compile_fail,E0133
/// use mountainpass_sdk::{Array, abi::dtype};
/// let array = Array::from_raw("x", &[1 << 20], None, dtype::F64, std::ptr::dangling());
/// array.to_f64();
/// ```
#[derive(Clone, Copy)]
pub struct Array<'a> {
    name: &'a str,
    shape: &'a [u64],
    strides: Option<&'a [i64]>,
    dtype: u32,
    data: *const c_void,
    life: PhantomData<&'a [u8]>,
}

/// A number that an [`Array`] or a matrix may hold.
///
/// # Safety
/// `DTYPE` is the code of this very type: memory is read by it.
pub unsafe trait Dtype: bytemuck::Pod {
    /// Its code in the contract.
    const DTYPE: u32;
}

macro_rules! elements {
    ($($type:ty: $code:ident),*) => {$(
        // SAFETY: the codes are named after the types.
        unsafe impl Dtype for $type {
            const DTYPE: u32 = abi::dtype::$code;
        }
    )*};
}
elements! { f32: F32, f64: F64, u64: U64, i64: I64, i32: I32, u8: U8 }

impl<'a> Array<'a> {
    /// An array over a slice in C order, as a test or a direct user makes it; refused unless it fills the shape.
    pub fn new<T: Dtype>(name: &'a str, shape: &'a [u64], values: &'a [T]) -> Result<Array<'a>, Error> {
        if count(shape) != Some(values.len()) {
            return Err(Error::argument(format!("array {name:?}: {} values of shape {shape:?}", values.len())));
        }
        // SAFETY: as many values of T, in C order, as the shape has.
        Ok(unsafe { Array::from_raw(name, shape, None, T::DTYPE, values.as_ptr().cast()) })
    }

    /// An array that somebody else owns: strides in elements, C order where there are none; `dtype` is a code of
    /// [`abi::dtype`], `data` the first element.
    ///
    /// # Safety
    /// For the life 'a there is an element of that type at every place that shape and strides reach from `data`; none
    /// need be aligned.
    pub unsafe fn from_raw(
        name: &'a str,
        shape: &'a [u64],
        strides: Option<&'a [i64]>,
        dtype: u32,
        data: *const c_void,
    ) -> Array<'a> {
        Array { name, shape, strides, dtype, data, life: PhantomData }
    }

    /// What the caller calls it.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// One size per axis.
    pub fn shape(&self) -> &'a [u64] {
        self.shape
    }

    /// A code of [`abi::dtype`].
    pub fn dtype(&self) -> u32 {
        self.dtype
    }

    /// The elements in C order as f64: exact for floats and for integers up to 2^53. 16-bit floats are unsupported.
    pub fn to_f64(&self) -> Result<Vec<f64>, Error> {
        match self.dtype {
            f32::DTYPE => self.gather(|x: f32| f64::from(x)),
            f64::DTYPE => self.gather(|x: f64| x),
            u64::DTYPE => self.gather(|x: u64| x as f64),
            i64::DTYPE => self.gather(|x: i64| x as f64),
            i32::DTYPE => self.gather(|x: i32| f64::from(x)),
            u8::DTYPE => self.gather(|x: u8| f64::from(x)),
            other => Err(Error::unsupported(format!("array {:?}: element type {other}", self.name))),
        }
    }

    fn gather<T: Copy>(&self, to_f64: impl Fn(T) -> f64) -> Result<Vec<f64>, Error> {
        let count = count(self.shape);
        let count = count.ok_or_else(|| Error::argument(format!("array {:?}: shape {:?}", self.name, self.shape)))?;
        if count > 0 && self.data.is_null() {
            return Err(Error::argument(format!("array {:?} has no data", self.name)));
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0u64; self.shape.len()];
        for i in 0..count {
            let offset = match self.strides {
                None => i as isize,
                Some(strides) => index.iter().zip(strides).map(|(i, s)| *i as isize * *s as isize).sum(),
            };
            let place = self.data.cast::<T>().wrapping_offset(offset);
            // SAFETY: mpass_array holds the elements that its shape and strides reach (`from_raw`); they may be unaligned.
            values.push(to_f64(unsafe { place.read_unaligned() }));
            for (axis, size) in self.shape.iter().enumerate().rev() {
                index[axis] += 1;
                if index[axis] < *size {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(values)
    }
}

/// The number of elements of a shape; `None` if no memory could hold them.
fn count(shape: &[u64]) -> Option<usize> {
    let count = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d))?;
    usize::try_from(count).ok().filter(|n| *n <= isize::MAX as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_that_does_not_fill_its_shape_is_no_array() {
        let refused = Array::new("x", &[2, 3], &[1.0; 5]).err().unwrap();
        assert_eq!(refused.text, "array \"x\": 5 values of shape [2, 3]");
        assert!(Array::new("x", &[u64::MAX, 2], &[1.0; 5]).is_err());
        assert!(Array::new("x", &[0, u64::MAX], &[0_u8; 0]).unwrap().to_f64().unwrap().is_empty());
        assert_eq!(Array::new("x", &[], &[7_i32]).unwrap().to_f64().unwrap(), [7.0]);
    }

    #[test]
    fn strides_and_unaligned_elements_are_read_as_they_are_meant() {
        // 3 x 2, one byte off; and the same backwards and transposed.
        let mut bytes = vec![0];
        bytes.extend([6_i32, 4, 2, 5, 3, 1].iter().flat_map(|x| x.to_ne_bytes()));
        let read = |element: usize, strides| {
            let data = bytes.as_ptr().wrapping_add(1 + 4 * element).cast();
            // SAFETY: from the first element C order reaches all six, from the last one these strides do.
            unsafe { Array::from_raw("x", &[3, 2], strides, i32::DTYPE, data) }.to_f64().unwrap()
        };
        assert_eq!(read(0, None), [6.0, 4.0, 2.0, 5.0, 3.0, 1.0]);
        assert_eq!(read(5, Some(&[-1, -3][..])), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
