//! `summary.json`: counts and costs of a run, and what lies between points that were given.

use super::checkpoints::Checkpoints;
use super::compact;
use super::findings::Findings;
use super::words;
use crate::error::Result;
use crate::explore::{Catches, MorseComplex, Rivals};
use crate::persistence::Score;
use crate::search::{Descent, Metric, Minimum, Pair, PassKind, Stage, Tally};
use crate::store::Space;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// `summary.json`: counts and costs of a run.
pub fn write(findings: &Findings<'_>) -> Result<String> {
    #[derive(Serialize)]
    struct Summary<'a> {
        title: &'a str,
        /// The result in one sentence, as the page and the terminal begin with it.
        headline: String,
        complete: bool,
        minima: usize,
        sampled: usize,
        transit: usize,
        unconverged: usize,
        copies: usize,
        escaped: usize,
        failed: usize,
        /// Verified saddles by index.
        saddles: Ordered<'a, usize>,
        passes: Ordered<'a, usize, PassKind>,
        /// How often each saddle was found, and about how many were not.
        #[serde(skip_serializing_if = "Option::is_none")]
        search: Option<Catches>,
        #[serde(skip_serializing_if = "Option::is_none")]
        morse: Option<Morse>,
        paths: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        rivals: Option<RivalsTried>,
        bars: usize,
        to_score: Score,
        evaluations: Ordered<'a, Tally, Stage>,
        evaluations_in_all: u64,
        seconds: Ordered<'a, f64>,
        seconds_in_all: f64,
        versions: Ordered<'a, String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        space: Space,
        parameters: u64,
        samples: u64,
        /// The metrics at verified saddles and at the tops of the paths that decide bars.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        at_passes: Vec<Pass<'a>>,
        /// In how many basins the points lie that were given.
        #[serde(skip_serializing_if = "Option::is_none")]
        basins: Option<usize>,
        /// What became of each of them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        checkpoints: Vec<Checkpoint<'a>>,
        /// What lies between them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pairs: Vec<Between<'a>>,
        notes: Vec<String>,
    }
    #[derive(Serialize)]
    struct Pass<'a> {
        cell: u64,
        path: u64,
        kind: PassKind,
        loss: f64,
        metrics: Ordered<'a, f64, Metric>,
    }
    /// Counts of the Morse complex, by index or degree.
    #[derive(Serialize)]
    struct Morse {
        cells: Vec<usize>,
        pairs: Vec<usize>,
        unpaired: Vec<usize>,
        undecided: usize,
        torn: usize,
    }
    #[derive(Serialize)]
    struct RivalsTried {
        tried: u64,
        last_lowered_by: f64,
    }
    #[derive(Serialize)]
    struct Checkpoint<'a> {
        name: &'a str,
        /// The minimum that it is, is a copy of, or leads to.
        #[serde(skip_serializing_if = "Option::is_none")]
        minimum: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        basin: Option<usize>,
        /// At that minimum, or where it stands.
        loss: f64,
        /// Before a descent from there.
        #[serde(skip_serializing_if = "Option::is_none")]
        loss_as_given: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        loss_with_own_statistics: Option<f64>,
    }
    #[derive(Serialize)]
    struct Between<'a> {
        between: [&'a str; 2],
        #[serde(flatten)]
        pair: &'a Pair,
    }
    let minima = |keep: &dyn Fn(&Minimum) -> bool| findings.minima().iter().filter(|m| keep(m)).count();
    let passes = |kind| findings.paths().iter().filter(|path| path.pass.kind == kind).count();
    let landscape = findings.run.map(|run| run.landscape);
    let verified = landscape.map_or(0, |landscape| landscape.listed().count());
    let search = landscape.and_then(Catches::of);
    let morse = landscape.filter(|_| search.is_some()).map(MorseComplex::of).map(|complex| Morse {
        cells: complex.counts(),
        pairs: complex.ended(),
        unpaired: complex.betti(),
        undecided: complex.undecided().count(),
        torn: complex.torn.len(),
    });
    let given = Checkpoints::of(findings);
    let rows = given.iter().flat_map(|given| &given.rows);
    let checkpoints = rows.map(|row| Checkpoint {
        name: row.name,
        minimum: row.own(),
        basin: row.basin,
        loss: row.minimum.loss,
        loss_as_given: row.before(),
        loss_with_own_statistics: row.beside(&Metric::OwnStatistics),
    });
    let pairs = given.iter().flat_map(|given| given.pairs.iter().map(|pair| (given.names(pair), *pair)));
    let passes_with_metrics = findings.passes().into_iter().map(|(path, metrics)| Pass {
        cell: path.pass.cell,
        path: path.id,
        kind: path.pass.kind,
        loss: path.pass.height,
        metrics: Ordered(metrics),
    });
    let saddles = [("1".to_owned(), verified)];
    let kinds = [(PassKind::VerifiedSaddle, verified), (PassKind::PathMaximum, passes(PassKind::PathMaximum))];
    let summary = Summary {
        title: findings.title,
        headline: words::headline(findings),
        complete: findings.is_complete(),
        minima: minima(&|m| m.counts()),
        sampled: minima(&|m| m.counts() && m.is_sampled()),
        transit: minima(&|m| m.counts() && !m.is_sampled()),
        unconverged: minima(&|m| m.counts() && m.descent == Descent::Unconverged),
        copies: minima(&|m| m.same_as.is_some()),
        escaped: minima(&|m| m.descent == Descent::Escaped),
        failed: minima(&|m| m.descent == Descent::NotFinite),
        saddles: Ordered(&saddles),
        passes: Ordered(&kinds),
        search,
        morse,
        paths: findings.paths().len(),
        rivals: findings.rivals().map(|Rivals { tried, last_lowered_by }| RivalsTried { tried, last_lowered_by }),
        bars: findings.barcode.bars.len(),
        to_score: findings.score(),
        evaluations: Ordered(findings.evaluations()),
        evaluations_in_all: findings.evaluations_in_all(),
        seconds: Ordered(findings.seconds),
        seconds_in_all: findings.seconds_in_all(),
        versions: Ordered(findings.versions()),
        seed: findings.provenance.seed,
        space: findings.provenance.space,
        parameters: findings.provenance.parameters,
        samples: findings.provenance.samples,
        at_passes: passes_with_metrics.collect(),
        basins: given.as_ref().map(|given| given.basins),
        checkpoints: checkpoints.collect(),
        pairs: pairs.map(|(between, pair)| Between { between, pair }).collect(),
        notes: words::remarks(findings),
    };
    compact::to_string(&summary)
}

/// Pairs as an object, in their order.
struct Ordered<'a, T, K = String>(&'a [(K, T)]);

impl<T: Serialize, K: Serialize> Serialize for Ordered<'_, T, K> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}
