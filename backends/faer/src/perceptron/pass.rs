//! One parameter vector on one tile: loss, gradient by the reverse mode, Hessian product by differentiating that along
//! a direction (Pearlmutter 1994's R-operator). All heavy work is in seven kinds of matrix product.
//!
//! Notation: layer l takes the columns A (m x inputs), Z = A W' + b, and D is the derivative by Z. R(.) is the
//! derivative along the direction (V for W, v for b); R(A) of the first layer is 0.

use super::activation::{Keep, activate, activate_along, chain, chain_along};
use super::scratch::{Hidden, Scratch};
use super::tiles::Tile;
use crate::batch::Outputs;
use crate::real::Real;
use crate::sums::{add_to, column_sums};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use mountainpass_network::{DataTerm, Layer, Mlp};

/// `dst = lhs rhs`, or added to it; `dst` is `rows x cols`, column after column.
fn product<T: Real>(dst: &mut [T], add: bool, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    let (rows, cols) = (lhs.nrows(), rhs.ncols());
    let accum = if add { Accum::Add } else { Accum::Replace };
    let dst = MatMut::from_column_major_slice_mut(&mut dst[..rows * cols], rows, cols);
    matmul(dst, accum, lhs, rhs, T::ONE, Par::Seq);
}

/// Columns of `m`.
fn columns<T>(x: &[T], m: usize, cols: usize) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(&x[..m * cols], m, cols)
}

/// The weight of a layer inside theta, `outputs x inputs`.
fn weight<'a, T>(theta: &'a [T], layer: &Layer) -> MatRef<'a, T> {
    MatRef::from_row_major_slice(&theta[layer.weight..layer.bias], layer.outputs, layer.inputs)
}

/// The activations that enter layer `l`.
fn entering<'a, T>(hidden: &'a [Hidden<T>], tile: Tile<'a, T>, l: usize) -> &'a [T] {
    if l == 0 { tile.x } else { &hidden[l - 1].a }
}

/// Runs the layers; `scratch.head` then holds the outputs. `None` once `stop` says so; it is asked for every layer.
pub(crate) fn forward<T: Real>(
    mlp: &Mlp,
    scratch: &mut Scratch<T>,
    theta: &[T],
    tile: Tile<'_, T>,
    derivatives: usize,
    stop: &dyn Fn() -> bool,
) -> Option<()> {
    let m = tile.labels.len();
    let last = mlp.layers().len() - 1;
    for (l, layer) in mlp.layers().iter().enumerate() {
        if stop() {
            return None;
        }
        let (before, after) = scratch.hidden.split_at_mut(l);
        let a = columns(entering(before, tile, l), m, layer.inputs);
        let bias = &theta[layer.bias..layer.end()];
        let size = m * layer.outputs;
        let z = if l < last { &mut after[0].a } else { &mut scratch.delta[0] };
        product(z, false, a, weight(theta, layer).transpose());
        if l == last {
            scratch.head.outputs(&z[..size], bias, m);
            break;
        }
        let hidden = &mut after[0];
        let keep = match derivatives {
            0 => Keep::Value,
            1 => Keep::Slope(&mut hidden.slope[..size]),
            _ => Keep::SlopeAndCurvature(&mut hidden.slope[..size], &mut hidden.curvature[..size]),
        };
        activate(mlp.activation(), &mut hidden.a[..size], m, bias, keep);
    }
    Some(())
}

/// A function on one tile: what all rows share.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a, T> {
    pub mlp: &'a Mlp,
    pub term: DataTerm,
    pub tile: Tile<'a, T>,
    /// Of the sum over samples: 1 over the number of all samples.
    pub scale: f64,
}

/// The sum of losses over the tile; derivatives of `scale` times that sum go to `out`. `None` once `stop` says so. The
/// caller has made room in `scratch`.
pub(crate) fn pass<T: Real>(
    Function { mlp, term, tile, scale }: Function<'_, T>,
    scratch: &mut Scratch<T>,
    theta: &[T],
    mut out: Outputs<'_, T>,
    stop: &dyn Fn() -> bool,
) -> Option<f64> {
    let m = tile.labels.len();
    let (grad, hvp) = (out.grad.is_some(), out.hvp.is_some());
    forward(mlp, scratch, theta, tile, if hvp { 2 } else { usize::from(grad) }, stop)?;
    let loss = scratch.head.losses(term, tile.labels);
    if !grad && !hvp {
        return Some(loss);
    }
    let outputs = m * mlp.outputs();
    scratch.head.delta(term, tile.labels, scale, &mut scratch.delta[0][..outputs]);
    if let Some((dir, _)) = out.hvp {
        forward_along(mlp, scratch, theta, dir, tile, stop)?;
        let bias = mlp.layers()[mlp.layers().len() - 1];
        let rz = &mut scratch.rdelta[0][..outputs];
        scratch.head.delta_along(term, m, scale, rz, &dir[bias.bias..bias.end()]);
    }
    for (l, layer) in mlp.layers().iter().enumerate().rev() {
        if stop() {
            return None;
        }
        let Scratch { hidden, delta: [delta, next], rdelta: [rdelta, rnext], block, .. } = scratch;
        let d = columns(delta, m, layer.outputs);
        let a = columns(entering(hidden, tile, l), m, layer.inputs).transpose();
        let size = m * layer.inputs;
        if let Some(grad) = out.grad.as_deref_mut() {
            product(&mut grad[layer.weight..layer.bias], out.add, a, d);
            column_sums(&delta[..m * layer.outputs], m, out.add, &mut grad[layer.bias..layer.end()]);
        }
        if let Some((dir, hvp)) = &mut out.hvp {
            let rd = columns(rdelta, m, layer.outputs);
            let weights = &mut hvp[layer.weight..layer.bias];
            let both = |sum: &mut [T]| {
                product(sum, false, a, rd);
                if l > 0 {
                    let ra = columns(&hidden[l - 1].along, m, layer.inputs).transpose();
                    product(sum, true, ra, d);
                }
            };
            // A tile's two products are summed before they are added to other tiles: the order is part of the bits.
            if out.add {
                let block = &mut block[..weights.len()];
                both(block);
                add_to(weights, block);
            } else {
                both(weights);
            }
            if l > 0 {
                product(rnext, false, rd, weight(theta, layer));
                product(rnext, true, d, weight(dir, layer));
            }
            column_sums(&rdelta[..m * layer.outputs], m, out.add, &mut hvp[layer.bias..layer.end()]);
        }
        if l > 0 {
            product(next, false, d, weight(theta, layer));
            let before = &hidden[l - 1];
            if hvp {
                chain_along(&mut rnext[..size], &next[..size], &before.slope, &before.curvature);
            }
            chain(&mut next[..size], &before.slope);
            scratch.delta.swap(0, 1);
            scratch.rdelta.swap(0, 1);
        }
    }
    Some(loss)
}

/// Differentiates [`forward`] along `dir`; the last layer's products are left in `rdelta[0]`, without bias.
fn forward_along<T: Real>(
    mlp: &Mlp,
    scratch: &mut Scratch<T>,
    theta: &[T],
    dir: &[T],
    tile: Tile<'_, T>,
    stop: &dyn Fn() -> bool,
) -> Option<()> {
    let m = tile.labels.len();
    let last = mlp.layers().len() - 1;
    for (l, layer) in mlp.layers().iter().enumerate() {
        if stop() {
            return None;
        }
        let (before, after) = scratch.hidden.split_at_mut(l);
        let a = columns(entering(before, tile, l), m, layer.inputs);
        let rz = if l < last { &mut after[0].along } else { &mut scratch.rdelta[0] };
        product(rz, false, a, weight(dir, layer).transpose());
        if l > 0 {
            let ra = columns(&before[l - 1].along, m, layer.inputs);
            product(rz, true, ra, weight(theta, layer).transpose());
        }
        if l < last {
            let hidden = &mut after[0];
            let size = m * layer.outputs;
            let bias = &dir[layer.bias..layer.end()];
            activate_along(&mut hidden.along[..size], m, bias, &hidden.slope[..size], &mut hidden.curvature[..size]);
        }
    }
    Some(())
}
