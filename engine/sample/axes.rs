//! The samples of a grid: regular positions in a box in few parameters, the others standing still.
//!
//! A grid sees what its spacing can resolve and nothing else: between two samples a barrier or a whole minimum may hide,
//! so that a death is neither an upper nor a lower bound of the loss's own.

use super::plan::{GridPlan, fits, refused};
use crate::error::Result;
use crate::loss::{Loss, SymmetryKind};
use crate::morse::grid::{self, Grid, LEAST_PERIODIC, MOST_AXES, MOST_AXES_OF_COMPONENTS, Sampling};
use crate::search::start::start;

/// Samples an axis unless said, by the number of axes; odd, so that the middle of the box is one of them.
const SAMPLES: [usize; MOST_AXES] = [1001, 201, 51, 21];
/// The same for more axes: thirteen are 1.6 million samples.
const FEW: usize = 3;

/// A grid laid over a loss.
#[derive(Clone, Debug)]
pub struct Axes {
    /// The parameter of each axis.
    pub parameters: Vec<usize>,
    /// The lowest and the highest value of each.
    pub ranges: Vec<[f64; 2]>,
    /// The number of samples along each.
    pub sizes: Vec<usize>,
    /// The axes that close up: their ends are the same point.
    pub periodic: Vec<usize>,
    /// All parameters; those of the axes do not matter.
    pub at: Vec<f64>,
    /// The highest degree that is asked for; all unless given.
    pub max_degree: Option<usize>,
    /// Shorter bars are left out.
    pub simplify: f64,
}

impl Axes {
    /// Lays a grid over a loss. Refuses axes that are no parameters, ranges that are none, and grids that no memory holds.
    pub fn new(plan: &GridPlan, seed: u64, loss: &dyn Loss) -> Result<Axes> {
        let parameters = parameters(plan, loss.info().params)?;
        let ranges = ranges(plan, &parameters, loss)?;
        let sizes = sizes(plan, parameters.len())?;
        let periodic = periods(&parameters, &ranges, loss)?;
        affordable(&sizes, &periodic)?;
        let at = rest(plan, &parameters, seed, loss)?;
        let GridPlan { max_degree, simplify, .. } = *plan;
        Ok(Axes { parameters, ranges, sizes, periodic, at, max_degree, simplify })
    }

    /// The number of samples.
    pub fn total(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The values of the axes' parameters at a sample; C order, the last axis fastest.
    pub fn position(&self, mut sample: usize) -> Vec<f64> {
        let mut position = vec![0.0; self.sizes.len()];
        for (axis, x) in position.iter_mut().enumerate().rev() {
            let (size, [low, high]) = (self.sizes[axis], self.ranges[axis]);
            let steps = if self.periodic.contains(&axis) { size } else { size - 1 };
            let step = sample % size;
            // The ends exactly; between them rounded once.
            *x = if step == steps { high } else { low + (high - low) * (step as f64 / steps as f64) };
            sample /= size;
        }
        position
    }

    /// Appends all parameters of a sample.
    pub fn point(&self, sample: usize, to: &mut Vec<f64>) {
        let first = to.len();
        to.extend(&self.at);
        self.parameters.iter().zip(self.position(sample)).for_each(|(&parameter, x)| to[first + parameter] = x);
    }
}

/// The parameters that vary, of p.
fn parameters(plan: &GridPlan, p: usize) -> Result<Vec<usize>> {
    let parameters = match &plan.axes {
        Some(axes) => axes.clone(),
        None if p <= MOST_AXES => (0..p).collect(),
        None => {
            let text = format!("axes: the loss has {p} parameters; say which vary, axes = [0, 1], {MOST_AXES} at most");
            return Err(refused(text));
        }
    };
    let n = parameters.len();
    let most = Sampling { max_degree: plan.max_degree, ..Sampling::default() }.most_axes();
    if n == 0 || n > most {
        let more = format!("; with max_degree = 0 up to {MOST_AXES_OF_COMPONENTS}");
        let more = if n > most && most == MOST_AXES { more.as_str() } else { "" };
        return Err(refused(format!("axes: {n} parameters vary; 1 to {most} may{more}")));
    }
    if let Some(stranger) = parameters.iter().find(|&&axis| axis >= p) {
        return Err(refused(format!("axes: {stranger} is no parameter; they are 0 to {}", p - 1)));
    }
    if let Some(twice) = (1..n).find(|&i| parameters[..i].contains(&parameters[i])) {
        return Err(refused(format!("axes: parameter {} stands there twice", parameters[twice])));
    }
    Ok(parameters)
}

/// The interval of each axis.
fn ranges(plan: &GridPlan, parameters: &[usize], loss: &dyn Loss) -> Result<Vec<[f64; 2]>> {
    let n = parameters.len();
    let ranges = match (&plan.ranges, loss.bounds()?) {
        (Some(ranges), _) => ranges.clone(),
        (None, Some(b)) => parameters.iter().map(|&axis| [b.lower[axis], b.upper[axis]]).collect(),
        (None, None) => {
            let each = vec!["[-1, 1]"; n].join(", ");
            let text = format!("box: the loss declares no box; say where to sample, box = [{each}] or the like");
            return Err(refused(text));
        }
    };
    if ranges.len() != n {
        return Err(refused(format!("box: {} intervals for {n} axes; one for each is needed", ranges.len())));
    }
    Ok(ranges)
}

/// The number of samples along each of n axes.
fn sizes(plan: &GridPlan, n: usize) -> Result<Vec<usize>> {
    let sizes = match plan.samples[..] {
        [] => vec![SAMPLES.get(n - 1).copied().unwrap_or(FEW); n],
        [each] => vec![each; n],
        _ => plan.samples.clone(),
    };
    if sizes.len() != n {
        let text = format!("samples: {} numbers for {n} axes; one for each, or one for all, is needed", sizes.len());
        return Err(refused(text));
    }
    Ok(sizes)
}

/// Which axes close up: those of a declared period whose range is one period.
fn periods(parameters: &[usize], ranges: &[[f64; 2]], loss: &dyn Loss) -> Result<Vec<usize>> {
    let symmetries = loss.symmetries()?;
    let closes = |axis: &usize| {
        let ([low, high], parameter) = (ranges[*axis], parameters[*axis] as u64);
        symmetries.iter().any(|symmetry| {
            let SymmetryKind::Period(period) = symmetry.kind else { return false };
            let declared = symmetry.blocks.iter().flatten().any(|&at| at == parameter);
            // A range is written with a finite number of digits.
            declared && ((high - low) - period).abs() <= 1e-9 * period
        })
    };
    Ok((0..parameters.len()).filter(closes).collect())
}

/// Refuses axes too short to be any, and more samples than can be counted or kept.
fn affordable(sizes: &[usize], periodic: &[usize]) -> Result<()> {
    let least = |axis: usize| if periodic.contains(&axis) { LEAST_PERIODIC } else { 2 };
    if let Some(axis) = (0..sizes.len()).find(|&axis| sizes[axis] < least(axis)) {
        let (found, least) = (sizes[axis], least(axis));
        let which = if periodic.contains(&axis) { " on a periodic axis" } else { "" };
        return Err(refused(format!("samples: axis {axis} has {found}; {least} or more{which} are needed")));
    }
    let shape = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    match grid::count(sizes) {
        Some(total) => fits(Grid::work_to_come(total), &format!("samples: a grid of {shape}")),
        None => Err(refused(format!("samples: a grid of {shape} has 2^31 samples or more: take fewer"))),
    }
}

/// Where the parameters stand that do not vary.
fn rest(plan: &GridPlan, parameters: &[usize], seed: u64, loss: &dyn Loss) -> Result<Vec<f64>> {
    let p = loss.info().params;
    let at = match &plan.at {
        Some(at) => at.clone(),
        None if parameters.len() == p => vec![0.0; p],
        None => start(loss, seed)?,
    };
    if at.len() != p {
        return Err(refused(format!("at: {} numbers, but the loss has {p} parameters", at.len())));
    }
    if let Some(wrong) = (0..p).find(|i| !at[*i].is_finite() && !parameters.contains(i)) {
        return Err(refused(format!("at: parameter {wrong} is {}; a finite number is needed", at[wrong])));
    }
    Ok(at)
}
