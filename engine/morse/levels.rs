//! The values of a sampled function as integer keys of the same order, in the width that their type needs.

use crate::error::Error;
use crate::npy::Values;
use crate::order::{Key, Ordinal};

/// Keys in one of two widths.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Of 32 bits.
    Narrow(Vec<u32>),
    /// Of 64 bits.
    Wide(Vec<u64>),
}

/// The values of a function, cell by cell.
#[derive(Clone, Debug)]
pub struct Levels {
    keys: Keys,
    absent: Option<u64>,
    value: fn(u64) -> f64,
    superlevel: bool,
}

/// A value without a place among those of a function: NaN, and what no sublevel set could begin at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stray {
    pub at: usize,
    value: f64,
}

impl Stray {
    /// The error of it, which names whose value it is.
    pub fn refused(self, whose: &str) -> Error {
        Error::Argument(format!("{whose} is {}: it has no place among the values of a function", self.value))
    }
}

impl Levels {
    /// Takes values; their order is reversed where superlevel sets are asked for. NaN is refused, and so is -inf (+inf with
    /// `superlevel`): no sublevel set could begin there.
    pub(super) fn new(values: Values, superlevel: bool) -> Result<Levels, Stray> {
        macro_rules! of {
            ($width:ident, $values:expr, $type:ident, $infinity:expr) => {{
                type K = <$type as Ordinal>::Key;
                let flip = |key: K| if superlevel { key.reversed() } else { key };
                // The reversed key of -inf is the key of +inf: the codes of a float and its negative are complements.
                let infinity: Option<$type> = $infinity;
                Levels {
                    keys: Keys::$width($values.into_iter().map(|x: $type| flip(x.key())).collect()),
                    absent: infinity.map(|x| x.key().wide()),
                    value: if superlevel {
                        |key| $type::from_key((key as K).reversed()) as f64
                    } else {
                        |key| $type::from_key(key as K) as f64
                    },
                    superlevel,
                }
            }};
        }
        macro_rules! float {
            ($width:ident, $values:expr, $type:ident) => {{
                let begins = if superlevel { $type::INFINITY } else { $type::NEG_INFINITY };
                match $values.iter().position(|x| x.is_nan() || *x == begins) {
                    Some(at) => return Err(Stray { at, value: $values[at].into() }),
                    None => of!($width, $values, $type, Some($type::INFINITY)),
                }
            }};
        }
        Ok(match values {
            Values::F32(v) => float!(Narrow, v, f32),
            Values::F64(v) => float!(Wide, v, f64),
            Values::I8(v) => of!(Narrow, v, i8, None),
            Values::I16(v) => of!(Narrow, v, i16, None),
            Values::I32(v) => of!(Narrow, v, i32, None),
            Values::I64(v) => of!(Wide, v, i64, None),
            Values::U8(v) => of!(Narrow, v, u8, None),
            Values::U16(v) => of!(Narrow, v, u16, None),
            Values::U32(v) => of!(Narrow, v, u32, None),
            Values::U64(v) => of!(Wide, v, u64, None),
        })
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The key of a cell, widened.
    pub fn key(&self, cell: usize) -> u64 {
        match &self.keys {
            Keys::Narrow(keys) => keys[cell].wide(),
            Keys::Wide(keys) => keys[cell],
        }
    }

    /// The value of a cell.
    pub fn value(&self, cell: usize) -> f64 {
        (self.value)(self.key(cell))
    }

    /// The key of cells in no sublevel set: that of +inf, or of -inf where superlevel sets are asked for.
    pub fn absent(&self) -> Option<u64> {
        self.absent
    }

    /// Whether a cell is in no sublevel set.
    pub fn is_absent(&self, cell: usize) -> bool {
        self.absent == Some(self.key(cell))
    }

    /// Whether superlevel sets are asked for.
    pub fn superlevel(&self) -> bool {
        self.superlevel
    }
}
