//! The cells that one sample brings in, and how they pair up.
//!
//! Round a sample there are 3^n cells, coded by a step of 0, +1 or -1 along each axis. In the vertex construction the code
//! c is the cube spanned from the vertex along its steps, of as many dimensions as it has steps; in the top-cell
//! construction it is the face of the cube on the side of its steps, and every step takes a dimension away. A sample
//! brings in the cells whose other samples come before it (vertices) or after it (cubes): its *star*.
//!
//! Stars are paired by coreductions, as in ProcessLowerStars (Robins, Wood, Sheppard, "Theory and algorithms for
//! constructing discrete Morse complexes from grayscale digital images", 2011): a cell with exactly one facet left pairs
//! with it, and where there is none a cell of least dimension becomes critical. In up to three dimensions the critical
//! cells are then exactly the changes of topology; above the pairing is correct, but may be longer than needed.

use super::grid::Construction;

/// One bit for each code; 3^4 are 81.
pub type Mask = u128;
/// No code.
pub const NONE: u8 = u8::MAX;

/// The codes of n axes and one construction.
#[derive(Clone, Debug)]
pub struct Codes {
    /// n, of the grid.
    pub axes: usize,
    /// 3^n.
    pub count: usize,
    /// What the samples are.
    pub construction: Construction,
    /// The step of each code along each axis.
    pub steps: Vec<[i8; 4]>,
    /// The dimension of each cell.
    pub dims: Vec<u8>,
    /// The facets of each cell that are cells of the same star, if they are in it.
    facets: Vec<Mask>,
    /// The samples of a cell, the star's own left out.
    pub others: Vec<Mask>,
}

impl Codes {
    /// The codes of up to four axes.
    pub fn new(axes: usize, construction: Construction) -> Codes {
        let count = 3_usize.pow(axes as u32);
        let steps: Vec<[i8; 4]> = (0..count)
            .map(|code| {
                let digit = |axis: usize| if axis < axes { code / 3_usize.pow(axis as u32) % 3 } else { 0 };
                [0, 1, 2, 3].map(|axis| [0, 1, -1][digit(axis)])
            })
            .collect();
        let taken = |code: usize| steps[code].iter().filter(|&&step| step != 0).count();
        let dims = (0..count).map(|code| match construction {
            Construction::Vertex => taken(code) as u8,
            Construction::TopCell => (axes - taken(code)) as u8,
        });
        // `a` takes some of the steps of `b`.
        let within = |a: usize, b: usize| steps[a].iter().zip(&steps[b]).all(|(a, b)| *a == 0 || a == b);
        let mask = |keep: &dyn Fn(usize) -> bool| (0..count).filter(|&c| keep(c)).fold(0, |m, c| m | 1 << c);
        let facets = (0..count)
            .map(|code| match construction {
                Construction::Vertex => mask(&|a| within(a, code) && taken(a) + 1 == taken(code)),
                Construction::TopCell => mask(&|a| within(code, a) && taken(a) == taken(code) + 1),
            })
            .collect();
        let others = (0..count).map(|code| mask(&|a| a != 0 && within(a, code))).collect();
        Codes { axes, count, construction, dims: dims.collect(), steps: steps.clone(), facets, others }
    }

    /// The code of some steps.
    pub fn code(&self, steps: &[i8; 4]) -> u8 {
        let digits = steps[..self.axes].iter().map(|step| (3 + i16::from(*step)) as u8 % 3);
        // Steps of -1 are the digit 2.
        digits.rev().fold(0, |code, digit| 3 * code + digit)
    }

    /// The cells in the star of a sample whose neighbours in `before` exist and come before it.
    pub fn star(&self, before: Mask) -> Mask {
        // Those that must not be there: vertices that come after, or are missing; cubes that come before.
        let barred = match self.construction {
            Construction::Vertex => !before,
            Construction::TopCell => before,
        };
        let mut star = 0;
        for (word, others) in self.others.chunks(64).enumerate() {
            let mut bits = 0_u64;
            for (bit, others) in others.iter().enumerate() {
                bits |= u64::from(others & barred == 0) << bit;
            }
            star |= Mask::from(bits) << (64 * word);
        }
        star
    }

    /// Pairs the cells of a star. The sample itself is first offered to `first`, the cell of the steepest step.
    pub fn pair(&self, star: Mask, first: u8) -> Pairing {
        let mut left = star;
        let mut pairing = Pairing { order: Vec::new(), mate: Vec::new(), position: vec![NONE; self.count] };
        if self.construction == Construction::Vertex && first != NONE {
            pairing.push(0, Some(first));
            left &= !(1 | 1 << first);
        }
        while left != 0 {
            let candidates = || ones(left).filter(|&cell| (self.facets[cell] & left).count_ones() == 1);
            match candidates().min_by_key(|&cell| self.dims[cell]) {
                Some(cell) => {
                    let facet = (self.facets[cell] & left).trailing_zeros() as u8;
                    pairing.push(facet, Some(cell as u8));
                    left &= !(1 << facet | 1 << cell);
                }
                None => {
                    let Some(cell) = ones(left).min_by_key(|&cell| self.dims[cell]) else { break };
                    pairing.push(cell as u8, None);
                    left &= !(1 << cell);
                }
            }
        }
        pairing
    }
}

/// The bits that are set, from the lowest.
fn ones(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(bit)
    })
}

/// How the cells of a star pair up, in an order that makes the gradient acyclic: when a pair is made, all other facets of
/// its greater cell have been taken before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// The cells in the order in which they were taken, the lesser of a pair first.
    pub order: Vec<u8>,
    /// The code each of them pairs with; [`NONE`] for critical cells.
    pub mate: Vec<u8>,
    /// Where a code stands in `order`; [`NONE`] for cells that are not in the star.
    pub position: Vec<u8>,
}

impl Pairing {
    fn push(&mut self, cell: u8, mate: Option<u8>) {
        for (cell, mate) in [(Some(cell), mate), (mate, Some(cell))] {
            if let Some(cell) = cell {
                self.position[cell as usize] = self.order.len() as u8;
                self.order.push(cell);
                self.mate.push(mate.unwrap_or(NONE));
            }
        }
    }

    /// The critical cells.
    pub fn critical(&self) -> impl Iterator<Item = u8> {
        self.order.iter().zip(&self.mate).filter(|(_, mate)| **mate == NONE).map(|(code, _)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn critical(codes: &Codes, before: Mask, first: u8) -> Vec<u8> {
        let pairing = codes.pair(codes.star(before), first);
        pairing.critical().map(|code| codes.dims[code as usize]).collect()
    }

    #[test]
    fn a_minimum_a_maximum_and_a_saddle_of_a_plane_have_one_critical_cell() {
        let codes = Codes::new(2, Construction::Vertex);
        let all = (1 << 9) - 2;
        let code = |x: i8, y: i8| codes.code(&[x, y, 0, 0]);
        assert_eq!(critical(&codes, 0, NONE), [0]);
        assert_eq!(critical(&codes, all, code(1, 0)), [2]);
        // Lower on the left and on the right.
        let sides = 1 << code(1, 0) | 1 << code(-1, 0);
        assert_eq!(critical(&codes, sides, code(1, 0)), [1]);
        // Lower on one side.
        let half: Mask = [(1, 0), (1, 1), (1, -1), (0, 1), (0, -1)].iter().fold(0, |m, &(x, y)| m | 1 << code(x, y));
        assert_eq!(critical(&codes, half, code(1, 0)), [] as [u8; 0]);
    }

    #[test]
    fn pairings_are_of_facets_and_the_other_facets_come_before() {
        for (axes, construction) in [(2, Construction::Vertex), (3, Construction::Vertex), (3, Construction::TopCell)] {
            let codes = Codes::new(axes, construction);
            let mut before: Mask = 0x1234_5678_9abc_def0;
            for _ in 0..300 {
                before = before.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1) & ((1 << codes.count) - 1);
                let star = codes.star(before);
                let pairing = codes.pair(star, NONE);
                assert_eq!(pairing.order.len(), star.count_ones() as usize);
                for (at, (&cell, &mate)) in pairing.order.iter().zip(&pairing.mate).enumerate() {
                    if mate != NONE && codes.dims[mate as usize] > codes.dims[cell as usize] {
                        let facets = codes.facets[mate as usize] & star;
                        assert_eq!(facets >> cell & 1, 1);
                        assert!(ones(facets).all(|facet| pairing.position[facet] <= at as u8));
                    }
                }
            }
        }
    }
}
