//! A barcode as any program knows it: degrees, births and deaths, and which way the function was swept. Distances are
//! taken of these, and files of other programs hold no more.

use super::Bar;
use crate::error::{Error, Result};

/// One bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The degree of the homology class: 0 for components.
    pub degree: u32,
    /// The value at which it begins.
    pub birth: f64,
    /// `None` for a half-line.
    pub death: Option<f64>,
}

/// Bars of sublevel sets (death >= birth, half-lines end at +inf) or of superlevel sets (death <= birth, half-lines
/// end at -inf), never of both. All ends are finite numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagram {
    intervals: Vec<Interval>,
    superlevel: Option<bool>,
}

impl Diagram {
    /// Checks bars. `superlevel` is `None` where nobody has said which way they go: then their ends do, and it stays
    /// open where none has a length. The fault, if any, is one sentence about the interval of the index with it.
    pub fn new(intervals: Vec<Interval>, superlevel: Option<bool>) -> std::result::Result<Diagram, (usize, String)> {
        let mut known = superlevel;
        for (at, &Interval { birth, death, .. }) in intervals.iter().enumerate() {
            let fault = |text: String| Err((at, text));
            if !birth.is_finite() {
                return fault(format!("a bar is born at {birth}: births are finite numbers"));
            }
            let Some(death) = death else { continue };
            if !death.is_finite() {
                return fault(format!("a bar dies at {death}"));
            }
            let falls = death < birth;
            match known {
                _ if death == birth => {}
                None => known = Some(falls),
                Some(superlevel) if superlevel != falls => {
                    let (kind, side) = if superlevel { ("superlevel", "after") } else { ("sublevel", "before") };
                    return fault(format!("a bar of {kind} sets dies at {death}, {side} its birth at {birth}"));
                }
                Some(_) => {}
            }
        }
        Ok(Diagram { intervals, superlevel: known })
    }

    /// The bars of a barcode that scores count: those of way-stations are left out. A death at infinity is none.
    pub fn of(bars: &[Bar], superlevel: bool) -> Result<Diagram> {
        let counted = bars.iter().filter(|bar| !bar.is_transit());
        let intervals = counted.map(|bar| Interval {
            degree: bar.degree,
            birth: bar.birth,
            death: bar.death().filter(|death| !death.is_infinite()),
        });
        Diagram::new(intervals.collect(), Some(superlevel)).map_err(|(_, text)| Error::Argument(text))
    }

    /// All bars, in the order they were given.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Whether the bars are of superlevel sets; `None` where neither its maker nor a length tells.
    pub fn superlevel(&self) -> Option<bool> {
        self.superlevel
    }

    /// The degrees that have bars, ascending.
    pub fn degrees(&self) -> Vec<u32> {
        let mut degrees: Vec<u32> = self.intervals.iter().map(|bar| bar.degree).collect();
        degrees.sort_unstable();
        degrees.dedup();
        degrees
    }

    /// The bars of one degree as those of sublevel sets: the finite ones of positive length, and the births of the
    /// half-lines, each sorted. (A superlevel bar is that of the negated function, with its signs changed.)
    pub(super) fn parts(&self, degree: u32) -> (Vec<[f64; 2]>, Vec<f64>) {
        let sign = if self.superlevel == Some(true) { -1.0 } else { 1.0 };
        let bars = || self.intervals.iter().filter(|bar| bar.degree == degree);
        let mut finite: Vec<[f64; 2]> =
            bars().filter_map(|bar| Some([sign * bar.birth, sign * bar.death?])).filter(|p| p[1] > p[0]).collect();
        let mut births: Vec<f64> = bars().filter(|bar| bar.death.is_none()).map(|bar| sign * bar.birth).collect();
        finite.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        births.sort_by(f64::total_cmp);
        (finite, births)
    }
}
