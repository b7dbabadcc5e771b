//! What most tests of an open loss begin with: points, all that may be asked of them, and when answers count as alike.

#![forbid(unsafe_code)]

use super::call::Call;
use super::loss::OpenLoss;
use crate::check::judge::alike::{Alike, ROUNDINGS, largest};
use crate::check::judge::taylor::beside;
use crate::check::random::Random;
use crate::check::verdict::{Outcome, skip};
use mountainpass_sdk::abi::cap;

/// The most bytes of theta in a call that is large for no reason of its own.
const CALL: usize = 32 << 20;

impl OpenLoss<'_> {
    /// How many rows of many may go into one call.
    pub fn rows_of_a_call(&self) -> Outcome<usize> {
        self.rows_within(CALL)
    }

    /// `n` points where a search might begin, `n x p`, exact in theta's element type: the plugin's starts, else
    /// uniform in the box, else normal.
    pub fn points(&self, n: usize, random: &mut Random) -> Outcome<Vec<f64>> {
        let p = self.p()?;
        let bounds = self.bounds().ok().flatten();
        let mut points = Vec::with_capacity(n * p);
        for _ in 0..n {
            let start = self.start(random.bits()).ok().flatten().map(|start| start.theta);
            let point = start.filter(|theta| theta.iter().all(|x| x.is_finite()));
            points.extend(point.unwrap_or_else(|| match &bounds {
                Some(b) => b.lower.iter().zip(&b.upper).map(|(low, high)| low + (high - low) * random.unit()).collect(),
                None => random.normals(p),
            }));
        }
        if !self.is_double()? {
            points.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
        Ok(points)
    }

    /// A start, or a point beside one, where nothing happens to be zero.
    pub fn base_point(&self, away: bool, random: &mut Random) -> Outcome<Vec<f64>> {
        let start = self.points(1, random)?;
        Ok(if away { beside(&start, self.epsilon()?, random) } else { start })
    }

    /// Points where a search might begin, each with numbers for everything that is claimed.
    pub fn good_points(&self, n: usize, random: &mut Random) -> Outcome<Vec<f64>> {
        let (p, mut all) = (self.p()?, Vec::new());
        for _ in 0..10 * n {
            let theta = self.points(1, random)?;
            if self.eval(&self.everything(&theta, &theta)?)?.accepted()?.good(0) {
                all.extend(theta);
            }
            if all.len() == n * p {
                return Ok(all);
            }
        }
        Err(skip(format!("fewer than {n} of {} starts have numbers", 10 * n)))
    }

    /// Asks for the loss, and for the gradient where it is claimed.
    pub fn with_gradient<'t>(&self, theta: &'t [f64]) -> Outcome<Call<'t>> {
        Ok(Call { grad: self.has(cap::GRAD)?, ..Call::of(theta) })
    }

    /// Asks for everything that is claimed; `dir` is as large as theta.
    pub fn everything<'t>(&self, theta: &'t [f64], dir: &'t [f64]) -> Outcome<Call<'t>> {
        let call = self.with_gradient(theta)?;
        Ok(if self.has(cap::HVP)? { call.hvp(dir) } else { call })
    }

    /// The losses of `n x p` values; fails unless all of them are numbers.
    pub fn losses(&self, theta: &[f64]) -> Outcome<Vec<f64>> {
        Ok(self.eval(&Call::of(theta))?.numbers()?.loss)
    }

    /// How far two losses of one row may differ and still count as equal: nothing where MPASS_CAP_REPEATABLE is
    /// claimed, else the stated noise, else ten times what repeats of these rows show and a thousand roundings.
    pub fn spread(&self, theta: &[f64]) -> Outcome<f64> {
        let info = self.info()?;
        if info.caps & cap::REPEATABLE != 0 {
            return Ok(0.0);
        }
        if info.noise > 0.0 {
            return Ok(info.noise);
        }
        let first = self.losses(theta)?;
        let mut widest = 0.0_f64;
        for _ in 0..15 {
            let again = self.losses(theta)?;
            widest = first.iter().zip(&again).map(|(a, b)| (a - b).abs()).fold(widest, f64::max);
        }
        Ok(10.0 * widest + ROUNDINGS * self.epsilon()? * largest(&first).max(1.0))
    }

    /// When answers about the rows of `theta`, and about others like them, count as the same.
    pub fn alike(&self, theta: &[f64]) -> Outcome<Alike> {
        let exact = self.has(cap::REPEATABLE)?;
        let alike = Alike::new(exact, self.spread(theta)?, self.epsilon()?);
        if exact || !self.has(cap::GRAD)? {
            return Ok(alike);
        }
        let first = self.eval(&Call::of(theta).grad())?.accepted()?;
        let mut widest = 0.0_f64;
        for _ in 0..3 {
            let again = self.eval(&Call::of(theta).grad())?.accepted()?;
            for row in (0..first.n()).filter(|&row| first.good(row) && again.good(row)) {
                let pairs = first.grad(row).iter().zip(again.grad(row));
                let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                widest = widest.max(difference / largest(first.grad(row)).max(f64::MIN_POSITIVE));
            }
        }
        Ok(alike.repeating(widest))
    }
}
