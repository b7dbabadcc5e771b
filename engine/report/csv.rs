//! `barcode.csv`, one row a bar, and `pairs.csv`, one row a curve between two given points: floats in their shortest form
//! that reads back to the same bits, empty where a field makes no sense.

use super::checkpoints::{Checkpoints, Curve};
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

/// All curves between given points; the head alone where there are none.
pub fn pairs(findings: &Findings<'_>) -> String {
    let mut table = String::from("first,second,curve,length,height,climb,barrier,worst_at,worst_loss\n");
    let Some(given) = Checkpoints::of(findings) else { return table };
    for pair in &given.pairs {
        let [first, second] = given.names(pair).map(text);
        for (curve, along) in Curve::ALL.into_iter().filter_map(|curve| Some((curve, curve.of(pair)?))) {
            let numbers =
                [along.length, along.height, along.climb, along.barrier, along.worst.t, along.worst.loss].map(Some);
            let numbers = numbers.map(float).join(",");
            // Writing into a String cannot fail.
            let _ = writeln!(table, "{first},{second},{},{numbers}", curve.key());
        }
    }
    table
}

/// A name, in quotes where it would be taken for more than one field (RFC 4180).
fn text(name: &str) -> String {
    match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_name_is_one_field_whatever_is_in_it() {
        assert_eq!(text("a b.npz"), "a b.npz");
        assert_eq!(text("a,\"b\".npz"), "\"a,\"\"b\"\".npz\"");
    }
}
