//! Convolutions three taps wide that move by 1, without laying windows out.
//!
//! Images are copied one by one into a padded scratch image of planes of 16 channels (4 where they are few), so that the three taps of a
//! row of the kernel and their channels are one contiguous run, and neighbours are a
//! constant apart. A block of pixels times vectors of outputs stays in registers while all taps and channels go by. The
//! adjoint by the image is the same convolution with the kernel turned round; the adjoint by the kernel keeps a block of
//! the kernel in registers while the pixels of an image go by.

use super::method::{Convolution, Method, Task, add_outer};
use crate::real::Real;
use crate::sums::grow;
use pulp::Simd;

/// A convolution that this file can do, seen from the side that is scattered: the result is `rows x columns x outputs`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    /// Height, width and channels of what comes in.
    image: [usize; 3],
    result: [usize; 3],
    /// Rows and columns of zeros before the image.
    begin: [usize; 2],
    /// Rows of the kernel.
    taps: usize,
    /// Channels of a plane, 16 or 4: what the images have is filled up with zeros.
    plane: usize,
}

/// Less than a third of the channels of wide planes may be zeros.
fn plane(channels: usize) -> usize {
    if 3 * channels > 2 * channels.next_multiple_of(16) { 16 } else { 4 }
}

impl Method for Direct {
    fn new(of: &Convolution) -> Option<Direct> {
        let window = of.window;
        let fits = window.kernel[1] == 3
            && window.kernel[0] <= 7
            && (window.strides, window.dilations) == ([1, 1], [1, 1])
            && of.groups == 1
            && (0..2).all(|axis| window.begin[axis].max(window.end[axis]) < window.kernel[axis]);
        let [_, height, width, channels] = of.image;
        let (result, begin, taps, plane) = (of.result, window.begin, window.kernel[0], plane(channels));
        fits.then_some(Direct { image: [height, width, channels], result, begin, taps, plane })
    }

    fn adjoint(self) -> Direct {
        let begin = [self.taps - 1 - self.begin[0], 2 - self.begin[1]];
        Direct { image: self.result, result: self.image, begin, plane: plane(self.result[2]), ..self }
    }

    #[inline(always)]
    fn run<T: Real, S: Simd>(self, simd: S, task: &mut Task<'_, T>, scratch: &mut [Vec<T>; 2]) -> bool {
        match task {
            Task::Result { x, w, turned, y } => self.result(simd, x, w, *turned, y, scratch),
            Task::Kernel { x, y, w } => self.kernel(simd, x, y, w, scratch),
        }
    }
}

impl Direct {
    fn planes(&self) -> usize {
        self.image[2].div_ceil(self.plane)
    }

    /// Rows and columns of the padded image.
    fn padded(&self) -> [usize; 2] {
        [self.result[0] + self.taps - 1, self.result[1] + 2]
    }

    /// Copies an image into the middle of the planes; what surrounds it is zero and stays so.
    #[inline(always)]
    fn pad<T: Real, const C: usize>(&self, x: &[T], planes: &mut [T]) {
        let ([_, width, channels], [rows, columns]) = (self.image, self.padded());
        for (plane, to) in planes.chunks_exact_mut(rows * columns * C).enumerate() {
            let first = plane * C;
            let count = C.min(channels - first);
            for (row, x) in x.chunks_exact(width * channels).enumerate() {
                let to = &mut to[((row + self.begin[0]) * columns + self.begin[1]) * C..];
                for (x, to) in x.chunks_exact(channels).zip(to.chunks_exact_mut(C)) {
                    if count == C {
                        to.copy_from_slice(&x[first..first + C]);
                    } else {
                        to[..count].copy_from_slice(&x[first..first + count]);
                    }
                }
            }
        }
    }

    /// Where the tap `run` of a row lies in the run: (column of the kernel, channel), if it is no filling.
    #[inline(always)]
    fn channel(&self, plane: usize, run: usize) -> Option<(usize, usize)> {
        let channel = plane * self.plane + run % self.plane;
        (channel < self.image[2]).then_some((run / self.plane, channel))
    }

    #[inline(always)]
    fn result<T: Real, S: Simd>(
        &self,
        simd: S,
        x: &[T],
        w: &[T],
        turned: bool,
        y: &mut [T],
        [image, kernel]: &mut [Vec<T>; 2],
    ) -> bool {
        let [_, columns, outputs] = self.result;
        // (pixels, vectors) of a block: as many as registers hold beside a vector of the kernel and a pixel.
        let shapes: &[(usize, usize)] = match S::REGISTER_COUNT {
            32.. => &[(8, 2), (16, 1), (4, 4), (8, 1), (4, 2), (2, 4)],
            _ => &[(6, 2), (4, 2), (12, 1), (8, 1), (4, 1)],
        };
        let lanes = T::width::<S>();
        let fits = |(pixels, vectors): &&(usize, usize)| *pixels <= columns && outputs.is_multiple_of(vectors * lanes);
        // Blocks at the end of a row overlap: the fewest pixels computed, then the largest block.
        let cost =
            |(pixels, vectors): &&(usize, usize)| (columns.div_ceil(*pixels) * pixels, usize::MAX - pixels * vectors);
        let Some(&(pixels, vectors)) = shapes.iter().filter(fits).min_by_key(cost) else { return false };
        let block = vectors * lanes;
        let size = self.planes() * self.taps * 3 * self.plane;
        grow(kernel, size * outputs);
        let kernel = &mut kernel[..size * outputs];
        for (b, to) in kernel.chunks_exact_mut(size * block).enumerate() {
            self.pack(w, turned, b * block, block, to);
        }
        let [rows, wide] = self.padded();
        let size = self.planes() * rows * wide * self.plane;
        grow(image, size);
        let image = &mut image[..size];
        image.fill(T::ZERO);
        let [height, width, channels] = self.image;
        let results = y.chunks_exact_mut(self.result.iter().product());
        for (x, y) in x.chunks_exact(height * width * channels).zip(results) {
            if self.plane == 16 {
                self.pad::<T, 16>(x, image);
                self.any_result::<T, S, 16>(simd, (pixels, vectors), image, kernel, y);
            } else {
                self.pad::<T, 4>(x, image);
                self.any_result::<T, S, 4>(simd, (pixels, vectors), image, kernel, y);
            }
        }
        true
    }

    #[inline(always)]
    fn any_result<T: Real, S: Simd, const C: usize>(
        &self,
        simd: S,
        block: (usize, usize),
        image: &[T],
        kernel: &[T],
        y: &mut [T],
    ) {
        match block {
            (8, 2) => self.one_result::<T, S, C, 8, 2>(simd, image, kernel, y),
            (16, 1) => self.one_result::<T, S, C, 16, 1>(simd, image, kernel, y),
            (4, 4) => self.one_result::<T, S, C, 4, 4>(simd, image, kernel, y),
            (8, 1) => self.one_result::<T, S, C, 8, 1>(simd, image, kernel, y),
            (4, 2) => self.one_result::<T, S, C, 4, 2>(simd, image, kernel, y),
            (2, 4) => self.one_result::<T, S, C, 2, 4>(simd, image, kernel, y),
            (6, 2) => self.one_result::<T, S, C, 6, 2>(simd, image, kernel, y),
            (12, 1) => self.one_result::<T, S, C, 12, 1>(simd, image, kernel, y),
            _ => self.one_result::<T, S, C, 4, 1>(simd, image, kernel, y),
        }
    }

    /// A block of outputs of the kernel: `[plane][row][run][outputs of the block]`.
    fn pack<T: Real>(&self, w: &[T], turned: bool, first: usize, block: usize, to: &mut [T]) {
        let (channels, outputs) = (self.image[2], self.result[2]);
        let run = 3 * self.plane;
        for (at, to) in to.chunks_exact_mut(block).enumerate() {
            let (plane, tap, place) = (at / run / self.taps, at / run % self.taps, at % run);
            match self.channel(plane, place) {
                None => to.fill(T::ZERO),
                Some((column, channel)) if turned => {
                    let tap = (self.taps - 1 - tap) * 3 + 2 - column;
                    let from = &w[tap * channels * outputs + channel..];
                    to.iter_mut().enumerate().for_each(|(i, to)| *to = from[(first + i) * channels]);
                }
                Some((column, channel)) => {
                    let from = ((tap * 3 + column) * channels + channel) * outputs + first;
                    to.copy_from_slice(&w[from..from + block]);
                }
            }
        }
    }

    #[inline(always)]
    fn one_result<T: Real, S: Simd, const C: usize, const P: usize, const V: usize>(
        &self,
        simd: S,
        image: &[T],
        kernel: &[T],
        y: &mut [T],
    ) {
        let ([rows, columns, outputs], [high, wide]) = (self.result, self.padded());
        let lanes = T::width::<S>();
        let (plane, line, length) = (high * wide * C, wide * C, 3 * C);
        let kernels = T::vectors::<S>(kernel).chunks_exact(self.planes() * self.taps * length * V);
        for (b, kernel) in kernels.enumerate() {
            for row in 0..rows {
                for block in 0..columns.div_ceil(P) {
                    let column = (block * P).min(columns - P);
                    let mut sums = [[T::splat(simd, T::ZERO); V]; P];
                    let mut runs = kernel.chunks_exact(length * V);
                    for first in (0..self.planes()).map(|p| p * plane + row * line + column * C) {
                        for (tap, run) in (0..self.taps).zip(&mut runs) {
                            let window = &image[first + tap * line..][..(P - 1) * C + length];
                            for k in 0..length {
                                let w: [T::Vector<S>; V] = std::array::from_fn(
                                    #[inline(always)]
                                    |v| run[k * V + v],
                                );
                                add_outer(simd, &mut sums, (window, k, C), w);
                            }
                        }
                    }
                    for (p, sums) in sums.iter().enumerate() {
                        let to = ((row * columns + column + p) * outputs) + b * V * lanes;
                        T::vectors_mut::<S>(&mut y[to..to + V * lanes]).copy_from_slice(sums);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn kernel<T: Real, S: Simd>(
        &self,
        simd: S,
        x: &[T],
        y: &[T],
        w: &mut [T],
        [image, kernel]: &mut [Vec<T>; 2],
    ) -> bool {
        let outputs = self.result[2];
        let lanes = T::width::<S>();
        // (numbers of a run, vectors) of a block.
        let shapes: &[(usize, usize)] = match S::REGISTER_COUNT {
            32.. if self.plane == 16 => &[(8, 2), (16, 1)],
            _ => &[(6, 2), (12, 1)],
        };
        let fits = |(_, vectors): &&(usize, usize)| outputs.is_multiple_of(vectors * lanes);
        let Some(&(run, vectors)) = shapes.iter().find(fits) else { return false };
        let block = vectors * lanes;
        let size = self.planes() * self.taps * 3 * self.plane * outputs;
        grow(kernel, size);
        let kernel = &mut kernel[..size];
        kernel.fill(T::ZERO);
        let [rows, wide] = self.padded();
        let size = self.planes() * rows * wide * self.plane;
        grow(image, size);
        let image = &mut image[..size];
        image.fill(T::ZERO);
        let [height, width, channels] = self.image;
        let results = y.chunks_exact(self.result.iter().product());
        for (x, y) in x.chunks_exact(height * width * channels).zip(results) {
            if self.plane == 16 {
                self.pad::<T, 16>(x, image);
                match (run, vectors) {
                    (8, 2) => self.one_kernel::<T, S, 16, 8, 2>(simd, image, y, kernel),
                    (16, 1) => self.one_kernel::<T, S, 16, 16, 1>(simd, image, y, kernel),
                    (6, 2) => self.one_kernel::<T, S, 16, 6, 2>(simd, image, y, kernel),
                    _ => self.one_kernel::<T, S, 16, 12, 1>(simd, image, y, kernel),
                }
            } else {
                self.pad::<T, 4>(x, image);
                match vectors {
                    2 => self.one_kernel::<T, S, 4, 6, 2>(simd, image, y, kernel),
                    _ => self.one_kernel::<T, S, 4, 12, 1>(simd, image, y, kernel),
                }
            }
        }
        // From blocks of outputs, planes, rows and runs to `[taps][3][channels][outputs]`.
        for (at, from) in kernel.chunks_exact(block).enumerate() {
            let (row, run) = (at / (3 * self.plane), at % (3 * self.plane));
            let (b, plane, tap) = (row / self.taps / self.planes(), row / self.taps % self.planes(), row % self.taps);
            if let Some((column, channel)) = self.channel(plane, run) {
                let to = ((tap * 3 + column) * channels + channel) * outputs + b * block;
                w[to..to + block].copy_from_slice(from);
            }
        }
        true
    }

    /// Adds the share of one image.
    #[inline(always)]
    fn one_kernel<T: Real, S: Simd, const C: usize, const R: usize, const V: usize>(
        &self,
        simd: S,
        image: &[T],
        y: &[T],
        kernel: &mut [T],
    ) {
        let ([rows, columns, outputs], [high, wide]) = (self.result, self.padded());
        let lanes = T::width::<S>();
        let (plane, line, length) = (high * wide * C, wide * C, 3 * C);
        for (at, block) in T::vectors_mut::<S>(kernel).chunks_exact_mut(R * V).enumerate() {
            let (row, run) = (at / (length / R), at % (length / R) * R);
            let (b, p, tap) = (row / self.taps / self.planes(), row / self.taps % self.planes(), row % self.taps);
            let mut sums = [[T::splat(simd, T::ZERO); V]; R];
            for row in 0..rows {
                let x = &image[p * plane + (row + tap) * line + run..][..(columns - 1) * C + R];
                let y = &y[row * columns * outputs..][..columns * outputs];
                for column in 0..columns {
                    let x = &x[column * C..][..R];
                    let y = T::vectors::<S>(&y[column * outputs + b * V * lanes..][..V * lanes]);
                    let y: [T::Vector<S>; V] = std::array::from_fn(
                        #[inline(always)]
                        |v| y[v],
                    );
                    add_outer(simd, &mut sums, (x, 0, 1), y);
                }
            }
            for (to, sum) in block.iter_mut().zip(sums.as_flattened()) {
                *to = T::plus(simd, *to, *sum);
            }
        }
    }
}
