//! What a run is going to take, before it begins: evaluations by stage, and memory. Bounds where there are any; else what
//! was measured on perceptrons, which another loss may be far from.

use super::pairs::pairs_of;
use super::plan::{Method, Plan, Way};
use crate::loss::{Dtype, Info};
use crate::search::connect::KNOTS;
use crate::search::minima::memory;

/// Evaluations of a descent to the tolerance: 280 to 640 on perceptrons of 650 to 1,200 parameters, 4,000 on a small
/// convolutional network.
const DESCENT: u64 = 700;
/// The first visits to a path are a fourth of what settles and verifies a bar: 12,000 evaluations with three bands.
const SETTLE: u64 = 4;
/// Straight lines are measured at so many points.
const LINE: u64 = 17;
/// Those between given points take about so many besides the places that are told, round their tops and next to their ends.
const TOPS: u64 = 5;
/// Points that descend together.
const ROUND: u64 = 8;

/// What a stage is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many points become minima.
    Points(u64),
    /// So many straight lines are measured.
    Lines(u64),
    /// The paths of so many bars are settled.
    Bars(u64),
    /// What lies between so many pairs of given points is measured.
    Pairs(u64),
}

/// A stage to come.
#[derive(Clone, Debug, PartialEq)]
pub struct ToCome {
    /// What it is to do.
    pub work: Work,
    /// Evaluations that are to be expected.
    pub expected: u64,
    /// Evaluations that it cannot exceed, where there is such a number.
    pub most: Option<u64>,
}

/// A run to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// In order.
    pub stages: Vec<ToCome>,
    /// Bytes of memory that minima and first visits take, beside the loss itself.
    pub memory: u64,
    /// Bytes that minima and their paths take at most, where every bar has a path of its own that meets no way-station.
    pub database: u64,
}

impl Plan {
    /// What a search is going to take; `None` for the other methods, whose samples are counted in the configuration.
    pub fn forecast(&self, info: &Info) -> Option<Forecast> {
        if self.method != Method::Paths {
            return None;
        }
        let points = if let Way::Given(points) = &self.way { points.len() as u64 } else { self.starts };
        let bars = points.saturating_sub(1);
        let others = bars.min(self.schedule.neighbours as u64 + 1);
        let pairs = if bars <= others { points * bars / 2 } else { points * others };
        let first: u64 = self.schedule.knots.iter().zip(&self.schedule.steps).map(|(k, s)| (k * s) as u64).sum();
        let settle = if self.leaves_points_as_they_are() { first / SETTLE } else { first * SETTLE };
        let mut to_come = vec![
            self.minima_to_come(points),
            ToCome { work: Work::Lines(pairs), expected: pairs * LINE, most: None },
            ToCome { work: Work::Bars(bars), expected: bars * settle, most: None },
        ];
        let told = self.pairs_to_come();
        if told > 0 {
            // The line as it is, that after alignment, and the way.
            let each = 3 * self.along as u64 + 2 * TOPS;
            to_come.push(ToCome { work: Work::Pairs(told), expected: told * each, most: None });
        }
        let p = info.params as u64;
        let widest = self.schedule.knots.iter().max().copied().unwrap_or(0) as u64 + 2;
        let longest = widest.max(KNOTS as u64);
        // A descent remembers two vectors a step, and has a few beside; a string remembers eight steps.
        let descents = points.min(ROUND) * (2 * memory(info.params) as u64 + 8);
        // Beside each other they are evaluated from one batch, points and gradients, and back.
        let visits = (self.at_once as u64).clamp(1, bars.max(1));
        let strings = visits * widest * (2 * 8 + 8 + if visits > 1 { 4 } else { 0 });
        let kept = points + 3 * pairs;
        let vectors = |n: u64, bytes: u64| n.saturating_mul(p).saturating_mul(bytes);
        let number = if info.dtype == Dtype::F32 { 4 } else { 8 };
        Some(Forecast {
            stages: to_come,
            memory: vectors(kept + bars * (longest + 1) + descents.max(strings), 8),
            database: vectors(kept + bars * (longest + 1), number),
        })
    }

    /// How many pairs of given points are told of.
    fn pairs_to_come(&self) -> u64 {
        if self.along == 0 { 0 } else { pairs_of(self.given().len()) as u64 }
    }

    fn minima_to_come(&self, points: u64) -> ToCome {
        let trained = if let Way::Training(training) = &self.way { training.epochs } else { 0 };
        let (descent, most) = match self.leaves_points_as_they_are() {
            true => (1, 1),
            false => (DESCENT.min(self.recipe.evaluations), self.recipe.evaluations),
        };
        let work = Work::Points(points);
        ToCome { work, expected: points * (trained + descent), most: Some(points * (trained + most)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::loss::closed_form::{closed_form, double_well};
    use crate::search::training::Training;

    fn forecast(plan: &Plan, params: usize, dtype: Dtype) -> Forecast {
        let loss = closed_form(2, None, double_well);
        plan.forecast(&Info { params, dtype, ..loss.info().clone() }).unwrap()
    }

    #[test]
    fn a_forecast_grows_with_what_is_asked_for() {
        let plan = Plan { starts: 3, ..Plan::default() };
        let small = forecast(&plan, 1000, Dtype::F64);
        assert_eq!(small.stages[0].most, Some(60_000));
        assert_eq!(small.stages[2].expected, 2 * 4 * (3 * 40 + 7 * 60 + 15 * 160));
        let large = forecast(&plan, 2000, Dtype::F64);
        assert_eq!((large.memory, large.database), (2 * small.memory, 2 * small.database));
        assert_eq!(forecast(&plan, 1000, Dtype::F32).database, small.database / 2);
        let more = forecast(&Plan { starts: 9, ..plan.clone() }, 1000, Dtype::F64);
        assert!(more.memory > small.memory && more.stages[1].expected > small.stages[1].expected);
        // Of many parameters a string is larger than what descents remember.
        let wide = |at_once| forecast(&Plan { at_once, ..plan.clone() }, 100_000, Dtype::F64);
        let (alone, together) = (wide(1), wide(2));
        assert!(together.memory > alone.memory && together.database == alone.database);
        assert_eq!(wide(8), together); // There are two bars.
        let trained = Plan { way: Way::Training(Training::annealed()), ..plan };
        assert_eq!(forecast(&trained, 1000, Dtype::F64).stages[0].most, Some(3 * 102));
    }

    #[test]
    fn no_size_overflows() {
        let plan = Plan { starts: 1_000_000, ..Plan::default() };
        assert_eq!(forecast(&plan, usize::MAX, Dtype::F64).memory, u64::MAX);
    }
}
