//! Nearest neighbours by products of blocks of points: |x - y|^2 = |x|^2 + |y|^2 - 2 x.y.
//!
//! The products are taken in f32 of coordinates that are centred and scaled to one, and only rule points out: whatever
//! their rounding allows to be among the nearest is measured exactly. So a cloud of well separated heaps costs more exact
//! distances, never a wrong neighbour.

use super::points::{Cloud, Near};
use crate::machine::pool::Pool;

/// Points whose neighbours a worker looks for at a time.
const ROWS: usize = if cfg!(test) { 3 } else { 64 };
/// Points that they are compared with at a time: the products of both stay in a core's cache.
const COLUMNS: usize = if cfg!(test) { 5 } else { 1024 };
/// So many candidates are looked at together.
const LANES: usize = 16;

/// The k nearest others of each point; see [`Cloud::neighbours`]. 0 < k < n.
pub(super) fn neighbours(cloud: &Cloud, k: usize, pool: &Pool) -> Vec<u32> {
    let narrow = Narrow::new(cloud);
    pool.map(cloud.n.div_ceil(ROWS), &|i| {
        let rows = i * ROWS..cloud.n.min((i + 1) * ROWS);
        let mut found: Vec<Nearest> = rows.clone().map(|_| Nearest { k, near: Vec::with_capacity(k + 1) }).collect();
        let mut products = vec![0.0; ROWS * COLUMNS];
        for first in (0..cloud.n).step_by(COLUMNS) {
            let columns = first..cloud.n.min(first + COLUMNS);
            let width = columns.len();
            narrow.multiply(rows.clone(), columns.clone(), &mut products);
            let norms = &narrow.norms[columns];
            for ((row, nearest), products) in rows.clone().zip(&mut found).zip(products.chunks_exact(width)) {
                let mut limit = narrow.limit(row, nearest.farthest());
                for (lane, (norms, products)) in norms.chunks(LANES).zip(products.chunks(LANES)).enumerate() {
                    if !any_within(norms, products, limit) {
                        continue;
                    }
                    for (i, (norm, product)) in norms.iter().zip(products).enumerate() {
                        let point = first + lane * LANES + i;
                        if norm - 2.0 * product <= limit && point != row {
                            let (row, point) = (row as u32, point as u32);
                            nearest.offer(Near { distance: cloud.distance(row, point), point });
                            limit = narrow.limit(row as usize, nearest.farthest());
                        }
                    }
                }
            }
        }
        found.into_iter().flat_map(|nearest| nearest.near).map(|near| near.point).collect::<Vec<u32>>()
    })
    .concat()
}

/// Whether a candidate is within the limit: without a branch for each, so that a processor looks at several at once.
fn any_within(norms: &[f32], products: &[f32], limit: f32) -> bool {
    let within = |any: bool, (norm, product): (&f32, &f32)| any | (norm - 2.0 * product <= limit);
    match (<&[f32; LANES]>::try_from(norms), <&[f32; LANES]>::try_from(products)) {
        (Ok(norms), Ok(products)) => norms.iter().zip(products).fold(false, within),
        _ => norms.iter().zip(products).fold(false, within),
    }
}

/// The k nearest seen so far, in order.
struct Nearest {
    k: usize,
    near: Vec<Near>,
}

impl Nearest {
    /// The squared distance beyond which nothing is of interest.
    fn farthest(&self) -> f64 {
        if self.near.len() < self.k { f64::INFINITY } else { self.near[self.k - 1].distance }
    }

    fn offer(&mut self, near: Near) {
        let at = self.near.partition_point(|known| known.order(&near).is_lt());
        if at < self.k {
            self.near.insert(at, near);
            self.near.truncate(self.k);
        }
    }
}

/// The cloud in f32.
struct Narrow {
    /// Centred, scaled to at most one, a point a row.
    coordinates: Vec<f32>,
    d: usize,
    /// Of each point the square of its norm, less what rounding may add to a squared distance on its part.
    norms: Vec<f32>,
    scale: f64,
}

impl Narrow {
    fn new(cloud: &Cloud) -> Narrow {
        let (n, d) = (cloud.n, cloud.d);
        let mut centre = vec![0.0; d];
        for row in cloud.coordinates.chunks_exact(d) {
            centre.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / n as f64);
        }
        let centred = || cloud.coordinates.chunks_exact(d).flat_map(|row| row.iter().zip(&centre).map(|(x, c)| x - c));
        let greatest = centred().fold(0.0, |most: f64, x| most.max(x.abs()));
        let scale = if greatest > 0.0 { (1.0 / greatest).min(f64::MAX) } else { 1.0 };
        let coordinates: Vec<f32> = centred().map(|x| (x * scale) as f32).collect();
        // Centring, rounding to f32, products and sums, and the exact distance's own rounding err by at most (4 d + 20)
        // units of rounding of |x|^2 + |y|^2, half of f32::EPSILON each.
        let sure = 1.0 - 4.0 * (d as f64 + 5.0) * f64::from(f32::EPSILON);
        let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let norms = coordinates.chunks_exact(d).map(|row| (norm(row) * sure) as f32).collect();
        Narrow { coordinates, d, norms, scale }
    }

    /// What |y|^2 - 2 x.y must not exceed for y to be as near to a point x as `farthest`, in the units of the norms.
    fn limit(&self, row: usize, farthest: f64) -> f32 {
        if farthest == 0.0 {
            // Points are met in the order of their numbers: no later one comes before k equal ones.
            return f32::NEG_INFINITY;
        }
        // Squares below 1e-300, and products below 1e-38, may have vanished.
        let farthest = (farthest + 1e-300).sqrt() * self.scale;
        let limit = farthest * farthest + 1e-30 - f64::from(self.norms[row]);
        (limit as f32).next_up()
    }

    /// The products of some rows with some columns, row by row.
    #[cfg(feature = "dense")]
    fn multiply(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, products: &mut [f32]) {
        use faer::linalg::matmul::matmul;
        use faer::{Accum, MatMut, MatRef, Par};
        let block = |points: &std::ops::Range<usize>| {
            let coordinates = &self.coordinates[points.start * self.d..points.end * self.d];
            MatRef::from_row_major_slice(coordinates, points.len(), self.d)
        };
        let (n, m) = (rows.len(), columns.len());
        let to = MatMut::from_column_major_slice_mut(&mut products[..n * m], m, n);
        matmul(to, Accum::Replace, block(&columns), block(&rows).transpose(), 1.0, Par::Seq);
    }

    /// The products of some rows with some columns, row by row.
    #[cfg(not(feature = "dense"))]
    fn multiply(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, products: &mut [f32]) {
        let point = |i: usize| &self.coordinates[i * self.d..(i + 1) * self.d];
        for (row, products) in rows.zip(products.chunks_exact_mut(columns.len())) {
            for (column, product) in columns.clone().zip(products) {
                *product = point(row).iter().zip(point(column)).map(|(x, y)| x * y).sum();
            }
        }
    }
}
