//! Convolutions of 3x3 taps that move by 1, with 16 multiplications for four pixels instead of 36: Winograd's F(2x2, 3x3)
//! (Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv 1509.09308).
//!
//! The image is cut into tiles of 4x4 that overlap by two, one for 2x2 pixels of the result. A tile `d` and the taps `g`
//! become 16 points each, `B' d B` and `G g G'`; at every point, tiles by channels times channels by outputs is a product,
//! and `A' m A` brings its points `m` back to 2x2 pixels. The adjoint by the image is the same with the taps turned round.
//! The adjoint by the kernel is `G' (B' d B * A y A') G`, summed over the tiles. In f32 the result and the
//! adjoint by the image err less than direct sums of 64 channels (0.3 and 0.6 times), the adjoint by the kernel twice as much.

use super::method::{Convolution, Method, Task, add_outer};
use crate::real::Real;
use crate::sums::grow;
use mountainpass_network::graph::op::Window;
use pulp::Simd;
use std::ops::Range;

/// Channels that stand together at a point.
const PLANE: usize = 16;

/// Points of a tile.
const POINTS: usize = 16;

/// Numbers from the points of 16 channels of one tile to those of the next, `[point][channel]`; a line more than there are
/// keeps neighbours out of one another's places in the cache.
const CELL: usize = (POINTS + 1) * PLANE;

/// Most tiles that are under way at once: a multiple of every block of tiles.
const TILES: usize = 48;

/// A convolution that this file can do, seen from the side that is scattered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Winograd {
    images: usize,
    /// Height, width and channels of what comes in.
    image: [usize; 3],
    result: [usize; 3],
    /// Rows and columns of zeros before the image.
    begin: [usize; 2],
}

impl Method for Winograd {
    fn new(of: &Convolution) -> Option<Winograd> {
        let Window { kernel, strides, dilations, begin, end } = of.window;
        let plain = kernel == [3, 3] && strides == [1, 1] && dilations == [1, 1] && of.groups == 1;
        let padded = begin.iter().chain(&end).all(|zeros| *zeros < 3);
        let ([images, height, width, channels], [rows, columns, outputs]) = (of.image, of.result);
        let filled = channels.is_multiple_of(PLANE) && outputs.is_multiple_of(PLANE);
        let winograd = Winograd { images, image: [height, width, channels], result: of.result, begin };
        // Enough tiles to be worth the points of the taps, and few that reach over the border.
        let tiles = winograd.tiles();
        let pays = tiles >= 16 && 3 * POINTS * tiles <= 2 * 9 * images * rows * columns;
        (plain && padded && filled && pays).then_some(winograd)
    }

    fn adjoint(self) -> Winograd {
        Winograd { image: self.result, result: self.image, begin: self.begin.map(|zeros| 2 - zeros), ..self }
    }

    #[inline(always)]
    fn run<T: Real, S: Simd>(self, simd: S, task: &mut Task<'_, T>, scratch: &mut [Vec<T>; 2]) -> bool {
        let lanes = T::width::<S>();
        if !PLANE.is_multiple_of(lanes) {
            return false;
        }
        let wide = self.result[2].is_multiple_of(2 * lanes);
        match task {
            Task::Result { x, w, turned, y } => match (S::REGISTER_COUNT, wide) {
                (32.., true) => self.result::<T, S, 8, 2>(simd, x, w, *turned, y, scratch),
                (32.., false) => self.result::<T, S, 16, 1>(simd, x, w, *turned, y, scratch),
                (_, true) => self.result::<T, S, 6, 2>(simd, x, w, *turned, y, scratch),
                (_, false) => self.result::<T, S, 12, 1>(simd, x, w, *turned, y, scratch),
            },
            Task::Kernel { x, y, w } => match (S::REGISTER_COUNT, wide) {
                (32.., true) => self.kernel::<T, S, 8, 2>(simd, x, y, w, scratch),
                (32.., false) => self.kernel::<T, S, 16, 1>(simd, x, y, w, scratch),
                (_, true) => self.kernel::<T, S, 4, 2>(simd, x, y, w, scratch),
                (_, false) => self.kernel::<T, S, 8, 1>(simd, x, y, w, scratch),
            },
        }
        true
    }
}

/// `F x F'`, transposed, for a transform `F` of one axis; every array here stands transposed, so that twice is right.
macro_rules! both_axes {
    ($x:expr, $zero:expr, $from:literal => $to:literal, $old:pat => $new:expr) => {{
        let x = $x;
        let mut half = [[$zero; $to]; $from];
        for i in 0..$from {
            let $old = x[i];
            half[i] = $new;
        }
        let mut all = [[$zero; $to]; $to];
        for i in 0..$to {
            let mut column = [$zero; $from];
            for j in 0..$from {
                column[j] = half[j][i];
            }
            let $old = column;
            all[i] = $new;
        }
        all
    }};
}

/// Where the points of a tile under way begin for a channel: those of its plane.
#[inline(always)]
fn cell(channel: usize, tile: usize) -> usize {
    (channel / PLANE * TILES + tile) * CELL
}

/// Writes 16 points, each `step` behind the one before.
#[inline(always)]
fn put<T: Real, S: Simd>(all: [[T::Vector<S>; 4]; 4], points: &mut [T], first: usize, step: usize) {
    for point in 0..POINTS {
        let to = &mut points[first + point * step..][..T::width::<S>()];
        T::vectors_mut::<S>(to)[0] = all[point / 4][point % 4];
    }
}

/// Reads them.
#[inline(always)]
fn taken<T: Real, S: Simd>(simd: S, points: &[T], first: usize, step: usize) -> [[T::Vector<S>; 4]; 4] {
    let mut all = [[T::splat(simd, T::ZERO); 4]; 4];
    for point in 0..POINTS {
        let from = &points[first + point * step..][..T::width::<S>()];
        all[point / 4][point % 4] = T::vectors::<S>(from)[0];
    }
    all
}

impl Winograd {
    /// Tiles of all images.
    fn tiles(&self) -> usize {
        self.images * self.result[0].div_ceil(2) * self.result[1].div_ceil(2)
    }

    /// The images of tiles, and their first rows and columns in the result.
    #[inline(always)]
    fn places(self, tiles: Range<usize>) -> impl Iterator<Item = (usize, [usize; 2])> {
        let [rows, columns, _] = self.result;
        let across = columns.div_ceil(2);
        let each = rows.div_ceil(2) * across;
        let first = tiles.start % each;
        let mut next = (tiles.start / each, [first / across * 2, first % across * 2]);
        tiles.map(move |_| {
            let (image, [row, column]) = next;
            next = if column + 2 < columns {
                (image, [row, column + 2])
            } else if row + 2 < rows {
                (image, [row + 2, 0])
            } else {
                (image + 1, [0, 0])
            };
            (image, [row, column])
        })
    }

    /// Numbers from a point of the taps to the next.
    fn slab(&self) -> usize {
        self.image[2] * self.result[2] + PLANE
    }

    /// Room for the points of the tiles under way, of the image and of the result.
    fn under_way<'a, T: Real>(&self, tiles: &'a mut Vec<T>) -> [&'a mut [T]; 2] {
        let [image, result] = [self.image[2], self.result[2]].map(|channels| cell(channels, 0));
        grow(tiles, image + result);
        tiles[..image + result].split_at_mut(image).into()
    }

    /// The points of the tiles of the image: `[plane][tile][point][channel of the plane]`.
    #[inline(always)]
    fn enter<T: Real, S: Simd>(&self, simd: S, x: &[T], tiles: Range<usize>, points: &mut [T]) {
        let [height, width, channels] = self.image;
        let (zero, lanes) = (T::splat(simd, T::ZERO), T::width::<S>());
        for (t, (image, [row, column])) in self.places(tiles).enumerate() {
            let x = &x[image * height * width * channels..][..height * width * channels];
            // From the first row and column that the tile sees.
            let [top, left] = [row.wrapping_sub(self.begin[0]), column.wrapping_sub(self.begin[1])];
            let inside = |row: usize, column: usize| row < height && column < width;
            let whole = inside(top, left) && inside(top + 3, left + 3);
            for channel in (0..channels).step_by(lanes) {
                let mut pixels = [[zero; 4]; 4];
                if whole {
                    let x = &x[(top * width + left) * channels + channel..][..(3 * width + 3) * channels + lanes];
                    for (i, pixels) in pixels.iter_mut().enumerate() {
                        for (j, pixel) in pixels.iter_mut().enumerate() {
                            *pixel = T::vectors::<S>(&x[(i * width + j) * channels..][..lanes])[0];
                        }
                    }
                } else {
                    for (i, pixels) in pixels.iter_mut().enumerate() {
                        for (j, pixel) in pixels.iter_mut().enumerate() {
                            let (row, column) = (top.wrapping_add(i), left.wrapping_add(j));
                            if inside(row, column) {
                                let from = (row * width + column) * channels + channel;
                                *pixel = T::vectors::<S>(&x[from..][..lanes])[0];
                            }
                        }
                    }
                }
                let all = both_axes!(pixels, zero, 4 => 4, [a, b, c, d] => [
                    T::minus(simd, a, c),
                    T::plus(simd, b, c),
                    T::minus(simd, c, b),
                    T::minus(simd, b, d),
                ]);
                put::<T, S>(all, &mut points[cell(channel, t)..][..CELL], channel % PLANE, PLANE);
            }
        }
    }

    /// The points of the taps: `[point][block of outputs][channel][output of the block]`.
    #[inline(always)]
    fn taps<T: Real, S: Simd>(&self, simd: S, w: &[T], turned: bool, block: usize, points: &mut [T]) {
        let (channels, outputs) = (self.image[2], self.result[2]);
        let (zero, half, lanes) = (T::splat(simd, T::ZERO), T::splat(simd, T::of(0.5)), T::width::<S>());
        let mut row = [[T::ZERO; PLANE]; 9];
        for output in (0..outputs).step_by(lanes) {
            for channel in 0..channels {
                let mut taps = [[zero; 3]; 3];
                for tap in 0..9 {
                    let row = &mut row[tap][..lanes];
                    if turned {
                        let from = &w[((8 - tap) * outputs + output) * channels + channel..];
                        for (i, to) in row.iter_mut().enumerate() {
                            *to = from[i * channels];
                        }
                    } else {
                        row.copy_from_slice(&w[(tap * channels + channel) * outputs + output..][..lanes]);
                    }
                    taps[tap / 3][tap % 3] = T::vectors::<S>(row)[0];
                }
                let all = both_axes!(taps, zero, 3 => 4, [a, b, c] => {
                    let sum = T::plus(simd, a, c);
                    [
                        a,
                        T::multiply_add(simd, half, T::plus(simd, sum, b), zero),
                        T::multiply_add(simd, half, T::minus(simd, sum, b), zero),
                        c,
                    ]
                });
                let to = (output / block * channels + channel) * block + output % block;
                put::<T, S>(all, points, to, self.slab());
            }
        }
    }

    /// Tiles `P` at a time by `V` vectors of outputs.
    #[inline(always)]
    fn result<T: Real, S: Simd, const P: usize, const V: usize>(
        &self,
        simd: S,
        x: &[T],
        w: &[T],
        turned: bool,
        y: &mut [T],
        [kernel, tiles]: &mut [Vec<T>; 2],
    ) {
        let (outputs, block) = (self.result[2], V * T::width::<S>());
        let slab = self.slab();
        grow(kernel, POINTS * slab);
        self.taps(simd, w, turned, block, kernel);
        let [entered, left] = self.under_way(tiles);
        for first in (0..self.tiles()).step_by(TILES) {
            let some = first..(first + TILES).min(self.tiles());
            self.enter(simd, x, some.clone(), entered);
            for point in 0..POINTS {
                let (x, y) = (&entered[point * PLANE..], &mut left[point * PLANE..]);
                let w = &kernel[point * slab..][..self.image[2] * outputs];
                for (b, w) in w.chunks_exact(self.image[2] * block).enumerate() {
                    for tile in (0..some.len()).step_by(P) {
                        self.product::<T, S, P, V>(simd, &x[tile * CELL..], w, b * block, &mut y[tile * CELL..]);
                    }
                }
            }
            self.leave(simd, left, some, y);
        }
    }

    /// `P` tiles by `V` vectors of outputs at one point.
    #[inline(always)]
    fn product<T: Real, S: Simd, const P: usize, const V: usize>(
        &self,
        simd: S,
        x: &[T],
        w: &[T],
        first: usize,
        y: &mut [T],
    ) {
        let lanes = T::width::<S>();
        let mut sums = [[T::splat(simd, T::ZERO); V]; P];
        let w = T::vectors::<S>(w);
        for (plane, w) in w.chunks_exact(PLANE * V).enumerate() {
            let x = &x[plane * TILES * CELL..][..(P - 1) * CELL + PLANE];
            for k in 0..PLANE {
                let w: [T::Vector<S>; V] = std::array::from_fn(
                    #[inline(always)]
                    |v| w[k * V + v],
                );
                add_outer(simd, &mut sums, (x, k, CELL), w);
            }
        }
        for v in 0..V {
            let output = first + v * lanes;
            let y = &mut y[cell(output, 0) + output % PLANE..][..(P - 1) * CELL + lanes];
            for (p, sums) in sums.iter().enumerate() {
                T::vectors_mut::<S>(&mut y[p * CELL..][..lanes])[0] = sums[v];
            }
        }
    }

    /// Pixels of the result from their points.
    #[inline(always)]
    fn leave<T: Real, S: Simd>(&self, simd: S, points: &[T], tiles: Range<usize>, y: &mut [T]) {
        let [rows, columns, outputs] = self.result;
        let (zero, lanes) = (T::splat(simd, T::ZERO), T::width::<S>());
        for (t, (image, [row, column])) in self.places(tiles).enumerate() {
            let y = &mut y[image * rows * columns * outputs..][..rows * columns * outputs];
            for output in (0..outputs).step_by(lanes) {
                let all = taken::<T, S>(simd, &points[cell(output, t)..][..CELL], output % PLANE, PLANE);
                let pixels = both_axes!(all, zero, 4 => 2, [a, b, c, d] => [
                    T::plus(simd, a, T::plus(simd, b, c)),
                    T::minus(simd, T::minus(simd, b, c), d),
                ]);
                for (i, pixels) in pixels.iter().enumerate().take(rows - row) {
                    for (j, pixel) in pixels.iter().enumerate().take(columns - column) {
                        let to = ((row + i) * columns + column + j) * outputs + output;
                        T::vectors_mut::<S>(&mut y[to..][..lanes])[0] = *pixel;
                    }
                }
            }
        }
    }

    /// The points `A y A'` of the tiles of the result: `[plane][tile][point][output of the plane]`.
    #[inline(always)]
    fn spread<T: Real, S: Simd>(&self, simd: S, y: &[T], tiles: Range<usize>, points: &mut [T]) {
        let [rows, columns, outputs] = self.result;
        let (zero, lanes) = (T::splat(simd, T::ZERO), T::width::<S>());
        for (t, (image, [row, column])) in self.places(tiles).enumerate() {
            let y = &y[image * rows * columns * outputs..][..rows * columns * outputs];
            for output in (0..outputs).step_by(lanes) {
                let mut pixels = [[zero; 2]; 2];
                for (i, pixels) in pixels.iter_mut().enumerate().take(rows - row) {
                    for (j, pixel) in pixels.iter_mut().enumerate().take(columns - column) {
                        let from = ((row + i) * columns + column + j) * outputs + output;
                        *pixel = T::vectors::<S>(&y[from..][..lanes])[0];
                    }
                }
                let all = both_axes!(pixels, zero, 2 => 4, [a, b] => [
                    a,
                    T::plus(simd, a, b),
                    T::minus(simd, a, b),
                    T::minus(simd, zero, b),
                ]);
                put::<T, S>(all, &mut points[cell(output, t)..][..CELL], output % PLANE, PLANE);
            }
        }
    }

    /// `R` channels at a time by `V` vectors of outputs.
    #[inline(always)]
    fn kernel<T: Real, S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        x: &[T],
        y: &[T],
        w: &mut [T],
        [kernel, tiles]: &mut [Vec<T>; 2],
    ) {
        let (channels, outputs, block) = (self.image[2], self.result[2], V * T::width::<S>());
        let slab = self.slab();
        grow(kernel, POINTS * slab);
        kernel[..POINTS * slab].fill(T::ZERO);
        let [entered, spread] = self.under_way(tiles);
        for first in (0..self.tiles()).step_by(TILES) {
            let some = first..(first + TILES).min(self.tiles());
            self.enter(simd, x, some.clone(), entered);
            self.spread(simd, y, some.clone(), spread);
            for point in 0..POINTS {
                let (x, y) = (&entered[point * PLANE..], &spread[point * PLANE..]);
                let w = &mut kernel[point * slab..][..channels * outputs];
                for (at, w) in w.chunks_exact_mut(R * block).enumerate() {
                    let (b, channel) = (at / (channels / R), at % (channels / R) * R);
                    let x = &x[cell(channel, 0) + channel % PLANE..];
                    self.sum::<T, S, R, V>(simd, some.len(), x, y, b * block, w);
                }
            }
        }
        self.gather(simd, kernel, block, w);
    }

    /// Adds `count` tiles to `R` channels by `V` vectors of outputs at one point.
    #[inline(always)]
    fn sum<T: Real, S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        count: usize,
        x: &[T],
        y: &[T],
        first: usize,
        w: &mut [T],
    ) {
        let lanes = T::width::<S>();
        let y: [&[T]; V] = std::array::from_fn(
            #[inline(always)]
            |v| &y[cell(first + v * lanes, 0) + (first + v * lanes) % PLANE..][..(count - 1) * CELL + lanes],
        );
        let w = T::vectors_mut::<S>(w);
        let mut sums = [[T::splat(simd, T::ZERO); V]; R];
        sums.as_flattened_mut().copy_from_slice(w);
        for tile in 0..count {
            let x = &x[tile * CELL..][..R];
            let y: [T::Vector<S>; V] = std::array::from_fn(
                #[inline(always)]
                |v| T::vectors::<S>(&y[v][tile * CELL..][..lanes])[0],
            );
            add_outer(simd, &mut sums, (x, 0, 1), y);
        }
        w.copy_from_slice(sums.as_flattened());
    }

    /// The taps from the sums at their points.
    #[inline(always)]
    fn gather<T: Real, S: Simd>(&self, simd: S, points: &[T], block: usize, w: &mut [T]) {
        let (channels, outputs) = (self.image[2], self.result[2]);
        let (zero, half, lanes) = (T::splat(simd, T::ZERO), T::splat(simd, T::of(0.5)), T::width::<S>());
        for output in (0..outputs).step_by(lanes) {
            for channel in 0..channels {
                let from = (output / block * channels + channel) * block + output % block;
                let all = taken::<T, S>(simd, points, from, self.slab());
                let taps = both_axes!(all, zero, 4 => 3, [a, b, c, d] => [
                    T::multiply_add(simd, half, T::plus(simd, b, c), a),
                    T::multiply_add(simd, half, T::minus(simd, b, c), zero),
                    T::multiply_add(simd, half, T::plus(simd, b, c), d),
                ]);
                for (tap, taps) in taps.as_flattened().iter().enumerate() {
                    let to = (tap * channels + channel) * outputs + output;
                    T::vectors_mut::<S>(&mut w[to..][..lanes])[0] = *taps;
                }
            }
        }
    }
}
