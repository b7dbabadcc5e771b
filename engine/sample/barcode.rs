//! The barcode of a loss with a value at every sample: in all degrees on a grid; on a cloud that of the graph which joins
//! each sample with its nearest.

use super::axes::Axes;
use super::scatter::Scatter;
use crate::counted::count;
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::morse::cloud::Cloud;
use crate::morse::graph::Graph;
use crate::morse::grid::{Grid, Sampling};
use crate::npy::Array;
use crate::persistence::{Barcode, CellKind, of_graph, of_grid};

/// Of more parameters than this nobody reads the values: cells are named without them, and boxes not written out.
pub const SHOWN: usize = 16;

/// Where samples lie.
#[derive(Clone, Debug)]
pub enum Layout {
    /// On a grid.
    Grid(Axes),
    /// Round the minima of the loss.
    Cloud(Scatter),
}

/// A loss with a value at every sample.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Where they lie.
    pub layout: Layout,
    /// Of all but the minima of a cloud; +inf, in no sublevel set, where the loss is not finite.
    values: Vec<f64>,
    /// The number of samples where the loss is not finite, which are in no sublevel set.
    pub not_finite: u64,
}

impl Samples {
    /// Samples and their values. A loss that is finite nowhere is refused.
    pub fn new(layout: Layout, mut values: Vec<f64>) -> Result<Samples> {
        let (total, mut not_finite) = (values.len() as u64, 0);
        for value in values.iter_mut().filter(|value| !value.is_finite()) {
            *value = f64::INFINITY;
            not_finite += 1;
        }
        if not_finite == total {
            return Err(Error::Numeric(format!("the loss is finite at none of the {} samples", count(total))));
        }
        Ok(Samples { layout, values, not_finite })
    }

    /// The barcode, its cells with their parameters. The same for any number of threads.
    pub fn barcode(self, pool: &Pool) -> Result<Barcode> {
        match self.layout {
            Layout::Grid(axes) => on_grid(&axes, self.values, pool),
            Layout::Cloud(scatter) => on_cloud(&scatter, self.values, pool),
        }
    }
}

fn on_grid(axes: &Axes, values: Vec<f64>, pool: &Pool) -> Result<Barcode> {
    let array = Array { shape: axes.sizes.clone(), values: values.into() };
    let sampling = Sampling { periodic: &axes.periodic, max_degree: axes.max_degree, ..Sampling::default() };
    let grid = Grid::new(array, sampling)?;
    let wanted = of_grid::Wanted { shortest: axes.simplify, ..Default::default() };
    let mut barcode = of_grid::canonical(&grid, wanted, pool).barcode(&grid);
    barcode.cells.iter_mut().for_each(|cell| cell.position = axes.position(cell.id as usize));
    Ok(barcode)
}

fn on_cloud(scatter: &Scatter, values: Vec<f64>, pool: &Pool) -> Result<Barcode> {
    let (minima, params, plan) = (scatter.minima.len(), scatter.params(), &scatter.plan);
    let threshold = plan.threshold.unwrap_or(f64::INFINITY);
    let within = |value: f64| if value > threshold { f64::INFINITY } else { value };
    let values: Vec<f64> = scatter.minima.iter().map(|(_, loss)| *loss).chain(values).map(within).collect();
    let n = values.len();
    let cloud = Cloud::of_array(&Array { shape: vec![n, params], values: scatter.coordinates.clone().into() })?;
    let values = Array { shape: vec![n], values: values.into() };
    let graph = Graph::on_cloud(&cloud, values, scatter.neighbours(), None, false, pool)?;
    drop(cloud);
    let wanted = of_graph::Wanted { degree_1: plan.degree_1, shortest: plan.simplify, ..Default::default() };
    let mut barcode = of_graph::canonical(&graph.forest(pool), wanted).barcode(&graph);
    for bar in &mut barcode.bars {
        bar.birth_cell = scatter.cell(bar.birth_cell);
        if let Some(end) = &mut bar.end {
            end.cell = scatter.cell(end.cell);
            end.elder = end.elder.map(|elder| scatter.cell(elder));
        }
    }
    for cell in &mut barcode.cells {
        let sample = cell.id as usize;
        if sample < minima && cell.degree == 0 {
            cell.kind = CellKind::Minimum;
        }
        if params <= SHOWN {
            cell.position = scatter.position(sample).to_vec();
        }
        cell.id = scatter.cell(cell.id);
    }
    Ok(barcode)
}
