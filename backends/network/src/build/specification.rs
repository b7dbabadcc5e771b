//! A line that names a network: `KIND:PART:PART`, where a part is `key=value` or stands by its place.

use crate::{Activation, Mlp};
use mountainpass_sdk::Error;

/// A network by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Specification {
    /// `mlp:64-8-10:tanh`.
    Mlp(Mlp),
    /// `cnn:28x28x1-16-32-10:relu`: after each 3x3 convolution the activation and, while the image has two rows and
    /// columns, the maximum of every 2x2 square; then the global average and an affine map. With `average` the squares'
    /// averages, of which a smooth activation makes a smooth network.
    Cnn(Images),
    /// `resnet9:32x32x3-10`, `resnet14:..`, `resnet20:..`, with `width=2` twice as wide.
    Resnet {
        /// 9, 14 or 20 layers.
        depth: usize,
        /// How many times as wide as usual.
        width: usize,
        /// What it sees and says.
        images: Images,
    },
    /// `transformer:vocabulary=96:context=64:width=128:heads=4:layers=2`, with `classes=10` a classifier, else the
    /// prediction of each next token.
    Transformer(Tokens),
}

/// What the networks on images share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Height, width and channels.
    pub size: [usize; 3],
    /// Channels of the convolutions; of a resnet none, since they follow from its depth and width.
    pub hidden: Vec<usize>,
    /// The number of outputs.
    pub classes: usize,
    /// What stands between layers.
    pub activation: Activation,
    /// BatchNorm behind every convolution.
    pub batchnorm: bool,
    /// Squares are halved by their averages, not their maxima; of a cnn.
    pub average: bool,
}

/// What a transformer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// How many tokens there are.
    pub vocabulary: usize,
    /// Tokens of a window.
    pub context: usize,
    /// Numbers that stand for a token.
    pub width: usize,
    /// Of attention, side by side.
    pub heads: usize,
    /// Blocks one after the other.
    pub layers: usize,
    /// Those of a classifier; none for a model of the next token.
    pub classes: Option<usize>,
}

const KINDS: [&str; 6] = ["mlp", "cnn", "resnet9", "resnet14", "resnet20", "transformer"];
const TOKENS: [&str; 6] = ["vocabulary", "context", "width", "heads", "layers", "classes"];
/// A network this large is a slip of the pen, and its theta would not fit any machine.
const SIZE_MAX: usize = 1 << 20;

impl Specification {
    /// Reads a line; errors name the part that is wrong.
    pub fn parse(spec: &str) -> Result<Specification, Error> {
        let (kind, rest) = spec.split_once(':').unwrap_or((spec, ""));
        let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split(':').collect() };
        let parts = Parts { spec, parts };
        match kind {
            "mlp" => Mlp::parse(spec).map(Specification::Mlp),
            "cnn" => Ok(Specification::Cnn(parts.images(false)?.0)),
            "resnet9" | "resnet14" | "resnet20" => {
                let (images, width) = parts.images(true)?;
                // The names are those of KINDS: what follows "resnet" is a number.
                let depth = kind["resnet".len()..].parse().unwrap_or(9);
                Ok(Specification::Resnet { depth, width, images })
            }
            "transformer" => parts.tokens().map(Specification::Transformer),
            _ => Err(Error::unknown("kind of network", kind, &KINDS)),
        }
    }
}

struct Parts<'a> {
    spec: &'a str,
    parts: Vec<&'a str>,
}

impl Parts<'_> {
    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::argument(format!("network {:?}: {what}", self.spec))
    }

    fn size(&self, what: &str, text: &str) -> Result<usize, Error> {
        match text.parse::<usize>() {
            Ok(size) if (1..=SIZE_MAX).contains(&size) => Ok(size),
            _ => Err(self.wrong(format!("{what} is {text:?}, expected a whole number from 1 to {SIZE_MAX}"))),
        }
    }

    /// `HxWxC-width-..-classes`, then in any order an activation, `batchnorm`, for a resnet `width=N`, for a cnn `average`.
    fn images(&self, is_resnet: bool) -> Result<(Images, usize), Error> {
        let example = if is_resnet { "resnet9:32x32x3-10" } else { "cnn:28x28x1-16-32-10:relu" };
        let [sizes, rest @ ..] = &self.parts[..] else { return Err(self.wrong(format!("no sizes, as in {example}"))) };
        let (first, widths) = sizes.split_once('-').unwrap_or((sizes, ""));
        let axes =
            first.split('x').map(|text| self.size("the image's size", text)).collect::<Result<Vec<_>, Error>>()?;
        let size: [usize; 3] = axes
            .try_into()
            .map_err(|_| self.wrong(format!("the image is {first:?}, expected HxWxC as in {example}")))?;
        let mut hidden = match widths {
            "" => Vec::new(),
            widths => widths.split('-').map(|text| self.size("a width", text)).collect::<Result<Vec<_>, Error>>()?,
        };
        let classes = hidden.pop().ok_or_else(|| self.wrong(format!("no number of classes, as in {example}")))?;
        if is_resnet != hidden.is_empty() {
            return Err(self.wrong(format!("the widths are {widths:?}, expected as in {example}")));
        }
        let mut images =
            Images { size, hidden, classes, activation: Activation::Relu, batchnorm: false, average: false };
        let mut width = 1;
        for part in rest {
            match (*part, part.strip_prefix("width=").filter(|_| is_resnet)) {
                (_, Some(text)) => width = self.size("width", text)?.min(1 << 10),
                ("batchnorm", _) => images.batchnorm = true,
                ("average", _) if !is_resnet => images.average = true,
                (name, _) => {
                    let own = if is_resnet { "width" } else { "average" };
                    let known: Vec<&str> = Activation::NAMES.into_iter().chain(["batchnorm", own]).collect();
                    let index = Activation::NAMES.iter().position(|known| *known == name);
                    images.activation = index
                        .map(|i| Activation::ALL[i])
                        .ok_or_else(|| Error::unknown("part of a network", name, &known))?;
                }
            }
        }
        Ok((images, width))
    }

    /// `key=value` in any order.
    fn tokens(&self) -> Result<Tokens, Error> {
        let mut values: [Option<usize>; 6] = [None; 6];
        for part in &self.parts {
            let (key, text) = part.split_once('=').unwrap_or((part, ""));
            let index = TOKENS.iter().position(|known| *known == key);
            let index = index.ok_or_else(|| Error::unknown("part of a transformer", key, &TOKENS))?;
            values[index] = Some(self.size(key, text)?);
        }
        let given =
            |i: usize| values[i].ok_or_else(|| self.wrong(format!("{} is missing, as in {}=64", TOKENS[i], TOKENS[i])));
        let tokens = Tokens {
            vocabulary: given(0)?,
            context: given(1)?,
            width: given(2)?,
            heads: given(3)?,
            layers: given(4)?,
            classes: values[5],
        };
        if !tokens.width.is_multiple_of(tokens.heads) {
            return Err(self.wrong(format!("{} heads do not divide a width of {}", tokens.heads, tokens.width)));
        }
        Ok(tokens)
    }
}

impl std::fmt::Display for Specification {
    /// The line that [`parse`](Specification::parse) reads, defaults left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Specification::Mlp(mlp) => mlp.fmt(f),
            Specification::Cnn(images) => write!(f, "cnn:{images}"),
            Specification::Resnet { depth, width: 1, images } => write!(f, "resnet{depth}:{images}"),
            Specification::Resnet { depth, width, images } => write!(f, "resnet{depth}:{images}:width={width}"),
            Specification::Transformer(t) => {
                write!(f, "transformer:vocabulary={}:context={}:width={}", t.vocabulary, t.context, t.width)?;
                write!(f, ":heads={}:layers={}", t.heads, t.layers)?;
                t.classes.map_or(Ok(()), |classes| write!(f, ":classes={classes}"))
            }
        }
    }
}

impl std::fmt::Display for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [height, width, channels] = self.size;
        write!(f, "{height}x{width}x{channels}")?;
        self.hidden.iter().try_for_each(|width| write!(f, "-{width}"))?;
        write!(f, "-{}:{}", self.classes, self.activation.name())?;
        let flags = [("batchnorm", self.batchnorm), ("average", self.average)];
        flags.iter().filter(|(_, is_on)| *is_on).try_for_each(|(flag, _)| write!(f, ":{flag}"))
    }
}
