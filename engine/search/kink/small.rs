//! Units on their way to nothing: hidden units all of whose weights, in and out, a penalty has made small.
//!
//! At nothing all kinks of a unit meet, one a sample, and no slopes tell what the loss does: beside the rest it is
//! q(w, v) = sum_s (g_s . v) max(w . x_s, ..) + (l/2)(|w|^2 + |v|^2), homogeneous of degree 2. With K the largest
//! |sum_s g_s max(w . x_s, ..)| of a unit w the loss falls there where K > l, and the unit grows. Along the direction of any other unit
//! that is as good as it can be, K = l: nothing is then the end of an arc on which the two share one unit's work
//! ([`split`](super::split)), and the middle of that arc is as low and has an index. Blocks that a loss declares exchangeable may
//! be such units. What the loss is along w and along v is asked of the loss itself: of v, its gradient at (w, 0).

use super::super::noise::direction;
use super::super::tangents::Tangents;
use super::super::vector::{dot, norm};
use super::linear::on_side;
use super::split::turned;
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};
use std::f64::consts::FRAC_PI_4;

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

/// Settles units that are on their way to nothing: such a unit is grown to where the loss is lowest, if that is lower, else it
/// shares the work of another one, if the loss does not rise. Whether any was moved. Costs a few hundred gradients a unit.
pub fn settle(oracle: &mut Oracle<'_>, theta: &mut [f64], symmetry: &Tangents) -> Result<bool> {
    let mut moved = false;
    for blocks in symmetry.alike() {
        let length = |block: &[usize], theta: &[f64]| norm(&block.iter().map(|&i| theta[i]).collect::<Vec<_>>());
        let longest = blocks.iter().map(|block| length(block, theta)).fold(0.0, f64::max);
        for block in blocks {
            if length(block, theta) <= SMALL * longest {
                let live = blocks.iter().filter(|other| length(other, theta) > SMALL * longest);
                let live: Vec<&Vec<usize>> = live.collect();
                moved |= settle_one(oracle, theta, block, &live)?;
            }
        }
    }
    Ok(moved)
}

fn settle_one(oracle: &mut Oracle<'_>, theta: &mut [f64], block: &[usize], live: &[&Vec<usize>]) -> Result<bool> {
    let mut bare = theta.to_vec();
    block.iter().for_each(|&i| bare[i] = 0.0);
    let Some(unit) = Unit::of(oracle, &bare, block)? else { return Ok(false) };
    let now = oracle.values(theta)?[0];
    let own = unit.sides[0].iter().map(|&i| theta[i]).collect();
    let climbed = unit.climb(oracle, &bare, own)?;
    if climbed.k > unit.level() {
        let grown = unit.grown(oracle, &bare, &climbed)?;
        if let Some((there, _)) = grown.filter(|(_, loss)| *loss < now) {
            theta.copy_from_slice(&there);
            return Ok(true);
        }
    }
    for other in live {
        let there = turned(&bare, other, block, FRAC_PI_4);
        if oracle.values(&there)?[0] <= now + oracle.noise() {
            theta.copy_from_slice(&there);
            return Ok(true);
        }
    }
    Ok(false)
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
