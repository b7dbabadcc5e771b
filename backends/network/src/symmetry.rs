//! What leaves a perceptron's objective unchanged, read off its layers.
//!
//! The block of a hidden unit is its incoming row, its bias, then its outgoing column: exactly the numbers that weight
//! matching (Ainsworth et al. 2022) compares, and in one order for every unit of a layer.

use crate::Mlp;
use mountainpass_sdk::{Symmetry, SymmetryKind};

impl Mlp {
    /// Per hidden layer: units may be permuted; with an odd activation each may be negated; with a piecewise linear
    /// one and no penalty (`l2 = 0`) each may be scaled up before and down behind the activation.
    pub fn symmetries(&self, l2: f64) -> Vec<Symmetry> {
        let mut symmetries = Vec::new();
        for pair in self.layers().windows(2) {
            let (layer, next) = (pair[0], pair[1]);
            let block = |unit: usize| -> Vec<u64> {
                let row = layer.weight + unit * layer.inputs;
                let incoming = (row..row + layer.inputs).chain([layer.bias + unit]);
                let outgoing = (0..next.outputs).map(|k| next.weight + k * next.inputs + unit);
                incoming.chain(outgoing).map(|i| i as u64).collect()
            };
            let blocks: Vec<Vec<u64>> = (0..layer.outputs).map(block).collect();
            let mut declare = |kind| symmetries.push(Symmetry { kind, blocks: blocks.clone() });
            declare(SymmetryKind::Permutation);
            if self.activation().is_odd() {
                declare(SymmetryKind::Sign);
            }
            if self.activation().is_piecewise_linear() && l2 == 0.0 {
                declare(SymmetryKind::Scale { split: layer.inputs as u64 + 1 });
            }
        }
        symmetries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_row_bias_column() {
        let mlp = Mlp::parse("mlp:2-3-2:tanh").unwrap();
        let symmetries = mlp.symmetries(0.0);
        assert_eq!(symmetries.len(), 2);
        // W0 is 3x2 at 0, b0 at 6, W1 is 2x3 at 9, b1 at 15.
        assert_eq!(symmetries[0].blocks, [[0, 1, 6, 9, 12], [2, 3, 7, 10, 13], [4, 5, 8, 11, 14]]);
        assert_eq!(symmetries[1].kind, SymmetryKind::Sign);
    }

    #[test]
    fn a_penalty_forbids_rescaling() {
        let kinds = |l2| Mlp::parse("mlp:2-3-3-2:relu").unwrap().symmetries(l2).len();
        assert_eq!((kinds(0.0), kinds(1e-4)), (4, 2));
    }
}
