//! Collapsed units: hidden units all of whose weights, in and out, have gone to zero under a penalty.
//!
//! There all kinks of the unit meet, one a sample, and no slopes tell what the loss does: beside the rest it is
//! q(w, v) = sum_s (g_s . v) max(w . x_s, alpha ..) + (l/2)(|w|^2 + |v|^2), homogeneous of degree 2, so that with K the largest
//! |sum_s g_s max(w . x_s, ..)| of a unit w the point is a minimum in (w, v) where K < l, and none where K > l. Blocks that a loss
//! declares exchangeable may be such units. What the loss is along w and along v is asked of the loss itself: of v, its gradient
//! at (w, 0).

use super::super::noise::direction;
use super::super::tangents::Tangents;
use super::super::vector::{dot, norm};
use super::linear::{on_side, room};
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};
use crate::loss::{Kink, Slope};

/// The largest part of the largest block's length that may be on its way to nothing.
const SMALL: f64 = 0.02;
/// The length at which a unit is looked at: small beside what bends the loss, large beside rounding.
const LOOKED: f64 = 1e-4;
/// Directions that a climb to K begins from beside the unit's own, and its steps.
const BEGUN: usize = 4;
const STEPS: usize = 40;
/// A step that raises K by less than this part is the last.
const RAISED: f64 = 1e-6;
/// The lengths at which a unit is tried that grows, from the longest, and how much shorter each is.
const GROWN: f64 = 1.0;
const SHORTER: f64 = 0.5;
const TRIED: i32 = 14;

/// A unit of a block of zeros, and the penalty on either side.
struct Unit {
    /// The coordinates of w and of v; what moves nothing is in neither.
    sides: [Vec<usize>; 2],
    /// The curvature along each.
    penalty: [f64; 2],
}

/// What a climb to K found.
struct Climbed {
    k: f64,
    /// The unit vectors w and v down which the loss falls most.
    directions: [Vec<f64>; 2],
}

/// The blocks of zeros at a point whose unit has a kink for every sample there: their coordinates. Costs one gradient if
/// there is a block of zeros.
pub fn collapsed(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents) -> Result<Vec<Vec<usize>>> {
    let zero = |block: &&Vec<usize>| !block.is_empty() && block.iter().all(|&i| theta[i] == 0.0);
    let blocks: Vec<Vec<usize>> = symmetry.alike().iter().flatten().filter(zero).cloned().collect();
    let mut found = Vec::new();
    for block in blocks {
        if Unit::of(oracle, theta, &block)?.is_some() {
            found.push(block);
        }
    }
    Ok(found)
}

/// The unit vectors along the coordinates of some blocks.
pub fn axes(p: usize, blocks: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let axis = |&i: &usize| {
        let mut axis = vec![0.0; p];
        axis[i] = 1.0;
        axis
    };
    blocks.iter().flatten().map(axis).collect()
}

/// Whether a block of zeros is a minimum in its own coordinates, as K is bounded: |G'X| and |G||X| of the gradients g_s and
/// inputs x_s of all samples bound it, with whatever weights each sample has in G and its inverse in X. The bound is crude.
pub fn stays(oracle: &mut Oracle<'_>, theta: &[f64], block: &[usize], slopes: &[Slope]) -> Result<bool> {
    let p = theta.len();
    let Some(unit) = Unit::of(oracle, theta, block)? else { return Ok(false) };
    let near = oracle.kinks_near(theta, f64::MIN_POSITIVE)?;
    let own: Vec<Kink> = near.into_iter().filter(|kink| slopes.iter().all(|slope| slope.id != kink.id)).collect();
    let mut all: Vec<Slope> = own.iter().map(on_side).chain(slopes.iter().copied()).collect();
    if all.len() > room(p) {
        return Ok(false);
    }
    all.sort_by_key(|slope| slope.id);
    let rows = oracle.kink_rows(theta, &all)?;
    let [inputs, outputs] = &unit.sides;
    let mut gradients = Vec::new();
    for &output in outputs {
        let mut there = theta.to_vec();
        there[output] = 1.0;
        gradients.push(oracle.linear(&there, &all)?.delta);
    }
    let sample = |kink: &Kink| {
        let k = all.partition_point(|slope| slope.id < kink.id);
        let x: Vec<f64> = inputs.iter().map(|&i| rows[k * p + i]).collect();
        let g: Vec<f64> = gradients.iter().map(|gradient| gradient[k]).collect();
        (kink.alpha, g, x)
    };
    let samples: Vec<_> = own.iter().map(sample).filter(|(_, g, x)| norm(g) > 0.0 && norm(x) > 0.0).collect();
    let largest = |matrix: faer::Mat<f64>| matrix.singular_values().ok().and_then(|s| s.into_iter().reduce(f64::max));
    let weight = |s: usize| (norm(&samples[s].1) / norm(&samples[s].2)).sqrt();
    let linear = faer::Mat::from_fn(outputs.len(), inputs.len(), |o, i| {
        samples.iter().map(|(alpha, g, x)| 0.5 * (1.0 + alpha) * g[o] * x[i]).sum()
    });
    let bent = faer::Mat::from_fn(samples.len(), outputs.len(), |s, o| {
        0.5 * (1.0 - samples[s].0) * samples[s].1[o] / weight(s)
    });
    let input = faer::Mat::from_fn(samples.len(), inputs.len(), |s, i| samples[s].2[i] * weight(s));
    let bound = match (largest(linear), largest(bent), largest(input)) {
        (Some(linear), Some(bent), Some(input)) => linear + bent * input,
        _ => f64::INFINITY,
    };
    Ok(bound < unit.level())
}

/// Settles units that are on their way to nothing: where K > l such a unit is grown to where the loss is lowest, else it is
/// set to zero, if the loss does not rise. Whether any was moved. Costs a few hundred gradients a unit.
pub fn settle(oracle: &mut Oracle<'_>, theta: &mut [f64], symmetry: &Tangents) -> Result<bool> {
    let mut moved = false;
    for blocks in symmetry.alike() {
        let length = |block: &[usize], theta: &[f64]| norm(&block.iter().map(|&i| theta[i]).collect::<Vec<_>>());
        let longest = blocks.iter().map(|block| length(block, theta)).fold(0.0, f64::max);
        for block in blocks {
            let size = length(block, theta);
            if size > 0.0 && size <= SMALL * longest {
                moved |= settle_one(oracle, theta, block)?;
            }
        }
    }
    Ok(moved)
}

fn settle_one(oracle: &mut Oracle<'_>, theta: &mut [f64], block: &[usize]) -> Result<bool> {
    let mut bare = theta.to_vec();
    block.iter().for_each(|&i| bare[i] = 0.0);
    let Some(unit) = Unit::of(oracle, &bare, block)? else { return Ok(false) };
    let losses = oracle.values(&[theta.to_vec(), bare.clone()].concat())?;
    let own = unit.sides[0].iter().map(|&i| theta[i]).collect();
    let climbed = unit.climb(oracle, &bare, own)?;
    if climbed.k > unit.level() {
        let grown = unit.grown(oracle, &bare, &climbed)?;
        if let Some((there, _)) = grown.filter(|(_, loss)| *loss < losses[0]) {
            theta.copy_from_slice(&there);
            return Ok(true);
        }
        return Ok(false);
    }
    let falls = losses[1] <= losses[0] + oracle.noise();
    if falls {
        theta.copy_from_slice(&bare);
    }
    Ok(falls)
}

impl Unit {
    /// The unit of a block that is zero at a point; `None` if it has no kinks there, or no penalty.
    fn of(oracle: &mut Oracle<'_>, bare: &[f64], block: &[usize]) -> Result<Option<Unit>> {
        // w and v meet in the Hessian only crosswise, where all kinks are on one side.
        let near = oracle.kinks_near(bare, f64::MIN_POSITIVE)?;
        let slopes = near.iter().map(on_side).collect();
        let sides = oracle.seen(View::Linear(slopes), |oracle| crosswise(oracle, bare, block))?;
        let Some(mut sides) = sides else { return Ok(None) };
        if !bends(oracle, bare, &sides[1])? {
            sides.swap(0, 1);
            if !bends(oracle, bare, &sides[1])? {
                return Ok(None);
            }
        }
        let idle = block.iter().copied().filter(|i| !sides.iter().flatten().any(|side| side == i)).collect();
        let mut least = f64::INFINITY;
        let mut penalty = [0.0; 2];
        let [w, v] = &sides;
        for (side, penalty) in [w, v, &idle].into_iter().zip(penalty.iter_mut().chain([&mut least])) {
            let mut all = vec![0.0; bare.len()];
            side.iter().for_each(|&i| all[i] = 1.0);
            let image = oracle.hessian_products(bare, &all)?;
            *penalty = side.iter().map(|&i| image[i]).fold(f64::INFINITY, f64::min);
        }
        let penalized = penalty.iter().chain([&least]).all(|penalty| *penalty > 0.0);
        Ok(penalized.then_some(Unit { sides, penalty }))
    }

    /// What K is to be larger than for the unit to grow.
    fn level(&self) -> f64 {
        (self.penalty[0] * self.penalty[1]).sqrt()
    }

    /// The gradient along one side with the two sides at these unit vectors times a small length; penalties left out.
    fn pull(&self, oracle: &mut Oracle<'_>, bare: &[f64], sides: [&[f64]; 2], side: usize) -> Result<Vec<f64>> {
        let mut there = bare.to_vec();
        for (coordinates, values) in self.sides.iter().zip(sides) {
            coordinates.iter().zip(values).for_each(|(&i, x)| there[i] = LOOKED * x);
        }
        let gradient = oracle.gradients(&there)?.1;
        let penalty = self.penalty[side];
        let own = sides[side];
        let pull = self.sides[side].iter().enumerate();
        Ok(pull.map(|(k, &i)| gradient[i] / LOOKED - penalty * own.get(k).copied().unwrap_or(0.0)).collect())
    }

    /// The largest |G(w)| that climbs from some directions reach; it bounds K from below.
    fn climb(&self, oracle: &mut Oracle<'_>, bare: &[f64], own: Vec<f64>) -> Result<Climbed> {
        let mut best = Climbed { k: 0.0, directions: self.sides.clone().map(|side| vec![0.0; side.len()]) };
        let n = self.sides[0].len();
        let random = direction(BEGUN * n);
        for begin in std::iter::once(own).chain(random.chunks_exact(n).map(<[f64]>::to_vec)) {
            let mut w = begin;
            let mut k = 0.0;
            for _ in 0..STEPS {
                if !unit(&mut w) {
                    break;
                }
                let mut v = self.pull(oracle, bare, [&w, &[]], 1)?;
                v.iter_mut().for_each(|x| *x = -*x);
                let reached = norm(&v);
                if !unit(&mut v) || reached <= k * (1.0 + RAISED) {
                    break;
                }
                k = reached;
                if k > best.k {
                    best = Climbed { k, directions: [w.clone(), v.clone()] };
                }
                w = self.pull(oracle, bare, [&w, &v], 0)?;
                w.iter_mut().for_each(|x| *x = -*x);
            }
        }
        Ok(best)
    }

    /// The point, and its loss, with the unit as long as leads lowest.
    fn grown(&self, oracle: &mut Oracle<'_>, bare: &[f64], climbed: &Climbed) -> Result<Option<(Vec<f64>, f64)>> {
        let at = |power: i32| {
            let mut there = bare.to_vec();
            for (side, (coordinates, direction)) in self.sides.iter().zip(&climbed.directions).enumerate() {
                // As long on either side as the penalties make it cheapest.
                let scale = GROWN * SHORTER.powi(power) * (self.level() / self.penalty[side]).sqrt();
                coordinates.iter().zip(direction).for_each(|(&i, x)| there[i] = scale * x);
            }
            there
        };
        let points: Vec<Vec<f64>> = (0..TRIED).map(at).collect();
        let losses = oracle.values(&points.concat())?;
        let finite = points.into_iter().zip(losses).filter(|(_, loss)| loss.is_finite());
        Ok(finite.min_by(|a, b| a.1.total_cmp(&b.1)))
    }
}

/// Two sets of coordinates of a block that the Hessian joins only with one another.
fn crosswise(oracle: &mut Oracle<'_>, bare: &[f64], block: &[usize]) -> Result<Option<[Vec<usize>; 2]>> {
    let mut joined = |i: usize| -> Result<Vec<usize>> {
        let mut one = vec![0.0; bare.len()];
        one[i] = 1.0;
        let image = oracle.hessian_products(bare, &one)?;
        Ok(block.iter().copied().filter(|&j| j != i && image[j] != 0.0).collect())
    };
    for &i in block {
        let second = joined(i)?;
        let Some(&j) = second.first() else { continue };
        return Ok(Some([joined(j)?, second]));
    }
    Ok(None)
}

/// Whether kinks stand on their edge that bend the loss once these coordinates are not zero.
fn bends(oracle: &mut Oracle<'_>, bare: &[f64], side: &[usize]) -> Result<bool> {
    let mut there = bare.to_vec();
    side.iter().for_each(|&i| there[i] = LOOKED);
    let near = oracle.kinks_near(&there, f64::MIN_POSITIVE)?;
    Ok(near.iter().any(|kink| kink.z == 0.0 && kink.delta != 0.0))
}

/// Makes a vector of unit length; false if it has none.
fn unit(x: &mut [f64]) -> bool {
    let length = dot(x, x).sqrt();
    x.iter_mut().for_each(|x| *x /= length);
    length > 0.0 && length.is_finite()
}
