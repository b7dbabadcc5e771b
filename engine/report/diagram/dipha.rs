//! DIPHA's persistence diagrams: little-endian words of eight bytes, magic number, type 2, the number of bars, then for
//! each its dimension d (-d - 1 for a half-line) and, as doubles, birth and death.
//!
//! DIPHA gives a half-line the complex's largest value for a death, which is not read; nor does it know superlevel sets.
//! We write a half-line's death as the diagram's largest number, or as -inf where the bars fall.

use crate::persistence::{Diagram, Interval};

pub const MAGIC: i64 = 8_067_171_840;
const DIAGRAM: i64 = 2;
const WORD: usize = 8;

pub fn parse(bytes: &[u8]) -> Result<Diagram, String> {
    let mut words = bytes.chunks_exact(WORD).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    let (Some(_), Some(kind), Some(count)) = (words.next(), words.next(), words.next()) else {
        return Err("is a DIPHA file cut off inside its header".to_owned());
    };
    if kind != DIAGRAM {
        return Err(format!("is a DIPHA file of type {kind}: a persistence diagram, type 2, is needed"));
    }
    let n = usize::try_from(count).map_err(|_| format!("is a DIPHA diagram of {count} bars"))?;
    if n.checked_mul(3).and_then(|n| n.checked_add(3)?.checked_mul(WORD)) != Some(bytes.len()) {
        return Err(format!("is a DIPHA diagram of {count} bars in a file of {} bytes", bytes.len()));
    }
    let words: Vec<i64> = words.collect();
    let mut falls = None;
    let mut bar = |(at, words): (usize, &[i64])| {
        let (dimension, [birth, death]) = (words[0], [words[1], words[2]].map(|word| f64::from_bits(word as u64)));
        // -d - 1 is what not means of whole numbers.
        let essential = dimension < 0;
        let degree = u32::try_from(if essential { !dimension } else { dimension });
        let degree = degree.map_err(|_| format!("bar {}: a dimension of {dimension}", at + 1))?;
        if essential && death == f64::NEG_INFINITY {
            falls = Some(true);
        }
        Ok(Interval { degree, birth, death: (!essential).then_some(death) })
    };
    let intervals: Vec<Interval> = words.chunks_exact(3).enumerate().map(&mut bar).collect::<Result<_, String>>()?;
    Diagram::new(intervals, falls).map_err(|(at, fault)| format!("bar {}: {fault}", at + 1))
}

pub fn bytes(diagram: &Diagram) -> Vec<u8> {
    let bars = diagram.intervals();
    let largest = bars.iter().flat_map(|bar| [Some(bar.birth), bar.death]).flatten().fold(f64::NEG_INFINITY, f64::max);
    let end = if diagram.superlevel() == Some(true) { f64::NEG_INFINITY } else { largest };
    let mut bytes: Vec<u8> = [MAGIC, DIAGRAM, bars.len() as i64].iter().flat_map(|word| word.to_le_bytes()).collect();
    for bar in bars {
        let degree = i64::from(bar.degree);
        let degree = if bar.death.is_none() { !degree } else { degree };
        bytes.extend(degree.to_le_bytes());
        bytes.extend(bar.birth.to_le_bytes());
        bytes.extend(bar.death.unwrap_or(end).to_le_bytes());
    }
    bytes
}
