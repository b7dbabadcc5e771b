//! Convolutions with a group of one channel each, of any taps, strides and dilations.
//!
//! Images are taken one by one, as many channels at a time as a vector holds: these are copied into a plane with zeros
//! around, a vector a pixel. A row of pixels stays in registers while the taps go by; for the adjoint by the kernel some taps
//! stay there while the pixels go by. The adjoint by the image is the convolution of the result, its pixels moved apart by the
//! strides, with the kernel turned round.

use super::method::{Convolution, Method, Task};
use crate::real::Real;
use crate::sums::grow;
use mountainpass_network::graph::op::Window;
use pulp::Simd;

/// A convolution that this file can do, seen from the side that is scattered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depthwise {
    /// Height and width of what comes in.
    image: [usize; 2],
    result: [usize; 2],
    channels: usize,
    taps: [usize; 2],
    /// Rows and columns of zeros before the image.
    begin: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// How far apart the pixels of the image stand.
    apart: [usize; 2],
}

impl Method for Depthwise {
    fn new(of: &Convolution) -> Option<Depthwise> {
        let Window { kernel: taps, strides, dilations, begin, .. } = of.window;
        let ([_, height, width, channels], [rows, columns, outputs]) = (of.image, of.result);
        let fits = (of.groups, outputs) == (channels, channels)
            && channels > 1
            && (0..2).all(|axis| begin[axis] <= (taps[axis] - 1) * dilations[axis]);
        let (image, result) = ([height, width], [rows, columns]);
        fits.then_some(Depthwise { image, result, channels, taps, begin, strides, dilations, apart: [1, 1] })
    }

    fn adjoint(self) -> Depthwise {
        let begin = std::array::from_fn(|axis| (self.taps[axis] - 1) * self.dilations[axis] - self.begin[axis]);
        let (image, result) = (self.result, self.image);
        Depthwise { image, result, begin, strides: [1, 1], apart: self.strides, ..self }
    }

    #[inline(always)]
    fn run<T: Real, S: Simd>(self, simd: S, task: &mut Task<'_, T>, scratch: &mut [Vec<T>; 2]) -> bool {
        match task {
            Task::Result { x, w, turned, y } => self.result(simd, x, w, *turned, y, scratch),
            Task::Kernel { x, y, w } => self.kernel(simd, x, y, w, scratch),
        }
        true
    }
}

impl Depthwise {
    /// Rows and columns of the plane: what the windows see.
    fn plane(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            (self.result[axis] - 1) * self.strides[axis] + (self.taps[axis] - 1) * self.dilations[axis] + 1
        })
    }

    /// Copies channels of an image into the middle of the plane; what surrounds a pixel is zero and stays so.
    #[inline(always)]
    fn lay<T: Real>(&self, x: &[T], first: usize, lanes: usize, plane: &mut [T]) {
        let ([_, width], [high, wide], [down, right]) = (self.image, self.plane(), self.apart);
        let count = lanes.min(self.channels - first);
        for (row, x) in x.chunks_exact(width * self.channels).enumerate() {
            let row = row * down + self.begin[0];
            if row >= high {
                break;
            }
            for (column, x) in x.chunks_exact(self.channels).enumerate() {
                let column = column * right + self.begin[1];
                if column < wide {
                    plane[(row * wide + column) * lanes..][..count].copy_from_slice(&x[first..first + count]);
                }
            }
        }
    }

    #[inline(always)]
    fn result<T: Real, S: Simd>(
        &self,
        simd: S,
        x: &[T],
        w: &[T],
        turned: bool,
        y: &mut [T],
        [plane, kernel]: &mut [Vec<T>; 2],
    ) {
        let (lanes, [_, columns], c) = (T::width::<S>(), self.result, self.channels);
        let (taps, size) = (self.taps[0] * self.taps[1], self.plane().iter().product::<usize>());
        grow(kernel, taps * lanes);
        grow(plane, size * lanes);
        let (kernel, plane) = (&mut kernel[..taps * lanes], &mut plane[..size * lanes]);
        for first in (0..c).step_by(lanes) {
            let count = lanes.min(c - first);
            plane.fill(T::ZERO);
            kernel.fill(T::ZERO);
            for (tap, to) in kernel.chunks_exact_mut(lanes).enumerate() {
                let tap = if turned { taps - 1 - tap } else { tap };
                to[..count].copy_from_slice(&w[tap * c + first..][..count]);
            }
            let pixels = self.image[0] * self.image[1];
            let results = y.chunks_exact_mut(self.result[0] * columns * c);
            for (x, y) in x.chunks_exact(pixels * c).zip(results) {
                self.lay(x, first, lanes, plane);
                let (plane, kernel) = (T::vectors::<S>(plane), T::vectors::<S>(kernel));
                match columns {
                    8.. => self.one_result::<T, S, 8>(simd, first, plane, kernel, y),
                    4.. => self.one_result::<T, S, 4>(simd, first, plane, kernel, y),
                    2.. => self.one_result::<T, S, 2>(simd, first, plane, kernel, y),
                    _ => self.one_result::<T, S, 1>(simd, first, plane, kernel, y),
                }
            }
        }
    }

    /// Blocks of `P` pixels; at the end of a row they overlap.
    #[inline(always)]
    fn one_result<T: Real, S: Simd, const P: usize>(
        &self,
        simd: S,
        first: usize,
        plane: &[T::Vector<S>],
        kernel: &[T::Vector<S>],
        y: &mut [T],
    ) {
        let ([rows, columns], wide, c) = (self.result, self.plane()[1], self.channels);
        let (lanes, step) = (T::width::<S>(), self.strides[1]);
        let count = lanes.min(c - first);
        for row in 0..rows {
            for block in 0..columns.div_ceil(P) {
                let column = (block * P).min(columns - P);
                let mut sums = [T::splat(simd, T::ZERO); P];
                for (i, kernel) in kernel.chunks_exact(self.taps[1]).enumerate() {
                    let line = &plane[(row * self.strides[0] + i * self.dilations[0]) * wide + column * step..];
                    for (j, w) in kernel.iter().enumerate() {
                        let pixels = &line[j * self.dilations[1]..][..(P - 1) * step + 1];
                        for p in 0..P {
                            sums[p] = T::multiply_add(simd, pixels[p * step], *w, sums[p]);
                        }
                    }
                }
                for (p, sum) in sums.iter().enumerate() {
                    put::<T, S>(&mut y[(row * columns + column + p) * c + first..][..count], lanes, *sum);
                }
            }
        }
    }

    #[inline(always)]
    fn kernel<T: Real, S: Simd>(&self, simd: S, x: &[T], y: &[T], w: &mut [T], [plane, kernel]: &mut [Vec<T>; 2]) {
        let (lanes, c) = (T::width::<S>(), self.channels);
        let taps = self.taps[0] * self.taps[1];
        let (size, results) = (self.plane().iter().product::<usize>(), self.result[0] * self.result[1]);
        grow(kernel, taps * lanes);
        grow(plane, (size + results) * lanes);
        let (kernel, plane) = (&mut kernel[..taps * lanes], &mut plane[..(size + results) * lanes]);
        let (plane, result) = plane.split_at_mut(size * lanes);
        for first in (0..c).step_by(lanes) {
            let count = lanes.min(c - first);
            [&mut *plane, &mut *result, &mut *kernel].into_iter().for_each(|all| all.fill(T::ZERO));
            for (x, y) in x.chunks_exact(self.image[0] * self.image[1] * c).zip(y.chunks_exact(results * c)) {
                self.lay(x, first, lanes, plane);
                for (to, y) in result.chunks_exact_mut(lanes).zip(y.chunks_exact(c)) {
                    to[..count].copy_from_slice(&y[first..first + count]);
                }
                let (plane, result) = (T::vectors::<S>(plane), T::vectors::<S>(result));
                let kernel = T::vectors_mut::<S>(kernel);
                match self.taps {
                    [3, 3] => self.one_kernel::<T, S, 3, 3>(simd, plane, result, kernel),
                    [_, 7] => self.one_kernel::<T, S, 1, 7>(simd, plane, result, kernel),
                    [_, 5] => self.one_kernel::<T, S, 1, 5>(simd, plane, result, kernel),
                    [_, 3] => self.one_kernel::<T, S, 1, 3>(simd, plane, result, kernel),
                    _ => self.one_kernel::<T, S, 1, 1>(simd, plane, result, kernel),
                }
            }
            for (tap, from) in kernel.chunks_exact(lanes).enumerate() {
                w[tap * c + first..][..count].copy_from_slice(&from[..count]);
            }
        }
    }

    /// Adds the share of one image: blocks of `H` by `W` taps.
    #[inline(always)]
    fn one_kernel<T: Real, S: Simd, const H: usize, const W: usize>(
        &self,
        simd: S,
        plane: &[T::Vector<S>],
        result: &[T::Vector<S>],
        kernel: &mut [T::Vector<S>],
    ) {
        let ([_, columns], wide, [down, right]) = (self.result, self.plane()[1], self.strides);
        for i in (0..self.taps[0]).step_by(H) {
            for j in (0..self.taps[1]).step_by(W) {
                let mut sums = [[T::splat(simd, T::ZERO); W]; H];
                for (row, y) in result.chunks_exact(columns).enumerate() {
                    let lines: [&[T::Vector<S>]; H] = std::array::from_fn(
                        #[inline(always)]
                        |h| &plane[(row * down + (i + h) * self.dilations[0]) * wide + j * self.dilations[1]..],
                    );
                    for (column, y) in y.iter().enumerate() {
                        for h in 0..H {
                            let pixels = &lines[h][column * right..][..(W - 1) * self.dilations[1] + 1];
                            for w in 0..W {
                                let pixel = pixels[w * self.dilations[1]];
                                sums[h][w] = T::multiply_add(simd, pixel, *y, sums[h][w]);
                            }
                        }
                    }
                }
                for (h, sums) in sums.iter().enumerate() {
                    let to = &mut kernel[(i + h) * self.taps[1] + j..][..W];
                    to.iter_mut().zip(sums).for_each(|(to, sum)| *to = T::plus(simd, *to, *sum));
                }
            }
        }
    }
}

/// Writes the first numbers of a vector.
#[inline(always)]
fn put<T: Real, S: Simd>(to: &mut [T], lanes: usize, vector: T::Vector<S>) {
    if to.len() == lanes {
        T::vectors_mut::<S>(to)[0] = vector;
    } else {
        let mut all = [T::ZERO; 64];
        T::vectors_mut::<S>(&mut all[..lanes])[0] = vector;
        to.copy_from_slice(&all[..to.len()]);
    }
}
