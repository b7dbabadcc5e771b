//! `barcode.csv`: one row a bar, floats in their shortest form that reads back to the same bits, empty where a field
//! makes no sense.

use crate::persistence::{Barcode, DeathKind};
use std::fmt::Write;

/// The whole table, with its head.
pub fn barcode(barcode: &Barcode) -> String {
    let mut table = String::from(
        "degree,birth,death,length,death_error,birth_cell,death_cell,elder,path,death_kind,below_noise,unconverged\n",
    );
    for bar in &barcode.bars {
        let kind = match bar.death_kind() {
            Some(DeathKind::VerifiedSaddle) => "verified saddle",
            Some(DeathKind::PathMaximum) => "path maximum",
            Some(DeathKind::Cell) => "cell",
            None => "",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            table,
            "{},{:?},{},{},{},{},{},{},{},{kind},{},{}",
            bar.degree,
            bar.birth,
            float(bar.death()),
            float(bar.length()),
            float(bar.top().map(|top| top.error)),
            bar.birth_cell,
            field(bar.death_cell()),
            field(bar.elder()),
            field(bar.top().map(|top| top.path)),
            field(bar.top().map(|top| top.below_noise)),
            field(bar.searched.map(|birth| birth.unconverged))
        );
    }
    table
}

fn float(x: Option<f64>) -> String {
    x.map(|x| format!("{x:?}")).unwrap_or_default()
}

fn field<T: ToString>(x: Option<T>) -> String {
    x.map(|x| x.to_string()).unwrap_or_default()
}
