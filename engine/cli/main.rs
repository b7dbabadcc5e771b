//! The command `mpass`. Results on stdout, progress on stderr; exit 0, 1 (failed) or 2 (usage).

#![forbid(unsafe_code)]

#[macro_use]
mod output;

mod answer;
mod apart;
mod backends;
mod builtin;
mod check;
mod cloud;
mod distance;
mod eval;
mod export;
mod folder;
mod graph;
mod grid;
mod merge;
mod model;
mod onnxruntime;
mod open;
mod plan;
mod progress;
mod run;
mod serve;
mod show;
mod theta;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The barcode of a loss function: its minima, the passes between them, and how high descent must climb to leave.
#[derive(Parser)]
#[command(name = "mpass", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds minima, connects them, and writes barcode and report: loss -> ... -> report
    Run(run::Run),
    /// The loss of a run at given parameters: value, derivatives, metrics
    Eval(eval::Eval),
    /// The barcode of an n-dimensional array, in all degrees
    Grid(grid::GridCommand),
    /// The barcode of a function on the vertices of a graph, its merge tree, and lowest paths
    Graph(graph::GraphCommand),
    /// The same of a function sampled at points: on the graph of their nearest neighbours
    Cloud(cloud::CloudCommand),
    /// Lists the parameters and inputs of a network, or writes it as an ONNX file
    Model(model::ModelCommand),
    /// Lists backends and their devices, or the options of one
    Backends {
        /// A plugin file to load first; may be repeated
        #[arg(long, value_name = "FILE")]
        load: Vec<PathBuf>,
        /// Lists what the table of the loss may hold for this backend: name, kind, default, meaning
        #[arg(long, value_name = "NAME")]
        options: Option<String>,
    },
    /// Installs ONNX Runtime, the library that the backend onnx runs networks by
    Onnxruntime(onnxruntime::OnnxruntimeCommand),
    /// Checks a backend plugin against the contract, test by test
    Check(check::Check),
    /// Runs a backend for an engine that isolates it; started by `mpass run --isolate`
    #[command(hide = true)]
    ServeLoss(serve::Serve),
    /// Lists what a landscape database holds
    Show {
        /// A landscape.sqlite, or the folder it is in
        landscape: PathBuf,
        /// Prints barcode.json instead
        #[arg(long)]
        json: bool,
        /// Writes what is whole of a damaged database into FOLDER instead, to be resumed from there
        #[arg(long, value_name = "FOLDER", conflicts_with = "json")]
        salvage: Option<PathBuf>,
    },
    /// Joins the landscapes of runs of one loss into one, to be shown and gone on with
    Merge(merge::MergeCommand),
    /// Tells how far two barcodes are apart, degree by degree
    Distance(distance::DistanceCommand),
    /// Writes a barcode for other programs, or the parameters of a minimum or a saddle
    Export(export::ExportCommand),
}

fn main() -> ExitCode {
    // A file that may not grow is an error like another, and not the end of the process.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let result = match CommandLine::parse().command {
        Command::Run(run) => run.go(),
        Command::Eval(eval) => eval.go(),
        Command::Grid(grid) => grid.go(),
        Command::Graph(graph) => graph.go(),
        Command::Cloud(cloud) => cloud.go(),
        Command::Model(model) => model.go(),
        Command::Backends { load, options } => backends::list(&load, options.as_deref()),
        Command::Onnxruntime(onnxruntime) => onnxruntime.go(),
        Command::Check(check) => check.go(),
        Command::ServeLoss(serve) => serve.go(),
        Command::Show { landscape, json, salvage } => show::show(&landscape, json, salvage.as_deref()),
        Command::Merge(merge) => merge.go(),
        Command::Distance(distance) => distance.go(),
        Command::Export(export) => export.go(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tell!("mpass: {error}");
            ExitCode::from(if error.is_usage() { 2 } else { 1 })
        }
    }
}
