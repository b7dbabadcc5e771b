//! The saddle at the top of a path: when it is looked for, the path led over it, and the two descents that confirm it.

use super::deciding::Deciding;
use super::explorer::Explorer;
use super::feet::Foot;
use crate::error::Result;
use crate::search::connect::{self, Cut, Top};
use crate::search::saddle::{self, Near, Verdict};
use crate::search::vector::dot;
use crate::search::{Minimum, Pass, PassKind, Path, PathState, Rejected};

impl Explorer<'_, '_> {
    /// True when the top of a path may be close enough to a saddle: of one that decides a bar before the finest band, which
    /// costs more than a search; of all once the whole path was relaxed, and then ever more rarely, for every search that
    /// fails costs hundreds of products; and at the last visit. Where it failed it would fail again.
    pub(super) fn is_ripe(&self, path: &Path, decides: bool) -> bool {
        if path.pass.reason.is_some() {
            return false;
        }
        let zooms = i64::from(path.visits) - self.plan.schedule.knots.len() as i64;
        let is_last = path.visits >= self.plan.schedule.visits;
        is_last || path.state == PathState::Converged || matches!(zooms, 0 | 2 | 5) || decides && zooms == -1
    }

    /// The path led over the true saddle at its top, if one is found there that both descents confirm; else the path,
    /// with the reason. A saddle beside the path gets a path of its own, which takes the place of this one's top.
    pub(super) fn over_saddle(
        &mut self,
        path: Path,
        minima: &mut Vec<Minimum>,
        new: &mut Vec<Path>,
        deciding: &Deciding,
    ) -> Result<Path> {
        let mut sought = Err(Rejected::Kink);
        for view in connect::views_of_top(self.oracle, &path)? {
            let top = connect::top(self.oracle, &path, view)?;
            sought = self.sought(&path, &top)?.map(|saddle| (top, saddle));
            if sought.is_ok() {
                break;
            }
        }
        let (top, saddle) = match sought {
            Ok(found) => found,
            Err(rejected) => return Ok(refused(path, rejected)),
        };
        let led = saddle::lead_over(self.oracle, &path, &saddle)?;
        let sides = saddle.sides(0.2 * connect::reach(&path));
        let feet = self.two_feet((&sides, saddle.loss), &path, minima)?;
        match (led, feet) {
            (Ok(led), Ok(feet)) => Ok(confirmed(led, &feet)),
            (Ok(mut led), Err(rejected)) => {
                led.pass.kind = PassKind::PathMaximum;
                Ok(refused(led, rejected))
            }
            // On kinks no straight way leads over the saddle, which tells nothing.
            (Err(_), Err(rejected)) if saddle.beside.is_some() => Ok(refused(path, rejected)),
            (Err(above), Err(_)) => Ok(refused(path, above)),
            (Err(above), Ok(feet)) => {
                let Some(own) = saddle::own_path(self.oracle, &path, &saddle, &sides, [&feet[0].way, &feet[1].way])?
                else {
                    return Ok(refused(path, above));
                };
                let own = confirmed(Path { ends: (feet[0].cell, feet[1].cell), ..own }, &feet);
                if connect::are_ends(&own, self.own(path.ends.0), self.own(path.ends.1)) {
                    return Ok(own);
                }
                let ahead = dot(&saddle.mode, &top.along) > 0.0;
                self.beside((path, top.arc), (own, ahead, &saddle.trail), (minima, new), deciding)
            }
        }
    }

    /// A saddle that may be the path's, or one that a lower path leads over: no higher than its top.
    fn sought(&mut self, path: &Path, top: &Top) -> Result<Verdict> {
        let Top { theta: top, along, view, .. } = top;
        let (reach, tolerance) = (connect::reach(path), self.critical());
        let ends = [path.ends.0, path.ends.1].map(|end| self.landscape.minimum(end));
        let null = ends.iter().flatten().map(|end| end.evidence.undecided()).min().unwrap_or(0);
        let near = Near { top, along, reach, tolerance, null };
        let highest = path.pass.height + path.pass.error;
        Ok(match saddle::refine(self.oracle, self.domain.tangents(), near, view)? {
            Ok(found) if found.loss > highest => Err(Rejected::Higher),
            verdict => verdict,
        })
    }

    /// Where the descents from either side of a saddle end: in two minima, or there is no pass. Their steps are short: one
    /// over a ridge would tell nothing of the saddle.
    fn two_feet(
        &mut self,
        (sides, below): (&[Vec<f64>; 2], f64),
        path: &Path,
        minima: &mut Vec<Minimum>,
    ) -> Result<std::result::Result<[Foot; 2], Rejected>> {
        let p = self.oracle.params();
        let lowest = [0, 1].map(|k| sides[k][sides[k].len() - p..].to_vec());
        Ok(match self.feet((lowest, below), Some(connect::reach(path)), path.id, minima)? {
            Some(feet) if feet[0].cell == feet[1].cell => Err(Rejected::OneEnd(feet[0].cell)),
            Some(feet) => Ok(feet),
            None => Err(Rejected::NoEnd),
        })
    }

    /// A path and the one of a saddle found beside it: cut at its top, the path leads by the way of the search to that saddle
    /// and down to its feet, unless its pieces rise too high.
    fn beside(
        &mut self,
        (mut path, arc): (Path, f64),
        (own, ahead, trail): (Path, bool, &[f64]),
        (minima, new): (&[Minimum], &mut Vec<Path>),
        deciding: &Deciding,
    ) -> Result<Path> {
        let is_known = self.is_known(&own);
        let ends = [self.own(path.ends.0), self.own(path.ends.1)];
        let [over, under] = connect::sides(&own);
        let cut = |cell, down: Vec<f64>| Cut { arc, cell, way: [trail, &down].concat() };
        let mut cuts = vec![cut(own.ends.0, over), cut(own.ends.1, under)];
        if ahead {
            cuts.reverse();
        }
        cuts.retain(|cut| !ends.contains(&cut.cell));
        if let Some(pieces) = self.split(&path, (&cuts, Some(&own)), minima, deciding)? {
            path.state = PathState::Split;
            let is_new = |piece: &Path| !is_known || !connect::are_ends(piece, own.ends.0, own.ends.1);
            new.extend(pieces.into_iter().filter(is_new));
            return Ok(path);
        }
        if !is_known {
            let ids = self.next_ids(minima, new);
            new.push(Path { id: ids.path, pass: Pass { cell: ids.cell, ..own.pass }, ..own });
        }
        Ok(refused(path, Rejected::Above))
    }

    /// Whether there is a verified path between the same minima over a saddle as high.
    fn is_known(&self, own: &Path) -> bool {
        let near = self.nearness(own.pass.height);
        self.landscape.paths.iter().any(|other| {
            let is_verified = other.pass.kind.is_verified();
            let is_as_high = (other.pass.height - own.pass.height).abs() <= near;
            is_verified && is_as_high && connect::are_ends(other, own.ends.0, own.ends.1)
        })
    }
}

fn confirmed(mut path: Path, [p, q]: &[Foot; 2]) -> Path {
    if let Some(evidence) = &mut path.pass.evidence {
        evidence.ends = Some((p.cell, q.cell));
    }
    path
}

fn refused(mut path: Path, rejected: Rejected) -> Path {
    path.pass.reason = Some(rejected.to_string());
    path
}
