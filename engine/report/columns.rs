//! The table of minima: its columns, for a page and for a terminal.

use super::findings::Findings;
use super::number::{column, counted, short};
use crate::order::by_value;
use crate::persistence::Bar;
use crate::search::{Descent, Metric, Minimum, Origin};
use std::collections::BTreeMap;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    Cell,
    Origin,
    Loss,
    Gradient,
    Eigenvalue,
    Metric(&'a Metric),
    Height,
    Elder,
    Remarks,
}

impl Column<'_> {
    /// The head of the column on a page.
    pub fn name(self) -> String {
        match self {
            Column::Cell => "No.".to_owned(),
            Column::Origin => "Found from".to_owned(),
            Column::Loss => "Loss".to_owned(),
            Column::Gradient => "Gradient norm".to_owned(),
            Column::Eigenvalue => "Lowest eigenvalue".to_owned(),
            Column::Metric(metric) => capitalised(&metric.to_string()),
            Column::Height => "Escape height".to_owned(),
            Column::Elder => "Leads to".to_owned(),
            Column::Remarks => "Remarks".to_owned(),
        }
    }

    /// The head of the column where there is little room.
    pub fn short_name(self) -> String {
        match self {
            Column::Cell => "minimum".to_owned(),
            Column::Gradient => "|gradient|".to_owned(),
            Column::Metric(Metric::OwnStatistics) => "own statistics".to_owned(),
            Column::Metric(metric) => metric.to_string(),
            other => other.name().to_lowercase(),
        }
    }

    /// Whether it holds numbers, which stand to the right.
    pub fn is_number(self) -> bool {
        !matches!(self, Column::Origin | Column::Remarks)
    }
}

/// The minima that count, lowest first, each with its bar if it has one of its own.
pub struct Minima<'a> {
    rows: Vec<(&'a Minimum, Option<&'a Bar>)>,
}

impl<'a> Minima<'a> {
    /// The table of some findings; none where there is no minimum.
    pub fn of(findings: &Findings<'a>) -> Option<Minima<'a>> {
        let bars = findings.barcode.degree(0).map(|bar| (bar.birth_cell, bar));
        let bars: BTreeMap<u64, &Bar> = bars.collect();
        let minima = findings.minima().iter().filter(|m| m.counts());
        let mut rows: Vec<_> = minima.map(|m| (m, bars.get(&m.cell).copied())).collect();
        rows.sort_by(|(a, _), (b, _)| by_value((a.loss, a.cell), (b.loss, b.cell)));
        (!rows.is_empty()).then_some(Minima { rows })
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The columns of all metrics, in the order in which they come up.
    pub fn metrics(&self) -> Vec<Column<'a>> {
        let mut all = Vec::new();
        for (metric, _) in self.rows.iter().flat_map(|(m, _)| &m.metrics) {
            if !all.contains(&Column::Metric(metric)) {
                all.push(Column::Metric(metric));
            }
        }
        all
    }

    /// What a column holds, row by row; empty where there is nothing to say.
    pub fn cells(&self, of: Column<'_>) -> Vec<String> {
        let each =
            |cell: fn(&Minimum, Option<&Bar>) -> String| self.rows.iter().map(|(m, bar)| cell(m, *bar)).collect();
        match of {
            Column::Cell => each(|m, _| m.cell.to_string()),
            Column::Origin => each(|m, _| match &m.origin {
                Origin::Start { seed } => format!("seed {seed}"),
                Origin::Given { name, .. } => name.clone(),
                Origin::Transit { path } => format!("on path {path}"),
            }),
            Column::Loss => column(&self.rows.iter().map(|(m, _)| m.loss).collect::<Vec<_>>(), 6),
            Column::Gradient => each(|m, _| short(m.evidence.gradient_norm)),
            Column::Eigenvalue => {
                each(|m, _| m.evidence.eigenvalues.iter().copied().reduce(f64::min).map(short).unwrap_or_default())
            }
            Column::Metric(metric) => self.metric(metric),
            Column::Height => each(|_, bar| match bar {
                Some(bar) => bar.length().map_or("∞".to_owned(), |length| short(length.abs())),
                None => String::new(),
            }),
            Column::Elder => each(|_, bar| bar.and_then(|bar| bar.elder()).map(|e| e.to_string()).unwrap_or_default()),
            Column::Remarks => each(remarks),
        }
    }

    fn metric(&self, of: &Metric) -> Vec<String> {
        let value = |m: &Minimum| m.metrics.iter().find(|(metric, _)| metric == of).map(|(_, x)| *x);
        let known: Vec<f64> = self.rows.iter().filter_map(|(m, _)| value(m)).collect();
        let mut written = column(&known, 4).into_iter();
        self.rows.iter().map(|(m, _)| value(m).and_then(|_| written.next()).unwrap_or_default()).collect()
    }
}

/// What is special about a minimum and its bar.
fn remarks(m: &Minimum, bar: Option<&Bar>) -> String {
    let all = [
        ("on the way", !m.is_sampled()),
        ("not converged", m.descent == Descent::Unconverged || bar.is_some_and(|bar| bar.is_unconverged())),
        ("curvature undecided", m.evidence.undecided() > 0),
        ("below noise", bar.is_some_and(|bar| bar.is_below_noise())),
        ("lowest found", bar.is_some_and(|bar| bar.death().is_none())),
        ("no bar of its own", bar.is_none()),
    ];
    let those = all.into_iter().filter(|(_, is)| *is).map(|(remark, _)| remark.to_owned());
    let kinks = m.evidence.edges();
    let edges = (kinks > 0).then(|| format!("on {}", counted(kinks, "kink", "kinks")));
    those.chain(edges).collect::<Vec<_>>().join(", ")
}

pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
