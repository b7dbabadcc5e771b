//! Convolutions by plain loops, and what machines with narrow vectors make of the others.

use super::depthwise::Depthwise;
use super::direct::Direct;
use super::method::{Convolution, Job, Method, Task};
use super::winograd::Winograd;
use crate::real::Real;
use mountainpass_network::graph::op::Window;
use pulp::Simd;

fn wave<T: Real>(count: usize) -> Vec<T> {
    (0..count).map(|i| T::of((i as f64 * 0.7).sin())).collect()
}

/// Result and both adjoints.
struct Plain {
    result: Vec<f64>,
    image: Vec<f64>,
    kernel: Vec<f64>,
}

impl Plain {
    fn new<T: Real>(of: &Convolution, x: &[T], w: &[T], y: &[T]) -> Plain {
        let ([images, height, width, c], [rows, columns, o]) = (of.image, of.result);
        let ([ci, co], [_, wide]) = (of.group(), of.window.kernel);
        let [result, image, kernel] = [y.len(), x.len(), w.len()].map(|n| vec![0.0; n]);
        let mut plain = Plain { result, image, kernel };
        for place in 0..images * rows * columns {
            let (n, row, column) = (place / columns / rows, place / columns % rows, place % columns);
            for tap in 0..of.taps() {
                let row = of.window.sees(0, row, tap / wide, height);
                let Some((row, column)) = row.zip(of.window.sees(1, column, tap % wide, width)) else { continue };
                let pixel = (n * height + row) * width + column;
                for (i, j) in (0..ci).flat_map(|i| (0..o).map(move |j| (i, j))) {
                    let (a, b, k) = (pixel * c + j / co * ci + i, place * o + j, (tap * ci + i) * o + j);
                    plain.result[b] += x[a].to_f64() * w[k].to_f64();
                    plain.image[a] += y[b].to_f64() * w[k].to_f64();
                    plain.kernel[k] += x[a].to_f64() * y[b].to_f64();
                }
            }
        }
        plain
    }
}

/// The largest difference; nothing if the task was left to others.
fn error<M: Method, T: Real>(of: &Convolution, mut task: Task<'_, T>, plain: &[f64], narrow: bool) -> Option<f64> {
    let scratch = &mut [Vec::new(), Vec::new()];
    let method = task.side::<M>(of)?;
    let job = Job { method, task: &mut task, scratch };
    let done = match pulp::x86::V3::try_new().filter(|_| narrow) {
        Some(simd) => Simd::vectorize(simd, job),
        None if narrow => false,
        None => pulp::Arch::new().dispatch(job),
    };
    let got = match task {
        Task::Result { y, .. } => y,
        Task::Kernel { w, .. } => w,
    };
    let errors = got.iter().zip(plain).map(|(a, b)| (a.to_f64() - b).abs());
    done.then(|| errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }).fold(0.0, f64::max))
}

/// A convolution of images `[images, height, width, channels, outputs]` without groups, strides and dilations.
fn case(
    [images, height, width, c, o]: [usize; 5],
    kernel: [usize; 2],
    begin: [usize; 2],
    end: [usize; 2],
) -> Convolution {
    let window = Window { kernel, strides: [1, 1], dilations: [1, 1], begin, end };
    let places = |axis: usize, size: usize| size + begin[axis] + end[axis] + 1 - kernel[axis];
    Convolution {
        window,
        groups: 1,
        image: [images, height, width, c],
        result: [places(0, height), places(1, width), o],
    }
}

/// Largest differences of the result and both adjoints.
fn errors<M: Method, T: Real>(of: &Convolution, narrow: bool) -> [Option<f64>; 3] {
    let ([images, height, width, c], [rows, columns, o]) = (of.image, of.result);
    let (x, w, y) = (
        wave::<T>(images * height * width * c),
        wave::<T>(of.taps() * of.group()[0] * o),
        wave::<T>(images * rows * columns * o),
    );
    let plain = Plain::new(of, &x, &w, &y);
    let [mut result, mut image, mut kernel] = [y.len(), x.len(), w.len()].map(|n| vec![T::of(9.0); n]);
    let [result, image, kernel] = [
        (Task::Result { x: &x, w: &w, turned: false, y: &mut result }, &plain.result),
        (Task::Result { x: &y, w: &w, turned: true, y: &mut image }, &plain.image),
        (Task::Kernel { x: &x, y: &y, w: &mut kernel }, &plain.kernel),
    ]
    .map(|(task, plain)| error::<M, T>(of, task, plain, narrow));
    [result, image, kernel]
}

/// `must`: which of the three no vectors may leave to others.
fn agrees<M: Method>(of: &Convolution, must: [bool; 3]) {
    // Machines without AVX2 leave everything to products.
    let vectors = pulp::x86::V3::try_new().is_some();
    for narrow in [false, true] {
        // Sums of some hundred products below 1.
        let found = [(errors::<M, f64>(of, narrow), 1e-12), (errors::<M, f32>(of, narrow), 2e-3)];
        for (errors, tolerance) in found {
            for ((error, must), what) in errors.into_iter().zip(must).zip(["result", "image", "kernel"]) {
                assert!(error.is_some() || !must || !vectors, "{of:?}: {what} left to others");
                assert!(error.unwrap_or(0.0) <= tolerance, "{of:?}, narrow {narrow}: {what} errs by {error:?}");
            }
        }
    }
}

#[test]
fn direct_convolutions_agree_with_plain_loops() {
    for shape in [[1, 5, 9, 16, 16], [1, 3, 9, 32, 48], [2, 6, 6, 14, 64], [1, 4, 13, 64, 16], [1, 6, 9, 3, 16]] {
        agrees::<Direct>(&case(shape, [3, 3], [1, 1], [1, 1]), [true, shape[3] % 16 == 0, true]);
    }
    // Outputs that do not fill vectors, one channel, five taps, other rows than columns.
    for shape in [[2, 7, 9, 1, 6], [1, 5, 8, 6, 10], [2, 6, 17, 10, 21], [1, 9, 6, 1, 33], [1, 8, 8, 7, 9]] {
        for (kernel, begin, end) in [([3, 3], [1, 0], [1, 2]), ([5, 5], [2, 2], [2, 2]), ([2, 5], [0, 4], [1, 0])] {
            agrees::<Direct>(&case(shape, kernel, begin, end), [true, shape[3] >= 6, kernel[0] > 2 || shape[3] > 1]);
        }
    }
}

#[test]
fn depthwise_convolutions_agree_with_plain_loops() {
    for channels in [2, 7, 16, 37] {
        for (kernel, begin, size) in [([3, 3], [1, 1], [7, 9]), ([7, 7], [3, 3], [7, 8]), ([2, 5], [0, 4], [6, 13])] {
            for (strides, dilations) in [([1, 1], [1, 1]), ([2, 2], [1, 1]), ([3, 1], [1, 2]), ([1, 2], [2, 1])] {
                let window = Window { kernel, strides, dilations, begin, end: [begin[0], 4] };
                let whole = |axis: usize| size[axis] + begin[axis] + window.end[axis];
                let places = |axis: usize| (whole(axis) - (kernel[axis] - 1) * dilations[axis] - 1) / strides[axis] + 1;
                let result = [places(0), places(1), channels];
                let image = [2, size[0], size[1], channels];
                agrees::<Depthwise>(&Convolution { window, groups: channels, image, result }, [true; 3]);
            }
        }
    }
}

#[test]
fn winograds_convolutions_agree_with_plain_loops() {
    let around = [([1, 1], [1, 1]), ([0, 0], [0, 0]), ([2, 1], [0, 2]), ([0, 2], [2, 2])];
    for shape in [[4, 6, 8, 16, 16], [3, 9, 8, 32, 48], [5, 7, 11, 48, 16], [1, 10, 12, 64, 32], [7, 8, 8, 16, 64]] {
        for (begin, end) in around {
            agrees::<Winograd>(&case(shape, [3, 3], begin, end), [true; 3]);
        }
    }
}

#[test]
fn winograds_sums_err_at_most_a_few_times_as_much_as_direct_ones() {
    let case = case([4, 16, 16, 64, 64], [3, 3], [1, 1], [1, 1]);
    let (direct, winograd) = (errors::<Direct, f32>(&case, false), errors::<Winograd, f32>(&case, false));
    for (direct, winograd) in direct.into_iter().zip(winograd) {
        if let (Some(direct), Some(winograd)) = (direct, winograd) {
            assert!(winograd <= 4.0 * direct, "{winograd} where direct sums err by {direct}");
        }
    }
}
