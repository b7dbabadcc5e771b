//! The total order of cells, used by every algorithm: by value, then by index, so that ties are broken the same way
//! everywhere. Values are numbers (no NaN); -0 equals +0; integers are compared as integers.
//!
//! It stands here in four forms, each for what the others could not do, and a test holds them to one order: [`by_value`]
//! compares f64 pairs where there are few; large sampled functions turn every value into an integer [`Key`] once, exact
//! also where a whole number is no f64, and compare (key, index) with [`precedes`], without a branch to predict; where
//! they sort, both are one number, [`packed`] for keys of 32 bits and a [`place`] for those of 64. Tuples of a key and an index
//! compare in this order by themselves, and the grid and the graph lean on that: another order is another everywhere.

#![forbid(unsafe_code)]

use std::cmp::Ordering;

/// Compares two cells by (value, index).
pub fn by_value(a: (f64, u64), b: (f64, u64)) -> Ordering {
    // Adding 0.0 turns -0.0 into +0.0 and changes nothing else.
    (a.0 + 0.0).total_cmp(&(b.0 + 0.0)).then(a.1.cmp(&b.1))
}

/// Whether (key, index) `a` comes before `b`. Without branches: on rough functions none of them could be predicted.
pub fn precedes<K: Key>(a: (K, u32), b: (K, u32)) -> bool {
    (a.0 < b.0) | ((a.0 == b.0) & (a.1 < b.1))
}

/// Two numbers as one that orders by the first, then by the second.
pub fn packed(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// A key and an index as one number that orders as the two do.
pub fn place(key: u64, index: u32) -> u128 {
    u128::from(key) << 32 | u128::from(index)
}

/// An unsigned integer that orders values.
pub trait Key: Copy + Ord + Send + Sync + std::fmt::Debug + 'static {
    /// The key, widened.
    fn wide(self) -> u64;
    /// The key of the opposite order.
    fn reversed(self) -> Self;
}

impl Key for u32 {
    fn wide(self) -> u64 {
        self.into()
    }
    fn reversed(self) -> u32 {
        !self
    }
}

impl Key for u64 {
    fn wide(self) -> u64 {
        self
    }
    fn reversed(self) -> u64 {
        !self
    }
}

/// A number with a key: equal numbers have equal keys, greater ones greater keys.
pub trait Ordinal: Copy {
    /// What it is ordered by.
    type Key: Key;
    /// The key of a number.
    fn key(self) -> Self::Key;
    /// The number of a key.
    fn from_key(key: Self::Key) -> Self;
}

macro_rules! ordinal_floats {
    ($($float:ident $key:ident)*) => {$(
        impl Ordinal for $float {
            type Key = $key;

            /// NaN has no place in the order; callers refuse it.
            fn key(self) -> $key {
                let bits = (self + 0.0).to_bits(); // No -0.
                if bits >> ($key::BITS - 1) == 1 { !bits } else { bits | 1 << ($key::BITS - 1) }
            }
            fn from_key(key: $key) -> $float {
                $float::from_bits(if key >> ($key::BITS - 1) == 1 { key & !(1 << ($key::BITS - 1)) } else { !key })
            }
        }
    )*};
}

macro_rules! ordinal_integers {
    ($($integer:ident $wide:ident $key:ident)*) => {$(
        impl Ordinal for $integer {
            type Key = $key;

            fn key(self) -> $key {
                // Widening keeps the order; subtracting the least value makes it unsigned.
                ($wide::from(self) as $key).wrapping_sub($wide::from($integer::MIN) as $key)
            }
            fn from_key(key: $key) -> $integer {
                key.wrapping_add($wide::from($integer::MIN) as $key) as $integer
            }
        }
    )*};
}

ordinal_floats! { f32 u32  f64 u64 }
ordinal_integers! { i8 i32 u32  i16 i32 u32  i32 i32 u32  u8 u32 u32  u16 u32 u32  u32 u32 u32  i64 i64 u64  u64 u64 u64 }

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_order_as_numbers_do_and_lead_back(a: f64, b: f64, c: i8, d: i8, e: i64, f: i64, g: f32) {
            prop_assume!(!(a.is_nan() || b.is_nan() || g.is_nan()));
            prop_assert_eq!(a.key().cmp(&b.key()), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(f64::from_key(a.key()), a);
            prop_assert_eq!(f32::from_key(g.key()), g);
            prop_assert_eq!((c.key().cmp(&d.key()), i8::from_key(c.key())), (c.cmp(&d), c));
            prop_assert_eq!((e.key().cmp(&f.key()), i64::from_key(e.key())), (e.cmp(&f), e));
        }
    }

    proptest! {
        #[test]
        fn every_form_is_the_same_order(x in -2_i8..3, y in -2_i8..3, i: u32, j: u32, turn: bool) {
            // Halves, ties and both zeros.
            let (a, b) = (f64::from(x) / 2.0 * if turn { -1.0 } else { 1.0 }, f64::from(y) / 2.0);
            let order = by_value((a, i.into()), (b, j.into()));
            prop_assert_eq!(precedes((a.key(), i), (b.key(), j)), order.is_lt());
            prop_assert_eq!(place(a.key(), i).cmp(&place(b.key(), j)), order);
            let (narrow, other) = (a as f32, b as f32);
            prop_assert_eq!(packed(narrow.key(), i).cmp(&packed(other.key(), j)), order);
        }
    }

    #[test]
    fn both_zeros_are_one() {
        assert_eq!((0.0_f64.key(), 0.0_f32.key()), ((-0.0_f64).key(), (-0.0_f32).key()));
    }
}
