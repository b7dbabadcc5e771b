//! The Morse complex of the loss in its whole space as far as it was found: minima, saddles, points of higher index, and
//! of each its boundary modulo 2, the points one index lower to which an odd number of lines of flow run from it.
//!
//! Filtered by the loss it has a canonical form, which the reduction of sampled functions finds for it, too: each cell is
//! half of one bar or begins a half-line. In degree 0 these are the pairs of the merge tree. All of it is of the cells
//! found: one that was not found would pair with another.

use crate::order::by_value;
use crate::persistence::pairs::{self, Pair};
use crate::persistence::reduce::{Filtered, reduce};
use crate::persistence::{Barcode, CellKind, Death, DeathAt, Searched};
use crate::search::{CellId, Landscape, Minimum, Path};
use std::collections::{BTreeSet, HashMap};

/// A critical point with its boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct MorseCell {
    /// Its number.
    pub id: CellId,
    /// How many eigenvalues are negative.
    pub index: usize,
    /// Its loss.
    pub value: f64,
    /// The cells of its boundary; `None` where lines of flow from it came to no end that is known.
    pub boundary: Option<Vec<CellId>>,
}

/// The cells of a landscape with their boundaries, and how they pair up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MorseComplex {
    /// In the order of the filtration: by value, index and number.
    pub cells: Vec<MorseCell>,
    /// The canonical form: every class of the cells found, the lowest degree first.
    pub pairs: Vec<Pair>,
    /// Cells whose boundary, as lines of flow told it, had one itself: a line was followed to a wrong end, or one was missed.
    /// They have none here.
    pub torn: Vec<CellId>,
    /// The highest index that was looked for.
    pub looked_for: usize,
    /// The number of dimensions: of the parameters those that no continuous symmetry moves along.
    pub dimensions: usize,
}

impl MorseComplex {
    /// Of the verified critical points of a landscape, each once.
    pub fn of(landscape: &Landscape) -> MorseComplex {
        let mut cells = found(landscape);
        cells.sort_by(|a, b| by_value((a.value, a.index as u64), (b.value, b.index as u64)).then(a.id.cmp(&b.id)));
        let ranks: HashMap<CellId, usize> = cells.iter().enumerate().map(|(rank, cell)| (cell.id, rank)).collect();
        let mut torn = Vec::new();
        for rank in 0..cells.len() {
            // What falls ends lower: another boundary cannot be one.
            let falls =
                |face: &CellId| ranks.get(face).is_some_and(|&r| r < rank && cells[r].index + 1 == cells[rank].index);
            let whole = cells[rank].boundary.as_ref().is_none_or(|faces| faces.iter().all(falls));
            let closed = whole && is_closed(&cells, &ranks, rank);
            torn.extend((whole && !closed).then_some(cells[rank].id));
            if !closed {
                cells[rank].boundary = None;
            }
        }
        let (looked_for, dimensions) = (looked_for(landscape), dimensions(landscape));
        let pairs = canonical(&Order { cells: &cells, ranks });
        MorseComplex { cells, pairs, torn, looked_for, dimensions }
    }

    /// How many cells there are of each index that was looked for.
    pub fn counts(&self) -> Vec<usize> {
        let highest = self.cells.iter().map(|cell| cell.index).fold(self.looked_for, usize::max);
        (0..=highest).map(|index| self.cells.iter().filter(|cell| cell.index == index).count()).collect()
    }

    /// Cells whose boundary is not known.
    pub fn undecided(&self) -> impl Iterator<Item = &MorseCell> {
        self.cells.iter().filter(|cell| cell.boundary.is_none())
    }

    /// The Betti numbers of the cells found: how many classes of each degree no cell ends.
    pub fn betti(&self) -> Vec<usize> {
        self.classes(|pair| pair.death.is_none())
    }

    /// How many classes of each degree a cell ends.
    pub fn ended(&self) -> Vec<usize> {
        self.classes(|pair| pair.death.is_some())
    }

    fn classes(&self, keep: impl Fn(&Pair) -> bool) -> Vec<usize> {
        let of = |degree: usize| self.pairs.iter().filter(|p| p.degree as usize == degree && keep(p)).count();
        (0..self.counts().len()).map(of).collect()
    }

    /// Whether the ends of classes of a degree were looked for, or cannot be.
    pub fn is_told(&self, degree: usize) -> bool {
        degree < self.looked_for || degree == self.dimensions
    }

    /// The first index at which the Morse inequalities fail against the Betti numbers of the domain: cells up to it are
    /// missing. The last of all is an equation, of Euler's characteristic.
    pub fn lacks(&self, domain: &[usize]) -> Option<usize> {
        let at = |numbers: &[usize], k: usize| numbers.get(k).copied().unwrap_or(0) as i64;
        let (counts, mut rest) = (self.counts(), 0);
        (0..=self.looked_for).find(|&k| {
            rest = at(&counts, k) - at(domain, k) - rest;
            rest < 0 || k == self.dimensions && rest != 0
        })
    }

    /// Adds the bars of degree 1 and above to a barcode: of each degree whose ends were looked for, or cannot be.
    pub fn join(&self, barcode: &mut Barcode) {
        let is_told = |pair: &&Pair| pair.degree > 0 && self.is_told(pair.degree as usize);
        let told: Vec<Pair> = self.pairs.iter().filter(is_told).copied().collect();
        let values: HashMap<CellId, f64> = self.cells.iter().map(|cell| (cell.id, cell.value)).collect();
        let Barcode { bars, cells, .. } = pairs::barcode(&told, &[], |id| values.get(&id).copied().unwrap_or(f64::NAN));
        barcode.bars.extend(bars.into_iter().map(|mut bar| {
            bar.searched = Some(Searched::default());
            bar.end = bar.end.map(|end| Death { at: DeathAt::Critical, ..end });
            bar
        }));
        barcode.cells.extend(cells.into_iter().map(|mut cell| {
            cell.kind = if cell.degree == 1 { CellKind::Saddle } else { CellKind::CriticalPoint };
            cell
        }));
        let named: BTreeSet<CellId> =
            barcode.bars.iter().flat_map(|bar| [Some(bar.birth_cell), bar.death_cell()]).flatten().collect();
        barcode.cells.retain(|cell| named.contains(&cell.id));
        *barcode = Barcode::new(std::mem::take(&mut barcode.bars), std::mem::take(&mut barcode.cells), barcode.zero);
    }
}

/// Whether the boundary of a cell's boundary is nothing, modulo 2, as far as it is known.
fn is_closed(cells: &[MorseCell], ranks: &HashMap<CellId, usize>, rank: usize) -> bool {
    let faces = |rank: usize| cells[rank].boundary.iter().flatten();
    let known = |face: &CellId| ranks.get(face).copied().filter(|&rank| cells[rank].boundary.is_some());
    let below: Option<Vec<usize>> = faces(rank).map(known).collect();
    let mut rest = BTreeSet::new();
    for face in below.into_iter().flatten().flat_map(faces) {
        if !rest.remove(face) {
            rest.insert(face);
        }
    }
    rest.is_empty()
}

/// All cells, in no order. Copies of minima stand for the minimum they are copies of.
fn found(landscape: &Landscape) -> Vec<MorseCell> {
    let own = |m: &Minimum| Some((m.cell, if m.counts() { m.cell } else { m.same_as? }));
    let own: HashMap<CellId, CellId> = landscape.minima.iter().filter_map(own).collect();
    let minima = landscape.minima.iter().filter(|m| m.counts());
    let minima = minima.map(|m| MorseCell { id: m.cell, index: 0, value: m.loss, boundary: Some(Vec::new()) });
    let saddle = |path: &Path| {
        let ends = path.pass.survey().and_then(|survey| survey.boundary);
        let ends = ends.and_then(|(a, b)| Some((*own.get(&a)?, *own.get(&b)?)));
        let boundary = ends.map(|(a, b)| if a == b { Vec::new() } else { vec![a, b] });
        MorseCell { id: path.pass.cell, index: 1, value: path.pass.height, boundary }
    };
    let higher = landscape.critical.iter().map(|c| {
        let boundary = c.evidence.survey.faces.clone();
        MorseCell { id: c.cell, index: c.index, value: c.loss, boundary }
    });
    minima.chain(landscape.listed().map(saddle)).chain(higher).collect()
}

/// The highest index that was looked for: walks lead up from points of one index to those of the next.
fn looked_for(landscape: &Landscape) -> usize {
    let climbed = |index: usize| match index {
        1 => landscape.listed().any(|path| path.pass.survey().is_some_and(|survey| survey.climbs > 0)),
        _ => landscape.critical.iter().any(|c| c.index == index && c.evidence.survey.climbs > 0),
    };
    (1..).find(|&index| !climbed(index)).unwrap_or(1)
}

fn dimensions(landscape: &Landscape) -> usize {
    let minimum = landscape.minima.iter().find(|m| m.counts());
    minimum.map_or(0, |m| m.theta.len().saturating_sub(m.evidence.projected))
}

/// Cells by their rank in the filtration.
struct Order<'a> {
    cells: &'a [MorseCell],
    ranks: HashMap<CellId, usize>,
}

impl Filtered for Order<'_> {
    type Cell = usize;

    fn place(&self, rank: usize) -> u128 {
        rank as u128
    }

    fn at(&self, place: u128) -> usize {
        place as usize
    }

    fn mate(&self, _: usize) -> Option<usize> {
        None
    }

    fn facets(&self, rank: usize, each: impl FnMut(usize)) {
        self.cells[rank].boundary.iter().flatten().filter_map(|face| self.ranks.get(face).copied()).for_each(each);
    }
}

/// The pairs of cells whose boundaries are known.
fn canonical(order: &Order<'_>) -> Vec<Pair> {
    let id = |rank: usize| order.cells[rank].id;
    let highest = order.cells.iter().map(|cell| cell.index).max().unwrap_or(0);
    let columns = |index: usize| -> Vec<usize> {
        let is_one = |rank: &usize| order.cells[*rank].index == index && order.cells[*rank].boundary.is_some();
        (0..order.cells.len()).filter(is_one).collect()
    };
    let mut pairs = Vec::new();
    let mut positive = columns(0);
    for index in 1..=highest + 1 {
        let reduced = reduce(order, columns(index), |_| true, |_, _| (), false);
        let degree = index as u32 - 1;
        let mut class = |birth: usize, death: Option<usize>| {
            pairs.push(Pair { degree, birth: id(birth), death: death.map(id), elder: None });
        };
        let ended: BTreeSet<usize> = reduced.pairs.iter().map(|(birth, _)| *birth).collect();
        reduced.pairs.iter().for_each(|&(birth, death)| class(birth, Some(death)));
        positive.iter().filter(|rank| !ended.contains(rank)).for_each(|&rank| class(rank, None));
        positive = reduced.vanished;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complex(cells: &[(CellId, usize, f64, &[CellId])], dimensions: usize) -> MorseComplex {
        let cell = |&(id, index, value, faces): &(CellId, usize, f64, &[CellId])| MorseCell {
            id,
            index,
            value,
            boundary: Some(faces.to_vec()),
        };
        let cells: Vec<MorseCell> = cells.iter().map(cell).collect();
        let ranks = cells.iter().enumerate().map(|(rank, cell)| (cell.id, rank)).collect();
        let pairs = canonical(&Order { cells: &cells, ranks });
        MorseComplex { cells, pairs, torn: Vec::new(), looked_for: dimensions, dimensions }
    }

    #[test]
    fn a_ring_with_two_minima_and_a_top_inside_has_its_bars() {
        // 0 and 1 are the minima, 2 and 3 the saddles of the ring, 4 the top of what it encloses.
        let ring: &[(CellId, usize, f64, &[CellId])] =
            &[(0, 0, 0.0, &[]), (1, 0, 0.5, &[]), (2, 1, 1.0, &[0, 1]), (3, 1, 1.5, &[0, 1]), (4, 2, 4.0, &[2, 3])];
        let whole = complex(ring, 2);
        let bars: Vec<_> = whole.pairs.iter().map(|p| (p.degree, p.birth, p.death)).collect();
        assert_eq!(bars, [(0, 1, Some(2)), (0, 0, None), (1, 3, Some(4))]);
        assert!(is_closed(&whole.cells, &HashMap::from([(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]), 4));
        let torn = complex(&[ring[0], ring[1], ring[2], (4, 2, 4.0, &[2])], 2);
        assert!(!is_closed(&torn.cells, &HashMap::from([(0, 0), (1, 1), (2, 2), (4, 3)]), 3));
        assert_eq!((whole.betti(), whole.lacks(&[1])), (vec![1, 0, 0], None));
        // Without its top it has too few cells of index 2, without a saddle too few of index 1.
        assert_eq!(complex(&ring[..4], 2).lacks(&[1]), Some(2));
        let few = [ring[0], ring[1]];
        assert_eq!(complex(&few, 2).lacks(&[1]), Some(1));
        assert_eq!(complex(&few, 2).lacks(&[2]), None);
    }
}
