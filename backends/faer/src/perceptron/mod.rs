//! Perceptrons with a label a sample, by kernels of their own: products, activations and the head, derivatives included.

mod activation;
mod head;
mod pass;
mod scratch;
mod tiles;

use crate::batch::{Mean, Outputs, Piece, Verdict, Wanted};
use crate::graph::Kernels;
use crate::real::Real;
use mountainpass_mean::{Graphed, Hands, Kept, Network};
use mountainpass_network::{DataTerm, Feed, Mlp, Samples};
use mountainpass_sdk::Error;
use pass::{Function, forward, pass};
use scratch::Scratch;
use tiles::Tiles;

/// A perceptron under cross-entropy, or under squared errors from the label's unit vector.
pub(crate) struct Perceptron {
    mlp: Mlp,
    term: DataTerm,
    feed: Feed,
    /// Samples a tile.
    tile: usize,
    /// The same as a graph, for kinks.
    network: Network<Kernels>,
}

impl Perceptron {
    pub(crate) fn new(mlp: Mlp, term: DataTerm, feed: Feed, network: Network<Kernels>) -> Perceptron {
        // Long columns for the products, but two tiles of a usual minibatch, for two workers, and so few samples that one
        // layer of one tile takes well below the 100 ms between polls of the cancel token.
        let tile = match mlp.layers().iter().map(|l| l.inputs * l.outputs).max() {
            Some(weights) if weights > 1 << 22 => 32,
            Some(weights) if weights > 1 << 20 => 64,
            Some(weights) if weights > 1 << 16 => 128,
            _ => 256,
        };
        Perceptron { mlp, term, feed, tile, network }
    }
}

impl Graphed for Perceptron {
    type Executor = Kernels;

    fn network(&self) -> &Network<Kernels> {
        &self.network
    }
}

impl Mean for Perceptron {
    type Laid<T: Real> = Tiles<T>;
    type Scratch<T: Real> = Scratch<T>;

    fn prepare(&self, _: usize, _: Wanted) -> Result<(), Error> {
        Ok(())
    }

    fn lay_out<T: Real>(&self, samples: &Samples, hands: Hands<'_>, laid: &mut Tiles<T>) -> Result<(), Error> {
        Ok(laid.fill((&self.feed, samples), None, self.tile, hands.host)?)
    }

    fn choose<T: Real>(
        &self,
        (samples, ids): (&Samples, &[u64]),
        hands: Hands<'_>,
        _: &Kept<Tiles<T>>,
        laid: &mut Tiles<T>,
    ) -> Result<(), Error> {
        Ok(laid.fill((&self.feed, samples), Some(ids), self.tile, hands.host)?)
    }

    fn pieces(&self, n: usize) -> usize {
        n.div_ceil(self.tile)
    }

    fn pass<T: Real>(
        &self,
        Piece { laid, n, t, .. }: Piece<'_, Tiles<T>>,
        scratch: &mut Scratch<T>,
        theta: &[T],
        out: Outputs<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64, Error> {
        let f = Function { mlp: &self.mlp, term: self.term, tile: laid.get(t), scale: 1.0 / n as f64 };
        scratch.reserve(&self.mlp, f.tile.labels.len(), out.grad.is_some(), out.hvp.is_some())?;
        pass(f, scratch, theta, out, stop).ok_or_else(Error::cancelled)
    }

    fn judge<T: Real>(
        &self,
        Piece { laid, t, .. }: Piece<'_, Tiles<T>>,
        scratch: &mut Scratch<T>,
        theta: &[T],
    ) -> Result<Verdict, Error> {
        let tile = laid.get(t);
        scratch.reserve(&self.mlp, tile.labels.len(), false, false)?;
        forward(&self.mlp, scratch, theta, tile, 0, &|| false);
        let correct = scratch.head.correct(tile.labels);
        let loss = scratch.head.losses(self.term, tile.labels);
        Ok(Verdict { loss, correct, predictions: tile.labels.len() })
    }
}
