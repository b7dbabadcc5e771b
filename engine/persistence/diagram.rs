//! A barcode as any program knows it: degrees, births and deaths, and which way the function was swept. Distances are
//! taken of these, and files of other programs hold no more.

use super::Bar;
use crate::error::{Error, Result};

/// One bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The degree of the homology class: 0 for components.
    pub degree: u32,
    /// The value at which it begins; infinite where it was always there.
    pub birth: f64,
    /// `None` for a half-line.
    pub death: Option<f64>,
}

/// Bars of sublevel sets (death >= birth, half-lines end at +inf) or of superlevel sets (death <= birth, half-lines
/// end at -inf), never of both. Ends are numbers; a birth may be infinite.
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
            if birth.is_nan() {
                return fault("a bar is born at NaN".to_owned());
            }
            if let Some(death) = death.filter(|death| !death.is_finite()) {
                return fault(format!("a bar dies at {death}"));
            }
            // A bar that was always there came from -inf, or fell from +inf.
            let Some(death) = death.or(birth.is_infinite().then_some(-birth)) else { continue };
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

    /// With bars that never die ending at `value`, or where they begin if that is beyond it. Every bar keeps its index.
    pub fn cut(&self, value: f64) -> Diagram {
        let end = |birth: f64| if self.superlevel == Some(true) { birth.min(value) } else { birth.max(value) };
        self.map(|bar| Interval { death: Some(bar.death.unwrap_or_else(|| end(bar.birth))), ..bar })
    }

    /// With bars that have one end, or none, of length 0: they count for nothing. Every bar keeps its index.
    pub fn without_half_lines(&self) -> Diagram {
        self.map(|bar| match (bar.birth.is_finite(), bar.death) {
            (true, Some(_)) => bar,
            (true, None) => Interval { death: Some(bar.birth), ..bar },
            (false, death) => Interval { birth: death.unwrap_or(0.0), death: death.or(Some(0.0)), ..bar },
        })
    }

    fn map(&self, change: impl Fn(Interval) -> Interval) -> Diagram {
        Diagram { intervals: self.intervals.iter().map(|&bar| change(bar)).collect(), superlevel: self.superlevel }
    }

    /// The bars of one degree as those of sublevel sets. (A superlevel bar is that of the negated function, with its
    /// signs changed.)
    pub(super) fn parts(&self, degree: u32) -> Parts {
        let sign = if self.superlevel == Some(true) { -1.0 } else { 1.0 };
        let mut parts = Parts::default();
        for (at, bar) in self.intervals.iter().enumerate().filter(|(_, bar)| bar.degree == degree) {
            let birth = sign * bar.birth;
            match (birth.is_finite(), bar.death.map(|death| sign * death)) {
                (true, Some(death)) if death > birth => parts.bars.push(([birth, death], at)),
                (true, Some(_)) => {}
                (true, None) => parts.ends[0].push((birth, at)),
                (false, Some(death)) => parts.ends[1].push((death, at)),
                (false, None) => parts.ends[2].push((0.0, at)),
            }
        }
        // Sorting is stable: equal bars stay in their order.
        parts.bars.sort_by(|(a, _), (b, _)| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        parts.ends.iter_mut().for_each(|ends| ends.sort_by(|a, b| a.0.total_cmp(&b.0)));
        parts
    }
}

/// The bars of one degree, sorted, each with its index among all.
#[derive(Default)]
pub(super) struct Parts {
    /// (birth, death) of the finite ones of positive length.
    pub bars: Vec<([f64; 2], usize)>,
    /// The one end of those that never die, and of those that were always there; 0 for those that are both.
    pub ends: [Vec<(f64, usize)>; 3],
}
