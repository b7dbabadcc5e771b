//! Values of cells as integer keys of the same order: vertices first, then edges, if these have values of their own.

use crate::error::{Error, Result};
use crate::npy::Values;
use crate::order::{Key, Ordinal};

/// The values of cells.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    /// Reversed where superlevel sets are asked for. Of types of 32 bits and less only the low 32 bits are used.
    pub keys: Vec<u64>,
    /// All keys are below 2^32.
    pub narrow: bool,
    /// Which edges enter at values of their own; empty where none has any.
    pub own: Vec<bool>,
    /// The key of what is in no sublevel set.
    absent: Option<u64>,
    value: fn(u64) -> f64,
}

impl Levels {
    /// Values of vertices and, if there are any, of edges, in one type: exact, or refused.
    pub fn new(vertices: Values, edges: Option<Values>, superlevel: bool) -> Result<Levels> {
        let n = vertices.len();
        let values = match edges {
            Some(edges) => joined(vertices, edges)?,
            None => vertices,
        };
        macro_rules! of {
            ($values:expr, $type:ident, $infinity:expr) => {{
                type K = <$type as Ordinal>::Key;
                let flip = |x: $type| if superlevel { x.key().reversed() } else { x.key() };
                let infinity: Option<$type> = $infinity; // The reversed key of -inf is the key of +inf.
                Levels {
                    keys: $values.into_iter().map(|x| flip(x).wide()).collect(),
                    narrow: K::BITS == 32,
                    own: Vec::new(),
                    absent: infinity.map(|x| x.key().wide()),
                    value: if superlevel {
                        |key| $type::from_key((key as K).reversed()) as f64
                    } else {
                        |key| $type::from_key(key as K) as f64
                    },
                }
            }};
        }
        macro_rules! float {
            ($values:expr, $type:ident) => {{
                let begins = if superlevel { $type::INFINITY } else { $type::NEG_INFINITY };
                match $values.iter().position(|x| x.is_nan() || *x == begins) {
                    Some(i) => return Err(refused(i, n, $values[i].into())),
                    None => of!($values, $type, Some($type::INFINITY)),
                }
            }};
        }
        Ok(match values {
            Values::F32(v) => float!(v, f32),
            Values::F64(v) => float!(v, f64),
            Values::I8(v) => of!(v, i8, None),
            Values::I16(v) => of!(v, i16, None),
            Values::I32(v) => of!(v, i32, None),
            Values::I64(v) => of!(v, i64, None),
            Values::U8(v) => of!(v, u8, None),
            Values::U16(v) => of!(v, u16, None),
            Values::U32(v) => of!(v, u32, None),
            Values::U64(v) => of!(v, u64, None),
        })
    }

    /// Finds the edges whose value lies above both ends.
    pub fn settle(&mut self, n: usize, edges: &[[u32; 2]]) {
        let (vertices, own) = self.keys.split_at(n);
        let above = |(&key, &[a, b]): (&u64, &[u32; 2])| key > vertices[a as usize].max(vertices[b as usize]);
        self.own = own.iter().zip(edges).map(above).collect();
    }

    /// The value of a cell.
    pub fn value(&self, cell: usize) -> f64 {
        (self.value)(self.keys[cell])
    }

    /// Whether a cell is in no sublevel set.
    pub fn is_absent(&self, cell: usize) -> bool {
        self.absent == Some(self.keys[cell])
    }
}

fn refused(at: usize, n: usize, value: f64) -> Error {
    let (what, at) = if at < n { ("vertex", at) } else { ("edge", at - n) };
    Error::Argument(format!("the value of {what} {at} is {value}: it has no place among the values of a function"))
}

/// Two lists of values as one, in a type that holds both exactly.
fn joined(a: Values, b: Values) -> Result<Values> {
    let is_float = |values: &Values| matches!(values, Values::F32(_) | Values::F64(_));
    Ok(match (a, b) {
        (Values::F32(a), Values::F32(b)) => [a, b].concat().into(),
        (Values::U64(a), Values::U64(b)) => [a, b].concat().into(),
        (a, b) if is_float(&a) && is_float(&b) => [a.to_f64(), b.to_f64()].concat().into(),
        (a, b) => match (integers(&a), integers(&b)) {
            (Some(a), Some(b)) => [a, b].concat().into(),
            _ => {
                let (a, b) = (a.descr(), b.descr());
                return Err(Error::Argument(format!(
                    "values of type {a} and edge values of type {b} cannot be compared exactly: convert one of them"
                )));
            }
        },
    })
}

/// Integers as i64, if they are and fit.
fn integers(values: &Values) -> Option<Vec<i64>> {
    fn widened<T: Copy + TryInto<i64>>(values: &[T]) -> Option<Vec<i64>> {
        values.iter().map(|&x| x.try_into().ok()).collect()
    }
    match values {
        Values::F32(_) | Values::F64(_) => None,
        Values::I8(v) => widened(v),
        Values::I16(v) => widened(v),
        Values::I32(v) => widened(v),
        Values::I64(v) => widened(v),
        Values::U8(v) => widened(v),
        Values::U16(v) => widened(v),
        Values::U32(v) => widened(v),
        Values::U64(v) => widened(v),
    }
}
