//! Vectors of space and the rotations between them.
//!
//! Points of the plane are those with a third coordinate of 0, and turn round the third axis.

/// A vector, or a point by its coordinates.
pub type Vector = [f64; 3];
/// Rows of numbers: a rotation, or a frame by its three unit vectors.
pub type Matrix = [[f64; 3]; 3];

/// The rotation R that makes sum |a_i - R b_i|^2 least; one of the plane for points of the plane.
pub fn superposition(a: &[Vector], b: &[Vector], planar: bool) -> Matrix {
    let s = [0, 1, 2].map(|i| [0, 1, 2].map(|j| a.iter().zip(b).map(|(p, q)| q[i] * p[j]).sum::<f64>()));
    if planar {
        return spin((s[0][1] - s[1][0]).atan2(s[0][0] + s[1][1]));
    }
    // Horn, J. Opt. Soc. Am. A 4, 629: the quaternion is the eigenvector of the largest eigenvalue.
    let (x, y, z) = (s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]);
    let (xy, zx, yz) = (s[0][1] + s[1][0], s[2][0] + s[0][2], s[1][2] + s[2][1]);
    let n = [
        [s[0][0] + s[1][1] + s[2][2], x, y, z],
        [x, s[0][0] - s[1][1] - s[2][2], xy, zx],
        [y, xy, s[1][1] - s[0][0] - s[2][2], yz],
        [z, zx, yz, s[2][2] - s[0][0] - s[1][1]],
    ];
    let (values, vectors) = eigen(n);
    let largest = (1..4).fold(0, |best, k| if values[k] > values[best] { k } else { best });
    of_quaternion(vectors[largest])
}

/// The rotation that takes the rows of `from` to the rows of `to`.
pub fn between(to: &Matrix, from: &Matrix) -> Matrix {
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| (0..3).map(|k| to[k][i] * from[k][j]).sum()))
}

/// The rotation of a unit quaternion.
pub fn of_quaternion([w, x, y, z]: [f64; 4]) -> Matrix {
    [
        [w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
}

/// The rotation of the plane by an angle.
pub fn spin(angle: f64) -> Matrix {
    let (sin, cos) = angle.sin_cos();
    [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
}

/// The k-th of `n` rotations spread evenly over all (super-Fibonacci spirals: Alexa, CVPR 2022).
pub fn net(k: usize, n: usize) -> Matrix {
    const PSI: f64 = 1.533_751_168_755_204_3;
    let s = k as f64 + 0.5;
    let (r, rest) = ((s / n as f64).sqrt(), (1.0 - s / n as f64).sqrt());
    let (alpha, beta) = (std::f64::consts::TAU * s / std::f64::consts::SQRT_2, std::f64::consts::TAU * s / PSI);
    of_quaternion([r * alpha.sin(), r * alpha.cos(), rest * beta.sin(), rest * beta.cos()])
}

/// A point turned.
pub fn apply(rotation: &Matrix, p: &Vector) -> Vector {
    rotation.map(|row| dot(row, *p))
}

/// The scalar product.
pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The vector product.
pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The square of the distance of two points.
pub fn apart(a: &Vector, b: &Vector) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)
}

/// The sum of the squared distances of points from their partners.
pub fn squares(a: &[Vector], b: &[Vector]) -> f64 {
    a.iter().zip(b).map(|(a, b)| apart(a, b)).sum()
}

/// All eigenvalues and unit eigenvectors (one per row) of a small symmetric matrix: Jacobi's rotations.
pub fn eigen<const N: usize>(mut a: [[f64; N]; N]) -> ([f64; N], [[f64; N]; N]) {
    let mut vectors = [[0.0; N]; N];
    (0..N).for_each(|k| vectors[k][k] = 1.0);
    for _sweep in 0..30 {
        let off: f64 = (0..N).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].powi(2)).sum();
        if off == 0.0 {
            break;
        }
        for i in 0..N {
            for j in 0..i {
                if a[i][j] == 0.0 {
                    continue;
                }
                let theta = 0.5 * (a[j][j] - a[i][i]) / a[i][j];
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[i], row[j]) = (c * row[i] - s * row[j], s * row[i] + c * row[j]);
                }
                for k in 0..N {
                    (a[i][k], a[j][k]) = (c * a[i][k] - s * a[j][k], s * a[i][k] + c * a[j][k]);
                    (vectors[i][k], vectors[j][k]) =
                        (c * vectors[i][k] - s * vectors[j][k], s * vectors[i][k] + c * vectors[j][k]);
                }
                (a[i][j], a[j][i]) = (0.0, 0.0);
            }
        }
    }
    (std::array::from_fn(|k| a[k][k]), vectors)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any rotation but those by half a turn.
    pub fn rotations() -> impl Strategy<Value = Matrix> {
        [0.1f64..1.0, -1.0f64..1.0, -1.0f64..1.0, -1.0f64..1.0].prop_map(|q| {
            let size = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            of_quaternion(q.map(|x| x / size))
        })
    }

    fn points() -> impl Strategy<Value = Vec<Vector>> {
        prop::collection::vec([-2.0f64..2.0, -2.0f64..2.0, -2.0f64..2.0], 2..9)
    }

    proptest! {
        #[test]
        fn the_superposition_is_the_best_rotation(a in points(), turn in rotations(), other in rotations()) {
            let b: Vec<Vector> = a.iter().map(|p| apply(&turn, &[p[0] + 0.1 * p[1], p[1], p[2].sin()])).collect();
            let left = |r: &Matrix| squares(&a, &b.iter().map(|p| apply(r, p)).collect::<Vec<_>>());
            let best = superposition(&a, &b, false);
            prop_assert!(left(&best) <= left(&other) + 1e-12);
        }
    }
}
