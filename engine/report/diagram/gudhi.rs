//! GUDHI's persistence text: lines of `[[field] dimension] birth death`, as many numbers in each, comments after `#`;
//! or the same with commas, below a line of names or none, as tables are written (CSV).
//!
//! Lines of two numbers give no dimension: they are bars of degree 0. GUDHI itself only knows sublevel sets; bars that
//! end below their birth, or at -inf, are taken for superlevel bars if all do.

use super::rows::Rows;
use crate::persistence::Diagram;
use crate::report::number;
use std::fmt::Write as _;

const LINE: &str = "a line is [[field] dimension] birth death";

pub fn parse(text: &str) -> std::result::Result<Diagram, String> {
    let mut rows = Rows::new("line");
    let mut width = None;
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before).trim());
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
    for (nth, (at, line)) in lines.enumerate() {
        let at = at + 1;
        let words: Vec<&str> = match line.contains(',') {
            true => line.split(',').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        if nth == 0 && line.contains(',') && words.iter().all(|word| word.parse::<f64>().is_err()) {
            continue; // The names of a table's columns.
        }
        let numbers = words.iter().map(|word| parsed(word));
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
        rows.push(at, &numbers)?;
    }
    rows.diagram()
}

pub fn text(diagram: &Diagram) -> String {
    let end = if diagram.superlevel() == Some(true) { f64::NEG_INFINITY } else { f64::INFINITY };
    let mut text = String::new();
    if diagram.intervals().is_empty() {
        text += "# no bars\n"; // An empty file would be one that was never written.
    }
    for bar in diagram.intervals() {
        // Shortest digits that read back the same; writing to a string never fails.
        let [birth, death] = [bar.birth, bar.death.unwrap_or(end)].map(number::exact);
        let _ = writeln!(text, "{} {birth} {death}", bar.degree);
    }
    text
}

fn parsed(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(x) if x.is_infinite() && word.contains(|c: char| c.is_ascii_digit()) => {
            Err(format!("{word:?} is larger than numbers go"))
        }
        Ok(x) => Ok(x),
        Err(_) => Err(format!("{word:?} is no number; {LINE}")),
    }
}
