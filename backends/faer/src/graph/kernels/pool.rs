//! Pools on images with channels last: every loop runs along the channels.

use crate::real::{Real, vectorised};
use crate::sums::grow;
use mountainpass_network::graph::op::Window;

/// A window on images of a size.
#[derive(Debug)]
pub(crate) struct Pool {
    pub window: Window,
    /// Images, height, width, channels.
    pub image: [usize; 4],
    /// Rows and columns of the result.
    pub places: [usize; 2],
}

impl Pool {
    #[inline(always)]
    fn places(&self, mut f: impl FnMut(Place)) {
        let [rows, columns] = self.places;
        for image in 0..self.image[0] {
            for row in 0..rows {
                for column in 0..columns {
                    f(Place { image, row, column, to: ((image * rows + row) * columns + column) * self.image[3] });
                }
            }
        }
    }

    /// Calls `f(first channel in the image, whether it is the first, number of the tap)` for every tap in the image.
    #[inline(always)]
    fn seen(&self, place: Place, mut f: impl FnMut(usize, bool, usize)) {
        let [_, height, width, channels] = self.image;
        let mut first = true;
        for i in 0..self.window.kernel[0] {
            let Some(y) = self.window.sees(0, place.row, i, height) else { continue };
            for j in 0..self.window.kernel[1] {
                let Some(x) = self.window.sees(1, place.column, j, width) else { continue };
                let at = ((place.image * height + y) * width + x) * channels;
                f(at, first, i * self.window.kernel[1] + j);
                first = false;
            }
        }
    }

    /// Calls `f(place, first channel of the tap in the image, whether it is the first)` for every tap of every place.
    #[inline(always)]
    fn taps(&self, mut f: impl FnMut(usize, usize, bool)) {
        self.places(
            #[inline(always)]
            |place| {
                self.seen(
                    place,
                    #[inline(always)]
                    |at, first, _| f(place.to, at, first),
                );
            },
        );
    }

    /// The sum in every window.
    pub(crate) fn sum<T: Real>(&self, x: &[T], out: &mut [T]) {
        let c = self.image[3];
        vectorised(
            #[inline(always)]
            || {
                out.fill(T::ZERO);
                self.taps(
                    #[inline(always)]
                    |to, at, _| {
                        out[to..to + c].iter_mut().zip(&x[at..at + c]).for_each(|(sum, x)| *sum += *x);
                    },
                );
            },
        );
    }

    /// Its adjoint.
    pub(crate) fn unpool<T: Real>(&self, g: &[T], out: &mut [T]) {
        let c = self.image[3];
        vectorised(
            #[inline(always)]
            || {
                out.fill(T::ZERO);
                self.taps(
                    #[inline(always)]
                    |from, at, _| {
                        out[at..at + c].iter_mut().zip(&g[from..from + c]).for_each(|(sum, g)| *sum += *g);
                    },
                );
            },
        );
    }

    /// `v` where `x` is largest in the window, the first of equals; -inf for a window that sees nothing.
    pub(crate) fn pick<T: Real>(&self, x: &[T], v: &[T], out: &mut [T], scratch: &mut Vec<T>) {
        let c = self.image[3];
        if self.halves() {
            return vectorised(
                #[inline(always)]
                || self.pick_of_four(x, v, out),
            );
        }
        grow(scratch, c);
        let best = &mut scratch[..c];
        vectorised(
            #[inline(always)]
            || {
                out.fill(-T::ONE / T::ZERO);
                self.taps(
                    #[inline(always)]
                    |to, at, first| {
                        let (out, x, v) = (&mut out[to..to + c], &x[at..at + c], &v[at..at + c]);
                        if first {
                            best.copy_from_slice(x);
                            out.copy_from_slice(v);
                        } else {
                            for (((out, best), x), v) in out.iter_mut().zip(best.iter_mut()).zip(x).zip(v) {
                                let better = is_better(*x, *best);
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
    pub(crate) fn place<T: Real>(&self, x: &[T], g: &[T], out: &mut [T], scratch: &mut [Vec<T>; 2]) {
        let c = self.image[3];
        if self.halves() {
            return vectorised(
                #[inline(always)]
                || self.place_in_four(x, g, out),
            );
        }
        scratch.iter_mut().for_each(|scratch| grow(scratch, c));
        let [best, tap] = scratch;
        let (best, tap) = (&mut best[..c], &mut tap[..c]);
        let tiles = self.tiles();
        vectorised(
            #[inline(always)]
            || {
                if !tiles {
                    out.fill(T::ZERO);
                }
                self.places(
                    #[inline(always)]
                    |place| {
                        let g = &g[place.to..place.to + c];
                        // The number of the largest tap, as a float so that lanes have one width; exact up to 2^24.
                        self.seen(
                            place,
                            #[inline(always)]
                            |at, first, number| {
                                let number = T::of(number as f64);
                                for ((best, tap), x) in best.iter_mut().zip(tap.iter_mut()).zip(&x[at..at + c]) {
                                    let better = is_better(*x, *best) | first;
                                    *tap = if better { number } else { *tap };
                                    *best = if better { *x } else { *best };
                                }
                            },
                        );
                        self.seen(
                            place,
                            #[inline(always)]
                            |at, _, number| {
                                let number = T::of(number as f64);
                                for ((sum, g), tap) in out[at..at + c].iter_mut().zip(g).zip(tap.iter()) {
                                    let before = if tiles { T::ZERO } else { *sum };
                                    *sum = if *tap == number { before + *g } else { before };
                                }
                            },
                        );
                    },
                );
            },
        );
    }

    /// `pick` where windows are squares of four pixels: all four at once.
    #[inline(always)]
    fn pick_of_four<T: Real>(&self, x: &[T], v: &[T], out: &mut [T]) {
        let (row, c) = (self.image[2] * self.image[3], self.image[3]);
        for ((x, v), out) in x.chunks_exact(2 * row).zip(v.chunks_exact(2 * row)).zip(out.chunks_exact_mut(row / 2)) {
            for (place, out) in out.chunks_exact_mut(c).enumerate() {
                let (x, v) = (square(x, row, c, place), square(v, row, c, place));
                for i in 0..c {
                    let better = |(best, picked): (T, T), x: T, v: T| {
                        if is_better(x, best) { (x, v) } else { (best, picked) }
                    };
                    let best = better((x[0][i], v[0][i]), x[1][i], v[1][i]);
                    let best = better(best, x[2][i], v[2][i]);
                    out[i] = better(best, x[3][i], v[3][i]).1;
                }
            }
        }
    }

    /// `place` where windows are squares of four pixels.
    #[inline(always)]
    fn place_in_four<T: Real>(&self, x: &[T], g: &[T], out: &mut [T]) {
        let (row, c) = (self.image[2] * self.image[3], self.image[3]);
        for ((x, g), out) in x.chunks_exact(2 * row).zip(g.chunks_exact(row / 2)).zip(out.chunks_exact_mut(2 * row)) {
            let (out, past_out) = out.split_at_mut(row);
            let places = out.chunks_exact_mut(2 * c).zip(past_out.chunks_exact_mut(2 * c)).zip(g.chunks_exact(c));
            for (place, ((out, past_out), g)) in places.enumerate() {
                let x = square(x, row, c, place);
                let ((o0, o1), (o2, o3)) = (out.split_at_mut(c), past_out.split_at_mut(c));
                let mut out = [o0, o1, o2, o3];
                let done = place_blocks::<T, 16>(x, g, &mut out, 0);
                let done = place_blocks::<T, 4>(x, g, &mut out, done);
                place_blocks::<T, 1>(x, g, &mut out, done);
            }
        }
    }

    /// Whether windows are squares of two by two pixels that tile the image.
    fn halves(&self) -> bool {
        self.window.kernel == [2, 2] && self.tiles()
    }

    /// Whether every pixel is seen from exactly one place.
    fn tiles(&self) -> bool {
        let Window { kernel, strides, dilations, begin, .. } = self.window;
        let whole = |axis: usize| self.places[axis] * kernel[axis] == self.image[axis + 1];
        kernel == strides && dilations == [1, 1] && begin == [0, 0] && whole(0) && whole(1)
    }
}

/// The pixels of the square `place` of two rows, `c` channels each.
#[inline(always)]
fn square<T>(rows: &[T], row: usize, c: usize, place: usize) -> [&[T]; 4] {
    [0, c, row, row + c].map(|start| &rows[start + 2 * place * c..][..c])
}

/// Four pixels from a channel on, in blocks of `B` as far as they go; returns how far.
#[inline(always)]
fn place_blocks<T: Real, const B: usize>(x: [&[T]; 4], g: &[T], out: &mut [&mut [T]; 4], start: usize) -> usize {
    let end = start + (g.len() - start) / B * B;
    for first in (start..end).step_by(B) {
        // In registers, so that nothing that is written can be what is read next.
        let mut pixels = [[T::ZERO; B]; 4];
        pixels.iter_mut().zip(x).for_each(|(to, x)| to.copy_from_slice(&x[first..first + B]));
        let mut share = [T::ZERO; B];
        share.copy_from_slice(&g[first..first + B]);
        for i in 0..B {
            let all = place_one([pixels[0][i], pixels[1][i], pixels[2][i], pixels[3][i]], share[i]);
            pixels.iter_mut().zip(all).for_each(|(to, all)| to[i] = all);
        }
        out.iter_mut().zip(pixels).for_each(|(to, all)| to[first..first + B].copy_from_slice(&all));
    }
    end
}

/// `g` where the first of the largest of four pixels is, 0 elsewhere.
#[inline(always)]
fn place_one<T: Real>(x: [T; 4], g: T) -> [T; 4] {
    let second = is_better(x[1], x[0]);
    let best = if second { x[1] } else { x[0] };
    let third = is_better(x[2], best);
    let best = if third { x[2] } else { best };
    let fourth = is_better(x[3], best);
    let pick = |here: bool| if here { g } else { T::ZERO };
    [pick(!(second | third | fourth)), pick(second & !(third | fourth)), pick(third & !fourth), pick(fourth)]
}

/// Whether `x` replaces the best before it: the first of equals stays, what is undefined wins.
#[inline(always)]
fn is_better<T: Real>(x: T, best: T) -> bool {
    (x > best) | (x.undefined() & !best.undefined())
}

/// A place of a window and where its channels begin in the result.
#[derive(Clone, Copy)]
struct Place {
    image: usize,
    row: usize,
    column: usize,
    to: usize,
}
