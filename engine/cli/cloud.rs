//! `mpass cloud`: the barcode of a function sampled at points, on the graph of their nearest neighbours.

use super::graph::{AskedGraph, Questions};
use mountainpass::machine::memory;
use mountainpass::morse::cloud::Cloud;
use mountainpass::morse::graph::Graph;
use mountainpass::npy;
use mountainpass::report::number::counted;
use mountainpass::store::By;
use mountainpass::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The options of `mpass cloud`.
#[derive(clap::Args)]
pub struct CloudCommand {
    /// Points, an array of shape (n, d), a .npy file
    #[arg(long, value_name = "X.npy")]
    points: PathBuf,
    /// A value for each point; +inf means "in no sublevel set"
    #[arg(long, value_name = "V.npy")]
    values: PathBuf,
    /// Joins each point with its K nearest; equal distances go by number
    #[arg(long, value_name = "K")]
    k: usize,
    /// Leaves out edges longer than R
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    radius: Option<f64>,
    #[command(flatten)]
    questions: Questions,
}

impl CloudCommand {
    /// Computes and prints the barcode, and what else is asked for.
    pub fn go(self) -> Result<ExitCode> {
        self.questions.apart([self.points.as_path(), &self.values].into_iter())?;
        let pool = self.questions.threads.pool()?;
        let points = npy::widened(&self.points)?;
        let cloud = Cloud::new(&points.shape, points.values)?;
        let values = npy::read(&self.values)?;
        // What it takes beside the points, which are here.
        let held = memory::bytes_of::<f64>(cloud.points() * cloud.dimensions()).unwrap_or(0);
        let work = Cloud::work(cloud.points(), cloud.dimensions(), self.k).saturating_sub(held);
        memory::afford(Some(work))
            .map_err(|shortage| Error::Argument(format!("{}: the graph {shortage}", self.points.display())))?;
        let begun = Instant::now();
        let graph = Graph::on_cloud(&cloud, values, self.k, self.radius, self.questions.superlevel, &pool)?;
        let (n, d, k) = (cloud.points() as u64, cloud.dimensions(), self.k);
        let mut notes = vec![
            "Between the points nothing is known: edges may jump a barrier, and sparse points miss a pass.".to_owned(),
        ];
        let isolated = if self.radius.is_some() { graph.oddities().isolated } else { 0 };
        if isolated > 0 {
            let points = counted(isolated as u64, "point has", "points have");
            notes.push(format!("{points} no neighbour within the radius."));
        }
        let within = self.radius.map_or(String::new(), |radius| format!(" within {radius}"));
        let points = counted(n, "point", "points");
        let asked = AskedGraph {
            title: format!("{} at {points} in {d} dimensions, {k} nearest{within}", self.values.display()),
            graph,
            method: By::Cloud,
            files: vec![self.points, self.values],
            begun,
            notes,
        };
        self.questions.answer(asked, &pool)
    }
}
