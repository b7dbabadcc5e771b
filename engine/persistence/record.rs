//! A bar as `barcode.json` and a database hold it: flat, and what it lacks left out. Files of others may lack more.

use super::barcode::{Bar, Death, DeathAt, DeathKind, Searched, Top};
use crate::pass::PassKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// The cell of a death that a file does not name.
const NO_CELL: u64 = u64::MAX;

/// The order of the fields is that of the files.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    degree: u32,
    birth: f64,
    death: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    death_error: Option<f64>,
    birth_cell: u64,
    death_cell: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    elder: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<u64>,
    death_kind: Option<DeathKind>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    transit: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    below_noise: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    unconverged: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", default)]
    cycle: Cow<'a, [Vec<u32>]>,
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let top = self.top();
        let record = Record {
            degree: self.degree,
            birth: self.birth,
            death: self.death(),
            death_error: top.map(|top| top.error),
            birth_cell: self.birth_cell,
            death_cell: self.death_cell(),
            elder: self.elder(),
            path: top.and_then(|top| top.path),
            death_kind: self.death_kind(),
            transit: self.is_transit().then_some(true),
            below_noise: top.map(|top| top.below_noise),
            unconverged: self.searched.map(|birth| birth.unconverged),
            cycle: Cow::Borrowed(&self.cycle),
        };
        record.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Bar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bar, D::Error> {
        let record = Record::deserialize(from)?;
        let top = |kind| {
            let (error, below_noise) = (record.death_error.unwrap_or(0.0), record.below_noise == Some(true));
            DeathAt::Top(Top { path: record.path, error, kind, below_noise })
        };
        let death = |value| Death {
            value,
            cell: record.death_cell.unwrap_or(NO_CELL),
            elder: record.elder,
            at: match record.death_kind {
                Some(DeathKind::VerifiedSaddle) => top(PassKind::VerifiedSaddle),
                Some(DeathKind::VerifiedKinkSaddle) => top(PassKind::VerifiedKinkSaddle),
                Some(DeathKind::PathMaximum) => top(PassKind::PathMaximum),
                Some(DeathKind::CriticalPoint) => DeathAt::Critical,
                Some(DeathKind::Cell) | None => DeathAt::Cell,
            },
        };
        let searched = |unconverged| Searched { transit: record.transit == Some(true), unconverged };
        Ok(Bar {
            degree: record.degree,
            birth: record.birth,
            birth_cell: record.birth_cell,
            end: record.death.map(death),
            searched: record.unconverged.or(record.transit.map(|_| false)).map(searched),
            cycle: record.cycle.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_of_others_keeps_what_it_ends_at() {
        for kind in DeathKind::ALL.iter().filter(|kind| **kind != DeathKind::Cell) {
            let text = format!(r#"{{"degree":0,"birth":0.5,"death":2.25,"birth_cell":4,"death_kind":"{kind}"}}"#);
            let bar: Bar = serde_json::from_str(&text).unwrap();
            assert_eq!((bar.death_kind(), bar.top().and_then(|top| top.path)), (Some(*kind), None));
            assert_eq!(serde_json::from_str::<Bar>(&serde_json::to_string(&bar).unwrap()).unwrap(), bar);
        }
    }
}
