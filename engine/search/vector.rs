//! Points of parameter space as vectors.

/// The scalar product.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four running sums: a fixed order, and the additions of one do not wait for those of another.
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a4.zip(b4) {
        for k in 0..4 {
            sums[k] += x[k] * y[k];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// The length.
pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Adds `scale` times `a`.
pub fn axpy(out: &mut [f64], scale: f64, a: &[f64]) {
    out.iter_mut().zip(a).for_each(|(o, x)| *o += scale * x);
}

/// The distance of two points.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}
