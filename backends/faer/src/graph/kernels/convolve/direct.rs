//! Convolutions three or five taps wide that move by 1, without laying windows out.
//!
//! Images are copied one by one into a padded scratch image of planes of 16 channels (4 or 1 where they are few), so that the
//! taps of a row of the kernel and their channels are one contiguous run, and neighbours are a constant apart. A block of
//! pixels times vectors of outputs stays in registers while all taps and channels go by; outputs that do not fill the last
//! vector are filled up with zeros. The adjoint by the image is the same convolution with the kernel turned round; the
//! adjoint by the kernel keeps a block of the kernel in registers while the pixels of an image go by.

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
    /// Rows and columns of the kernel.
    taps: [usize; 2],
    /// Channels of a plane, 16, 4 or 1: what the images have is filled up with zeros.
    plane: usize,
}

/// Most numbers of a block of outputs.
const OUTPUTS: usize = 64;

/// Less than a third of the channels of wide planes may be zeros.
fn plane(channels: usize) -> usize {
    match channels {
        1 => 1,
        _ if 3 * channels > 2 * channels.next_multiple_of(16) => 16,
        _ => 4,
    }
}

/// Whether outputs filled up to whole vectors are still cheaper than windows laid out.
fn pays(outputs: usize, filled: usize) -> bool {
    filled <= 3 * outputs
}

impl Method for Direct {
    fn new(of: &Convolution) -> Option<Direct> {
        let window = of.window;
        let fits = matches!(window.kernel[1], 3 | 5)
            && window.kernel[0] <= 7
            && (window.strides, window.dilations) == ([1, 1], [1, 1])
            && of.groups == 1
            && (0..2).all(|axis| window.begin[axis].max(window.end[axis]) < window.kernel[axis]);
        let [_, height, width, channels] = of.image;
        let (result, begin, taps, plane) = (of.result, window.begin, window.kernel, plane(channels));
        fits.then_some(Direct { image: [height, width, channels], result, begin, taps, plane })
    }

    fn adjoint(self) -> Direct {
        let begin = std::array::from_fn(|axis| self.taps[axis] - 1 - self.begin[axis]);
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
        std::array::from_fn(|axis| self.result[axis] + self.taps[axis] - 1)
    }

    /// Numbers of a row of the kernel in a plane.
    fn run(&self) -> usize {
        self.taps[1] * self.plane
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
        let filled = |vectors: usize| outputs.next_multiple_of(vectors * lanes);
        let fits = |(pixels, vectors): &&(usize, usize)| *pixels <= columns && pays(outputs, filled(*vectors));
        // Blocks at the end of a row overlap: the fewest pixels computed, then the largest block.
        let cost = |(pixels, vectors): &&(usize, usize)| {
            (columns.div_ceil(*pixels) * pixels * filled(*vectors), usize::MAX - pixels * vectors)
        };
        let Some(&(pixels, vectors)) = shapes.iter().filter(fits).min_by_key(cost) else { return false };
        let block = vectors * lanes;
        let size = self.planes() * self.taps[0] * self.run();
        grow(kernel, size * filled(vectors));
        let kernel = &mut kernel[..size * filled(vectors)];
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
            match self.plane {
                16 => {
                    self.pad::<T, 16>(x, image);
                    self.any_result::<T, S, 16>(simd, (pixels, vectors), image, kernel, y);
                }
                4 => {
                    self.pad::<T, 4>(x, image);
                    self.any_result::<T, S, 4>(simd, (pixels, vectors), image, kernel, y);
                }
                _ => {
                    self.pad::<T, 1>(x, image);
                    self.any_result::<T, S, 1>(simd, (pixels, vectors), image, kernel, y);
                }
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
        let (channels, outputs, [taps, wide]) = (self.image[2], self.result[2], self.taps);
        let (run, count) = (self.run(), block.min(outputs - first));
        for (at, to) in to.chunks_exact_mut(block).enumerate() {
            let (plane, tap, place) = (at / run / taps, at / run % taps, at % run);
            let (to, filling) = to.split_at_mut(count);
            filling.fill(T::ZERO);
            match self.channel(plane, place) {
                None => to.fill(T::ZERO),
                Some((column, channel)) if turned => {
                    let tap = (taps - 1 - tap) * wide + wide - 1 - column;
                    let from = &w[tap * channels * outputs + channel..];
                    to.iter_mut().enumerate().for_each(|(i, to)| *to = from[(first + i) * channels]);
                }
                Some((column, channel)) => {
                    let from = ((tap * wide + column) * channels + channel) * outputs + first;
                    to.copy_from_slice(&w[from..from + count]);
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
        let block = V * T::width::<S>();
        let (plane, line, taps) = (high * wide * C, wide * C, self.taps[0]);
        let kernels = T::vectors::<S>(kernel).chunks_exact(self.planes() * taps * self.run() * V);
        for (b, kernel) in kernels.enumerate() {
            let count = block.min(outputs - b * block);
            for row in 0..rows {
                for first in 0..columns.div_ceil(P) {
                    let column = (first * P).min(columns - P);
                    let mut sums = [[T::splat(simd, T::ZERO); V]; P];
                    let mut pixels = kernel.chunks_exact(C * V);
                    for first in (0..self.planes()).map(|p| p * plane + row * line + column * C) {
                        for tap in (0..taps).map(|tap| first + tap * line) {
                            for (at, pixel) in (0..self.taps[1]).map(|j| tap + j * C).zip(&mut pixels) {
                                let window = &image[at..][..P * C];
                                for k in 0..C {
                                    let w: [T::Vector<S>; V] = std::array::from_fn(
                                        #[inline(always)]
                                        |v| pixel[k * V + v],
                                    );
                                    add_outer(simd, &mut sums, (window, k, C), w);
                                }
                            }
                        }
                    }
                    for (p, sums) in sums.iter().enumerate() {
                        let y = &mut y[(row * columns + column + p) * outputs + b * block..][..count];
                        if count == block {
                            T::vectors_mut::<S>(y).copy_from_slice(sums);
                        } else {
                            let mut all = [T::ZERO; OUTPUTS];
                            T::vectors_mut::<S>(&mut all[..block]).copy_from_slice(sums);
                            y.copy_from_slice(&all[..count]);
                        }
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
        let ([height, width, channels], [rows, columns, outputs]) = (self.image, self.result);
        let (lanes, [taps, wide]) = (T::width::<S>(), self.taps);
        // (rows of the kernel, numbers of a run, vectors) of a block.
        let shapes: &[(usize, usize, usize)] = match S::REGISTER_COUNT {
            32.. => {
                &[(1, 8, 2), (1, 16, 1), (1, 6, 2), (1, 12, 1), (1, 10, 2), (1, 10, 1), (3, 3, 1), (5, 5, 1), (1, 5, 1)]
            }
            _ => &[(1, 6, 2), (1, 12, 1), (1, 5, 2), (1, 10, 1), (3, 3, 1), (1, 5, 1)],
        };
        let filled = |vectors: usize| outputs.next_multiple_of(vectors * lanes);
        let fits = |(high, run, vectors): &&(usize, usize, usize)| {
            let whole = taps.is_multiple_of(*high) && self.run().is_multiple_of(*run);
            whole && filled(*vectors) == filled(1) && pays(outputs, filled(1))
        };
        let Some(&(high, run, vectors)) = shapes.iter().find(fits) else { return false };
        let (block, filled) = (vectors * lanes, filled(vectors));
        let size = self.planes() * taps * self.run() * filled;
        grow(kernel, size);
        let kernel = &mut kernel[..size];
        kernel.fill(T::ZERO);
        let size = self.planes() * self.padded().iter().product::<usize>() * self.plane;
        grow(image, size + rows * columns * filled);
        let (image, all) = image[..size + rows * columns * filled].split_at_mut(size);
        image.fill(T::ZERO);
        all.fill(T::ZERO);
        let results = y.chunks_exact(rows * columns * outputs);
        for (x, y) in x.chunks_exact(height * width * channels).zip(results) {
            let y = if filled == outputs {
                y
            } else {
                let pixels = all.chunks_exact_mut(filled).zip(y.chunks_exact(outputs));
                pixels.for_each(|(to, y)| to[..outputs].copy_from_slice(y));
                &*all
            };
            match self.plane {
                16 => {
                    self.pad::<T, 16>(x, image);
                    self.any_kernel::<T, S, 16>(simd, (high, run, vectors), image, y, kernel);
                }
                4 => {
                    self.pad::<T, 4>(x, image);
                    self.any_kernel::<T, S, 4>(simd, (high, run, vectors), image, y, kernel);
                }
                _ => {
                    self.pad::<T, 1>(x, image);
                    self.any_kernel::<T, S, 1>(simd, (high, run, vectors), image, y, kernel);
                }
            }
        }
        // From blocks to `[taps][columns][channels][outputs]`.
        for (at, from) in kernel.chunks_exact(block).enumerate() {
            let (at, within) = (at / (high * run), at % (high * run));
            let (at, runs) = (at / (self.run() / run), at % (self.run() / run));
            let (at, group) = (at / (taps / high), at % (taps / high));
            let (b, plane) = (at / self.planes(), at % self.planes());
            let tap = group * high + within / run;
            if let Some((column, channel)) = self.channel(plane, runs * run + within % run) {
                let to = ((tap * wide + column) * channels + channel) * outputs + b * block;
                let count = block.min(outputs - b * block);
                w[to..to + count].copy_from_slice(&from[..count]);
            }
        }
        true
    }

    #[inline(always)]
    fn any_kernel<T: Real, S: Simd, const C: usize>(
        &self,
        simd: S,
        block: (usize, usize, usize),
        image: &[T],
        y: &[T],
        kernel: &mut [T],
    ) {
        match block {
            (1, 8, 2) => self.one_kernel::<T, S, C, 1, 8, 2>(simd, image, y, kernel),
            (1, 16, 1) => self.one_kernel::<T, S, C, 1, 16, 1>(simd, image, y, kernel),
            (1, 6, 2) => self.one_kernel::<T, S, C, 1, 6, 2>(simd, image, y, kernel),
            (1, 12, 1) => self.one_kernel::<T, S, C, 1, 12, 1>(simd, image, y, kernel),
            (1, 10, 2) => self.one_kernel::<T, S, C, 1, 10, 2>(simd, image, y, kernel),
            (1, 10, 1) => self.one_kernel::<T, S, C, 1, 10, 1>(simd, image, y, kernel),
            (1, 5, 2) => self.one_kernel::<T, S, C, 1, 5, 2>(simd, image, y, kernel),
            (3, 3, 1) => self.one_kernel::<T, S, C, 3, 3, 1>(simd, image, y, kernel),
            (5, 5, 1) => self.one_kernel::<T, S, C, 5, 5, 1>(simd, image, y, kernel),
            _ => self.one_kernel::<T, S, C, 1, 5, 1>(simd, image, y, kernel),
        }
    }

    /// Adds the share of one image: `H` rows of the kernel, `R` numbers of their runs.
    #[inline(always)]
    fn one_kernel<T: Real, S: Simd, const C: usize, const H: usize, const R: usize, const V: usize>(
        &self,
        simd: S,
        image: &[T],
        y: &[T],
        kernel: &mut [T],
    ) {
        let ([rows, columns, _], [high, wide]) = (self.result, self.padded());
        let (plane, line, block) = (high * wide * C, wide * C, V * T::width::<S>());
        let outputs = y.len() / rows / columns;
        let (runs, groups) = (self.run() / R, self.taps[0] / H);
        for (at, block_) in T::vectors_mut::<S>(kernel).chunks_exact_mut(H * R * V).enumerate() {
            let (group, run) = (at / runs, at % runs * R);
            let (b, p, tap) = (group / groups / self.planes(), group / groups % self.planes(), group % groups * H);
            let mut sums = [[[T::splat(simd, T::ZERO); V]; R]; H];
            for row in 0..rows {
                let lines: [&[T]; H] = std::array::from_fn(
                    #[inline(always)]
                    |h| &image[p * plane + (row + tap + h) * line + run..][..(columns - 1) * C + R],
                );
                let y = &y[row * columns * outputs..][..columns * outputs];
                for column in 0..columns {
                    let y = T::vectors::<S>(&y[column * outputs + b * block..][..block]);
                    let y: [T::Vector<S>; V] = std::array::from_fn(
                        #[inline(always)]
                        |v| y[v],
                    );
                    for h in 0..H {
                        add_outer(simd, &mut sums[h], (&lines[h][column * C..][..R], 0, 1), y);
                    }
                }
            }
            for (to, sum) in block_.iter_mut().zip(sums.as_flattened().as_flattened()) {
                *to = T::plus(simd, *to, *sum);
            }
        }
    }
}
