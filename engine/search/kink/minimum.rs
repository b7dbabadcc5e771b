//! Minima on kinks: descents on the loss with its kinks smoothed, ever narrower, until Newton's method ends on a certified one.
//!
//! A smoothed loss is an ordinary one for L-BFGS, and hands over which kinks are active and on which slopes. A descent that
//! finds no certified point ends where the narrowest smoothing left it, with the least norm that slopes give.

use super::super::domain::Domain;
use super::super::landscape::{Descent, Evidence};
use super::super::minima::{self, Keeps, Quenched, Recipe};
use super::super::vector::{distance, norm};
use super::certificate::Certified;
use super::polish::{Polished, polish, polish_at_once};
use super::slide::slide;
use super::small::settle;
use super::stationary::stationarity;
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};

/// Widths of the smoothing, in units of z, and how small a gradient each is left with, as
/// [`Recipe::small`]: the wide ones only lead to the next.
const WIDTHS: [(f64, f64); 8] =
    [(0.1, 1e-4), (0.03, 3e-5), (0.01, 1e-5), (3e-3, 1e-5), (1e-3, 1e-5), (3e-4, 1e-6), (1e-4, 1e-6), (3e-5, 1e-7)];
/// The widest from which Newton's method is tried.
const NARROW: f64 = 1e-4;
/// That from which a descent slides along edges, once: the longest one takes 20,000 products.
const SLIDING: f64 = 3e-5;
/// The widest before which units are looked at that may be on their way to nothing.
const SETTLING: f64 = 1e-2;
/// The widths within which kinks may begin active where no descent has led to a certified minimum.
const FINEST: [f64; 3] = [1e-5, 3e-6, 1e-6];
/// The widest of a descent that stays in its basin.
const NEAR: f64 = 1e-3;
/// The part of the distance between points of a way that they have here, and of the longest step: edges are more bent than
/// valleys.
const SHORTER: f64 = 0.25;
const FINER: f64 = 0.05;
/// How far, by the size of a point, the minimum is that it is taken for.
const HERE: f64 = 1e-8;

/// A descent under way.
struct Descending {
    theta: Vec<f64>,
    evaluations: u64,
    trail: Vec<f64>,
    /// The widest smoothing it goes through.
    widest: f64,
    done: Option<Quenched>,
}

/// Descends from every start; what had ended by the time of a stop is returned beside it.
pub fn descend(
    oracle: &mut Oracle<'_>,
    starts: Vec<Vec<f64>>,
    recipe: &Recipe,
    domain: &Domain,
    mut on_round: impl FnMut(usize, f64),
) -> (Vec<Option<Quenched>>, Result<()>) {
    let new = |theta| Descending { theta, evaluations: 0, trail: Vec::new(), widest: f64::INFINITY, done: None };
    let mut all: Vec<Descending> = starts.into_iter().map(new).collect();
    let end = down(oracle, &mut all, recipe, domain, &mut on_round);
    (all.into_iter().map(|descending| descending.done).collect(), end)
}

fn down(
    oracle: &mut Oracle<'_>,
    all: &mut [Descending],
    recipe: &Recipe,
    domain: &Domain,
    on_round: &mut impl FnMut(usize, f64),
) -> Result<()> {
    if recipe.stands() {
        return all.iter_mut().try_for_each(|standing| standing.stand(oracle, recipe.check, domain));
    }
    let (trail, step) = (recipe.trail.map(|apart| FINER * apart), recipe.step.map(|step| SHORTER * step));
    let evaluations = (recipe.evaluations / WIDTHS.len() as u64).max(1);
    let smoothed = Recipe { check: false, trail, step, evaluations, ..*recipe };
    match recipe.keeps {
        Keeps::Nothing => {}
        Keeps::Basin => all.iter_mut().for_each(|descending| descending.widest = NEAR),
        Keeps::Below(loss) => {
            all.iter_mut().try_for_each(|descending| descending.ease(oracle, &smoothed, loss, domain))?
        }
    }
    for (width, small) in WIDTHS {
        let going = all.iter_mut().filter(|descending| descending.done.is_none() && descending.widest >= width);
        let mut going: Vec<&mut Descending> = going.collect();
        if width <= SETTLING && recipe.keeps == Keeps::Nothing {
            going
                .iter_mut()
                .try_for_each(|descending| settle(oracle, &mut descending.theta, domain.tangents()).map(drop))?;
        }
        let starts = going.iter().map(|descending| descending.theta.clone()).collect();
        let smoothed = Recipe { small, ..smoothed };
        let (ends, stop) = oracle.seen(View::Smoothed(width), |oracle| {
            Ok(minima::descend(oracle, starts, &smoothed, domain, &mut *on_round))
        })?;
        stop?;
        for (descending, end) in going.iter_mut().zip(ends.into_iter().flatten()) {
            descending.pass(oracle, end, width, &smoothed, domain)?;
        }
    }
    for descending in all.iter_mut().filter(|descending| descending.done.is_none()) {
        descending.polished(oracle, &FINEST, &smoothed, domain)?;
        if descending.done.is_none() {
            descending.unconverged(oracle)?;
        }
    }
    Ok(())
}

impl Descending {
    /// Goes down smoothed as widely as stays below a height: the lower it is, the wider that may be.
    fn ease(&mut self, oracle: &mut Oracle<'_>, recipe: &Recipe, below: f64, domain: &Domain) -> Result<()> {
        self.widest = 0.0;
        while let Some((width, small)) = self.wider(oracle, below)? {
            self.widest = width;
            let recipe = Recipe { small, ..*recipe };
            let (ends, stop) = oracle.seen(View::Smoothed(width), |oracle| {
                Ok(minima::descend(oracle, vec![self.theta.clone()], &recipe, domain, |_, _| {}))
            })?;
            stop?;
            for end in ends.into_iter().flatten() {
                self.evaluations += end.evaluations;
                self.trail.extend(&end.trail);
                self.trail.extend(&end.theta);
                self.theta = end.theta;
            }
        }
        Ok(())
    }

    /// The widest smoothing that is below a height here, if it is wider than before.
    fn wider(&self, oracle: &mut Oracle<'_>, below: f64) -> Result<Option<(f64, f64)>> {
        for (width, small) in WIDTHS.into_iter().filter(|(width, _)| *width > self.widest) {
            if oracle.seen(View::Smoothed(width), |oracle| oracle.values(&self.theta))?[0] < below {
                return Ok(Some((width, small)));
            }
        }
        Ok(None)
    }

    /// Takes where a smoothed descent ended; it is done if that was nowhere, or beside a certified minimum.
    fn pass(
        &mut self,
        oracle: &mut Oracle<'_>,
        end: Quenched,
        width: f64,
        recipe: &Recipe,
        domain: &Domain,
    ) -> Result<()> {
        self.evaluations += end.evaluations;
        self.trail.extend(&end.trail);
        self.theta = end.theta;
        if matches!(end.descent, Descent::NotFinite | Descent::Escaped) {
            return self.end(oracle, end.descent, end.evidence);
        }
        if width > NARROW {
            return Ok(());
        }
        self.polished(oracle, &[width], recipe, domain)
    }

    /// Done if a certified minimum is reached by Newton's method, begun with what is active at one of some widths, or by sliding.
    fn polished(&mut self, oracle: &mut Oracle<'_>, widths: &[f64], recipe: &Recipe, domain: &Domain) -> Result<()> {
        let symmetry = domain.tangents();
        let is_minimum = |polished: &Polished| polished.certified.certificate.index() == Some(0);
        for &width in widths {
            let mut minimum = match recipe.keeps {
                Keeps::Nothing => polish_at_once(oracle, &self.theta, width, symmetry)?,
                Keeps::Basin | Keeps::Below(_) => polish(oracle, &self.theta, width, symmetry)?,
            };
            minimum = minimum.filter(is_minimum);
            if minimum.is_none() && width == SLIDING && recipe.keeps == Keeps::Nothing {
                settle(oracle, &mut self.theta, symmetry)?;
                minimum = slide(oracle, &self.theta, width, symmetry)?.filter(is_minimum);
            }
            if let Some(Polished { theta, certified }) = minimum {
                self.theta = theta;
                return self.certified(oracle, certified, domain);
            }
        }
        Ok(())
    }

    /// Looks at a point where it is: a minimum, if that is asked for and there is a certified one there, to the last digits.
    fn stand(&mut self, oracle: &mut Oracle<'_>, check: bool, domain: &Domain) -> Result<()> {
        self.evaluations = 1;
        if !check {
            return self.unconverged(oracle);
        }
        let [.., (narrowest, _)] = WIDTHS;
        let near = norm(&self.theta).max(domain.length()) * HERE;
        match polish(oracle, &self.theta, narrowest, domain.tangents())? {
            Some(Polished { theta, certified })
                if certified.certificate.index() == Some(0) && distance(&theta, &self.theta) <= near =>
            {
                self.certified(oracle, certified, domain)
            }
            _ => self.unconverged(oracle),
        }
    }

    fn unconverged(&mut self, oracle: &mut Oracle<'_>) -> Result<()> {
        let least = stationarity(oracle, &self.theta, NEAR)?;
        self.end(oracle, Descent::Unconverged, Evidence { gradient_norm: least, ..Evidence::default() })
    }

    fn certified(&mut self, oracle: &mut Oracle<'_>, certified: Certified, domain: &Domain) -> Result<()> {
        let gradient_norm = certified.certificate.residual;
        let bare = Evidence { gradient_norm, ..Evidence::default() };
        let evidence = certified.lowest.map_or(bare, |lowest| lowest.evidence(gradient_norm));
        let kinks = Some(Box::new(certified.certificate));
        let end = if domain.contains(&self.theta, 1e-9) { Descent::Converged } else { Descent::Escaped };
        self.end(oracle, end, Evidence { kinks, ..evidence })
    }

    fn end(&mut self, oracle: &mut Oracle<'_>, descent: Descent, evidence: Evidence) -> Result<()> {
        let loss = oracle.values(&self.theta)?[0];
        let (theta, trail) = (self.theta.clone(), std::mem::take(&mut self.trail));
        self.done = Some(Quenched { theta, loss, descent, evidence, evaluations: self.evaluations, trail });
        Ok(())
    }
}
