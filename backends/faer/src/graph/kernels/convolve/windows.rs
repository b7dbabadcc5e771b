//! Convolutions of any kernel, stride, dilation and groups: the windows of an image, or of some
//! small ones, side by side (im2col), then one product, so that what is laid out stays in the second cache. Kernels of one tap are products of whole batches. Kernels
//! of 3x3 taps that move by 1 are left to `winograd`, or, as all that are three or five taps wide, to `direct`; groups of one
//! channel are left to `depthwise`.

use super::depthwise::Depthwise;
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
        self.done_by::<Winograd>(of, scratch)
            || self.done_by::<Direct>(of, scratch)
            || self.done_by::<Depthwise>(of, scratch)
    }
}

impl Convolution {
    /// About how many numbers of scratch its kernels take at the most.
    pub(crate) fn scratch(&self) -> usize {
        let ([_, height, width, c], [_, _, o]) = (self.image, self.result);
        let product = |sizes: &[usize]| sizes.iter().fold(1, |n: usize, size| n.saturating_mul(*size));
        // A kernel as it lies in points or planes, and an image and its result with their margins.
        let has_method = Winograd::new(self).is_some() || Direct::new(self).is_some();
        let kernel = product(&[2 * self.taps(), c.next_multiple_of(16), o.next_multiple_of(16)]);
        let image = product(&[height + 16, width + 16, c.max(o).next_multiple_of(16)]);
        match (self.is_product(), Depthwise::new(self).is_some(), has_method) {
            (true, ..) => 0,
            (_, true, _) => product(&[2 * (height + 16), width + 16, 16]),
            (_, _, true) => kernel.saturating_add(image.saturating_mul(2)),
            _ => self.windows_size(self.images_at_once()),
        }
    }

    /// Numbers of the windows of some images laid out.
    fn windows_size(&self, images: usize) -> usize {
        let [r, s, _] = self.result;
        [r, s, self.taps(), self.group()[0]].iter().fold(images, |n, size| n.saturating_mul(*size))
    }

    /// Images whose windows stay in the second cache together; one that is larger stands alone. Of small images many make one
    /// product, so that wide kernels are not read for every one.
    fn images_at_once(&self) -> usize {
        const NUMBERS: usize = 1 << 17;
        (NUMBERS / self.windows_size(1).max(1)).clamp(1, self.image[0].max(1))
    }

    /// `result = image * kernel`.
    pub(crate) fn result<T: Real>(&self, x: &[T], w: &[T], y: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if (Task::Result { x, w, turned: false, y }).done(self, scratch) {
            return;
        }
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        let [ci, co] = self.group();
        let (k, at_once) = (self.taps() * ci, self.images_at_once());
        for g in 0..self.groups {
            let w = rows(&w[g * co..], k, co, o);
            if self.is_product() {
                into(&mut y[g * co..], o, false, rows(&x[g * ci..], images * r * s, ci, c), w);
                continue;
            }
            let images = x.chunks(at_once * height * width * c).zip(y.chunks_mut(at_once * r * s * o));
            for (x, y) in images {
                let columns = self.lay_out(x, g, &mut scratch[0]);
                into(&mut y[g * co..], o, false, rows(columns, columns.len() / k, k, k), w);
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
        let (k, at_once) = (self.taps() * ci, self.images_at_once());
        if !self.is_product() {
            x.fill(T::ZERO);
        }
        for g in 0..self.groups {
            let w = rows(&w[g * co..], k, co, o).transpose();
            if self.is_product() {
                into(&mut x[g * ci..], c, false, rows(&y[g * co..], images * r * s, co, o), w);
                continue;
            }
            let images = x.chunks_mut(at_once * height * width * c).zip(y.chunks(at_once * r * s * o));
            for (x, y) in images {
                let places = y.len() / o;
                grow(scratch, places * k);
                let columns = &mut scratch[..places * k];
                into(columns, k, false, rows(&y[g * co..], places, co, o), w);
                self.add_back(columns, g, x);
            }
        }
    }

    /// The adjoint by the kernel; images are added in their order.
    pub(crate) fn kernel<T: Real>(&self, x: &[T], y: &[T], w: &mut [T], scratch: &mut [Vec<T>; 2]) {
        if (Task::Kernel { x, y, w }).done(self, scratch) {
            return;
        }
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        let [ci, co] = self.group();
        let (k, at_once) = (self.taps() * ci, self.images_at_once());
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
            let images = x.chunks(at_once * height * width * c).zip(y.chunks(at_once * r * s * o));
            for (i, (x, y)) in images.enumerate() {
                let columns = self.lay_out(x, g, &mut scratch[0]);
                let places = columns.len() / k;
                into(w, o, i > 0, rows(columns, places, k, k).transpose(), rows(&y[g * co..], places, co, o));
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

    /// The windows of some images, a row for each place.
    fn lay_out<'a, T: Real>(&self, x: &[T], g: usize, scratch: &'a mut Vec<T>) -> &'a [T] {
        let [_, height, width, c] = self.image;
        let (image, windows) = (height * width * c, self.windows_size(1));
        let size = x.len() / image * windows;
        grow(scratch, size);
        let columns = &mut scratch[..size];
        vectorised(
            #[inline(always)]
            || {
                for (x, columns) in x.chunks_exact(image).zip(columns.chunks_exact_mut(windows)) {
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
                }
            },
        );
        columns
    }

    /// Its adjoint: adds the windows into the images.
    fn add_back<T: Real>(&self, columns: &[T], g: usize, x: &mut [T]) {
        let [_, height, width, c] = self.image;
        vectorised(
            #[inline(always)]
            || {
                let images = x.chunks_exact_mut(height * width * c).zip(columns.chunks_exact(self.windows_size(1)));
                for (x, columns) in images {
                    self.windows(
                        g,
                        #[inline(always)]
                        |from, at, n| {
                            if let Some(at) = at {
                                x[at..at + n].iter_mut().zip(&columns[from..from + n]).for_each(|(x, d)| *x += *d);
                            }
                        },
                    );
                }
            },
        );
    }
}
