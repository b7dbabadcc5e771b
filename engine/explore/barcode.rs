//! The barcode of what a search has found: degree 0 of all measured paths, the degrees above of the Morse complex where all
//! saddles were asked for.

use super::boundary::MorseComplex;
use super::catches::Catches;
use super::tree::MergeTree;
use crate::pass::PassKind;
use crate::persistence::{Bar, Barcode, CellKind, Death, DeathAt, NamedCell, Top};
use crate::search::{Landscape, Pass};

/// All bars of a landscape. `noise` is what two evaluations of one loss may differ by.
pub fn barcode(landscape: &Landscape, noise: f64) -> Barcode {
    let mut barcode = MergeTree::of(landscape).barcode(noise);
    if Catches::of(landscape).is_some() {
        let complex = MorseComplex::of(landscape);
        let Barcode { bars, cells, .. } = &mut barcode;
        cells.extend(bars.iter_mut().filter_map(|bar| verify(bar, &complex, landscape, noise)));
        complex.join(&mut barcode);
    }
    barcode
}

/// A verified saddle that ends the same bar no higher than a path may have its maximum is the better evidence: it takes the
/// path's place.
fn verify(bar: &mut Bar, complex: &MorseComplex, landscape: &Landscape, noise: f64) -> Option<NamedCell> {
    let (end, top) = bar.end.zip(bar.top()).filter(|(_, top)| top.kind == PassKind::PathMaximum)?;
    let pair = complex.pairs.iter().find(|pair| pair.degree == 0 && pair.birth == bar.birth_cell)?;
    let saddle = landscape.listed().find(|path| Some(path.pass.cell) == pair.death)?;
    let Pass { cell: id, height: value, error, .. } = saddle.pass;
    (value <= end.value + top.error).then(|| {
        let (path, below_noise) = (Some(saddle.id), value - bar.birth <= noise);
        let at = DeathAt::Top(Top { path, error, kind: PassKind::VerifiedSaddle, below_noise });
        bar.end = Some(Death { value, cell: id, at, ..end });
        NamedCell { id, degree: 1, value, kind: CellKind::Saddle, position: Vec::new() }
    })
}
