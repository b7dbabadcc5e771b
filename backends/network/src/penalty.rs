//! Penalties on theta: half a multiple of a sum of squares, and a multiple of a sum of absolute values.

use crate::model::Model;
use crate::pattern::stands_for;
use mountainpass_sdk::{Declared, Error, Kind, Open};
use std::ops::Range;

/// Which parameters penalties see.
#[derive(Clone, Debug, PartialEq)]
pub enum Penalised {
    /// All of theta.
    All,
    /// Not the biases.
    Weights,
    /// Those of these names, or patterns of names; a `!` in front leaves out.
    Named(Vec<String>),
}

/// `l2 / 2` times the sum of squares and `l1` times the sum of absolute values.
#[derive(Clone, Debug, PartialEq)]
pub struct Penalties {
    /// Twice the factor of the squares.
    pub l2: f64,
    /// The factor of the absolute values.
    pub l1: f64,
    /// Whose.
    pub on: Penalised,
}

const PENALISED: [&str; 2] = ["all", "weights"];

impl Penalties {
    /// The options that [`from_options`](Penalties::from_options) reads.
    pub const OPTIONS: [Declared; 4] = [
        Declared::new(c"l2", Kind::Number, c"The penalty is l2 / 2 times a sum of squares.").default(c"0"),
        Declared::new(c"l2_on", Kind::Text, c"Whose squares: all parameters, or matrices and kernels alone.")
            .words(c"all weights")
            .default(c"all"),
        Declared::new(c"l1", Kind::Number, c"A penalty of l1 times a sum of absolute values, of what l2 sees.")
            .default(c"0"),
        Declared::new(
            c"penalised",
            Kind::List,
            c"In place of l2_on: names of parameters, or patterns with *; with ! in front all but those.",
        ),
    ];

    /// Reads them.
    pub fn from_options(open: &mut Open<'_>) -> Result<Penalties, Error> {
        let mut factor = |key: &'static str| {
            let value = open.parsed::<f64>(key)?.unwrap_or(0.0);
            match value.is_finite() && value >= 0.0 {
                true => Ok(value),
                false => Err(Error::argument(format!("option {key}: {value} is not a finite number >= 0"))),
            }
        };
        let (l2, l1) = (factor("l2")?, factor("l1")?);
        let (words, names) = (open.option("l2_on"), open.option("penalised"));
        let on = match (words, names) {
            (Some(_), Some(_)) => return Err(Error::argument("options l2_on and penalised: give one of them")),
            (_, Some(names)) => Penalised::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
            (None | Some("all"), None) => Penalised::All,
            (Some("weights"), None) => Penalised::Weights,
            (Some(other), None) => return Err(Error::unknown("value of l2_on", other, &PENALISED)),
        };
        let penalties = Penalties { l2, l1, on };
        match (&penalties.on, penalties.is_none()) {
            (Penalised::Named(_), true) => Err(Error::argument("option penalised: neither l2 nor l1 is above 0")),
            _ => Ok(penalties),
        }
    }

    /// Whether there is no penalty at all.
    pub fn is_none(&self) -> bool {
        self.l2 == 0.0 && self.l1 == 0.0
    }

    /// The parts of theta that they see; empty where there are none.
    pub fn ranges(&self, model: &dyn Model) -> Result<Vec<Range<usize>>, Error> {
        if self.is_none() {
            return Ok(Vec::new());
        }
        let is_seen = self.seen(model)?;
        let blocks = model.parameters().iter().zip(is_seen).filter(|(_, is_seen)| *is_seen);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (block, _) in blocks {
            let start = block.offset as usize;
            let end = start + block.shape.iter().product::<u64>() as usize;
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        Ok(ranges)
    }

    /// For every parameter whether they see it.
    fn seen(&self, model: &dyn Model) -> Result<Vec<bool>, Error> {
        let (blocks, called) = (model.parameters(), model.called());
        let patterns = match &self.on {
            Penalised::All => return Ok(vec![true; blocks.len()]),
            Penalised::Weights => return Ok(model.is_weight().to_vec()),
            Penalised::Named(patterns) => patterns,
        };
        let is = |pattern: &str, i: usize| stands_for(pattern, &blocks[i].name) || stands_for(pattern, &called[i]);
        let plain = |pattern: &str| pattern.strip_prefix('!').unwrap_or(pattern).to_owned();
        if let Some(pattern) = patterns.iter().find(|p| (0..blocks.len()).all(|i| !is(&plain(p), i))) {
            let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
            return Err(Error::unknown("parameter in penalised", &plain(pattern), &names));
        }
        let (out, within): (Vec<&String>, Vec<&String>) = patterns.iter().partition(|pattern| pattern.starts_with('!'));
        let any = |patterns: &[&String], i: usize| patterns.iter().any(|pattern| is(&plain(pattern), i));
        let seen = |i: usize| (within.is_empty() || any(&within, i)) && !any(&out, i);
        Ok((0..blocks.len()).map(seen).collect())
    }
}

impl Default for Penalties {
    fn default() -> Penalties {
        Penalties { l2: 0.0, l1: 0.0, on: Penalised::All }
    }
}

impl std::fmt::Display for Penalties {
    /// The options in effect, one `key = value` line each; what is not used is left out but for l2.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "l2 = {}", self.l2)?;
        match &self.on {
            Penalised::All => writeln!(f, "l2_on = all")?,
            Penalised::Weights => writeln!(f, "l2_on = weights")?,
            Penalised::Named(names) => writeln!(f, "penalised = {}", names.join(","))?,
        }
        if self.l1 > 0.0 { writeln!(f, "l1 = {}", self.l1) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Built;

    #[test]
    fn the_words_declared_are_those_read() {
        assert_eq!(Penalties::OPTIONS[1].words.unwrap().to_str().unwrap(), PENALISED.join(" "));
    }

    #[test]
    fn patterns_choose_parameters_or_leave_them_out() {
        let built = Built::parse("mlp:2-3-2:tanh").unwrap();
        let ranges = |names: &str| -> Result<Vec<(usize, usize)>, String> {
            let mut open = Open::new("", &[("l2", "1"), ("penalised", names)]);
            let ranges = Penalties::from_options(&mut open).and_then(|penalties| penalties.ranges(&built));
            let ends = |ranges: Vec<Range<usize>>| ranges.iter().map(|range| (range.start, range.end)).collect();
            ranges.map(ends).map_err(|error| error.text)
        };
        let names: Vec<&str> = built.parameters().iter().map(|block| block.name.as_str()).collect();
        let [first, _, last, _] = names[..] else { panic!("{names:?}") };
        assert_eq!(ranges(first), Ok(vec![(0, 6)]));
        assert_eq!(ranges(&format!("{first}, {last}")), Ok(vec![(0, 6), (9, 15)]));
        assert_eq!(ranges(&format!("!{first}")), Ok(vec![(6, 17)]));
        assert_eq!(ranges(&format!("*,!{last}")), Ok(vec![(0, 9), (15, 17)]));
        assert!(ranges("none*").unwrap_err().starts_with("unknown parameter in penalised \"none*\""));
    }
}
