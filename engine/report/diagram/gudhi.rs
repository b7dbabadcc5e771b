//! GUDHI's persistence text: lines of `[[field] dimension] birth death`, as many numbers in each, comments after `#`.
//!
//! Lines of two numbers give no dimension: they are bars of degree 0. GUDHI itself only knows sublevel sets; bars that
//! end below their birth, or at -inf, are taken for superlevel bars if all do.

use crate::persistence::{Diagram, Interval};
use std::fmt::Write as _;

const LINE: &str = "a line is [[field] dimension] birth death";

pub fn parse(text: &str) -> std::result::Result<Diagram, String> {
    let mut intervals = Vec::new();
    let mut lines = Vec::new();
    let (mut width, mut falls) = (None, None);
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || words[0].starts_with('#') {
            continue;
        }
        let numbers = words.iter().map(|word| number(word));
        let numbers: Vec<f64> =
            numbers.collect::<Result<_, String>>().map_err(|fault| format!("line {at}: {fault}"))?;
        let n = numbers.len();
        match width {
            Some(before) if before != n => {
                return Err(format!("line {at}: there are {n} numbers, in the lines before {before}"));
            }
            None if n == 1 => return Err(format!("line {at}: there is 1 number; {LINE}")),
            None if n > 4 => return Err(format!("line {at}: there are {n} numbers; {LINE}")),
            _ => width = Some(n),
        }
        let degree = if n == 2 { Some(0) } else { degree(numbers[n - 3]) };
        let degree = degree.ok_or_else(|| format!("line {at}: {:?} is no dimension", words[n - 3]))?;
        let (birth, death) = (numbers[n - 2], numbers[n - 1]);
        if death.is_infinite() {
            let other = falls.replace(death < 0.0).filter(|falls| *falls != (death < 0.0));
            if other.is_some() {
                return Err(format!("line {at}: a half-line ends at {death}, others at {}", -death));
            }
        }
        intervals.push(Interval { degree, birth, death: (!death.is_infinite()).then_some(death) });
        lines.push(at);
    }
    Diagram::new(intervals, falls).map_err(|(at, fault)| format!("line {}: {fault}", lines[at]))
}

pub fn text(diagram: &Diagram) -> String {
    let end = if diagram.superlevel() == Some(true) { f64::NEG_INFINITY } else { f64::INFINITY };
    let mut text = String::new();
    if diagram.intervals().is_empty() {
        text += "# no bars\n"; // An empty file would be one that was never written.
    }
    for bar in diagram.intervals() {
        // Shortest digits that read back the same; writing to a string never fails.
        let _ = writeln!(text, "{} {} {}", bar.degree, bar.birth, bar.death.unwrap_or(end));
    }
    text
}

fn number(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(x) if x.is_infinite() && word.contains(|c: char| c.is_ascii_digit()) => {
            Err(format!("{word:?} is larger than numbers go"))
        }
        Ok(x) => Ok(x),
        Err(_) => Err(format!("{word:?} is no number; {LINE}")),
    }
}

fn degree(x: f64) -> Option<u32> {
    let degree = x as u32; // Saturates.
    (f64::from(degree) == x && degree < u32::MAX).then_some(degree)
}
