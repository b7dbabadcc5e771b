//! Convolutions of any kernel, stride, dilation and groups: the windows of one image side by side (im2col), then one
//! product, so that what is laid out stays in the second cache. Kernels of one tap are products of whole batches. Kernels
//! of 3x3 taps that move by 1 are left to `winograd`, or, as all that are three taps wide, to `direct`.

use super::direct::Direct;
use super::method::{Convolution, Method, Task};
use super::winograd::Winograd;
use crate::graph::kernels::product::{into, rows};
use crate::real::{Real, vectorised};
use crate::sums::grow;
use mountainpass_network::graph::op::Window;

impl<T: Real> Task<'_, T> {
    /// Whether any method did it.
    fn done(mut self, of: &Convolution, scratch: &mut [Vec<T>; 2]) -> bool {
        self.done_by::<Winograd>(of, scratch) || self.done_by::<Direct>(of, scratch)
    }
}

impl Convolution {
    /// About how many numbers of scratch its kernels take at the most.
    pub(crate) fn scratch(&self) -> usize {
        let ([_, height, width, c], [r, s, o]) = (self.image, self.result);
        let product = |sizes: &[usize]| sizes.iter().fold(1, |n: usize, size| n.saturating_mul(*size));
        let [ci, _] = self.group();
        // A kernel as it lies in points or planes, and an image with its margin.
        let has_method = (Winograd::new(self).is_some() || Direct::new(self).is_some()) && o.is_multiple_of(16);
        let kernel = product(&[2 * self.taps(), c.next_multiple_of(16), o]);
        let image = product(&[height + 16, width + 16, c.max(o).next_multiple_of(16)]);
        match (self.is_product(), has_method) {
            (true, _) => 0,
            (false, true) => kernel.saturating_add(image),
            (false, false) => product(&[r, s, self.taps(), ci]),
        }
    }

    /// `result = image * kernel`.
    pub(crate) fn result<T: Real>(&self, x: &[T], w: &[T], y: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if (Task::Result { x, w, turned: false, y }).done(self, scratch) {
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
    pub(crate) fn image<T: Real>(&self, y: &[T], w: &[T], x: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if (Task::Result { x: y, w, turned: true, y: x }).done(self, scratch) {
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
    pub(crate) fn kernel<T: Real>(&self, x: &[T], y: &[T], w: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if (Task::Kernel { x, y, w }).done(self, scratch) {
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
