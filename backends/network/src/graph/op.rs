//! The operators of a graph: few, each with one result, and closed under differentiation.
//!
//! Whatever a derivative of an operator needs is an operator of the same list, so that gradients and Hessian products
//! are graphs like any other. Images are channels last, `[batch, height, width, channels]`, and the kernels of
//! convolutions `[height, width, inputs / groups, outputs]`. Names of operators and attributes are ONNX's where
//! ONNX has the operator.

use std::sync::Arc;

/// The sizes of an array's axes; empty for a scalar.
pub type Shape = Vec<usize>;

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Numbers of the run's type, f32 or f64.
    Real,
    /// Whole numbers that select: labels, tokens, positions. Nothing is differentiated by them.
    Index,
}

/// A number as part of an operator: compared and hashed by its bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number(u64);

impl Number {
    /// Wraps a number.
    pub fn new(value: f64) -> Number {
        Number(value.to_bits())
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// The values of a constant, in C order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers.
    Real(Vec<f64>),
    /// Rows of a table, classes.
    Index(Vec<i64>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Real(values) => values.len(),
            Values::Index(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are.
    pub fn element(&self) -> Element {
        match self {
            Values::Real(_) => Element::Real,
            Values::Index(_) => Element::Index,
        }
    }
}

/// A constant array. Two are the same if they share their memory: contents are never compared.
#[derive(Clone, Debug)]
pub struct Constant {
    /// One size per axis.
    pub shape: Shape,
    /// In C order.
    pub values: Arc<Values>,
}

impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        self.shape == other.shape && Arc::ptr_eq(&self.values, &other.values)
    }
}

impl Eq for Constant {}

impl std::hash::Hash for Constant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.shape.hash(state);
        Arc::as_ptr(&self.values).hash(state);
    }
}

/// A function of one number, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// -x.
    Neg,
    /// |x|; its derivative at 0 is 0.
    Abs,
    /// -1, 0 or 1; its derivative is 0.
    Sign,
    /// 1 for x > 0, else 0; its derivative is 0.
    Step,
    /// max(x, 0); the derivative at 0 is 0.
    Relu,
    /// exp(x).
    Exp,
    /// exp(x) - 1.
    Expm1,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// 1 / x.
    Reciprocal,
    /// tanh(x).
    Tanh,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// log(1 + exp(x)).
    Softplus,
    /// The error function.
    Erf,
    /// The normal distribution function, (1 + erf(x / sqrt 2)) / 2, without cancellation for x < 0.
    NormalCdf,
    /// sin(x).
    Sin,
    /// cos(x).
    Cos,
    /// The angle between -pi/2 and pi/2 whose tangent is x.
    Atan,
    /// The largest whole number that is not above x; its derivative is 0.
    Floor,
    /// The nearest whole number, of two the even one; its derivative is 0.
    Round,
    /// x^c; its derivative is c x^(c - 1), and 0 where c is 0.
    Power(Number),
}

/// A function of two numbers of arrays of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a b.
    Mul,
    /// a / b.
    Div,
    /// The larger; where both are equal the first counts.
    Max,
    /// The smaller; where both are equal the first counts.
    Min,
    /// 1 where the first is less, else 0; its derivative is 0.
    Less,
    /// 1 where both are equal, else 0; its derivative is 0.
    Equal,
}

/// How a kernel moves over an image: pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// From one result to the next.
    pub strides: [usize; 2],
    /// From one tap to the next.
    pub dilations: [usize; 2],
    /// Rows and columns added before the image; zeros for a convolution, nothing at all for a pool.
    pub begin: [usize; 2],
    /// Rows and columns added behind it.
    pub end: [usize; 2],
}

impl Window {
    /// A window of `kernel` taps that moves by 1 and adds nothing.
    pub fn new(kernel: [usize; 2]) -> Window {
        Window { kernel, strides: [1; 2], dilations: [1; 2], begin: [0; 2], end: [0; 2] }
    }

    /// The number of places along an axis of `size`; 0 where the kernel does not fit.
    pub fn places(&self, axis: usize, size: usize) -> usize {
        let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
        let padded = size + self.begin[axis] + self.end[axis];
        if padded < reach { 0 } else { (padded - reach) / self.strides[axis] + 1 }
    }

    /// The row or column of the image that a tap sees from a place; `None` outside of it.
    #[inline]
    pub fn sees(&self, axis: usize, place: usize, tap: usize, size: usize) -> Option<usize> {
        let at = place * self.strides[axis] + tap * self.dilations[axis];
        at.checked_sub(self.begin[axis]).filter(|at| *at < size)
    }

    /// The window without the taps at either end of an axis of `size` that see nothing from any place, and the first tap that
    /// stays; `None` if all stay.
    pub fn seeing(&self, axis: usize, size: usize) -> Option<(usize, Window)> {
        let places = self.places(axis, size);
        let sees = |tap: &usize| (0..places).any(|place| self.sees(axis, place, *tap, size).is_some());
        let first = (0..self.kernel[axis]).find(sees)?;
        let last = (0..self.kernel[axis]).rfind(sees)?;
        let mut window = *self;
        window.kernel[axis] = last + 1 - first;
        window.begin[axis] = self.begin[axis].checked_sub(first * self.dilations[axis])?;
        let reach = (places - 1) * self.strides[axis] + (last - first) * self.dilations[axis] + 1;
        window.end[axis] = reach.saturating_sub(size + window.begin[axis]);
        (window.kernel != self.kernel && window.places(axis, size) == places).then_some((first, window))
    }
}

/// One step along an axis: `start`, `start + step`, ...; a negative step walks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stride {
    /// The first element.
    pub start: usize,
    /// From one to the next; may be negative.
    pub step: isize,
}

/// An operator. Its arguments are listed in the comments; where there are several reals they have one shape unless said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "an operator's sentence says what its fields are")]
pub enum Op {
    // Sources, without arguments.
    /// An input of the network or the labels: whatever the data supplies in this slot.
    Input { slot: usize, shape: Shape, element: Element },
    /// A block of theta from `offset` on, in C order.
    Parameter { offset: usize, shape: Shape },
    /// The same block of the direction of a Hessian product.
    Direction { offset: usize, shape: Shape },
    /// Known numbers.
    Constant(Constant),
    /// One number everywhere.
    Fill(Number, Shape),

    // Element by element.
    /// Of one argument.
    Unary(Unary),
    /// Of two arguments of one shape.
    Binary(Binary),
    /// (condition, a, b): a where the condition is not 0, else b. Nothing is differentiated by the condition.
    Select,

    // Where elements stand; these take indices too.
    /// The same elements in C order under another shape.
    Reshape(Shape),
    /// Axis i of the result is axis `perm[i]` of the argument.
    Transpose(Vec<usize>),
    /// Axes of size 1 are repeated; the number of axes stays.
    Broadcast(Shape),
    /// A part: along every axis `shape[i]` elements by `along[i]`.
    Slice { along: Vec<Stride>, shape: Shape },
    /// The adjoint of `Slice`: zeros of `shape` with the argument in its place.
    Place { along: Vec<Stride>, shape: Shape },
    /// Any number of arguments that differ along one axis.
    Concat(usize),
    /// (data, indices): the axis is replaced by the axes of the indices, but for the first `shared` of those: they are the
    /// data's own, and every place along them has rows of its own.
    Gather { axis: usize, shared: usize },
    /// The adjoint of `Gather`, (data, indices): adds into zeros that have `size` along the axis.
    Scatter { axis: usize, size: usize, shared: usize },
    /// An index becomes a unit vector along a new last axis.
    OneHot { classes: usize },

    // Between indices and reals; nothing is differentiated.
    /// Indices as reals.
    ToReal,
    /// Whole reals as indices.
    ToIndex,
    /// Where the `count` largest along the last axis stand, from the largest on, of equals the first.
    TopK { count: usize },

    // Sums and maxima; the axes stay, with size 1.
    /// Over these axes.
    Sum(Vec<usize>),
    /// Over these axes.
    Largest(Vec<usize>),
    /// exp(x) / sum exp(x) along the last axis.
    Softmax,
    /// x - log sum exp(x) along the last axis.
    LogSoftmax,

    // Products.
    /// `[.., m, k]` by `[.., k, n]`; the axes before are the same.
    MatMul,
    /// (image, kernel).
    Convolve { window: Window, groups: usize },
    /// The adjoint by the image, (result, kernel): the transposed convolution onto images of `size`.
    ConvolveImage { window: Window, groups: usize, size: [usize; 2] },
    /// The adjoint by the kernel, (image, result).
    ConvolveKernel { window: Window, groups: usize },

    // Pools.
    /// The sum in every window.
    SumPool(Window),
    /// Its adjoint, onto images of `size`.
    SumUnpool { window: Window, size: [usize; 2] },
    /// (x, v): v where x is largest in the window, the first of equals. `MaxPool` is that of (x, x).
    PickMax(Window),
    /// The adjoint in v, (x, g): adds every g where x is largest.
    PlaceMax(Window),
}

impl Op {
    /// Whether it has no kinks and no jumps.
    pub fn is_smooth(&self) -> bool {
        !matches!(
            self,
            Op::Unary(Unary::Abs | Unary::Sign | Unary::Step | Unary::Relu | Unary::Floor | Unary::Round)
                | Op::Binary(Binary::Max | Binary::Min | Binary::Less | Binary::Equal)
                | Op::Select
                | Op::Largest(_)
                | Op::TopK { .. }
                | Op::PickMax(_)
                | Op::PlaceMax(_)
        )
    }
}
