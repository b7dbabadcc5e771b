//! Layers written into a graph, and the book of theta that grows with them.
//!
//! Weights have torch's layouts, `[outputs, inputs]` and `[outputs, inputs, height, width]`, in the order of the layers,
//! so that theta is what torch's `parameters()` would list. Images are channels last inside the graph.

use crate::Activation;
use crate::graph::op::{Element, Op, Unary, Values, Window};
use crate::graph::{Graph, Id};
use mountainpass_sdk::{Error, Parameter, memory};

/// What a block of theta is before any training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// This number.
    Constant(f64),
}

impl Start {
    /// For a layer whose outputs an activation halves (He et al. 2015): variance 2 / inputs.
    pub fn kaiming(inputs: usize) -> Start {
        Start::Normal((2.0 / inputs as f64).sqrt())
    }

    /// For any other layer (Glorot and Bengio 2010): variance 2 / (inputs + outputs).
    pub fn xavier(inputs: usize, outputs: usize) -> Start {
        Start::Normal((2.0 / (inputs + outputs) as f64).sqrt())
    }

    /// The one that suits an activation.
    pub fn before(activation: Activation, inputs: usize, outputs: usize) -> Start {
        match activation {
            Activation::Tanh | Activation::Sigmoid => Start::xavier(inputs, outputs),
            _ => Start::kaiming(inputs),
        }
    }
}

/// Biases start a little above 0, so that no relu starts dead on an empty image.
const BIAS: Start = Start::Constant(0.01);
/// Added to variances, as in torch.
const EPSILON: f64 = 1e-5;

/// A network this large is a slip of the pen.
const PARAMS_MAX: usize = 1 << 32;

/// A named block of theta, how it starts, and whether a penalty on weights sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its name and place.
    pub parameter: Parameter,
    /// How it begins.
    pub start: Start,
    /// Whether it is a weight: no bias, no scale.
    pub is_weight: bool,
}

/// A graph being written for a batch of `samples`.
pub struct Layers {
    /// As far as it is written.
    pub graph: Graph,
    /// The size of the batch.
    pub samples: usize,
    /// Of theta, in order.
    pub blocks: Vec<Block>,
    /// Whether batch statistics were taken.
    pub is_joint: bool,
    params: usize,
}

impl Layers {
    /// Nothing yet.
    pub fn new(samples: usize) -> Layers {
        Layers { graph: Graph::new(), samples, blocks: Vec::new(), is_joint: false, params: 0 }
    }

    fn block(&mut self, name: String, shape: &[usize], start: Start) -> Result<Id, Error> {
        let is_weight = name.ends_with("weight") && matches!(start, Start::Normal(_));
        let parameter =
            Parameter { name, shape: shape.iter().map(|d| *d as u64).collect(), offset: self.params as u64 };
        let id = self.graph.parameter(self.params, shape.to_vec())?;
        self.params = shape.iter().fold(1, |n: usize, d| n.saturating_mul(*d)).saturating_add(self.params);
        if self.params > PARAMS_MAX {
            return Err(Error::argument(format!("a network of more than {PARAMS_MAX} parameters")));
        }
        self.blocks.push(Block { parameter, start, is_weight });
        Ok(id)
    }

    /// An affine map of the last axis.
    pub fn linear(&mut self, name: &str, x: Id, outputs: usize, start: Start) -> Result<Id, Error> {
        let inputs = self.graph.shape(x).last().copied().unwrap_or(1);
        let weight = self.block(format!("{name}.weight"), &[outputs, inputs], start)?;
        let bias = self.block(format!("{name}.bias"), &[outputs], BIAS)?;
        let weight = self.graph.transpose(weight, &[1, 0])?;
        let y = self.graph.matmul(x, weight)?;
        self.graph.add(y, bias)
    }

    /// A 3x3 convolution with a margin of one zero, so that a stride of 1 keeps the size.
    pub fn convolution(
        &mut self,
        name: &str,
        x: Id,
        outputs: usize,
        stride: usize,
        activation: Activation,
    ) -> Result<Id, Error> {
        let inputs = self.graph.shape(x).last().copied().unwrap_or(1);
        let start = Start::before(activation, 9 * inputs, 9 * outputs);
        let weight = self.block(format!("{name}.weight"), &[outputs, inputs, 3, 3], start)?;
        let bias = self.block(format!("{name}.bias"), &[outputs], BIAS)?;
        let kernel = self.graph.transpose(weight, &[2, 3, 1, 0])?;
        let window = Window { strides: [stride; 2], begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
        let y = self.graph.convolve(x, kernel, window, 1)?;
        self.graph.add(y, bias)
    }

    /// Normalises every channel by mean and variance over the batch and the image (Ioffe and Szegedy 2015), then scales
    /// and shifts it. The statistics are those of the very batch, and gradients go through them.
    pub fn batch_norm(&mut self, name: &str, x: Id) -> Result<Id, Error> {
        let rank = self.graph.shape(x).len();
        self.is_joint = true;
        self.normalisation(name, x, &(0..rank - 1).collect::<Vec<usize>>())
    }

    /// Normalises every sample by mean and variance over the last axis (Ba et al. 2016), then scales and shifts it.
    pub fn layer_norm(&mut self, name: &str, x: Id) -> Result<Id, Error> {
        let rank = self.graph.shape(x).len();
        self.normalisation(name, x, &[rank - 1])
    }

    fn normalisation(&mut self, name: &str, x: Id, over: &[usize]) -> Result<Id, Error> {
        let size = self.graph.shape(x).last().copied().unwrap_or(1);
        let weight = self.block(format!("{name}.weight"), &[size], Start::Constant(1.0))?;
        let bias = self.block(format!("{name}.bias"), &[size], Start::Constant(0.0))?;
        let y = normalised(&mut self.graph, x, over, EPSILON)?;
        let y = self.graph.mul(y, weight)?;
        self.graph.add(y, bias)
    }

    /// What stands between layers.
    pub fn activation(&mut self, f: Activation, z: Id) -> Result<Id, Error> {
        match f {
            Activation::Relu => self.graph.unary(Unary::Relu, z),
            Activation::LeakyRelu => self.graph.leaky_relu(z, 0.01),
            Activation::Tanh => self.graph.unary(Unary::Tanh, z),
            Activation::Sigmoid => self.graph.unary(Unary::Sigmoid, z),
            Activation::Gelu => self.graph.gelu(z, false),
            Activation::Softplus => self.graph.unary(Unary::Softplus, z),
        }
    }

    /// The mean over height and width, `[n, channels]`.
    pub fn global_average_pool(&mut self, x: Id) -> Result<Id, Error> {
        let mean = self.graph.mean(x, &[1, 2])?;
        let channels = self.graph.shape(x).last().copied().unwrap_or(1);
        self.graph.reshape(mean, vec![self.samples, channels])
    }

    /// A row of a table for every token `[n, context]`, and one for its place: `[n, context, width]`.
    pub fn embedding(&mut self, tokens: Id, vocabulary: usize, width: usize) -> Result<Id, Error> {
        // As in Radford et al. 2019.
        let start = Start::Normal(0.02);
        let context = self.graph.shape(tokens).last().copied().unwrap_or(1);
        let table = self.block("embedding.weight".into(), &[vocabulary, width], start)?;
        let places = self.block("position.weight".into(), &[context, width], start)?;
        let rows = self.graph.push(Op::Gather { axis: 0, shared: 0 }, &[table, tokens])?;
        self.graph.add(rows, places)
    }

    /// Scaled dot-product attention with several heads (Vaswani et al. 2017) on `[n, context, width]`; causal: no place
    /// sees a later one.
    pub fn attention(&mut self, name: &str, x: Id, heads: usize, causal: bool) -> Result<Id, Error> {
        let &[n, context, width] = self.graph.shape(x) else {
            return Err(Error::argument(format!("attention on {:?}: wants 3 axes", self.graph.shape(x))));
        };
        let each = width / heads;
        let mut parts = [x; 3];
        for (part, kind) in parts.iter_mut().zip(["query", "key", "value"]) {
            let y = self.linear(&format!("{name}.{kind}"), x, width, Start::xavier(width, width))?;
            let split = self.graph.reshape(y, vec![n, context, heads, each])?;
            *part = self.graph.transpose(split, &[0, 2, 1, 3])?;
        }
        let [query, key, value] = parts;
        let key = self.graph.flip(key)?;
        let scores = self.graph.push(Op::MatMul, &[query, key])?;
        let mut scores = self.graph.scale(scores, (each as f64).sqrt().recip())?;
        if causal {
            // So low that its exponential is 0, and yet a number in f32.
            let hidden = |i: usize| if i % context > i / context { -1e30 } else { 0.0 };
            let mask = memory::collected(context * context, (0..context * context).map(hidden))?;
            let mask = self.graph.constant(vec![context, context], Values::Real(mask))?;
            scores = self.graph.add(scores, mask)?;
        }
        let weights = self.graph.push(Op::Softmax, &[scores])?;
        let mixed = self.graph.push(Op::MatMul, &[weights, value])?;
        let joined = self.graph.transpose(mixed, &[0, 2, 1, 3])?;
        let joined = self.graph.reshape(joined, vec![n, context, width])?;
        self.linear(&format!("{name}.output"), joined, width, Start::xavier(width, width))
    }

    /// An input of real numbers in slot 0.
    pub fn input(&mut self, shape: &[usize], element: Element) -> Result<Id, Error> {
        let shape = std::iter::once(self.samples).chain(shape.iter().copied()).collect();
        self.graph.input(0, shape, element)
    }
}

/// (x - mean) / sqrt(variance + epsilon), mean and variance (of all, not of all but one) over the given axes.
pub fn normalised(graph: &mut Graph, x: Id, over: &[usize], epsilon: f64) -> Result<Id, Error> {
    let mean = graph.mean(x, over)?;
    let centred = graph.sub(x, mean)?;
    let square = graph.mul(centred, centred)?;
    let variance = graph.mean(square, over)?;
    let shifted = graph.shift(variance, epsilon)?;
    let deviation = graph.unary(Unary::Sqrt, shifted)?;
    let scale = graph.unary(Unary::Reciprocal, deviation)?;
    graph.mul(centred, scale)
}
