//! `mpass graph`: the barcode of a function on a graph; and the questions that `mpass cloud` answers in the same way.

use super::answer::{Answer, Outputs};
use super::apart::apart;
use super::open::Threads;
use super::output::print;
use mountainpass::machine::durable;
use mountainpass::machine::memory;
use mountainpass::machine::pool::Pool;
use mountainpass::morse::graph::{Forest, Graph};
use mountainpass::npy::{self, Array};
use mountainpass::persistence::Barcode;
use mountainpass::persistence::of_graph::{Wanted, canonical};
use mountainpass::report::number::{counted, short};
use mountainpass::store::By;
use mountainpass::{Error, Result, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The options of `mpass graph`.
#[derive(clap::Args)]
pub struct GraphCommand {
    /// A value for each vertex, a .npy file; +inf means "in no sublevel set"
    #[arg(long, value_name = "V.npy")]
    values: PathBuf,
    /// Pairs of vertices, integers of shape (m, 2); in any order and direction
    #[arg(long, value_name = "E.npy")]
    edges: PathBuf,
    /// A value for each edge; below those of its ends it acts at the higher end. Edge e is cell n + e
    #[arg(long, value_name = "W.npy")]
    edge_values: Option<PathBuf>,
    #[command(flatten)]
    questions: Questions,
}

/// What can be asked of a function on a graph.
#[derive(clap::Args)]
pub struct Questions {
    /// Also degree 1: the cycles of the graph
    #[arg(long)]
    degree1: bool,
    /// Superlevel sets: components are born at maxima
    #[arg(long)]
    pub superlevel: bool,
    /// Cancels all bars of degree 0 that are shorter
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    simplify: f64,
    /// Prints the merge tree: each component below the one that swallows it
    #[arg(long)]
    tree: bool,
    /// Writes the minimum that each vertex belongs to, -1 where there is none; with --simplify, the one that survives
    #[arg(long, value_name = "FILE.npy")]
    labels: Option<PathBuf>,
    /// Prints the path from A to B whose highest value is lowest
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    path: Vec<u32>,
    /// With every bar what represents it: in degree 0 the lowest path to its elder, in degree 1 a cycle of edges
    #[arg(long)]
    cycles: bool,
    /// Keeps bars of length zero
    #[arg(long)]
    zero_length: bool,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    pub threads: Threads,
}

/// The graph that is asked, and how it came to be.
pub struct AskedGraph {
    pub title: String,
    pub graph: Graph,
    pub method: By,
    pub files: Vec<PathBuf>,
    pub begun: Instant,
    pub notes: Vec<String>,
}

impl GraphCommand {
    /// Computes and prints the barcode, and what else is asked for.
    pub fn go(self) -> Result<ExitCode> {
        let inputs = [&self.values, &self.edges].into_iter().chain(&self.edge_values).map(PathBuf::as_path);
        self.questions.apart(inputs)?;
        let pool = self.questions.threads.pool()?;
        let read = |path: &PathBuf| npy::read(path);
        let (values, edges) = (read(&self.values)?, read(&self.edges)?);
        let own = self.edge_values.as_ref().map(read).transpose()?;
        let work = Graph::work(values.values.len(), edges.values.len() / 2);
        memory::afford(Some(work)).map_err(|shortage| {
            Error::Argument(format!("{} on {}: the barcode {shortage}", self.values.display(), self.edges.display()))
        })?;
        let begun = Instant::now();
        let graph = Graph::of_arrays(values, edges, own, self.questions.superlevel)?;
        let (n, m) = (graph.vertices() as u64, graph.edges().len() as u64);
        let size = format!("{}, {}", counted(n, "vertex", "vertices"), counted(m, "edge", "edges"));
        let asked = AskedGraph {
            title: format!("{} on {}, {size}", self.values.display(), self.edges.display()),
            notes: surprises(&graph),
            graph,
            method: By::Graph,
            files: [self.values, self.edges].into_iter().chain(self.edge_values).collect(),
            begun,
        };
        self.questions.answer(asked, &pool)
    }
}

/// What was handled and might not be expected.
fn surprises(graph: &Graph) -> Vec<String> {
    let odd = graph.oddities();
    let (infinity, which) = if graph.superlevel() { ("-inf", "superlevel") } else { ("+inf", "sublevel") };
    let absent = format!(" at {infinity} and in no {which} set");
    let notes = [
        (odd.loops, "edge from a vertex to itself has", "edges from a vertex to itself have", " no effect"),
        (
            odd.repeats,
            "edge repeats another",
            "edges repeat others",
            " in one of the two directions: the lowest counts",
        ),
        (odd.isolated, "vertex has", "vertices have", " no edge to another one"),
        (odd.absent, "vertex is", "vertices are", absent.as_str()),
    ];
    let found = notes.into_iter().filter(|(count, ..)| *count > 0);
    found.map(|(count, one, many, rest)| format!("{}{rest}.", counted(count as u64, one, many))).collect()
}

impl Questions {
    /// Refuses to write over what is read.
    pub fn apart<'a>(&'a self, inputs: impl Iterator<Item = &'a Path>) -> Result<()> {
        apart(inputs, self.outputs.files().chain(self.labels.as_deref()))
    }

    /// Answers all that is asked: files first, then the table, the tree and the path.
    pub fn answer(&self, asked: AskedGraph, pool: &Pool) -> Result<ExitCode> {
        let graph = &asked.graph;
        if !(self.simplify >= 0.0 && self.simplify.is_finite()) {
            let text = format!("--simplify {}: a length of zero or more is needed", self.simplify);
            return Err(Error::Argument(text));
        }
        if let Some(stranger) = self.path.iter().find(|&&v| v as usize >= graph.vertices()) {
            let last = graph.vertices() - 1;
            return Err(Error::Argument(format!("--path {stranger}: the vertices are 0 to {last}")));
        }
        if self.outputs.fill_stdout() && (self.tree || !self.path.is_empty()) {
            let text = "--json - leaves --tree and --path no place: write the barcode to a file";
            return Err(Error::Argument(text.into()));
        }
        let forest = graph.forest(pool);
        let wanted = Wanted {
            degree_1: self.degree1,
            zero_length: self.zero_length,
            shortest: self.simplify,
            cycles: self.cycles,
        };
        let barcode = canonical(&forest, wanted).barcode(graph);
        let seconds = asked.begun.elapsed().as_secs_f64();
        let mut more = String::new();
        if self.tree {
            more += &format!("\nmerge tree\n{}", tree(&barcode));
        }
        if let [from, to] = self.path[..] {
            more += &format!("\n{}", way(&forest, from, to));
        }
        if let Some(file) = &self.labels {
            let labels = forest.labels(self.simplify);
            let labels = Array { shape: vec![labels.len()], values: labels.into() };
            durable::fill(file, |mut out| npy::write(&labels, &mut out)).map_err(Error::into_usage)?;
        }
        let mut notes = asked.notes;
        if self.simplify > 0.0 {
            notes.push(report::cancelled(short(self.simplify)));
        }
        let answer = Answer {
            title: asked.title,
            barcode,
            superlevel: self.superlevel,
            method: asked.method,
            files: asked.files,
            seconds,
            notes,
        };
        let code = answer.tell(&self.outputs)?;
        print(&more)?;
        Ok(code)
    }
}

/// The components of a barcode of degree 0, each below the one that swallows it, earliest death first.
fn tree(barcode: &Barcode) -> String {
    let mut bars: Vec<_> = barcode.degree(0).collect();
    bars.sort_by_key(|bar| bar.birth_cell);
    let at = |cell: u64| bars.binary_search_by_key(&cell, |bar| bar.birth_cell).ok();
    let mut swallowed: Vec<Vec<usize>> = vec![Vec::new(); bars.len()];
    // The barcode is in the order of births: a stable sort by death is the same for every run.
    let mut by_death: Vec<_> = barcode.degree(0).filter_map(|bar| Some((bar.death()?, bar))).collect();
    by_death.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, bar) in by_death {
        if let (Some(elder), Some(young)) = (bar.elder().and_then(at), at(bar.birth_cell)) {
            swallowed[elder].push(young);
        }
    }
    let roots = barcode.degree(0).filter(|bar| bar.elder().is_none()).filter_map(|bar| at(bar.birth_cell));
    let mut next: Vec<(usize, String, &str)> = roots.map(|root| (root, String::new(), "")).collect();
    next.reverse();
    let mut text = String::new();
    while let Some((i, indent, branch)) = next.pop() {
        let bar = bars[i];
        let fate = match (bar.death(), bar.death_cell()) {
            (Some(death), Some(cell)) => format!("dies at {} in cell {cell}", short(death)),
            _ => "never dies".to_owned(),
        };
        text += &format!("{indent}{branch}{}  born at {}, {fate}\n", bar.birth_cell, short(bar.birth));
        let indent = match branch {
            "" => indent,
            "└─ " => indent + "   ",
            _ => indent + "│  ",
        };
        let last = swallowed[i].last().copied();
        let branch = |young: usize| if Some(young) == last { "└─ " } else { "├─ " };
        next.extend(swallowed[i].iter().rev().map(|&young| (young, indent.clone(), branch(young))));
    }
    text
}

/// The lowest path between two vertices, in words.
fn way(forest: &Forest<'_>, from: u32, to: u32) -> String {
    let Some(path) = forest.path(from, to) else {
        return format!("No path leads from {from} to {to}.\n");
    };
    let vertices: Vec<String> = path.vertices.iter().map(ToString::to_string).collect();
    let (top, value) = (path.top, forest.graph().value(path.top));
    let extreme = if forest.graph().superlevel() { "highest path, its lowest" } else { "lowest path, its highest" };
    let count = counted(vertices.len() as u64, "vertex", "vertices");
    format!("{extreme} value {value} in cell {top}, {count}:\n{}\n", vertices.join(" "))
}
