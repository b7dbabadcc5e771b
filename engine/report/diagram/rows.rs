//! Bars as rows of two numbers, birth and death, or of three with the degree before them: what text and arrays have in
//! common. An infinite death makes a half-line, which falls where it ends at -inf; bars fall if all do.

use crate::persistence::{Diagram, Interval};

/// Rows as they are read. `place` is what a fault names.
pub struct Rows {
    place: &'static str,
    intervals: Vec<Interval>,
    /// The number of each, from 1.
    numbers: Vec<usize>,
    falls: Option<bool>,
}

impl Rows {
    /// No rows yet, each called "`place` number".
    pub fn new(place: &'static str) -> Rows {
        Rows { place, intervals: Vec::new(), numbers: Vec::new(), falls: None }
    }

    /// Takes a row of the last two or three of `numbers`.
    pub fn push(&mut self, number: usize, numbers: &[f64]) -> Result<(), String> {
        let fault = |text: String| Err(format!("{} {number}: {text}", self.place));
        let (degree, birth, death) = match *numbers {
            [birth, death] => (0.0, birth, death),
            [.., degree, birth, death] => (degree, birth, death),
            _ => return fault("a bar has a birth and a death".to_owned()),
        };
        let whole = degree as u32; // Saturates.
        if f64::from(whole) != degree || whole == u32::MAX {
            return fault(format!("{degree} is no dimension"));
        }
        if death.is_infinite() {
            let other = self.falls.replace(death < 0.0).filter(|falls| *falls != (death < 0.0));
            if other.is_some() {
                return fault(format!("a half-line ends at {death}, others at {}", -death));
            }
        }
        self.intervals.push(Interval { degree: whole, birth, death: (!death.is_infinite()).then_some(death) });
        self.numbers.push(number);
        Ok(())
    }

    /// All rows as a barcode.
    pub fn diagram(self) -> Result<Diagram, String> {
        Diagram::new(self.intervals, self.falls)
            .map_err(|(at, fault)| format!("{} {}: {fault}", self.place, self.numbers[at]))
    }
}
