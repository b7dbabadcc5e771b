//! `barcode.json`, which programs read and `mpass distance` reads back.

use super::findings::Findings;
use crate::error::{Error, Result};
use crate::persistence::{Bar, Barcode, NamedCell, Score};
use crate::plain;
use crate::search::Evidence;
use crate::store::{Provenance, Space};
use serde::{Deserialize, Serialize};
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
    /// The score of degree 0; `null` where the sum of the lengths overflows.
    #[serde(default)]
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
        // No other number of the score is greater than the sum of the lengths.
        let score = Some(Score::of(barcode, 0)).filter(|score| score.total.is_finite());
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
            to_score: score,
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
        writeln!(out, "  \"to_score\": {},", line(&self.to_score)?)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::{Death, DeathAt};

    #[test]
    fn a_score_that_overflows_withholds_no_bars() {
        let bar = |birth, value| Bar {
            degree: 0,
            birth,
            birth_cell: 0,
            end: Some(Death { value, cell: 1, elder: None, at: DeathAt::Cell }),
            searched: None,
            cycle: Vec::new(),
        };
        let (most, long) = (bar(1.0, f64::MAX), bar(f64::MIN, f64::MAX));
        // The sum of two lengths overflows, then a length itself; one bar alone has its score.
        for (bars, scored) in [(vec![most.clone(), most.clone()], false), (vec![long], false), (vec![most], true)] {
            let barcode = Barcode { bars, ..Barcode::default() };
            let text = BarcodeFile::of(&barcode, false, &Provenance::default()).unwrap().to_json().unwrap();
            let entry = serde_json::from_str::<serde_json::Value>(&text).unwrap()["to_score"].take();
            assert_eq!((entry.is_null(), entry.is_object()), (!scored, scored));
            let read = BarcodeFile::parse(&text).unwrap();
            assert_eq!((read.bars.as_ref(), read.to_score.is_some()), (barcode.bars.as_slice(), scored));
        }
    }
}
