//! The total order of cells, used by every algorithm: by value, then by index, so that ties are broken the same way
//! everywhere. Values are numbers (no NaN); -0 equals +0.

#![forbid(unsafe_code)]

use std::cmp::Ordering;

/// Compares two cells by (value, index).
pub fn by_value(a: (f64, u64), b: (f64, u64)) -> Ordering {
    // Adding 0.0 turns -0.0 into +0.0 and changes nothing else.
    (a.0 + 0.0).total_cmp(&(b.0 + 0.0)).then(a.1.cmp(&b.1))
}
