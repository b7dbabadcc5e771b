//! What a convolution is, and what a method of computing some of them has to do.

use crate::real::Real;
use mountainpass_network::graph::op::Window;
use pulp::{Simd, WithSimd};

/// A convolution and its two adjoints.
#[derive(Debug)]
pub(crate) struct Convolution {
    pub window: Window,
    pub groups: usize,
    /// Images, height, width, channels.
    pub image: [usize; 4],
    /// Rows, columns and channels of the result.
    pub result: [usize; 3],
}

/// Which of the three arrays is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Result,
    Image,
    Kernel,
}

/// What a method of convolution computes.
pub(super) enum Task<'a, T> {
    /// The result from image and kernel; the kernel is `[taps][3][channels][outputs]`, or, turned round, that of the
    /// convolution whose adjoint is taken.
    Result { x: &'a [T], w: &'a [T], turned: bool, y: &'a mut [T] },
    /// The kernel from image and result.
    Kernel { x: &'a [T], y: &'a [T], w: &'a mut [T] },
}

/// A way to do some convolutions with the vectors of the machine.
pub(super) trait Method: Copy {
    /// If it is one of those convolutions.
    fn new(of: &Convolution) -> Option<Self>;

    /// The convolution that takes derivatives by the result to those by the image.
    fn adjoint(self) -> Self;

    /// Whether it was done: not where the channels do not fill the vectors.
    fn run<T: Real, S: Simd>(self, simd: S, task: &mut Task<'_, T>, scratch: &mut [Vec<T>; 2]) -> bool;
}

pub(super) struct Job<'a, 'b, M, T> {
    pub method: M,
    pub task: &'a mut Task<'b, T>,
    pub scratch: &'a mut [Vec<T>; 2],
}

impl<M: Method, T: Real> WithSimd for Job<'_, '_, M, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        !S::IS_SCALAR && self.method.run(simd, self.task, self.scratch)
    }
}

/// Adds `P` numbers, `step` apart from `x[first]` on, times `V` vectors: what every sum over channels is made of.
#[inline(always)]
pub(super) fn add_outer<T: Real, S: Simd, const P: usize, const V: usize>(
    simd: S,
    sums: &mut [[T::Vector<S>; V]; P],
    (x, first, step): (&[T], usize, usize),
    w: [T::Vector<S>; V],
) {
    for p in 0..P {
        let x = T::splat(simd, x[p * step + first]);
        for v in 0..V {
            sums[p][v] = T::multiply_add(simd, x, w[v], sums[p][v]);
        }
    }
}

impl<T: Real> Task<'_, T> {
    /// The method for this side of a convolution.
    pub(super) fn side<M: Method>(&self, of: &Convolution) -> Option<M> {
        let method = M::new(of)?;
        Some(if matches!(self, Task::Result { turned: true, .. }) { method.adjoint() } else { method })
    }

    /// Whether a method did it.
    pub(super) fn done_by<M: Method>(&mut self, of: &Convolution, scratch: &mut [Vec<T>; 2]) -> bool {
        let Some(method) = self.side::<M>(of) else { return false };
        pulp::Arch::new().dispatch(Job { method, task: self, scratch })
    }
}

impl Convolution {
    pub(super) fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// Channels of the image and of the result in one group.
    pub(super) fn group(&self) -> [usize; 2] {
        [self.image[3] / self.groups, self.result[2] / self.groups]
    }

    /// Whether it is a product of pixels by channels.
    pub(super) fn is_product(&self) -> bool {
        let Window { kernel, strides, begin, end, .. } = self.window;
        kernel == [1, 1] && strides == [1, 1] && begin == [0, 0] && end == [0, 0]
    }
}
