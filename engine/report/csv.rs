//! `barcode.csv`: one row a bar, floats in their shortest form that reads back to the same bits, empty where a field
//! makes no sense.

use super::findings::Findings;
use crate::search::Evidence;
use std::fmt::Write;

/// The whole table, with its head.
pub fn barcode(findings: &Findings<'_>) -> String {
    let mut table = String::from(
        "degree,birth,death,length,death_error,birth_cell,death_cell,elder,path,death_kind,below_noise,unconverged,\
         transit,gradient_norm,negative,undecided\n",
    );
    for (bar, evidence) in findings.barcode.bars.iter().zip(findings.evidence()) {
        // Writing into a String cannot fail.
        let _ = writeln!(
            table,
            "{},{:?},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            bar.degree,
            bar.birth,
            float(bar.death()),
            float(bar.length()),
            float(bar.top().map(|top| top.error)),
            bar.birth_cell,
            field(bar.death_cell()),
            field(bar.elder()),
            field(bar.top().and_then(|top| top.path)),
            field(bar.death_kind()),
            field(bar.top().map(|top| top.below_noise)),
            field(bar.searched.map(|birth| birth.unconverged)),
            field(bar.searched.map(|birth| birth.transit)),
            float(evidence.map(|evidence| evidence.gradient_norm)),
            field(curved(evidence).map(Evidence::negative)),
            field(curved(evidence).map(Evidence::undecided))
        );
    }
    table
}

/// Where eigenvalues were computed.
fn curved(evidence: Option<&Evidence>) -> Option<&Evidence> {
    evidence.filter(|evidence| !evidence.eigenvalues.is_empty())
}

fn float(x: Option<f64>) -> String {
    x.map(|x| format!("{x:?}")).unwrap_or_default()
}

fn field<T: ToString>(x: Option<T>) -> String {
    x.map(|x| x.to_string()).unwrap_or_default()
}
