//! `mpass distance`: how far barcodes are apart, degree by degree: two of them with their matching, or each from each.

use super::apart::apart;
use super::output::{self, print, print_json};
use super::progress::waiting;
use clap::ValueEnum;
use mountainpass::machine::durable;
use mountainpass::persistence::distance::{Distance, Ground, Match, Metric, check, matching};
use mountainpass::persistence::{Diagram, Interval};
use mountainpass::report::diagram::{self, Made};
use mountainpass::report::number::exact;
use mountainpass::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// The options of `mpass distance`.
#[derive(clap::Args)]
pub struct DistanceCommand {
    /// Two barcodes, or more for a table of all pairs: barcode.json (or a folder with one), GUDHI's .pers, .csv or .npy
    /// with rows of (birth, death) or (degree, birth, death), or a DIPHA diagram
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    files: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = MetricName::Bottleneck)]
    metric: MetricName,
    /// The order of the Wasserstein distance, from 1 to inf [default: 1]
    #[arg(long, value_name = "Q")]
    order: Option<f64>,
    /// The norm between bars, on (birth, death)
    #[arg(long, value_enum, value_name = "P", default_value_t = GroundName::Sup)]
    internal_p: GroundName,
    /// This degree alone; otherwise all that any has
    #[arg(long, value_name = "K")]
    degree: Option<u32>,
    /// Half-lines end at a value, or are left out; otherwise they are matched among themselves
    #[arg(long, value_name = "cut=VALUE|drop")]
    half_lines: Option<HalfLines>,
    /// How far a Wasserstein distance may be off [default: 0, exact, up to 10,000 bars; 0.01 above]
    #[arg(long, value_name = "E")]
    relative_error: Option<f64>,
    /// Writes who is matched with whom as CSV; -1 is the diagonal
    #[arg(long, value_name = "FILE")]
    matching: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricName {
    Bottleneck,
    Wasserstein,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroundName {
    #[value(name = "1")]
    Sum,
    #[value(name = "2")]
    Euclidean,
    #[value(name = "inf")]
    Sup,
}

impl GroundName {
    fn ground(self) -> Ground {
        match self {
            GroundName::Sum => Ground::Sum,
            GroundName::Euclidean => Ground::Euclidean,
            GroundName::Sup => Ground::Sup,
        }
    }

    /// As JSON has it.
    fn name(self) -> &'static str {
        match self {
            GroundName::Sum => "sum",
            GroundName::Euclidean => "euclidean",
            GroundName::Sup => "sup",
        }
    }
}

/// What becomes of half-lines.
#[derive(Clone, Copy)]
enum HalfLines {
    Cut(f64),
    Drop,
}

impl FromStr for HalfLines {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<HalfLines, String> {
        let cut = || text.strip_prefix("cut=")?.parse().ok().filter(|value: &f64| value.is_finite());
        match text {
            "drop" => Ok(HalfLines::Drop),
            _ => cut().map(HalfLines::Cut).ok_or_else(|| "cut=VALUE with a finite value, or drop".to_owned()),
        }
    }
}

impl DistanceCommand {
    /// Prints the distances.
    pub fn go(self) -> Result<ExitCode> {
        let metric = self.metric()?;
        if let Some(to) = &self.matching {
            if self.files.len() > 2 {
                return Err(Error::Argument("--matching is of two barcodes, not of more".to_owned()));
            }
            let files: Vec<PathBuf> = self.files.iter().map(|file| diagram::file(file)).collect();
            apart(files.iter().map(|file| &**file), [&**to])?;
        }
        let diagrams = self.diagrams(metric)?;
        let degrees = self.degree.map_or_else(|| union(&diagrams), |degree| vec![degree]);
        let compare = |a: usize, b: usize, degree| {
            let what = format!("degree {degree} of {} and {}", self.files[a].display(), self.files[b].display());
            let ground = self.internal_p.ground();
            waiting(&what, || matching(&diagrams[a], &diagrams[b], degree, metric, ground))
        };
        let told = Told { metric, ground: self.internal_p.name() };
        let text = match &diagrams[..] {
            [a, b] => {
                let found = degrees.iter().map(|&degree| {
                    let (distance, matches) = compare(0, 1, degree)?;
                    Ok(Found {
                        degree,
                        distance,
                        matches,
                        empty: [a, b].iter().all(|d| !d.degrees().contains(&degree)),
                    })
                });
                let found: Vec<Found> = found.collect::<Result<_>>()?;
                if let Some(to) = &self.matching {
                    durable::write(to, csv([a, b], &found).as_bytes()).map_err(Error::into_usage)?;
                }
                if self.json { told.json([a, b], &found)? } else { told.table([a, b], &found) }
            }
            _ => {
                let square = |&degree: &u32| {
                    let row = |i: usize| (0..i).map(|j| Ok(compare(j, i, degree)?.0)).collect();
                    Ok((degree, (0..diagrams.len()).map(row).collect::<Result<_>>()?))
                };
                let found: Vec<(u32, Triangle)> = degrees.iter().map(square).collect::<Result<_>>()?;
                if self.json { told.json_of_all(&self.files, &found)? } else { told.tables(&self.files, &found) }
            }
        };
        if self.json {
            print_json(&text)?
        } else {
            print(&text)?
        }
        Ok(ExitCode::SUCCESS)
    }

    fn metric(&self) -> Result<Metric> {
        let DistanceCommand { order, relative_error, .. } = *self;
        match self.metric {
            MetricName::Wasserstein => Ok(Metric::Wasserstein { order: order.unwrap_or(1.0), relative_error }),
            MetricName::Bottleneck if order.is_none() && relative_error.is_none() => Ok(Metric::Bottleneck),
            MetricName::Bottleneck => {
                let text =
                    "--order and --relative-error belong to --metric wasserstein: a bottleneck distance is exact";
                Err(Error::Argument(text.into()))
            }
        }
    }

    /// The barcodes, which are alike.
    fn diagrams(&self, metric: Metric) -> Result<Vec<Diagram>> {
        let read: Vec<(Diagram, Made)> =
            self.files.iter().map(|file| diagram::read_made(file)).collect::<Result<_>>()?;
        for (at, (a, made)) in read.iter().enumerate() {
            if let Some((degree, most)) = self.degree.zip(made.max_degree).filter(|(degree, most)| degree > most) {
                let file = self.files[at].display();
                return Err(Error::Argument(format!("--degree {degree}: {file} goes up to degree {most}")));
            }
            for (b, other) in &read[..at] {
                check(b, a, metric)?; // Also where no degree has a bar.
                if let Some(text) = other.unlike(made, self.degree) {
                    return Err(Error::Argument(text));
                }
            }
        }
        let ended = |(diagram, _): (Diagram, Made)| match self.half_lines {
            None => diagram,
            Some(HalfLines::Cut(value)) => diagram.cut(value),
            Some(HalfLines::Drop) => diagram.without_half_lines(),
        };
        Ok(read.into_iter().map(ended).collect())
    }
}

fn union(diagrams: &[Diagram]) -> Vec<u32> {
    let mut degrees: Vec<u32> = diagrams.iter().flat_map(Diagram::degrees).collect();
    degrees.sort_unstable();
    degrees.dedup();
    degrees
}

/// Two barcodes in one degree.
struct Found {
    degree: u32,
    distance: Distance,
    matches: Vec<Match>,
    /// Neither has a bar.
    empty: bool,
}

impl Found {
    /// What there is to say.
    fn reason(&self) -> Option<String> {
        if self.empty {
            return Some("neither has a bar of this degree".to_owned());
        }
        let [a, b] = self.distance.half_lines;
        let lines = if a == 1 { "half-line" } else { "half-lines" };
        match self.distance.value.is_infinite() {
            true if !self.matches.is_empty() => Some("it is larger than numbers go".to_owned()),
            true if a == b => Some("half-lines that end are not matched with those that begin".to_owned()),
            true => Some(format!("{a} {lines} cannot be matched with {b}: the distance is infinite")),
            false => None,
        }
    }

    /// The dearest pair, which decides a bottleneck distance.
    fn deciding(&self) -> Option<&Match> {
        self.matches.iter().filter(|found| found.cost > 0.0).reduce(|a, b| if b.cost > a.cost { b } else { a })
    }
}

/// The distances of each barcode from those before it.
type Triangle = Vec<Vec<Distance>>;

/// An entry of the symmetric table, and 0 of a barcode from itself.
fn entry(of: &Triangle, i: usize, j: usize, number: impl Fn(&Distance) -> f64) -> f64 {
    if i == j { 0.0 } else { number(&of[i.max(j)][i.min(j)]) }
}

/// Who is matched with whom: indices into the bars of either file, and the bars.
fn csv(diagrams: [&Diagram; 2], found: &[Found]) -> String {
    let mut text = "degree,a,b,cost,birth_a,death_a,birth_b,death_b\n".to_owned();
    for Found { degree, matches, .. } in found {
        for found in matches {
            let index = |at: Option<usize>| at.map_or("-1".to_owned(), |at| at.to_string());
            let ends = |side: usize, at: Option<usize>| {
                let ends = at.map(|at| [0, 1].map(|end| exact(ends(diagrams[side], at)[end])));
                ends.unwrap_or_default().join(",")
            };
            let cost = exact(found.cost);
            let (a, b) = (ends(0, found.a), ends(1, found.b));
            text += &format!("{degree},{},{},{cost},{a},{b}\n", index(found.a), index(found.b));
        }
    }
    text
}

/// Birth and death, which may be infinite.
fn ends(diagram: &Diagram, at: usize) -> [f64; 2] {
    let Interval { birth, death, .. } = diagram.intervals()[at];
    let never = if diagram.superlevel() == Some(true) { f64::NEG_INFINITY } else { f64::INFINITY };
    [birth, death.unwrap_or(never)]
}

/// How distances are told.
struct Told {
    metric: Metric,
    ground: &'static str,
}

impl Told {
    fn name(&self) -> String {
        let name = match self.metric {
            Metric::Bottleneck => "bottleneck".to_owned(),
            Metric::Wasserstein { order, .. } => format!("wasserstein of order {order}"),
        };
        if self.ground == "sup" { name } else { format!("{name}, {} norm", self.ground) }
    }

    fn is_bottleneck(&self) -> bool {
        matches!(self.metric, Metric::Bottleneck | Metric::Wasserstein { order: f64::INFINITY, .. })
    }

    /// One line a degree, then what there is to say.
    fn table(&self, diagrams: [&Diagram; 2], found: &[Found]) -> String {
        let mut text = format!(
            "{:>6} {:>9} {:>9} {:>12} {:>12}  {}\n",
            "degree",
            "bars A",
            "bars B",
            "half-lines A",
            "half-lines B",
            self.name()
        );
        for Found { degree, distance: d, .. } in found {
            let ([a, b], [half_a, half_b]) = (d.bars, d.half_lines);
            text += &format!("{degree:>6} {a:>9} {b:>9} {half_a:>12} {half_b:>12}  {}\n", exact(d.value));
        }
        for found in found {
            let (degree, d) = (found.degree, &found.distance);
            if let Some(reason) = found.reason() {
                text += &format!("degree {degree}: {reason}\n");
            } else if !d.is_exact() {
                text += &format!("degree {degree}: {}, which is at least {}\n", off(d), exact(d.lower));
            } else if let Some(decides) = found.deciding().filter(|_| self.is_bottleneck()) {
                text += &format!("degree {degree}: {}\n", deciding(diagrams, decides));
            }
        }
        text
    }

    fn json(&self, diagrams: [&Diagram; 2], found: &[Found]) -> Result<String> {
        #[derive(Serialize)]
        struct Deciding {
            a: Option<[Option<f64>; 2]>,
            b: Option<[Option<f64>; 2]>,
        }
        #[derive(Serialize)]
        struct Degree {
            degree: u32,
            /// Null for infinity, which `reason` explains.
            distance: Option<f64>,
            lower_bound: Option<f64>,
            exact: bool,
            bars: [usize; 2],
            half_lines: [usize; 2],
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
            /// The two bars, or one and the diagonal, whose distance a bottleneck distance is; infinite ends are null.
            #[serde(skip_serializing_if = "Option::is_none")]
            decides: Option<Deciding>,
        }
        let deciding = |found: &Match| {
            let bar = |side: usize, at: Option<usize>| at.map(|at| ends(diagrams[side], at).map(finite));
            Deciding { a: bar(0, found.a), b: bar(1, found.b) }
        };
        let degrees = found.iter().map(|found| Degree {
            degree: found.degree,
            distance: finite(found.distance.value),
            lower_bound: finite(found.distance.lower),
            exact: found.distance.is_exact(),
            bars: found.distance.bars,
            half_lines: found.distance.half_lines,
            reason: found.reason(),
            decides: found.deciding().filter(|_| self.is_bottleneck()).map(deciding),
        });
        self.all(None, degrees.collect())
    }

    /// A table of all pairs for each degree.
    fn tables(&self, files: &[PathBuf], found: &[(u32, Triangle)]) -> String {
        let mut text = String::new();
        for (degree, triangle) in found {
            text += &format!("degree {degree}: {}\n", self.name());
            let mut rows: Vec<Vec<String>> = vec![(1..=files.len()).map(|i| i.to_string()).collect()];
            let row = |i| (0..files.len()).map(|j| exact(entry(triangle, i, j, |d| d.value))).collect();
            rows.extend((0..files.len()).map(row));
            let width = rows.iter().flatten().map(String::len).max().unwrap_or(0);
            for (i, row) in rows.iter().enumerate() {
                let label = if i == 0 { String::new() } else { i.to_string() };
                let cells: String = row.iter().map(|cell| format!("  {cell:>width$}")).collect();
                let file = i.checked_sub(1).map_or(String::new(), |i| format!("  {}", files[i].display()));
                text += &format!("{label:>6}{cells}{file}\n");
            }
            let worst = triangle.iter().flatten().filter(|d| !d.is_exact());
            if let Some(d) = worst.max_by(|a, b| (a.value / a.lower).total_cmp(&(b.value / b.lower))) {
                text += &format!("degree {degree}: {}\n", off(d));
            }
        }
        text
    }

    fn json_of_all(&self, files: &[PathBuf], found: &[(u32, Triangle)]) -> Result<String> {
        type Table = Vec<Vec<Option<f64>>>;
        #[derive(Serialize)]
        struct Degree {
            degree: u32,
            /// Symmetric, a row a file; null for infinity.
            distances: Table,
            exact: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            lower_bounds: Option<Table>,
        }
        let n = files.len();
        let degrees = found.iter().map(|(degree, triangle)| {
            let table = |number: fn(&Distance) -> f64| -> Table {
                (0..n).map(|i| (0..n).map(|j| finite(entry(triangle, i, j, number))).collect()).collect()
            };
            let exact = triangle.iter().flatten().all(Distance::is_exact);
            Degree {
                degree: *degree,
                distances: table(|d| d.value),
                exact,
                lower_bounds: (!exact).then(|| table(|d| d.lower)),
            }
        });
        self.all(Some(files), degrees.collect())
    }

    /// What holds for all degrees, and those.
    fn all<D: Serialize>(&self, files: Option<&[PathBuf]>, degrees: Vec<D>) -> Result<String> {
        #[derive(Serialize)]
        struct All<D> {
            metric: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            order: Option<f64>,
            ground: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            files: Option<Vec<String>>,
            degrees: Vec<D>,
        }
        let (metric, order) = match self.metric {
            // Of order infinity, for which JSON has no word.
            Metric::Wasserstein { order, .. } if order.is_finite() => ("wasserstein", Some(order)),
            _ => ("bottleneck", None),
        };
        let name = |file: &PathBuf| Path::display(file).to_string();
        let files = files.map(|files| files.iter().map(name).collect());
        output::json(&All { metric, order, ground: self.ground, files, degrees })
    }
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

fn off(d: &Distance) -> String {
    format!("at most {:.2} % above the distance", 100.0 * (d.value / d.lower - 1.0))
}

/// The pair that a bottleneck distance comes from.
fn deciding(diagrams: [&Diagram; 2], found: &Match) -> String {
    let bar = |side: usize, at: usize| {
        let [birth, death] = ends(diagrams[side], at).map(exact);
        format!("({birth}, {death}) of {}", ["A", "B"][side])
    };
    match (found.a.map(|a| bar(0, a)), found.b.map(|b| bar(1, b))) {
        (Some(a), Some(b)) => format!("{a} and {b} decide"),
        (Some(bar), None) | (None, Some(bar)) => format!("{bar}, which stays alone, decides"),
        (None, None) => String::new(),
    }
}
