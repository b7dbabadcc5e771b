//! Multilayer perceptrons: from a line such as `mlp:64-8-10:tanh` to layers and their place in theta.
//!
//! Theta is one flat vector: layer after layer the weight `[outputs][inputs]` in C order, then the bias `[outputs]`,
//! as in torch's `Sequential` of `Linear` layers. The activation stands between layers, not after the last.

use mountainpass_sdk::Error;

/// What is applied to every hidden unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(z, 0); the derivative at 0 is 0.
    Relu,
    /// z for z > 0, else z / 100.
    LeakyRelu,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(-z)).
    Sigmoid,
    /// z Phi(z) with the normal distribution function Phi, not its tanh approximation.
    Gelu,
    /// log(1 + exp(z)).
    Softplus,
}

impl Activation {
    /// Every activation, in the order of [`NAMES`](Activation::NAMES).
    pub const ALL: [Activation; 6] = [
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Gelu,
        Activation::Softplus,
    ];
    /// Their names in a specification.
    pub const NAMES: [&str; 6] = ["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "softplus"];

    /// The name in a specification.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// One affine map and where its numbers are in theta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Units before the layer.
    pub inputs: usize,
    /// Units after it.
    pub outputs: usize,
    /// The offset of the weight, `outputs x inputs` in C order.
    pub weight: usize,
    /// The offset of the bias, `outputs` values; it follows the weight.
    pub bias: usize,
}

impl Layer {
    /// The offset behind the layer's last number.
    pub fn end(&self) -> usize {
        self.bias + self.outputs
    }
}

/// A multilayer perceptron with at least one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    layers: Vec<Layer>,
    activation: Activation,
}

/// A network this large is a slip of the pen; it also keeps every product of sizes inside 64 bits.
const PARAMS_MAX: u64 = 1 << 32;

impl Mlp {
    /// Reads `mlp:WIDTHS:ACTIVATION`, two or more widths joined by `-`. Errors name the part that is wrong.
    pub fn parse(spec: &str) -> Result<Mlp, Error> {
        let wrong = |what: String| Error::argument(format!("network {spec:?}: {what}"));
        let parts: Vec<&str> = spec.split(':').collect();
        if parts[0] != "mlp" {
            return Err(Error::unknown("kind of network", parts[0], &["mlp"]));
        }
        let [_, widths, activation] = parts[..] else {
            return Err(wrong(format!("{} parts, expected mlp:WIDTHS:ACTIVATION as in mlp:64-8-10:tanh", parts.len())));
        };
        let index = Activation::NAMES.iter().position(|name| *name == activation);
        let activation = index.map(|i| Activation::ALL[i]);
        let activation = activation.ok_or_else(|| Error::unknown("activation", parts[2], &Activation::NAMES))?;
        let widths = widths
            .split('-')
            .enumerate()
            .map(|(i, text)| match text.parse::<u64>() {
                Ok(width) if (1..=PARAMS_MAX).contains(&width) => Ok(width),
                _ => Err(wrong(format!("width {} is {text:?}, expected a whole number from 1 to 2^32", i + 1))),
            })
            .collect::<Result<Vec<u64>, Error>>()?;
        Mlp::new(&widths, activation).map_err(|error| wrong(error.text))
    }

    /// The perceptron of these widths, inputs first and outputs last.
    pub fn new(widths: &[u64], activation: Activation) -> Result<Mlp, Error> {
        if widths.len() < 2 {
            return Err(Error::argument("one width, expected at least inputs-outputs as in mlp:64-10:relu"));
        }
        let mut layers = Vec::new();
        let mut offset = 0u64;
        for pair in widths.windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (weight, bias) = (offset, inputs.saturating_mul(outputs).saturating_add(offset));
            offset = bias.saturating_add(outputs);
            if offset > PARAMS_MAX {
                return Err(Error::argument("more than 2^32 parameters"));
            }
            layers.push(Layer {
                inputs: inputs as usize,
                outputs: outputs as usize,
                weight: weight as usize,
                bias: bias as usize,
            });
        }
        Ok(Mlp { layers, activation })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What stands between the layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The number of features of a sample.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// The number of classes.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// The length of theta.
    pub fn params(&self) -> usize {
        self.layers[self.layers.len() - 1].end()
    }
}

impl std::fmt::Display for Mlp {
    /// The specification that [`parse`](Mlp::parse) reads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mlp:{}", self.inputs())?;
        self.layers.iter().try_for_each(|l| write!(f, "-{}", l.outputs))?;
        write!(f, ":{}", self.activation.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_specification_survives_printing(widths in prop::collection::vec(1usize..40, 2..6), a in 0usize..6) {
            let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
            let spec = format!("mlp:{}:{}", widths.join("-"), Activation::NAMES[a]);
            prop_assert_eq!(Mlp::parse(&spec).unwrap().to_string(), spec);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,30}", tail in "(mlp)?:?[0-9-]{0,40}:?[a-z]{0,5}") {
            let _ = Mlp::parse(&text);
            let _ = Mlp::parse(&tail);
        }
    }

    #[test]
    fn errors_name_the_part_and_the_nearest() {
        let text = |spec| Mlp::parse(spec).unwrap_err().text;
        assert_eq!(text("mpl:2-3:relu"), "unknown kind of network \"mpl\"; the nearest is \"mlp\"");
        assert_eq!(text("mlp:2-3:tanhh"), "unknown activation \"tanhh\"; the nearest is \"tanh\"");
        assert!(text("mlp:2-x-3:relu").contains("width 2 is \"x\""), "{}", text("mlp:2-x-3:relu"));
        assert!(text("mlp:2-0:relu").contains("width 2 is \"0\""));
        assert!(text("mlp:2:relu").contains("one width"));
        assert!(text("mlp:2-3").contains("2 parts"));
        assert!(text("mlp:4294967296-4294967296:relu").contains("parameters"));
    }
}
