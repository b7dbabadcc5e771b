//! The elements of an array in memory, in the type that its file has them in.

use super::elements::{Encoded, elements, next};
use super::fault::Fault;
use super::header::Header;
use super::source::Source;
use crate::memory::{self, Shortage};
use std::io::{self, Read, Write};

/// Declares the element types: variant, Rust type, NumPy's letter and width.
macro_rules! element_types {
    ($($variant:ident $type:ident $descr:literal)*) => {
        /// The elements of an [`Array`](super::Array), exact in their own type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Values {
            $(#[doc = concat!("NumPy's ", $descr, ".")] $variant(Vec<$type>)),*
        }

        /// NumPy's names of the element types.
        pub(super) const KNOWN: &[&str] = &[$($descr),*];

        impl Values {
            /// The number of elements.
            pub fn len(&self) -> usize {
                match self { $(Values::$variant(values) => values.len()),* }
            }

            /// Element `i` as f64: exact for floats and for integers up to 2^53.
            pub fn get(&self, i: usize) -> f64 {
                match self { $(Values::$variant(values) => values[i] as f64),* }
            }

            /// NumPy's name of the element type, without its byte order: "f8", "i4".
            pub fn descr(&self) -> &'static str {
                match self { $(Values::$variant(_) => $descr),* }
            }

            /// The elements of the type `descr` in little- or big-endian bytes; `None` if there is no such type. A rest
            /// that fills no element is left out.
            pub fn of_bytes(descr: &str, bytes: &[u8], big: bool) -> Result<Option<Values>, Shortage> {
                Ok(match descr {
                    $($descr => {
                        let (count, chunks) = (bytes.len() / $type::WIDTH, bytes.chunks_exact($type::WIDTH));
                        Some(Values::$variant(memory::collected(count, chunks.map(|chunk| $type::of(chunk, big)))?))
                    })*
                    _ => None,
                })
            }

            /// The elements that a file holds behind its header, in their own type.
            pub(super) fn read(file: &mut Source<impl Read>, header: &Header) -> Result<Values, Fault> {
                match header.element() {
                    $($descr => elements(file, header, |x: $type| x).map(Values::$variant),)*
                    _ => Err(header.strange()),
                }
            }

            pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
                match self { $(Values::$variant(values) => $type::write(values, to)),* }
            }
        }

        $(impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Values {
                Values::$variant(values)
            }
        }

        impl Encoded for $type {
            const WIDTH: usize = size_of::<$type>();

            #[inline]
            fn of(bytes: &[u8], big: bool) -> $type {
                let bytes = bytes.try_into().unwrap_or_default(); // As many as the width, everywhere here.
                if big { $type::from_be_bytes(bytes) } else { $type::from_le_bytes(bytes) }
            }

            fn write(values: &[$type], to: &mut impl Write) -> io::Result<()> {
                const BLOCK: usize = 1 << 12;
                let mut bytes = [0; BLOCK * size_of::<$type>()];
                values.chunks(BLOCK).try_for_each(|values| {
                    let places = bytes.chunks_exact_mut(size_of::<$type>());
                    places.zip(values).for_each(|(to, value)| to.copy_from_slice(&value.to_le_bytes()));
                    to.write_all(&bytes[..size_of_val(values)])
                })
            }
        })*

        /// The elements that a file holds behind its header, as f64.
        pub(super) fn read_wide(file: &mut Source<impl Read>, header: &Header) -> Result<Vec<f64>, Fault> {
            match header.element() {
                $($descr => elements(file, header, |x: $type| x as f64),)*
                _ => Err(header.strange()),
            }
        }

        /// The next elements of a file, behind the first `start`, as f64.
        pub(super) fn read_next(
            file: &mut Source<impl Read>,
            header: &Header,
            start: usize,
            out: &mut [f64],
        ) -> Result<(), Fault> {
            match header.element() {
                $($descr => next(file, header, start, out, |x: $type| x as f64),)*
                _ => Err(header.strange()),
            }
        }
    };
}

element_types! {
    F32 f32 "f4"  F64 f64 "f8"
    I8 i8 "i1"  I16 i16 "i2"  I32 i32 "i4"  I64 i64 "i8"
    U8 u8 "u1"  U16 u16 "u2"  U32 u32 "u4"  U64 u64 "u8"
}

impl Values {
    /// True for an array without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as f64: exact for floats and for integers up to 2^53.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.get(i)).collect()
    }

    /// The elements as f64, out of a vector that nobody else needs; f64 stay where they are.
    pub fn into_f64(self) -> Result<Vec<f64>, Shortage> {
        match self {
            Values::F64(values) => Ok(values),
            other => memory::collected(other.len(), (0..other.len()).map(|i| other.get(i))),
        }
    }
}
