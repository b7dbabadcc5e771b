//! Minimax paths: a string of knots that relaxes across its own direction until it lies in the valley floor.
//!
//! One unit tangent per knot, upwind and energy-weighted (Henkelman and Jonsson 2000); the gradient's part across it
//! drives one L-BFGS over the whole band; after every step the knots are spaced evenly again (string method; E, Ren
//! and Vanden-Eijnden 2007), so none slides into a basin. All knots of a band are one batched call.

use super::lbfgs::Lbfgs;
use super::polyline::Polyline;
use super::vector::{dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// How a band is relaxed.
#[derive(Clone, Copy, Debug)]
pub struct Relax {
    /// Inner knots.
    pub knots: usize,
    /// The most steps.
    pub steps: usize,
    /// The longest step of a knot, in spacings.
    pub step: f64,
    /// Converged when the top moved less than this fraction of its climb over ten steps.
    pub tolerance: f64,
    /// Whether the ends may move, across the band only.
    pub free_ends: bool,
}

/// What a curve has become.
#[derive(Clone, Debug, PartialEq)]
pub struct Relaxed {
    /// After the last step.
    pub last: Polyline,
    /// Where its knots once lay clearly lower: a band is not monotone, least of all one of few knots in a bent valley.
    pub lowest: Option<Polyline>,
}

impl Relaxed {
    /// Both, each put to use elsewhere.
    pub fn map(self, change: impl Fn(Polyline) -> Polyline) -> Relaxed {
        Relaxed { last: change(self.last), lowest: self.lowest.map(change) }
    }
}

/// The lowest band so far.
#[derive(Default)]
struct Lowest {
    /// Its top, and itself.
    seen: Option<(f64, Polyline)>,
    /// The last top, and its climb.
    last: (f64, f64),
}

/// A band counts as lower only by this fraction of the climb: tops between knots differ by as much.
const CLEARLY: f64 = 0.01;

impl Lowest {
    fn note(&mut self, top: f64, climb: f64, line: &Polyline) {
        self.last = (top, climb);
        if self.seen.as_ref().is_none_or(|(lowest, _)| top < *lowest) {
            self.seen = Some((top, line.clone()));
        }
    }

    fn beside(self, last: Polyline) -> Relaxed {
        let (top, climb) = self.last;
        let lowest = self.seen.filter(|(lowest, _)| *lowest < top - CLEARLY * climb).map(|(_, line)| line);
        Relaxed { last, lowest }
    }
}

const MEMORY: usize = 8;
const PATIENCE: usize = 10;

impl Relax {
    /// A whole path between its ends.
    pub fn whole(knots: usize, steps: usize) -> Relax {
        Relax { knots, steps, step: 0.5, tolerance: 1e-3, free_ends: false }
    }

    /// True when, past the half of its steps, the lowest top so far falls so slowly that those left do not bring it below
    /// what is wanted. (Before that the steps are still finding their length; single tops go up and down.)
    fn is_hopeless(&self, tops: &[f64], below: f64) -> bool {
        let Some(n) = tops.len().checked_sub(PATIENCE) else { return false };
        let lowest = |tops: &[f64]| tops.iter().copied().fold(f64::INFINITY, f64::min);
        let (before, top) = (lowest(&tops[..n]), lowest(tops));
        let falls = (before - top) * (self.steps - tops.len()) as f64 / PATIENCE as f64;
        2 * tops.len() >= self.steps && top - below > falls
    }
}

/// Relaxes a curve until it has converged or its steps are spent. A knot that comes to where the loss is not finite is
/// drawn back half-way, and again. Cost: one batch of `knots` gradients a step, two more rows with free ends (and for
/// fixed ends two rows once).
pub fn relax(oracle: &mut Oracle<'_>, line: &Polyline, how: Relax) -> Result<Relaxed> {
    Ok(band(oracle, line, how, f64::INFINITY)?.0)
}

/// The same for a curve that is wanted only if its top comes below a height; `None` once it falls too slowly for that.
pub fn relax_below(oracle: &mut Oracle<'_>, line: &Polyline, how: Relax, below: f64) -> Result<Option<Relaxed>> {
    let (relaxed, is_given_up) = band(oracle, line, how, below)?;
    Ok((!is_given_up).then_some(relaxed))
}

/// The band, relaxed, and whether it was given up.
fn band(oracle: &mut Oracle<'_>, line: &Polyline, how: Relax, below: f64) -> Result<(Relaxed, bool)> {
    let p = line.params();
    let mut line = line.respaced(how.knots + 2);
    let (first, last) = if how.free_ends { (0, how.knots + 2) } else { (1, how.knots + 1) };
    let mut losses = vec![0.0; line.n()];
    if !how.free_ends {
        let ends = oracle.values(&[line.knot(0), line.knot(how.knots + 1)].concat())?;
        (losses[0], losses[how.knots + 1]) = (ends[0], ends[1]);
    }
    let mut memory = Lbfgs::new(MEMORY);
    let mut before: Option<(Vec<f64>, Vec<f64>)> = None;
    let mut tops: Vec<f64> = Vec::new();
    let mut sound: Option<Polyline> = None;
    let mut lowest = Lowest::default();
    for _step in 0..how.steps {
        let (inner, gradients) = oracle.gradients(&line.knots()[first * p..last * p])?;
        losses[first..last].copy_from_slice(&inner);
        if losses.iter().any(|f| !f.is_finite()) {
            let Some(sound) = &sound else { break };
            draw_back(&mut line, &losses, sound);
            before = None;
            continue;
        }
        let mut across = gradients;
        for (row, i) in (first..last).enumerate() {
            let tangent = tangent(&line, &losses, i);
            let g = &mut across[row * p..(row + 1) * p];
            let along = dot(g, &tangent);
            g.iter_mut().zip(&tangent).for_each(|(g, t)| *g -= along * t);
        }
        let top = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        tops.push(top);
        let climb = top - losses[0].max(losses[how.knots + 1]);
        lowest.note(top, climb, &line);
        if tops.len() > PATIENCE && (tops[tops.len() - 1 - PATIENCE] - top).abs() <= how.tolerance * climb {
            break;
        }
        if how.is_hopeless(&tops, below) {
            return Ok((lowest.beside(line), true));
        }
        if let Some((knots, force)) = before.take() {
            let s = line.knots()[first * p..last * p].iter().zip(&knots).map(|(a, b)| a - b).collect();
            let y = across.iter().zip(&force).map(|(a, b)| a - b).collect();
            memory.remember(s, y);
        }
        let here = line.knots()[first * p..last * p].to_vec();
        sound = Some(line.clone());
        advance(&mut line, first, &memory, &across, how.step);
        line = line.respaced(how.knots + 2);
        before = Some((here, across));
    }
    Ok((lowest.beside(line), false))
}

/// Moves the knots where the loss is not finite half-way to where they last were all finite.
fn draw_back(line: &mut Polyline, losses: &[f64], sound: &Polyline) {
    let p = line.params();
    for (i, knot) in line.knots_mut().chunks_exact_mut(p).enumerate().filter(|&(i, _)| !losses[i].is_finite()) {
        knot.iter_mut().zip(sound.knot(i)).for_each(|(x, was)| *x = 0.5 * (*x + was));
    }
}

/// One quasi-Newton step of the band, each knot's part no longer than `cap` spacings.
fn advance(line: &mut Polyline, first: usize, memory: &Lbfgs, across: &[f64], cap: f64) {
    let p = line.params();
    let cap = cap * line.length() / (line.n() - 1) as f64;
    let direction = memory.direction(across);
    for (knot, d) in line.knots_mut()[first * p..].chunks_exact_mut(p).zip(direction.chunks_exact(p)) {
        let length = norm(d);
        // Without memory the gradient's length means nothing: go a tenth of the cap at most.
        let most = if memory.is_empty() { 0.1 * cap } else { cap };
        let scale = if length > most { most / length } else { 1.0 };
        knot.iter_mut().zip(d).for_each(|(x, d)| *x += scale * d);
    }
}

/// The unit tangent at a knot: towards the higher neighbour on a slope, weighted by the differences of the loss at an
/// extremum, one-sided at an end.
fn tangent(line: &Polyline, losses: &[f64], i: usize) -> Vec<f64> {
    let difference =
        |a: usize, b: usize| -> Vec<f64> { line.knot(b).iter().zip(line.knot(a)).map(|(x, y)| x - y).collect() };
    let mut tangent = if i == 0 {
        difference(0, 1)
    } else if i == line.n() - 1 {
        difference(i - 1, i)
    } else {
        let (back, here, ahead) = (losses[i - 1], losses[i], losses[i + 1]);
        let (minus, plus) = (difference(i - 1, i), difference(i, i + 1));
        if back < here && here < ahead {
            plus
        } else if back > here && here > ahead {
            minus
        } else {
            let (large, small) = {
                let (a, b) = ((ahead - here).abs(), (back - here).abs());
                (a.max(b), a.min(b))
            };
            let (w_plus, w_minus) = if ahead > back { (large, small) } else { (small, large) };
            // Equal heights all round give no weights; the plain bisector does then.
            let (w_plus, w_minus) = if large == 0.0 { (1.0, 1.0) } else { (w_plus, w_minus) };
            plus.iter().zip(&minus).map(|(a, b)| w_plus * a + w_minus * b).collect()
        }
    };
    let length = norm(&tangent);
    if length > 0.0 {
        tangent.iter_mut().for_each(|t| *t /= length);
    }
    tangent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    #[test]
    fn a_band_that_cannot_come_low_enough_is_given_up() {
        // Two wells; the pass between them has height 1.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (4.0 * x[0] * (x[0] * x[0] - 1.0), 2.0 * x[1]);
            (x[0] * x[0] - 1.0).powi(2) + x[1] * x[1]
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let line = Polyline::new(vec![-1.0, 0.0, 0.0, 3.0, 1.0, 0.0], 2);
        let how = Relax { tolerance: 0.0, ..Relax::whole(7, 60) };
        assert_eq!(relax_below(&mut oracle, &line, how, 0.9).unwrap(), None);
        let spent = oracle.take_tally().gradient;
        assert!(relax_below(&mut oracle, &line, how, 1.1).unwrap().is_some());
        let all = oracle.take_tally().gradient;
        assert!(10 * spent <= 6 * all, "{spent} gradients of {all} for nothing");
    }

    #[test]
    fn a_band_that_rose_again_gives_its_lowest_too() {
        let band = |y: f64| Polyline::straight(&[0.0, y], &[1.0, y]);
        let after = |tops: &[f64]| {
            let mut lowest = Lowest::default();
            tops.iter().for_each(|&top| lowest.note(top, top, &band(top)));
            lowest.beside(band(9.0)).lowest
        };
        assert_eq!(after(&[3.0, 1.00003, 1.5, 2.08]), Some(band(1.00003)));
        // As good as the last: the knots say no more than that.
        assert_eq!(after(&[3.0, 2.0, 1.0, 1.005]), None);
        assert_eq!(after(&[]), None);
    }

    #[test]
    fn knots_stop_before_what_is_not_finite() {
        // The floor of the valley lies at y = 0, inside a disc where there is no loss.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (0.0, 2.0 * x[1]);
            if x[0].hypot(x[1]) < 1.0 { f64::NAN } else { x[1] * x[1] }
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let line = Polyline::new(vec![-2.0, 0.0, 0.0, 3.0, 2.0, 0.0], 2);
        let relaxed = relax(&mut oracle, &line, Relax::whole(7, 60)).unwrap().last;
        let highest = relaxed.knots().chunks(2).map(|x| x[1]).fold(0.0, f64::max);
        assert!(highest < 1.5, "still at {highest}");
    }
}
