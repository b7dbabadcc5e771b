//! Singular values of small square matrices, and what follows from them: the nearest orthogonal matrix, roots of a Gram matrix.
//!
//! Columns are turned in pairs until all are orthogonal (Hestenes 1958): exact to rounding whatever the singular values are.

use super::vector::{axpy, dot, norm};

/// A square matrix by its columns.
pub type Columns = Vec<Vec<f64>>;

const SWEEPS: usize = 60;
/// A singular value below this part of the largest is none.
const SMALL: f64 = 1e-12;

/// A matrix M as M right_k = values_k left_k.
pub struct Singular {
    values: Vec<f64>,
    /// Unit vectors, orthogonal where the value is not small.
    left: Columns,
    right: Columns,
}

impl Singular {
    /// O(n^3) a sweep, some 5 to 10 sweeps.
    pub fn of(mut columns: Columns) -> Singular {
        let n = columns.len();
        let mut right = identity(n);
        for _sweep in 0..SWEEPS {
            let mut is_done = true;
            for i in 0..n {
                for j in 0..i {
                    let [a, b] = [i, j].map(|k| dot(&columns[k], &columns[k]));
                    let across = dot(&columns[i], &columns[j]);
                    if across.abs() <= f64::EPSILON * (a * b).sqrt() || !across.is_finite() {
                        continue;
                    }
                    is_done = false;
                    let zeta = (b - a) / (2.0 * across);
                    let t = 1.0_f64.copysign(zeta) / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                    let cosine = 1.0 / (1.0 + t * t).sqrt();
                    [&mut columns, &mut right].into_iter().for_each(|of| turn(of, [i, j], cosine, cosine * t));
                }
            }
            if is_done {
                break;
            }
        }
        let values: Vec<f64> = columns.iter().map(|column| norm(column)).collect();
        for (column, value) in columns.iter_mut().zip(&values).filter(|(_, value)| **value > 0.0) {
            column.iter_mut().for_each(|x| *x /= value);
        }
        Singular { values, left: columns, right }
    }

    /// The sum of all singular values: the largest trace of the matrix times an orthogonal one.
    pub fn sum(&self) -> f64 {
        self.values.iter().sum()
    }

    /// The orthogonal matrix whose product with this one, entry by entry, is largest in sum; what that leaves open is as
    /// in the identity, as far as it can be.
    pub fn orthogonal(&self) -> Columns {
        let n = self.values.len();
        let least = SMALL * self.values.iter().fold(0.0, |most: f64, x| most.max(*x));
        let (mut left, mut open): (Columns, Vec<usize>) = (Vec::new(), Vec::new());
        let mut order: Vec<usize> = (0..n).filter(|k| self.values[*k] > least).collect();
        left.extend(order.iter().map(|k| self.left[*k].clone()));
        open.extend((0..n).filter(|k| self.values[*k].is_nan() || self.values[*k] <= least));
        for k in open {
            let tried = [self.right[k].clone()].into_iter().chain(identity(n)).map(|v| rest(v, &left));
            let longest =
                tried.max_by(|a, b| norm(a).min(0.5).total_cmp(&norm(b).min(0.5)).then(std::cmp::Ordering::Greater));
            let Some(mut longest) = longest else { continue };
            let size = norm(&longest);
            longest.iter_mut().for_each(|x| *x /= size);
            left.push(longest);
            order.push(k);
        }
        sum(n, left.iter().zip(order).map(|(left, k)| (1.0, &left[..], &self.right[k][..])))
    }

    /// Of a symmetric matrix without negative eigenvalues its powers; `None` where it has (nearly) no inverse.
    pub fn powers<const N: usize>(&self, powers: [f64; N]) -> Option<[Columns; N]> {
        let most = self.values.iter().fold(0.0, |most: f64, x| most.max(*x));
        let is_regular = most.is_finite() && self.values.iter().all(|x| *x > SMALL * most);
        let terms = |power: f64| self.values.iter().zip(&self.right).map(move |(x, v)| (x.powf(power), &v[..], &v[..]));
        is_regular.then(|| powers.map(|power| sum(self.values.len(), terms(power))))
    }
}

pub fn identity(n: usize) -> Columns {
    (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

/// The matrix times a vector.
pub fn applied(matrix: &Columns, v: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; v.len()];
    matrix.iter().zip(v).for_each(|(column, x)| axpy(&mut product, *x, column));
    product
}

pub fn product(a: &Columns, b: &Columns) -> Columns {
    b.iter().map(|column| applied(a, column)).collect()
}

pub fn transposed(a: &Columns) -> Columns {
    (0..a.len()).map(|i| a.iter().map(|column| column[i]).collect()).collect()
}

/// The sum of factors times left times the transpose of right.
fn sum<'a>(n: usize, terms: impl Iterator<Item = (f64, &'a [f64], &'a [f64])>) -> Columns {
    let mut total = vec![vec![0.0; n]; n];
    for (factor, left, right) in terms {
        total.iter_mut().zip(right).for_each(|(column, x)| axpy(column, factor * x, left));
    }
    total
}

/// What is left of a vector beside others, which are orthonormal.
fn rest(mut v: Vec<f64>, others: &[Vec<f64>]) -> Vec<f64> {
    for _ in 0..2 {
        others.iter().for_each(|other| {
            let along = dot(&v, other);
            axpy(&mut v, -along, other);
        });
    }
    v
}

fn turn(columns: &mut [Vec<f64>], [i, j]: [usize; 2], cosine: f64, sine: f64) {
    // The second lies before the first.
    let (before, behind) = columns.split_at_mut(i);
    for (x, y) in behind[0].iter_mut().zip(&mut before[j]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns(n: usize, x: &[f64]) -> Columns {
        x.chunks(n).take(n).map(<[f64]>::to_vec).collect()
    }

    fn apart(a: &Columns, b: &Columns) -> f64 {
        a.concat().iter().zip(b.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn the_orthogonal_factor_is_orthogonal_and_leaves_a_symmetric_one(
            n in 1usize..7, x in prop::collection::vec(-2.0f64..2.0, 36), rank in 0usize..7
        ) {
            let mut m = columns(n, &x);
            // Without full rank too, the zero matrix among them.
            m.iter_mut().skip(rank).for_each(|column| column.fill(0.0));
            let found = Singular::of(m.clone());
            let q = found.orthogonal();
            prop_assert!(apart(&product(&transposed(&q), &q), &identity(n)) < 1e-12);
            let symmetric = product(&transposed(&q), &m);
            prop_assert!(apart(&symmetric, &transposed(&symmetric)) < 1e-10);
            let trace: f64 = (0..n).map(|k| symmetric[k][k]).sum();
            prop_assert!((trace - found.sum()).abs() < 1e-10);
        }

        #[test]
        fn powers_multiply(n in 1usize..7, x in prop::collection::vec(-2.0f64..2.0, 36)) {
            let m = columns(n, &x);
            let mut gram = product(&transposed(&m), &m);
            (0..n).for_each(|k| gram[k][k] += 0.1);
            let [root, inverse] = Singular::of(gram.clone()).powers([0.5, -0.5]).unwrap();
            prop_assert!(apart(&product(&root, &root), &gram) < 1e-11);
            prop_assert!(apart(&product(&root, &inverse), &identity(n)) < 1e-11);
        }
    }

    #[test]
    fn what_nothing_decides_stays() {
        assert_eq!(Singular::of(vec![vec![0.0; 3]; 3]).orthogonal(), identity(3));
        assert!(Singular::of(vec![vec![1.0, 0.0], vec![0.0, 0.0]]).powers([-0.5]).is_none());
    }
}
