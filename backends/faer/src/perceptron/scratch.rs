//! Memory that a worker keeps between calls, so that only the first call of a kind allocates.

use super::head::Head;
use mountainpass_network::Mlp;
use mountainpass_sdk::memory::{Shortage, grow};

/// What a pass keeps of one hidden layer, each `m x units`, columns of `m`.
#[derive(Default)]
pub(crate) struct Hidden<T> {
    pub a: Vec<T>,
    pub slope: Vec<T>,
    /// Of the activation; times the directional derivative of z once that is known.
    pub curvature: Vec<T>,
    /// The directional derivative of `a`.
    pub along: Vec<T>,
}

/// Everything a pass over one tile writes besides its results.
#[derive(Default)]
pub(crate) struct Scratch<T> {
    pub hidden: Vec<Hidden<T>>,
    /// Outputs of the last layer, and derivatives by them and by hidden units, on the way back.
    pub delta: [Vec<T>; 2],
    /// The same, differentiated along a direction.
    pub rdelta: [Vec<T>; 2],
    /// The Hessian product of one weight on one tile.
    pub block: Vec<T>,
    pub head: Head,
}

impl<T: Copy + Default> Scratch<T> {
    /// Makes room for tiles of up to `m` samples.
    pub(crate) fn reserve(&mut self, mlp: &Mlp, m: usize, grad: bool, hvp: bool) -> Result<(), Shortage> {
        let layers = mlp.layers();
        self.hidden.resize_with(layers.len() - 1, Hidden::default);
        for (hidden, layer) in self.hidden.iter_mut().zip(layers) {
            let size = m * layer.outputs;
            grow(&mut hidden.a, size)?;
            grow(&mut hidden.slope, if grad || hvp { size } else { 0 })?;
            grow(&mut hidden.curvature, if hvp { size } else { 0 })?;
            grow(&mut hidden.along, if hvp { size } else { 0 })?;
        }
        let widest = layers.iter().map(|l| m * l.outputs).max().unwrap_or(0);
        self.delta.iter_mut().try_for_each(|d| grow(d, widest))?;
        self.rdelta.iter_mut().try_for_each(|d| grow(d, if hvp { widest } else { 0 }))?;
        let largest = layers.iter().map(|l| l.inputs * l.outputs).max().unwrap_or(0);
        grow(&mut self.block, if hvp { largest } else { 0 })?;
        self.head.reserve(m, mlp.outputs())
    }
}
