//! The table `[complex]`: which method, and its keys. Keys of another method are refused by name, and so are the tables
//! that a method has no use for: a run must not pretend to have minded what it never reads.

use super::section::{Section, set};
use crate::error::{Error, Result};
use crate::explore::{Goal, Method};
use crate::npy;
use crate::sample::{CloudPlan, GridPlan};
use crate::store::By;
use std::path::Path;
use toml::Value;

/// The methods and the keys that belong to them.
const METHODS: [(By, &[&str]); 3] = [
    (By::Paths, &["goal"]),
    (By::Grid, &["axes", "at", "box", "samples", "max_degree", "simplify"]),
    (By::Cloud, &["points", "scale", "box", "threshold", "k", "degree1", "simplify"]),
];

/// The tables beside `[complex]` that the method decides the use of.
pub(super) struct Beside<'a> {
    pub minima: &'a Section,
    pub symmetry: &'a Section,
    pub paths: &'a Section,
}

/// Reads the method; relative paths start from `folder`.
pub(super) fn method(complex: &mut Section, beside: &Beside<'_>, folder: &Path) -> Result<Method> {
    let by = complex.choice("method", &METHODS.map(|(by, _)| (by.name(), by)))?.unwrap_or(By::Paths);
    let name = by.name();
    complex.refuse(|key| {
        let owner = |(_, keys): &&(By, &[&str])| keys.contains(&key);
        let mut owners = METHODS.iter().filter(owner).map(|(by, _)| by.name()).peekable();
        owners.peek()?;
        let owners: Vec<&str> = owners.collect();
        let own = owners.contains(&name);
        (!own).then(|| format!("a key of method = \"{}\"; the method here is {name:?}", owners.join("\" and \"")))
    })?;
    if by == By::Paths {
        return Ok(Method::Paths);
    }
    beside.paths.refuse(|_| Some(format!("method = {name:?} measures no paths: leave this table out")))?;
    if beside.symmetry.table.get("align") == Some(&Value::Boolean(true)) {
        let text = format!("[symmetry] align = true: method = {name:?} takes points as they are: leave this out");
        return Err(Error::Argument(text));
    }
    if by == By::Grid {
        let text =
            "method = \"grid\" looks for no minima; of this table only seed counts, for where parameters stand still";
        beside.minima.refuse(|key| (key != "seed").then(|| text.to_owned()))?;
        return grid(complex, folder).map(Method::Grid);
    }
    cloud(complex).map(Method::Cloud)
}

/// What is looked for: a key of the method `paths`.
pub(super) fn goal(complex: &mut Section) -> Result<Goal> {
    let goals = [("barcode", Goal::Barcode), ("all", Goal::All)];
    Ok(complex.choice("goal", &goals)?.unwrap_or_default())
}

fn grid(complex: &mut Section, folder: &Path) -> Result<GridPlan> {
    let each = match complex.table.get("samples") {
        Some(Value::Integer(_)) => complex.count("samples")?.map(|n| vec![n]),
        _ => complex.counts("samples")?,
    };
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let at = match complex.table.get("at") {
        Some(Value::String(_)) => {
            let file = complex.text("at")?.map(|file| folder.join(file));
            file.map(|file| point(&file)).transpose()?
        }
        _ => complex.numbers("at")?,
    };
    Ok(GridPlan {
        axes: complex.counts("axes")?.map(|axes| axes.into_iter().map(index).collect()),
        at,
        ranges: complex.intervals("box")?,
        samples: each.unwrap_or_default().into_iter().map(index).collect(),
        max_degree: complex.count("max_degree")?.map(index),
        simplify: simplify(complex)?,
    })
}

fn cloud(complex: &mut Section) -> Result<CloudPlan> {
    let mut plan = CloudPlan { ranges: complex.intervals("box")?, ..CloudPlan::default() };
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    set(&mut plan.points, complex.count("points")?.map(index));
    if plan.ranges.is_some() {
        complex.refuse(|key| (key == "scale").then(|| "box is given: there is nothing to scale".to_owned()))?;
    }
    set(&mut plan.scale, complex.positive("scale")?);
    plan.threshold = complex.number("threshold")?;
    plan.k = complex.count("k")?.map(index);
    if plan.k == Some(0) {
        return Err(Error::Argument("[complex] k = 0: at least one neighbour is needed".into()));
    }
    set(&mut plan.degree_1, complex.boolean("degree1")?);
    plan.simplify = simplify(complex)?;
    Ok(plan)
}

/// The length below which bars are left out.
fn simplify(complex: &mut Section) -> Result<f64> {
    match complex.number("simplify")? {
        Some(length) if length < 0.0 => {
            Err(Error::Argument(format!("[complex] simplify = {length}: a length of zero or more is needed")))
        }
        length => Ok(length.unwrap_or(0.0)),
    }
}

/// One point from a .npy file: p numbers, or one row of them.
fn point(file: &Path) -> Result<Vec<f64>> {
    let array = npy::widened(file)?;
    match array.shape[..] {
        [_] | [1, _] => Ok(array.values),
        _ => {
            let text = format!("has shape {:?}: one point is needed, p numbers", array.shape);
            Err(Error::Config { path: file.to_owned(), text })
        }
    }
}
