//! `mpass distance`: how far two barcodes are apart, degree by degree.

use super::output::{self, print, print_json};
use clap::ValueEnum;
use mountainpass::persistence::Diagram;
use mountainpass::persistence::distance::{Distance, Metric, check, distance};
use mountainpass::report::diagram;
use mountainpass::{Error, Result};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// The options of `mpass distance`.
#[derive(clap::Args)]
pub struct DistanceCommand {
    /// A barcode.json (or a folder with one), a GUDHI .pers or a DIPHA diagram
    a: PathBuf,
    /// The other one
    b: PathBuf,
    #[arg(long, value_enum, default_value_t = MetricName::Bottleneck)]
    metric: MetricName,
    /// The order of the Wasserstein distance, from 1 to inf [default: 1]
    #[arg(long, value_name = "Q")]
    order: Option<f64>,
    /// This degree alone; otherwise all that either has
    #[arg(long, value_name = "K")]
    degree: Option<u32>,
    /// How far a Wasserstein distance may be off [default: 0, exact, up to 10,000 bars; 0.01 above]
    #[arg(long, value_name = "E")]
    relative_error: Option<f64>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricName {
    Bottleneck,
    Wasserstein,
}

impl DistanceCommand {
    /// Prints the distances.
    pub fn go(self) -> Result<ExitCode> {
        let DistanceCommand { order, relative_error, .. } = self;
        let metric = match self.metric {
            MetricName::Wasserstein => Metric::Wasserstein { order: order.unwrap_or(1.0), relative_error },
            MetricName::Bottleneck if order.is_none() && relative_error.is_none() => Metric::Bottleneck,
            MetricName::Bottleneck => {
                let text =
                    "--order and --relative-error belong to --metric wasserstein: a bottleneck distance is exact";
                return Err(Error::Argument(text.into()));
            }
        };
        let (a, b) = (diagram::read(&self.a)?, diagram::read(&self.b)?);
        let degrees = match self.degree {
            Some(degree) => vec![degree],
            None => union(&a, &b),
        };
        check(&a, &b, metric)?; // Also where no degree has a bar.
        let found = degrees.iter().map(|&degree| Ok((degree, distance(&a, &b, degree, metric)?)));
        let found: Vec<(u32, Distance)> = found.collect::<Result<_>>()?;
        if self.json {
            print_json(&json(metric, &found)?)?
        } else {
            print(&table(metric, &found))?
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn union(a: &Diagram, b: &Diagram) -> Vec<u32> {
    let mut degrees = [a.degrees(), b.degrees()].concat();
    degrees.sort_unstable();
    degrees.dedup();
    degrees
}

fn name(metric: Metric) -> String {
    match metric {
        Metric::Bottleneck => "bottleneck".to_owned(),
        Metric::Wasserstein { order, .. } => format!("wasserstein of order {order}"),
    }
}

/// One line a degree, then what there is to say.
fn table(metric: Metric, found: &[(u32, Distance)]) -> String {
    let mut text = format!(
        "{:>6} {:>9} {:>9} {:>12} {:>12}  {}\n",
        "degree",
        "bars A",
        "bars B",
        "half-lines A",
        "half-lines B",
        name(metric)
    );
    for (degree, d) in found {
        let ([a, b], [half_a, half_b]) = (d.bars, d.half_lines);
        text += &format!("{degree:>6} {a:>9} {b:>9} {half_a:>12} {half_b:>12}  {}\n", d.value);
    }
    for (degree, d) in found {
        if let Some(reason) = reason(d) {
            text += &format!("degree {degree}: {reason}\n");
        } else if !d.is_exact() {
            let off = 100.0 * (d.value / d.lower - 1.0);
            text += &format!("degree {degree}: at most {off:.2} % above the distance, which is at least {}\n", d.lower);
        }
    }
    text
}

fn reason(found: &Distance) -> Option<String> {
    let [a, b] = found.half_lines;
    let lines = if a == 1 { "half-line" } else { "half-lines" };
    (a != b).then(|| format!("{a} {lines} cannot be matched with {b}: the distance is infinite"))
}

fn json(metric: Metric, found: &[(u32, Distance)]) -> Result<String> {
    #[derive(Serialize)]
    struct Found {
        degree: u32,
        /// Null for infinity, which `reason` explains.
        distance: Option<f64>,
        lower_bound: Option<f64>,
        exact: bool,
        bars: [usize; 2],
        half_lines: [usize; 2],
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
    #[derive(Serialize)]
    struct All {
        metric: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        order: Option<f64>,
        ground: &'static str,
        degrees: Vec<Found>,
    }
    let finite = |x: f64| x.is_finite().then_some(x);
    let degrees = found.iter().map(|(degree, d)| Found {
        degree: *degree,
        distance: finite(d.value),
        lower_bound: finite(d.lower),
        exact: d.is_exact(),
        bars: d.bars,
        half_lines: d.half_lines,
        reason: reason(d),
    });
    let (name, order) = match metric {
        // Of order infinity, for which JSON has no word.
        Metric::Wasserstein { order, .. } if order.is_finite() => ("wasserstein", Some(order)),
        _ => ("bottleneck", None),
    };
    let all = All { metric: name, order, ground: "sup", degrees: degrees.collect() };
    output::json(&all)
}
