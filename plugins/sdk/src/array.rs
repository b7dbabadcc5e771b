//! Arrays handed over in memory: how their numbers are read.

use crate::{Error, abi};

/// A named array handed over in memory, C order unless strides say otherwise.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    /// What the caller calls it.
    pub name: &'a str,
    /// One size per axis.
    pub shape: &'a [u64],
    /// In elements; `None` is C order.
    pub strides: Option<&'a [i64]>,
    /// A code of [`abi::dtype`].
    pub dtype: u32,
    /// The first element.
    pub data: *const std::ffi::c_void,
}

impl Array<'_> {
    /// The elements in C order as f64: exact for floats and for integers up to 2^53. 16-bit floats are unsupported.
    pub fn to_f64(&self) -> Result<Vec<f64>, Error> {
        match self.dtype {
            abi::dtype::F32 => self.gather(|x: f32| f64::from(x)),
            abi::dtype::F64 => self.gather(|x: f64| x),
            abi::dtype::U64 => self.gather(|x: u64| x as f64),
            abi::dtype::I64 => self.gather(|x: i64| x as f64),
            abi::dtype::I32 => self.gather(|x: i32| f64::from(x)),
            abi::dtype::U8 => self.gather(|x: u8| f64::from(x)),
            other => Err(Error::unsupported(format!("array {:?}: element type {other}", self.name))),
        }
    }

    fn gather<T: Copy>(&self, to_f64: impl Fn(T) -> f64) -> Result<Vec<f64>, Error> {
        let count = self.shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        let count = count.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= isize::MAX as usize / 8);
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
            // SAFETY: mpass_array holds the elements its shape and strides reach, for the call's duration; the
            // pointer may be unaligned for T, so it is read as such.
            values.push(to_f64(unsafe { self.data.cast::<T>().offset(offset).read_unaligned() }));
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
