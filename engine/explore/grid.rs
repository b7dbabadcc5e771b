//! The stage of a grid: the loss at regular places of a box in few parameters, the others standing still, and its barcode
//! in all degrees.
//!
//! A grid sees what its spacing can resolve and nothing else: between two samples a barrier or a whole minimum may hide,
//! so that a death is neither an upper nor a lower bound of the loss's own.

use super::sampled::{Complex, fits, interval};
use super::{Explorer, Method, minima};
use crate::error::{Error, Result};
use crate::loss::{Loss, SymmetryKind};
use crate::machine::pool::Pool;
use crate::morse::grid::{Construction, Grid, MOST_AXES, MOST_AXES_OF_COMPONENTS};
use crate::npy::Array;
use crate::persistence::Barcode;
use crate::persistence::of_grid::{Wanted, canonical};
use crate::persistence::pairs::{Pair, barcode};

/// Samples an axis unless said, by the number of axes; odd, so that the middle of the box is one of them.
const SAMPLES: [usize; MOST_AXES] = [1001, 201, 51, 21];
/// The same for more axes: thirteen are 1.6 million samples.
const FEW: usize = 3;
/// Bytes a sample: value, key, label of its basin, star of its gradient, and as much again for edges between basins.
const BYTES: u64 = 40;

/// What grid to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridPlan {
    /// The parameters that vary; all of them where there are few.
    pub axes: Option<Vec<usize>>,
    /// Where the others stand, p numbers; the start of the seed unless given.
    pub at: Option<Vec<f64>>,
    /// The lowest and highest value of each axis; the loss's own box unless given.
    pub ranges: Option<Vec<[f64; 2]>>,
    /// Samples of each axis, one number for all of them, or none: 1001, 201, 51 or 21 for 1 to 4 axes.
    pub samples: Vec<usize>,
    /// The highest degree to compute; all unless given.
    pub max_degree: Option<usize>,
    /// Shorter bars are left out.
    pub simplify: f64,
}

/// A grid in the parameters of a loss.
#[derive(Debug)]
pub struct Axes {
    /// The parameter of each axis.
    parameters: Vec<usize>,
    ranges: Vec<[f64; 2]>,
    sizes: Vec<usize>,
    /// Axes whose ends are the same place.
    periodic: Vec<bool>,
    /// All parameters; those of the axes do not matter.
    at: Vec<f64>,
    max_degree: usize,
    simplify: f64,
}

impl Axes {
    /// Lays a grid over a loss. Refuses axes that are no parameters, ranges that are none, and grids that no memory holds.
    pub fn new(plan: &GridPlan, seed: u64, loss: &dyn Loss) -> Result<Axes> {
        let p = loss.info().params;
        let refuse = |text: String| Err(Error::Argument(format!("[complex] {text}")));
        let parameters = match &plan.axes {
            Some(axes) => axes.clone(),
            None if p <= MOST_AXES => (0..p).collect(),
            None => {
                let text =
                    format!("axes: the loss has {p} parameters; say which vary, axes = [0, 1], {MOST_AXES} at most");
                return refuse(text);
            }
        };
        let n = parameters.len();
        let most = if plan.max_degree == Some(0) { MOST_AXES_OF_COMPONENTS } else { MOST_AXES };
        if n == 0 || n > most {
            let more = format!("; with max_degree = 0 up to {MOST_AXES_OF_COMPONENTS}");
            let more = if n > most && most == MOST_AXES { more.as_str() } else { "" };
            return refuse(format!("axes: {n} parameters vary; 1 to {most} may{more}"));
        }
        if let Some(stranger) = parameters.iter().find(|&&axis| axis >= p) {
            return refuse(format!("axes: {stranger} is no parameter; they are 0 to {}", p - 1));
        }
        if let Some(twice) = (1..n).find(|&i| parameters[..i].contains(&parameters[i])) {
            return refuse(format!("axes: parameter {} stands there twice", parameters[twice]));
        }
        let ranges = match (&plan.ranges, loss.bounds()?) {
            (Some(ranges), _) => ranges.clone(),
            (None, Some(b)) => parameters.iter().map(|&axis| [b.lower[axis], b.upper[axis]]).collect(),
            (None, None) => {
                let each = vec!["[-1, 1]"; n].join(", ");
                return refuse(format!(
                    "box: the loss declares no box; say where to sample, box = [{each}] or the like"
                ));
            }
        };
        if ranges.len() != n {
            return refuse(format!("box: {} intervals for {n} axes; one for each is needed", ranges.len()));
        }
        let sizes = match plan.samples[..] {
            [] => vec![SAMPLES.get(n - 1).copied().unwrap_or(FEW); n],
            [each] => vec![each; n],
            _ => plan.samples.clone(),
        };
        if sizes.len() != n {
            return refuse(format!(
                "samples: {} numbers for {n} axes; one for each, or one for all, is needed",
                sizes.len()
            ));
        }
        let periodic = periods(&parameters, &ranges, loss)?;
        if let Some(axis) = (0..n).find(|&i| sizes[i] < if periodic[i] { 3 } else { 2 }) {
            let (samples, least) =
                (sizes[axis], if periodic[axis] { "3 or more on a periodic axis" } else { "2 or more" });
            return refuse(format!("samples: axis {axis} has {samples}; {least} are needed"));
        }
        let shape = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
        let total = sizes.iter().try_fold(1_u64, |n, &size| n.checked_mul(size as u64)).filter(|&n| n < 1 << 31);
        let Some(total) = total else {
            return refuse(format!("samples: a grid of {shape} has 2^31 samples or more: take fewer"));
        };
        fits(total * BYTES, &format!("samples: a grid of {shape}"))?;
        let at = match &plan.at {
            Some(at) => at.clone(),
            None if n == p => vec![0.0; p],
            None => minima::start(loss, seed)?,
        };
        if at.len() != p {
            return refuse(format!("at: {} numbers, but the loss has {p} parameters", at.len()));
        }
        if let Some(wrong) = (0..p).find(|i| !at[*i].is_finite() && !parameters.contains(i)) {
            return refuse(format!("at: parameter {wrong} is {}; a finite number is needed", at[wrong]));
        }
        Ok(Axes {
            parameters,
            ranges,
            sizes,
            periodic,
            at,
            max_degree: plan.max_degree.unwrap_or(usize::MAX),
            simplify: plan.simplify,
        })
    }

    /// The number of samples.
    fn total(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The values of the axes' parameters at a sample; C order, the last axis fastest.
    fn place(&self, mut sample: usize) -> Vec<f64> {
        let mut place = vec![0.0; self.sizes.len()];
        for (axis, x) in place.iter_mut().enumerate().rev() {
            let (size, [low, high]) = (self.sizes[axis], self.ranges[axis]);
            let steps = if self.periodic[axis] { size } else { size - 1 };
            let step = sample % size;
            // The ends exactly; between them rounded once.
            *x = if step == steps { high } else { low + (high - low) * (step as f64 / steps as f64) };
            sample /= size;
        }
        place
    }

    /// Appends all parameters of a sample.
    fn point(&self, sample: usize, to: &mut Vec<f64>) {
        let first = to.len();
        to.extend(&self.at);
        self.parameters.iter().zip(self.place(sample)).for_each(|(&parameter, x)| to[first + parameter] = x);
    }

    /// What a reader must know to see the same grid.
    fn notes(&self) -> Vec<String> {
        let axis = |i: usize| {
            let periodic = if self.periodic[i] { ", periodic" } else { "" };
            format!("{} of parameter {} in {}{periodic}", self.sizes[i], self.parameters[i], interval(self.ranges[i]))
        };
        let axes: Vec<String> = (0..self.sizes.len()).map(axis).collect();
        let rest = self.at.len() - self.parameters.len();
        let fixed = if rest > 0 { "; the other parameters stand still" } else { "" };
        let mut notes = vec![format!("The samples: {}{fixed}.", axes.join(", "))];
        if self.simplify > 0.0 {
            notes.push(format!("Bars shorter than {} are left out.", self.simplify));
        }
        notes
    }

    /// The barcode of the values, in all degrees that are asked for.
    pub fn barcode(&self, values: Vec<f64>, pool: &Pool) -> Result<Barcode> {
        let closed: Vec<usize> = (0..self.sizes.len()).filter(|&axis| self.periodic[axis]).collect();
        let array = Array { shape: self.sizes.clone(), values: values.into() };
        let grid = match self.max_degree {
            0 => Grid::of_components(array, &closed, false)?,
            _ => Grid::new(array, &closed, Construction::Vertex, false)?,
        };
        let mut found = canonical(&grid, Wanted { max_degree: self.max_degree, ..Wanted::default() }, pool);
        // What swallows a bar is longer: it stays where that one stays.
        let length = |pair: &Pair| pair.death.map_or(f64::INFINITY, |death| grid.value(death) - grid.value(pair.birth));
        found.pairs.retain(|pair| length(pair) >= self.simplify);
        let mut barcode = barcode(&found.pairs, |sample| grid.value(sample));
        barcode.cells.iter_mut().for_each(|cell| cell.position = self.place(cell.id as usize));
        Ok(barcode)
    }
}

/// Which axes close up: those of a declared period whose range is one period.
fn periods(parameters: &[usize], ranges: &[[f64; 2]], loss: &dyn Loss) -> Result<Vec<bool>> {
    let mut closed = vec![false; parameters.len()];
    for symmetry in loss.symmetries()? {
        let SymmetryKind::Period(period) = symmetry.kind else { continue };
        for (axis, closed) in closed.iter_mut().enumerate() {
            let [low, high] = ranges[axis];
            let declared = symmetry.blocks.iter().flatten().any(|&at| at == parameters[axis] as u64);
            // A range is written with a finite number of digits.
            *closed |= declared && ((high - low) - period).abs() <= 1e-9 * period;
        }
    }
    Ok(closed)
}

impl Explorer<'_, '_> {
    pub(super) fn grid(&mut self) -> Result<()> {
        let Method::Grid(plan) = &self.plan.method else { return Ok(()) };
        let axes = Axes::new(plan, self.plan.seed, self.oracle.loss())?;
        self.values("grid", axes.total(), |sample, batch| axes.point(sample, batch))?;
        let notes = axes.notes();
        self.sample(Complex::Grid(axes), notes)
    }
}
