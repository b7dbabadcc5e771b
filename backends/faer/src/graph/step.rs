//! One kernel with the arrays it reads and the buffers it writes: what a plan is a list of.

use super::kernels::chain::Chain;
use super::kernels::convolve::{Convolution, Wanted};
use super::kernels::copy::{Lookup, Walk};
use super::kernels::pool::Pool;
use super::kernels::product::Product;
use super::kernels::reduce::Reduction;
use super::view::View;
use mountainpass_network::graph::op::Element;

/// One operator, or one chain of them.
#[derive(Debug)]
pub(crate) enum Kernel {
    Chain(Chain),
    Product(Product),
    Convolve(Convolution, Wanted),
    Reduce(Reduction),
    /// Rows of so many elements; the logarithm if true.
    Softmax(usize, bool),
    /// A view in C order.
    Copy(Walk),
    /// Zeros, and the argument by the walk from the place on.
    Place(Walk, usize),
    /// Arguments by walks into the whole, from places on.
    Concat(Vec<(Walk, usize)>),
    Gather(Lookup),
    Scatter(Lookup),
    OneHot(usize),
    ToReal,
    ToIndex,
    /// The places of so many of so many.
    TopK(usize, usize),
    Pool(Pool, Pooling),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pooling {
    Sum,
    Unpool,
    Pick,
    Place,
}

/// A kernel, what it reads and which buffers it writes.
#[derive(Debug)]
pub(crate) struct Step {
    pub kernel: Kernel,
    pub element: Element,
    pub reads: Vec<View>,
    /// The elements read of every dense view.
    pub lengths: Vec<usize>,
    /// Buffers and how much of them.
    pub writes: Vec<(usize, usize)>,
}

impl Step {
    /// Kernel, elements read and written.
    pub(crate) fn describe(&self) -> String {
        let kernel = match &self.kernel {
            Kernel::Chain(chain) => chain.describe(),
            kernel => format!("{kernel:?}"),
        };
        let written: Vec<usize> = self.writes.iter().map(|(_, len)| *len).collect();
        format!("{kernel} writes {written:?}")
    }
}

impl Kernel {
    /// About how many numbers of scratch it takes at the most.
    pub(crate) fn scratch(&self) -> usize {
        match self {
            Kernel::Chain(chain) => chain.scratch(),
            Kernel::Convolve(convolution, _) => convolution.scratch(),
            Kernel::Reduce(reduction) => reduction.scratch(),
            Kernel::Pool(pool, _) => 2 * pool.image[3],
            _ => 0,
        }
    }
}
