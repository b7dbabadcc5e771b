//! The points that were given and the pairs of them, as page, terminal and files tell of them.

use super::findings::Findings;
use super::number::{column, counted, short, significant};
use crate::explore::{ALL_PAIRS, Basins};
use crate::loss::Split;
use crate::search::{Along, Metric, Minimum, Origin, Pair, Way};

/// What is told of given points.
pub struct Checkpoints<'a> {
    /// Each of them, in their order.
    pub rows: Vec<Checkpoint<'a>>,
    /// In how many basins they lie.
    pub basins: usize,
    /// What lies between them; empty where that was not measured.
    pub pairs: Vec<&'a Pair>,
    /// What two evaluations of one loss may differ by.
    noise: f64,
    /// Names without what all of them have in common.
    short: Vec<String>,
}

/// One of them.
pub struct Checkpoint<'a> {
    /// Its file, or what the caller calls it.
    pub name: &'a str,
    /// What became of it.
    pub minimum: &'a Minimum,
    /// The number of its basin, from 1.
    pub basin: Option<usize>,
    index: u64,
}

impl<'a> Checkpoint<'a> {
    /// The minimum that it is, is a copy of, or leads to.
    pub fn own(&self) -> Option<u64> {
        self.basin.map(|_| self.minimum.same_as.unwrap_or(self.minimum.cell))
    }

    /// The loss where it was given, if a descent began there.
    pub fn before(&self) -> Option<f64> {
        self.beside(&Metric::LossBefore)
    }

    /// The loss where it was given.
    pub fn loss(&self) -> f64 {
        self.before().unwrap_or(self.minimum.loss)
    }

    /// A number that is known beside the loss.
    pub fn beside(&self, of: &Metric) -> Option<f64> {
        self.minimum.metrics.iter().find(|(metric, _)| metric == of).map(|(_, x)| *x)
    }
}

/// A curve between two points, as a table names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    Raw,
    Aligned,
    Path,
}

impl Curve {
    /// All of them, in the order in which they are told.
    pub const ALL: [Curve; 3] = [Curve::Raw, Curve::Aligned, Curve::Path];

    pub fn name(self) -> &'static str {
        match self {
            Curve::Raw => "straight line",
            Curve::Aligned => "line after alignment",
            Curve::Path => "best path",
        }
    }

    /// Its name in files.
    pub fn key(self) -> &'static str {
        match self {
            Curve::Raw => "raw",
            Curve::Aligned => "aligned",
            Curve::Path => "path",
        }
    }

    /// Its name where there is little room.
    pub fn short_name(self) -> &'static str {
        match self {
            Curve::Raw => "line",
            Curve::Aligned => "aligned",
            Curve::Path => "path",
        }
    }

    /// The loss along it, where there is one.
    pub fn of(self, pair: &Pair) -> Option<&Along> {
        match self {
            Curve::Raw => Some(&pair.raw),
            Curve::Aligned => pair.aligned.as_ref(),
            Curve::Path => pair.path.as_ref().map(|path| &path.along),
        }
    }
}

impl<'a> Checkpoints<'a> {
    /// Those of a search; `None` where no point was given.
    pub fn of(findings: &Findings<'a>) -> Option<Checkpoints<'a>> {
        // Of points that a cloud of samples is laid round no basins are known.
        let run = findings.run.filter(|_| findings.searched())?;
        let Basins { of, count } = Basins::of(run.landscape, run.noise)?;
        let row = |(minimum, basin): (&'a Minimum, Option<usize>)| match &minimum.origin {
            Origin::Given { index, name } => Some(Checkpoint { name, minimum, basin, index: *index }),
            _ => None,
        };
        let rows: Vec<Checkpoint<'_>> = of.into_iter().filter_map(row).collect();
        let short = shortened(&rows.iter().map(|row| row.name).collect::<Vec<_>>());
        let mut given = Checkpoints { rows, basins: count, pairs: Vec::new(), noise: run.noise, short };
        // Of points that are not kept there is nothing to tell.
        given.pairs = run.pairs.iter().filter(|pair| given.places(pair).is_some()).collect();
        Some(given)
    }

    /// `3 checkpoints, 1 basin`.
    pub fn counted(&self) -> String {
        let points = counted(self.rows.len() as u64, "checkpoint", "checkpoints");
        format!("{points}, {}", counted(self.basins as u64, "basin", "basins"))
    }

    /// Whether all of several lie in one basin.
    pub fn are_in_one(&self) -> bool {
        self.rows.len() > 1 && self.basins == 1 && self.rows.iter().all(|row| row.basin.is_some())
    }

    /// Whether a descent began at the points.
    pub fn are_polished(&self) -> bool {
        self.rows.iter().any(|row| row.before().is_some())
    }

    /// The full names of a pair.
    pub fn names(&self, pair: &Pair) -> [&'a str; 2] {
        let name = |index| self.place(index).map_or("", |at| self.rows[at].name);
        [name(pair.given.0), name(pair.given.1)]
    }

    /// The short names of a pair.
    pub fn between(&self, pair: &Pair) -> String {
        let name = |index| self.place(index).map_or("", |at| self.short[at].as_str());
        format!("{} – {}", name(pair.given.0), name(pair.given.1))
    }

    /// The short names, in the order of the points.
    pub fn short_names(&self) -> &[String] {
        &self.short
    }

    fn place(&self, index: u64) -> Option<usize> {
        self.rows.iter().position(|row| row.index == index)
    }

    fn places(&self, pair: &Pair) -> Option<(usize, usize)> {
        Some((self.place(pair.given.0)?, self.place(pair.given.1)?))
    }

    /// The losses of the points, those of the minima that they lead to, and by how much it fell.
    pub fn losses(&self) -> [Vec<String>; 2] {
        let given: Vec<f64> = self.rows.iter().map(Checkpoint::loss).collect();
        let fell =
            self.rows.iter().map(|row| row.before().map_or(String::new(), |before| short(before - row.minimum.loss)));
        [column(&given, 6), fell.collect()]
    }

    /// How far a way climbs, in words where that is no number.
    pub fn climb(&self, pair: &Pair) -> String {
        match &pair.path {
            None => "none found".to_owned(),
            Some(Way { minima: (a, b), .. }) if a == b => "one minimum".to_owned(),
            Some(Way { along, .. }) if along.climb <= self.noise => "no climb".to_owned(),
            Some(Way { along, .. }) => short(along.climb),
        }
    }

    /// A rise, 0 where it is no more than noise.
    pub fn rise(&self, rise: f64) -> String {
        if rise <= self.noise { "0".to_owned() } else { short(rise) }
    }

    /// Curves that any pair has.
    pub fn curves(&self) -> Vec<Curve> {
        Curve::ALL.into_iter().filter(|curve| self.pairs.iter().any(|pair| curve.of(pair).is_some())).collect()
    }

    /// The loss's own metrics along the curves, but for what the loss is anyway.
    pub fn metrics(&self) -> Vec<&'a Metric> {
        let all = self.pairs.first().map_or(&[][..], |pair| &pair.raw.metrics);
        let is_loss = |metric: &Metric| matches!(metric, Metric::Of(Split::Train, name) if name == "loss");
        all.iter().map(|(metric, _)| metric).filter(|metric| !is_loss(metric)).collect()
    }

    /// That not all pairs are told, where they are not.
    pub fn left_out(&self) -> Option<String> {
        let n = self.rows.len();
        (n > ALL_PAIRS && !self.pairs.is_empty()).then(|| {
            let pairs = counted(self.pairs.len() as u64, "pair is told", "pairs are told");
            format!(
                "Of {n} checkpoints {pairs}, those that lie next to each other in the merge tree: up to {ALL_PAIRS} \
                 checkpoints it is every pair."
            )
        })
    }
}

/// At one end, where the barrier is, and at the other end.
pub fn ends_and_worst(along: &Along, of: Option<&Metric>) -> String {
    let at = |row: &[(Metric, f64)], metric: &Metric| row.iter().find(|(other, _)| other == metric).map(|(_, x)| *x);
    let (values, worst) = match of {
        None => (Some(&along.loss), Some(along.worst.loss)),
        Some(metric) => {
            let column = along.metrics.iter().find(|(other, _)| other == metric).map(|(_, column)| column);
            (column, at(&along.worst.metrics, metric))
        }
    };
    let Some((values, worst)) = values.zip(worst) else { return String::new() };
    let all = [values.first().copied(), Some(worst), values.last().copied()];
    all.into_iter().flatten().map(|x| significant(x, 4)).collect::<Vec<_>>().join(" → ")
}

/// Names without the folder and the ending that all have in common.
fn shortened(names: &[&str]) -> Vec<String> {
    let [first, ..] = names else { return Vec::new() };
    let folder = first.rfind('/').map_or(0, |at| at + 1);
    let folder = (0..=folder).rev().find(|&at| {
        (at == 0 || first.as_bytes()[at - 1] == b'/') && names.iter().all(|name| name.starts_with(&first[..at]))
    });
    let folder = folder.unwrap_or(0);
    let ending = first[folder..].rfind('.').map(|at| &first[folder + at..]);
    let ending =
        ending.filter(|ending| names.iter().all(|name| name.len() > folder + ending.len() && name.ends_with(ending)));
    names.iter().map(|name| name[folder..name.len() - ending.map_or(0, str::len)].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn names_lose_what_they_have_in_common() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["runs/seed-0.pt.npz", "runs/seed-1.pt.npz"], &["seed-0.pt", "seed-1.pt"]),
            (&["a/x.npy", "b/x.npy"], &["a/x", "b/x"]),
            (&["a.npy row 0", "a.npy row 1"], &["a.npy row 0", "a.npy row 1"]),
            (&["ckpt/a.npz", "ckpt/b.npy"], &["a.npz", "b.npy"]),
            (&["é/ü.npy", "é/.npy"], &["ü.npy", ".npy"]),
        ];
        for (names, short) in cases {
            assert_eq!(shortened(names), short);
        }
    }
}
