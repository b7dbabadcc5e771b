//! Two explorations of one loss as one: what the other found is taken up as if a run had found it here. Minima that are
//! one are identified as a run does, numbers are shifted behind those that are taken, evaluations are added.

use super::explorer::Explorer;
use super::plan::Plan;
use super::progress::Silent;
use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::search::{CellId, Landscape, Minimum, Origin, Pass, Path, Stage, Survey, Unrecorded};
use std::collections::HashMap;

/// What became of two landscapes.
pub struct Merged {
    /// All that both found.
    pub landscape: Landscape,
    /// How many minima of the other are minima of the first.
    pub known: usize,
    /// How far the numbers of the other's cells were shifted.
    pub shift: CellId,
}

/// Takes up another landscape. Both are looked at first: minima whose losses are not those of the oracle are of another
/// loss, whatever hashes say of it. `names` is what messages call the two.
pub fn merge(
    oracle: &mut Oracle<'_>,
    plan: &Plan,
    (known, other): (Landscape, Landscape),
    names: (&str, &str),
) -> Result<Merged> {
    check(oracle, &known, names.0)?;
    check(oracle, &other, names.1)?;
    let shift = known.next_cell();
    let (mut journal, mut progress) = (Unrecorded, Silent);
    let mut explorer = Explorer::new(oracle, plan, known.into(), &mut journal, &mut progress)?;
    let known = explorer.take(other)?;
    explorer.count(Stage::Merge);
    Ok(Merged { landscape: explorer.landscape.into_own(), known, shift })
}

/// Refuses a landscape whose first minimum has another loss by the oracle.
fn check(oracle: &mut Oracle<'_>, landscape: &Landscape, name: &str) -> Result<()> {
    let Some(minimum) = landscape.minima.iter().find(|m| m.counts()) else { return Ok(()) };
    let (found, kept) = (oracle.values(&minimum.theta)?[0], minimum.loss);
    // Single precision is off by less than the part of a loss at which minima are told apart.
    let near = 1e-6 * kept.abs().max(1.0) + 8.0 * oracle.noise();
    match (found - kept).abs() <= near {
        true => Ok(()),
        false => Err(Error::Argument(format!(
            "{name}: minimum {} has the loss {kept}, but {found} as the first run's configuration opens it: another loss",
            minimum.cell
        ))),
    }
}

impl Explorer<'_, '_> {
    /// Takes up all findings of another landscape; returns how many of its minima were known.
    fn take(&mut self, other: Landscape) -> Result<usize> {
        let (cells, paths) = (self.landscape.next_cell(), self.landscape.next_path());
        let given = self.landscape.minima.iter().filter_map(|m| match m.origin {
            Origin::Given { index, .. } => Some(index + 1),
            _ => None,
        });
        let given = given.max().unwrap_or(0);
        let (counting, before) = (other.minima.iter().filter(|m| m.counts()).count(), self.counting());
        let mut now: HashMap<CellId, CellId> = HashMap::new();
        for mut minimum in other.minima {
            let was = minimum.cell;
            minimum.cell += cells;
            minimum.same_as = minimum.same_as.map(|original| now.get(&original).copied().unwrap_or(original + cells));
            let cell = match self.descended(&minimum) {
                Some(known) => known,
                None => {
                    match &mut minimum.origin {
                        Origin::Start { .. } => {}
                        Origin::Given { index, .. } => *index += given,
                        Origin::Transit { path } => *path += paths,
                    }
                    self.take_minimum(minimum)?
                }
            };
            now.insert(was, self.own(cell));
        }
        let moved = |cell: CellId| now.get(&cell).copied().unwrap_or(cell + cells);
        for mut path in other.paths {
            path.id += paths;
            path.ends = (moved(path.ends.0), moved(path.ends.1));
            path.pass.cell += cells;
            // Boundaries name cells of the other run: a search for all saddles tells them anew.
            path.pass.evidence.iter_mut().for_each(|evidence| evidence.survey = Survey::default());
            if let Some(ends) = path.pass.evidence.as_mut().and_then(|evidence| evidence.ends.as_mut()) {
                *ends = (moved(ends.0), moved(ends.1));
            }
            // Between two minima that are one here there is nothing to climb.
            if path.ends.0 != path.ends.1 && !self.landscape.paths.iter().any(|known| is_one(known, &path)) {
                self.landscape.paths.push(path);
            }
        }
        for (stage, tally) in other.evaluations {
            self.landscape.spend(stage, tally);
        }
        Ok(counting - (self.counting() - before))
    }

    fn counting(&self) -> usize {
        self.landscape.minima.iter().filter(|m| m.counts()).count()
    }

    /// The end of the very same descent.
    fn descended(&self, minimum: &Minimum) -> Option<CellId> {
        let same = |m: &&Minimum| m.is_sampled() && m.origin == minimum.origin && m.theta == minimum.theta;
        self.landscape.minima.iter().find(same).map(|m| m.cell)
    }

    /// Keeps a minimum as a run would have, had it found it now; its number, or that of the one it is.
    fn take_minimum(&mut self, mut minimum: Minimum) -> Result<CellId> {
        if minimum.counts() {
            minimum.same_as = self.same(minimum.loss, &minimum.theta)?;
        }
        if let Some(cell) = minimum.same_as {
            if !minimum.is_sampled() {
                return Ok(cell);
            }
            if let Some(station) = self.landscape.minima.iter_mut().find(|m| m.cell == cell && !m.is_sampled()) {
                station.origin = minimum.origin;
                return Ok(cell);
            }
        }
        let cell = minimum.cell;
        self.landscape.minima.push(minimum);
        Ok(cell)
    }
}

/// Whether two paths are the same but for their numbers.
fn is_one(known: &Path, path: &Path) -> bool {
    let of = |path: &Path| {
        let Pass { kind, height, error, arc, .. } = path.pass;
        (path.ends, path.state, path.visits, kind, height, error, arc)
    };
    of(known) == of(path) && known.knots == path.knots
}
