//! Convolutions of any kernel, stride, dilation and groups: the windows of one image side by side (im2col), then one
//! product, so that what is laid out stays in the second cache. Kernels three taps wide that move by 1 are left to `direct`. Kernels of one tap are products of whole batches.

use super::direct;
use super::product::{into, rows};
use crate::real::{Real, vectorised};
use crate::sums::grow;
use mountainpass_network::graph::op::Window;

/// A convolution and its two adjoints.
#[derive(Debug)]
pub(super) struct Convolution {
    pub window: Window,
    pub groups: usize,
    /// Images, height, width, channels.
    pub image: [usize; 4],
    /// Rows, columns and channels of the result.
    pub result: [usize; 3],
}

/// Which of the three arrays is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Result,
    Image,
    Kernel,
}

impl Convolution {
    fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// Channels of the image and of the result in one group.
    fn group(&self) -> [usize; 2] {
        [self.image[3] / self.groups, self.result[2] / self.groups]
    }

    /// Whether it is a product of pixels by channels.
    fn is_product(&self) -> bool {
        let Window { kernel, strides, begin, end, .. } = self.window;
        kernel == [1, 1] && strides == [1, 1] && begin == [0, 0] && end == [0, 0]
    }

    /// `result = image * kernel`.
    pub(super) fn result<T: Real>(&self, x: &[T], w: &[T], y: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if direct::result(self, x, w, y, scratch) {
            return;
        }
        let scratch = &mut scratch[0];
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        let [ci, co] = self.group();
        let k = self.taps() * ci;
        for g in 0..self.groups {
            let w = rows(&w[g * co..], k, co, o);
            if self.is_product() {
                into(&mut y[g * co..], o, false, rows(&x[g * ci..], images * r * s, ci, c), w);
                continue;
            }
            grow(scratch, r * s * k);
            let columns = &mut scratch[..r * s * k];
            for (x, y) in x.chunks_exact(height * width * c).zip(y.chunks_exact_mut(r * s * o)) {
                self.lay_out(x, g, columns);
                into(&mut y[g * co..], o, false, rows(columns, r * s, k, k), w);
            }
        }
    }

    /// The adjoint by the image.
    pub(super) fn image<T: Real>(&self, y: &[T], w: &[T], x: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if direct::image(self, y, w, x, scratch) {
            return;
        }
        let scratch = &mut scratch[0];
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        let [ci, co] = self.group();
        let k = self.taps() * ci;
        if !self.is_product() {
            x.fill(T::ZERO);
        }
        for g in 0..self.groups {
            let w = rows(&w[g * co..], k, co, o).transpose();
            if self.is_product() {
                into(&mut x[g * ci..], c, false, rows(&y[g * co..], images * r * s, co, o), w);
                continue;
            }
            grow(scratch, r * s * k);
            let columns = &mut scratch[..r * s * k];
            for (x, y) in x.chunks_exact_mut(height * width * c).zip(y.chunks_exact(r * s * o)) {
                into(columns, k, false, rows(&y[g * co..], r * s, co, o), w);
                self.add_back(columns, g, x);
            }
        }
    }

    /// The adjoint by the kernel; images are added in their order.
    pub(super) fn kernel<T: Real>(&self, x: &[T], y: &[T], w: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if direct::kernel(self, x, y, w, scratch) {
            return;
        }
        let scratch = &mut scratch[0];
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        let [ci, co] = self.group();
        let k = self.taps() * ci;
        for g in 0..self.groups {
            let w = &mut w[g * co..];
            if self.is_product() {
                // Pixels in blocks: a product with few rows and columns but many terms is slow in one piece.
                const BLOCK: usize = 4096;
                for (i, first) in (0..images * r * s).step_by(BLOCK).enumerate() {
                    let count = BLOCK.min(images * r * s - first);
                    let x = rows(&x[first * c + g * ci..], count, ci, c);
                    into(w, o, i > 0, x.transpose(), rows(&y[first * o + g * co..], count, co, o));
                }
                continue;
            }
            grow(scratch, r * s * k);
            let columns = &mut scratch[..r * s * k];
            for (i, (x, y)) in x.chunks_exact(height * width * c).zip(y.chunks_exact(r * s * o)).enumerate() {
                self.lay_out(x, g, columns);
                let columns = rows(columns, r * s, k, k).transpose();
                into(w, o, i > 0, columns, rows(&y[g * co..], r * s, co, o));
            }
        }
    }

    /// Calls `f(in the laid out windows, in the image, numbers)` for every run of every place of one image that is
    /// contiguous in both; the second is `None` outside of the image.
    #[inline(always)]
    fn windows(&self, g: usize, mut f: impl FnMut(usize, Option<usize>, usize)) {
        let ([_, height, width, c], [r, s, _]) = (self.image, self.result);
        let ci = self.group()[0];
        let Window { kernel, strides, dilations, begin, .. } = self.window;
        // Taps of a row are neighbours, and their channels too.
        let joined = dilations[1] == 1 && ci == c;
        let mut to = 0;
        for row in 0..r {
            for column in 0..s {
                let whole =
                    joined && column * strides[1] >= begin[1] && column * strides[1] - begin[1] + kernel[1] <= width;
                for i in 0..kernel[0] {
                    let y = self.window.sees(0, row, i, height);
                    if whole || y.is_none() {
                        let x = column * strides[1];
                        f(to, y.map(|y| (y * width + x - begin[1]) * c + g * ci), kernel[1] * ci);
                        to += kernel[1] * ci;
                        continue;
                    }
                    for j in 0..kernel[1] {
                        let x = self.window.sees(1, column, j, width);
                        f(to, y.zip(x).map(|(y, x)| (y * width + x) * c + g * ci), ci);
                        to += ci;
                    }
                }
            }
        }
    }

    /// The windows of one image, a row for each place.
    fn lay_out<T: Real>(&self, x: &[T], g: usize, columns: &mut [T]) {
        vectorised(
            #[inline(always)]
            || {
                self.windows(
                    g,
                    #[inline(always)]
                    |to, at, n| match at {
                        Some(at) => {
                            columns[to..to + n].iter_mut().zip(&x[at..at + n]).for_each(|(to, x)| *to = *x);
                        }
                        None => columns[to..to + n].iter_mut().for_each(|to| *to = T::ZERO),
                    },
                );
            },
        );
    }

    /// Its adjoint: adds the windows into the image.
    fn add_back<T: Real>(&self, columns: &[T], g: usize, x: &mut [T]) {
        vectorised(
            #[inline(always)]
            || {
                self.windows(
                    g,
                    #[inline(always)]
                    |from, at, n| {
                        if let Some(at) = at {
                            x[at..at + n].iter_mut().zip(&columns[from..from + n]).for_each(|(x, d)| *x += *d);
                        }
                    },
                );
            },
        );
    }
}
