//! Networks by name: perceptrons, convolutional and residual networks, transformers.

pub mod layers;
mod perceptron;
mod specification;
#[cfg(test)]
mod tests;

use crate::graph::Id;
use crate::graph::op::{Element, Window};
use crate::hex::hex;
use crate::model::{Feature, Model, Network, OutputKind};
use crate::start::Normal;
use layers::{Block, Layers, Start};
use mountainpass_sdk::{Error, Parameter, memory};
pub use perceptron::perceptron;
use sha2::{Digest, Sha256};
pub use specification::{Images, Specification, Tokens};

/// A network made from its specification.
#[derive(Clone, Debug)]
pub struct Built {
    specification: Specification,
    blocks: Vec<Block>,
    parameters: Vec<Parameter>,
    is_weight: Vec<bool>,
    features: [Feature; 1],
}

impl Built {
    /// The network of a line such as `resnet9:32x32x3-10:relu`.
    pub fn parse(spec: &str) -> Result<Built, Error> {
        let specification = Specification::parse(spec)?;
        let mut layers = Layers::new(1);
        write(&specification, &mut layers)?;
        let blocks = layers.blocks;
        let parameters = blocks.iter().map(|block| block.parameter.clone()).collect();
        let is_weight = blocks.iter().map(|block| block.is_weight).collect();
        let features = [feature(&specification)];
        Ok(Built { specification, blocks, parameters, is_weight, features })
    }
}

impl Model for Built {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn features(&self) -> &[Feature] {
        &self.features
    }

    fn is_weight(&self) -> &[bool] {
        &self.is_weight
    }

    fn network(&self, n: usize) -> Result<Network, Error> {
        let mut layers = Layers::new(n);
        let output = write(&self.specification, &mut layers)?;
        let Layers { graph, is_joint, .. } = layers;
        Ok(Network { graph, output, kind: OutputKind::Logits, is_joint })
    }

    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        let mut normal = Normal::seeded(seed);
        let params = self.blocks.last().map_or(0, |block| {
            let Parameter { shape, offset, .. } = &block.parameter;
            *offset as usize + shape.iter().product::<u64>() as usize
        });
        let mut theta = memory::room(params)?;
        for Block { parameter, start, .. } in &self.blocks {
            let count = parameter.shape.iter().product::<u64>() as usize;
            match start {
                Start::Constant(value) => theta.extend(std::iter::repeat_n(*value, count)),
                Start::Normal(deviation) => theta.extend((0..count).map(|_| deviation * normal.next())),
            }
        }
        Ok(theta)
    }

    fn hash(&self) -> String {
        hex(Sha256::digest(self.specification.to_string().as_bytes()).as_slice())
    }
}

impl std::fmt::Display for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.specification.fmt(f)
    }
}

fn feature(specification: &Specification) -> Feature {
    let (shape, element) = match specification {
        Specification::Mlp(mlp) => (vec![mlp.inputs()], Element::Real),
        Specification::Cnn(images) | Specification::Resnet { images, .. } => (images.size.to_vec(), Element::Real),
        Specification::Transformer(tokens) => (vec![tokens.context], Element::Index),
    };
    Feature { name: "x".into(), shape, element }
}

/// Writes the network; its logits.
fn write(specification: &Specification, layers: &mut Layers) -> Result<Id, Error> {
    let Feature { shape, element, .. } = feature(specification);
    let x = layers.input(&shape, element)?;
    match specification {
        Specification::Mlp(mlp) => perceptron::write(mlp, layers, x),
        Specification::Cnn(images) => {
            let mut x = x;
            for (i, width) in images.hidden.iter().enumerate() {
                x = convolution(layers, images, &format!("conv{}", i + 1), x, *width, 1)?;
                x = layers.activation(images.activation, x)?;
                x = halved(layers, x, images.average)?;
            }
            head(layers, images, x)
        }
        Specification::Resnet { depth: 9, width, images } => resnet9(layers, images, *width, x),
        Specification::Resnet { depth, width, images } => resnet(layers, images, (depth - 2) / 6, *width, x),
        Specification::Transformer(tokens) => transformer(layers, tokens, x),
    }
}

/// A 3x3 convolution and the normalisation behind it, if there is one.
fn convolution(
    layers: &mut Layers,
    images: &Images,
    name: &str,
    x: Id,
    width: usize,
    stride: usize,
) -> Result<Id, Error> {
    let y = layers.convolution(name, x, width, stride, images.activation)?;
    if images.batchnorm { layers.batch_norm(&format!("{name}.norm"), y) } else { Ok(y) }
}

/// The maximum or the average of every 2x2 square, while there is one.
fn halved(layers: &mut Layers, x: Id, average: bool) -> Result<Id, Error> {
    let squares = Window { strides: [2; 2], ..Window::new([2; 2]) };
    match layers.graph.shape(x) {
        &[_, height, width, _] if height < 2 || width < 2 => Ok(x),
        _ if average => layers.graph.average_pool(x, squares, false),
        _ => layers.graph.max_pool(x, squares),
    }
}

fn head(layers: &mut Layers, images: &Images, x: Id) -> Result<Id, Error> {
    let x = layers.global_average_pool(x)?;
    let width = layers.graph.shape(x).last().copied().unwrap_or(1);
    layers.linear("head", x, images.classes, Start::xavier(width, images.classes))
}

/// Two convolutions and the way past them. Where the width changes (with a stride of 2) there is no way past and no
/// activation behind, as in the networks that Barannikov et al. (arXiv 2012.15834) publish with their code.
fn residual(layers: &mut Layers, images: &Images, name: &str, x: Id, width: usize) -> Result<Id, Error> {
    let before = layers.graph.shape(x).last().copied().unwrap_or(1);
    let stride = if before == width { 1 } else { 2 };
    let y = convolution(layers, images, &format!("{name}.1"), x, before, 1)?;
    let y = layers.activation(images.activation, y)?;
    let y = convolution(layers, images, &format!("{name}.2"), y, width, stride)?;
    if stride == 2 {
        return Ok(y);
    }
    let sum = layers.graph.add(x, y)?;
    layers.activation(images.activation, sum)
}

/// Nine layers: three widths, each a convolution and a residual block with a maximum over 2x2 behind, and one more block.
fn resnet9(layers: &mut Layers, images: &Images, width: usize, x: Id) -> Result<Id, Error> {
    let mut x = x;
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        x = convolution(layers, images, &format!("stage{}", stage + 1), x, channels * width, 1)?;
        x = layers.activation(images.activation, x)?;
        x = residual(layers, images, &format!("stage{}.block", stage + 1), x, channels * width)?;
        x = halved(layers, x, false)?;
    }
    x = residual(layers, images, "stage4.block", x, 64 * width)?;
    x = halved(layers, x, false)?;
    head(layers, images, x)
}

/// 6 m + 2 layers: a convolution, then three stages of m blocks, the last of which leads to the next width.
fn resnet(layers: &mut Layers, images: &Images, m: usize, width: usize, x: Id) -> Result<Id, Error> {
    let widths = [16 * width, 32 * width, 64 * width];
    let x = convolution(layers, images, "stem", x, widths[0], 1)?;
    let mut x = layers.activation(images.activation, x)?;
    for stage in 0..3 {
        for block in 0..m {
            let to = if block + 1 == m { widths[(stage + 1).min(2)] } else { widths[stage] };
            x = residual(layers, images, &format!("stage{}.block{}", stage + 1, block + 1), x, to)?;
        }
    }
    head(layers, images, x)
}

/// Layers of attention and perceptrons with the normalisation in front of each (Radford et al. 2019).
fn transformer(layers: &mut Layers, tokens: &Tokens, x: Id) -> Result<Id, Error> {
    use crate::Activation::Gelu;
    let width = tokens.width;
    let mut x = layers.embedding(x, tokens.vocabulary, width)?;
    for i in 0..tokens.layers {
        let name = format!("layers.{i}");
        let y = layers.layer_norm(&format!("{name}.norm1"), x)?;
        let y = layers.attention(&format!("{name}.attention"), y, tokens.heads, tokens.classes.is_none())?;
        x = layers.graph.add(x, y)?;
        let y = layers.layer_norm(&format!("{name}.norm2"), x)?;
        let y = layers.linear(&format!("{name}.mlp.0"), y, 4 * width, Start::before(Gelu, width, 4 * width))?;
        let y = layers.activation(Gelu, y)?;
        let y = layers.linear(&format!("{name}.mlp.1"), y, width, Start::xavier(4 * width, width))?;
        x = layers.graph.add(x, y)?;
    }
    let x = layers.layer_norm("norm", x)?;
    let Some(classes) = tokens.classes else {
        return layers.linear("head", x, tokens.vocabulary, Start::xavier(width, tokens.vocabulary));
    };
    let mean = layers.graph.mean(x, &[1])?;
    let mean = layers.graph.reshape(mean, vec![layers.samples, width])?;
    layers.linear("head", mean, classes, Start::xavier(width, classes))
}
