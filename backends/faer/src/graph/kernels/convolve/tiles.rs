//! Convolutions of many images, some at a time, so that a crew can share them.

use super::method::{Convolution, Wanted};
use crate::graph::crew::Crew;
use crate::real::Real;
use crate::sums::{add_to, grow};

/// Images of a part: a number of its own, whoever shares them, so that sums are the same.
const IMAGES: usize = 16;

impl Convolution {
    /// Computes one of the three arrays from the other two.
    pub(crate) fn run<T: Real>(&self, wanted: Wanted, [a, b]: [&[T]; 2], out: &mut [T], scratch: &mut [Vec<T>; 2]) {
        match wanted {
            Wanted::Result => self.result(a, b, out, scratch),
            Wanted::Image => self.image(a, b, out, scratch),
            Wanted::Kernel => self.kernel(a, b, out, scratch),
        }
    }

    /// The same in parts; the shares of a kernel are added in the order of the images.
    pub(crate) fn shared<T: Real>(
        &self,
        wanted: Wanted,
        [a, b]: [&[T]; 2],
        out: &mut [T],
        scratch: &mut [Vec<T>; 2],
        crew: &Crew<'_, T>,
    ) {
        let ([images, height, width, c], [r, s, o]) = (self.image, self.result);
        if images <= IMAGES {
            return self.run(wanted, [a, b], out, scratch);
        }
        let part = |images: usize| Convolution { image: [images, height, width, c], ..*self };
        let (image, result) = (height * width * c, r * s * o);
        match wanted {
            Wanted::Result => {
                crew.each(a.chunks(IMAGES * image).zip(out.chunks_mut(IMAGES * result)), |(x, y), work| {
                    part(x.len() / image).result(x, b, y, &mut work.pair);
                });
            }
            Wanted::Image => {
                crew.each(a.chunks(IMAGES * result).zip(out.chunks_mut(IMAGES * image)), |(y, x), work| {
                    part(x.len() / image).image(y, b, x, &mut work.pair);
                });
            }
            Wanted::Kernel => {
                let [shares, _] = scratch;
                let size = images.div_ceil(IMAGES) * out.len();
                grow(shares, size);
                let shares = &mut shares[..size];
                let parts = a.chunks(IMAGES * image).zip(b.chunks(IMAGES * result)).zip(shares.chunks_mut(out.len()));
                crew.each(parts, |((x, y), share), work| {
                    part(x.len() / image).kernel(x, y, share, &mut work.pair);
                });
                let (first, rest) = shares.split_at(out.len());
                out.copy_from_slice(first);
                rest.chunks(out.len()).for_each(|share| add_to(out, share));
            }
        }
    }
}
