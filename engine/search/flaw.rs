//! What cannot be in a landscape: a fault of a file or of a caller.

use super::landscape::{CellId, Landscape, Minimum, Path, PathId};
use std::collections::BTreeMap;
use std::fmt;

/// Losses differ by rounding between a point and its copy under a symmetry, in single precision too.
const ROUNDING: f64 = 1e-4;

/// Something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are named where the message is put together")]
pub enum Flaw {
    /// Two minima or passes have one number.
    Twice(CellId),
    /// A minimum is no point of the loss.
    MinimumParameters { cell: CellId, found: usize, wanted: usize },
    /// A minimum is a copy of none.
    LostOriginal { cell: CellId, original: CellId },
    /// A knot or the top of a path is no point of the loss.
    PathParameters { path: PathId, wanted: usize },
    /// A profile has not as many values as arc lengths.
    CutProfile(PathId),
    /// A path leads to no minimum.
    LostEnd { path: PathId, end: CellId },
    /// A pass lies below an end of its path.
    LowPass { path: PathId, height: f64, end: CellId, birth: f64 },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Flaw::Twice(cell) => write!(f, "cell {cell} is there twice"),
            Flaw::MinimumParameters { cell, found, wanted } => {
                write!(f, "minimum {cell} has {found} parameters and not {wanted}")
            }
            Flaw::LostOriginal { cell, original } => {
                write!(f, "minimum {cell} is a copy of {original}, which is not there")
            }
            Flaw::PathParameters { path, wanted } => write!(f, "path {path} is not of {wanted} parameters"),
            Flaw::CutProfile(path) => write!(f, "the profile of path {path} is cut short"),
            Flaw::LostEnd { path, end } => write!(f, "path {path} leads to minimum {end}, which is not there"),
            Flaw::LowPass { path, height, end, birth } => {
                write!(f, "the pass of path {path}, at {height}, lies below its end, minimum {end} at {birth}")
            }
        }
    }
}

/// The losses of the minima, by cell.
type Births = BTreeMap<CellId, f64>;

impl Landscape {
    /// What cannot be in a landscape of `p` parameters, if anything cannot. `noise` is what two evaluations of one loss
    /// may differ by.
    pub fn flaw(&self, p: usize, noise: f64) -> Option<Flaw> {
        let births = self.births();
        let mut cells: Vec<CellId> = self
            .minima
            .iter()
            .map(|m| m.cell)
            .chain(self.paths.iter().map(|p| p.pass.cell))
            .chain(self.critical.iter().map(|c| c.cell))
            .collect();
        cells.sort_unstable();
        let twice = cells.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| Flaw::Twice(pair[0]));
        let minima = || self.minima.iter().find_map(|m| of_minimum(m, p, &births));
        let paths = || self.paths.iter().find_map(|path| of_path(path, p, noise, &births));
        twice.or_else(minima).or_else(paths)
    }

    /// Drops what cannot be, and what refers to it.
    pub fn keep_whole(&mut self, p: usize, noise: f64) {
        loop {
            let (births, before) = (self.births(), self.minima.len() + self.paths.len());
            self.minima.retain(|m| of_minimum(m, p, &births).is_none());
            self.paths.retain(|path| of_path(path, p, noise, &births).is_none());
            if self.minima.len() + self.paths.len() == before {
                return;
            }
        }
    }

    fn births(&self) -> Births {
        self.minima.iter().map(|m| (m.cell, m.loss)).collect()
    }
}

fn of_minimum(minimum: &Minimum, p: usize, births: &Births) -> Option<Flaw> {
    let (cell, found) = (minimum.cell, minimum.theta.len());
    if found != p {
        return Some(Flaw::MinimumParameters { cell, found, wanted: p });
    }
    let lost = minimum.same_as.filter(|original| !births.contains_key(original));
    lost.map(|original| Flaw::LostOriginal { cell, original })
}

fn of_path(of: &Path, p: usize, noise: f64, births: &Births) -> Option<Flaw> {
    let (path, profile, height) = (of.id, &of.profile, of.pass.height);
    if of.pass.theta.len() != p || p == 0 || !of.knots.len().is_multiple_of(p) {
        return Some(Flaw::PathParameters { path, wanted: p });
    }
    if [&profile.loss, &profile.slope].iter().any(|values| values.len() != profile.arc.len()) {
        return Some(Flaw::CutProfile(path));
    }
    [of.ends.0, of.ends.1].into_iter().find_map(|end| match births.get(&end) {
        None => Some(Flaw::LostEnd { path, end }),
        Some(&birth) if height < birth - ROUNDING * birth.abs().max(1.0) - 8.0 * noise => {
            Some(Flaw::LowPass { path, height, end, birth })
        }
        Some(_) => None,
    })
}
