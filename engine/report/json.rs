//! `barcode.json`, which programs read and `mpass distance` reads back, and `summary.json`.

use super::findings::Findings;
use super::words;
use crate::error::{Error, Result};
use crate::explore::{Catches, MorseComplex, Rivals};
use crate::persistence::{Bar, Barcode, NamedCell, Score};
use crate::plain;
use crate::search::{Descent, Evidence, Metric, Minimum, Origin, PassKind, Stage, Tally};
use crate::store::{Provenance, Space};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

const FORMAT: &str = "mountainpass.barcode";
const VERSION: u32 = 1;

/// A barcode with all that is needed to judge it; the order of the fields is that of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarcodeFile<'a> {
    format: String,
    version: u32,
    /// What minima were compared as.
    pub space: Space,
    /// Bars of superlevel sets: death <= birth.
    #[serde(default)]
    pub superlevel: bool,
    /// The field of the homology.
    pub coefficients: String,
    /// The bars, by degree, birth and cell.
    pub bars: Cow<'a, [Bar]>,
    /// What speaks for each of them, where they were searched for. It stands in the file beside the bar, and is not read
    /// back.
    #[serde(skip)]
    pub evidence: Vec<Option<&'a Evidence>>,
    /// The cells that bars name.
    #[serde(default)]
    pub cells: Cow<'a, [NamedCell]>,
    /// The score of degree 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to_score: Option<Score>,
    /// Where the bars come from.
    #[serde(default)]
    pub provenance: BarcodeProvenance,
}

/// The part of a provenance that stands in `barcode.json`; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BarcodeProvenance {
    /// The version of mountainpass.
    pub version: String,
    /// The backend, by its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// SHA-256 of the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model_hash: String,
    /// SHA-256 of the data, or of the files that were read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_hash: String,
    /// SHA-256 of what in the configuration decides the results.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_hash: String,
    /// The seed of the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// `paths`, `grid`, `cloud` or `graph`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// What the deaths are: `upper bounds`, `exact`, or `as sampled`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub heights: String,
    /// The configuration hashes of the other runs that were merged into this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
}

impl BarcodeFile<'static> {
    /// Reads a file; one of another kind or version is refused.
    pub fn read(path: &Path) -> Result<BarcodeFile<'static>> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        BarcodeFile::parse(&text).map_err(|text| Error::Config { path: path.to_owned(), text })
    }

    /// Reads the text of a file; the fault, if any, as one sentence.
    pub fn parse(text: &str) -> std::result::Result<BarcodeFile<'static>, String> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|e| format!("not a barcode file: {e}"))?;
        if head.format != FORMAT || head.version != VERSION {
            let found = format!("{:?} version {}", head.format, head.version);
            return Err(format!("{found}, but {FORMAT:?} version {VERSION} is expected"));
        }
        serde_json::from_str(text).map_err(|e| e.to_string())
    }
}

impl<'a> BarcodeFile<'a> {
    /// The file of a barcode. Fails where a bar or a cell has a value that is not finite, for which JSON has no word.
    pub fn of(barcode: &'a Barcode, superlevel: bool, provenance: &Provenance) -> Result<BarcodeFile<'a>> {
        let Barcode { bars, cells, .. } = barcode;
        for bar in bars {
            let values = [bar.birth].into_iter().chain(bar.death()).chain(bar.top().map(|top| top.error));
            bar_is_finite(bar, values)?;
        }
        for cell in cells {
            all_finite([cell.value], || format!("cell {}", cell.id))?;
        }
        let score = Score::of(barcode, 0);
        all_finite([score.total, score.wasserstein_2], || "the TO-score".to_owned())?;
        let from = provenance.clone();
        Ok(BarcodeFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            space: from.space,
            superlevel,
            coefficients: "Z/2".to_owned(),
            bars: Cow::Borrowed(bars),
            evidence: Vec::new(),
            cells: Cow::Borrowed(cells),
            to_score: Some(score),
            provenance: BarcodeProvenance {
                version: from.version,
                backend: plain::line(&from.backend),
                model_hash: from.model_hash,
                data_hash: from.data_hash,
                config_hash: from.config_hash,
                seed: from.seed,
                method: from.method.to_string(),
                heights: from.heights.to_string(),
                merged: from.merged.into_iter().map(|source| source.config_hash).collect(),
            },
        })
    }

    /// This file with what speaks for each bar, in the order of the bars.
    pub fn with_evidence(mut self, evidence: Vec<Option<&'a Evidence>>) -> Result<BarcodeFile<'a>> {
        for (bar, evidence) in self.bars.iter().zip(&evidence) {
            bar_is_finite(bar, evidence.iter().flat_map(|e| e.eigenvalues.iter().copied().chain([e.gradient_norm])))?;
        }
        self.evidence = evidence;
        Ok(self)
    }

    /// The file of what a report tells of.
    pub fn of_findings(findings: &Findings<'a>) -> Result<BarcodeFile<'a>> {
        let file = BarcodeFile::of(findings.barcode, findings.superlevel, findings.provenance)?;
        file.with_evidence(findings.evidence())
    }

    /// Writes it, a line for each bar and each cell.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        write!(out, "{{\n  \"format\": {}, \"version\": {},\n", line(&self.format)?, self.version)?;
        let (space, superlevel, coefficients) = (line(&self.space)?, self.superlevel, line(&self.coefficients)?);
        writeln!(out, "  \"space\": {space}, \"superlevel\": {superlevel}, \"coefficients\": {coefficients},")?;
        let evidence = self.evidence.iter().copied().chain(std::iter::repeat(None));
        lines(out, "bars", self.bars.iter().zip(evidence).map(|(bar, evidence)| Line { bar, evidence }))?;
        lines(out, "cells", self.cells.iter())?;
        if let Some(score) = &self.to_score {
            writeln!(out, "  \"to_score\": {},", line(score)?)?;
        }
        write!(out, "  \"provenance\": {}\n}}\n", line(&self.provenance)?)
    }

    /// The text of the file, as `write` writes it.
    pub fn to_json(&self) -> Result<String> {
        let mut text = Vec::new();
        let written = self.write(&mut text).map_err(|e| e.to_string());
        let text = written.and_then(|()| String::from_utf8(text).map_err(|e| e.to_string()));
        text.map_err(|e| Error::Internal(format!("JSON: {e}")))
    }
}

/// A bar in the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    bar: &'a Bar,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Evidence>,
}

fn bar_is_finite(bar: &Bar, values: impl Iterator<Item = f64>) -> Result<()> {
    all_finite(values, || format!("the bar of cell {}", bar.birth_cell))
}

/// `summary.json`: counts and costs of a run.
pub fn summary(findings: &Findings<'_>) -> Result<String> {
    #[derive(Serialize)]
    struct Summary<'a> {
        title: &'a str,
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
        /// Those with running statistics that the loss does not take.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        checkpoints: Vec<Checkpoint<'a>>,
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
        loss: f64,
        loss_with_own_statistics: f64,
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
    fn checkpoint(m: &Minimum) -> Option<Checkpoint<'_>> {
        let Origin::Given { name, .. } = &m.origin else { return None };
        let (_, own) = m.metrics.iter().find(|(metric, _)| *metric == Metric::OwnStatistics)?;
        Some(Checkpoint { name, loss: m.loss, loss_with_own_statistics: *own })
    }
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
        checkpoints: findings.minima().iter().filter_map(checkpoint).collect(),
        notes: words::remarks(findings),
    };
    let text = serde_json::to_string_pretty(&summary).map_err(unwritten)?;
    Ok(text + "\n")
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

fn all_finite(values: impl IntoIterator<Item = f64>, what: impl Fn() -> String) -> Result<()> {
    match values.into_iter().find(|x| !x.is_finite()) {
        Some(x) => Err(Error::Numeric(format!("{} holds {x}, which JSON cannot; nothing was written", what()))),
        None => Ok(()),
    }
}

fn line(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

/// A list under its name, a line for each value.
fn lines<T: Serialize>(out: &mut dyn Write, name: &str, values: impl Iterator<Item = T>) -> std::io::Result<()> {
    const BLOCK: usize = 1 << 16;
    let mut block = format!("  \"{name}\": [").into_bytes();
    let mut none = true;
    for value in values {
        block.extend_from_slice(if none { b"\n    " } else { b",\n    " });
        none = false;
        serde_json::to_writer(&mut block, &value)?;
        if block.len() > BLOCK {
            out.write_all(&block)?;
            block.clear();
        }
    }
    block.extend_from_slice(if none { b"],\n" } else { b"\n  ],\n" });
    out.write_all(&block)
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::Internal(format!("JSON: {error}"))
}
