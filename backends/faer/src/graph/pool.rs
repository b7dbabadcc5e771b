//! Pools on images with channels last: every loop runs along the channels.

use crate::real::{Real, vectorised};
use crate::scratch::grow;
use mountainpass_network::graph::op::Window;

/// A window on images of a size.
#[derive(Debug)]
pub(super) struct Pool {
    pub window: Window,
    /// Images, height, width, channels.
    pub image: [usize; 4],
    /// Rows and columns of the result.
    pub places: [usize; 2],
}

impl Pool {
    /// Calls `f(place, first channel of the tap in the image)` for every tap of every place that lies in the image, both
    /// counted in elements; `first` on the first tap of a place.
    #[inline(always)]
    fn taps(&self, mut f: impl FnMut(usize, usize, bool, usize)) {
        let [images, height, width, channels] = self.image;
        let [rows, columns] = self.places;
        for n in 0..images {
            for row in 0..rows {
                for column in 0..columns {
                    let place = ((n * rows + row) * columns + column) * channels;
                    let mut first = true;
                    for i in 0..self.window.kernel[0] {
                        let Some(y) = self.window.sees(0, row, i, height) else { continue };
                        for j in 0..self.window.kernel[1] {
                            let Some(x) = self.window.sees(1, column, j, width) else { continue };
                            f(place, ((n * height + y) * width + x) * channels, first, i * self.window.kernel[1] + j);
                            first = false;
                        }
                    }
                }
            }
        }
    }

    /// The sum in every window.
    pub(super) fn sum<T: Real>(&self, x: &[T], out: &mut [T]) {
        let c = self.image[3];
        vectorised(
            #[inline(always)]
            || {
                out.fill(T::ZERO);
                self.taps(
                    #[inline(always)]
                    |to, at, _, _| {
                        out[to..to + c].iter_mut().zip(&x[at..at + c]).for_each(|(sum, x)| *sum += *x);
                    },
                );
            },
        );
    }

    /// Its adjoint.
    pub(super) fn unpool<T: Real>(&self, g: &[T], out: &mut [T]) {
        let c = self.image[3];
        vectorised(
            #[inline(always)]
            || {
                out.fill(T::ZERO);
                self.taps(
                    #[inline(always)]
                    |from, at, _, _| {
                        out[at..at + c].iter_mut().zip(&g[from..from + c]).for_each(|(sum, g)| *sum += *g);
                    },
                );
            },
        );
    }

    /// `v` where `x` is largest in the window, the first of equals; -inf for a window that sees nothing.
    pub(super) fn pick<T: Real>(&self, x: &[T], v: &[T], out: &mut [T], scratch: &mut Vec<T>) {
        let c = self.image[3];
        grow(scratch, c);
        let best = &mut scratch[..c];
        vectorised(
            #[inline(always)]
            || {
                out.fill(-T::ONE / T::ZERO);
                self.taps(
                    #[inline(always)]
                    |to, at, first, _| {
                        let (out, x, v) = (&mut out[to..to + c], &x[at..at + c], &v[at..at + c]);
                        if first {
                            best.copy_from_slice(x);
                            out.copy_from_slice(v);
                        } else {
                            for (((out, best), x), v) in out.iter_mut().zip(best.iter_mut()).zip(x).zip(v) {
                                let better = (*x > *best) | (x.undefined() & !best.undefined());
                                *out = if better { *v } else { *out };
                                *best = if better { *x } else { *best };
                            }
                        }
                    },
                );
            },
        );
    }

    /// Its adjoint in v: adds every `g` where `x` is largest.
    pub(super) fn place<T: Real>(&self, x: &[T], g: &[T], out: &mut [T], scratch: &mut [Vec<T>; 2]) {
        let c = self.image[3];
        let places: usize = self.image[0] * self.places[0] * self.places[1] * c;
        scratch.iter_mut().for_each(|scratch| grow(scratch, places));
        let [best, tap] = scratch;
        let (best, tap) = (&mut best[..places], &mut tap[..places]);
        vectorised(
            #[inline(always)]
            || {
                out.fill(T::ZERO);
                // The number of the largest tap, as a float so that lanes have one width; exact up to 2^24 taps.
                self.taps(
                    #[inline(always)]
                    |at_place, at, first, number| {
                        let number = T::of(number as f64);
                        let (best, tap) = (&mut best[at_place..at_place + c], &mut tap[at_place..at_place + c]);
                        for ((best, tap), x) in best.iter_mut().zip(tap).zip(&x[at..at + c]) {
                            let better = (*x > *best) | (x.undefined() & !best.undefined()) | first;
                            *tap = if better { number } else { *tap };
                            *best = if better { *x } else { *best };
                        }
                    },
                );
                self.taps(
                    #[inline(always)]
                    |at_place, at, _, number| {
                        let number = T::of(number as f64);
                        let (g, tap) = (&g[at_place..at_place + c], &tap[at_place..at_place + c]);
                        for ((sum, g), tap) in out[at..at + c].iter_mut().zip(g).zip(tap) {
                            *sum = if *tap == number { *sum + *g } else { *sum };
                        }
                    },
                );
            },
        );
    }
}
