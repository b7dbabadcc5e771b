//! `mpass model`: a network by name, its parameters and inputs, or the whole of it as an ONNX file.

use super::output::{self, print, print_json};
use mountainpass::machine::durable;
use mountainpass::report::number::counted;
use mountainpass::{Error, Result};
use mountainpass_network::build::Built;
use mountainpass_network::checkpoint::ModelFile;
use mountainpass_network::graph::op::Element;
use mountainpass_network::model::Model;
use mountainpass_network::onnx::{self, OnnxModel, Options};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// The options of `mpass model`.
#[derive(clap::Args)]
pub struct ModelCommand {
    /// A network such as mlp:64-8-10:tanh, cnn:28x28x1-16-32-10, resnet9:32x32x3-10, or an ONNX file
    name: String,
    /// Writes the network with its start as an ONNX file; parameters are the initializers, in order, by name
    #[arg(long, value_name = "FILE.onnx")]
    out: Option<PathBuf>,
    /// The seed of the start
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// How the file holds reals: every runtime computes with f32; theta as it is needs f64
    #[arg(long, value_name = "f32|f64", default_value = "f32")]
    dtype: Precision,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// How a file holds reals.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Precision {
    F32,
    F64,
}

impl From<Precision> for onnx::Precision {
    fn from(precision: Precision) -> onnx::Precision {
        match precision {
            Precision::F32 => onnx::Precision::Single,
            Precision::F64 => onnx::Precision::Double,
        }
    }
}

/// What the network itself refuses is a fault of the command line.
fn failed(error: mountainpass_sdk::Error) -> Error {
    Error::Argument(error.text)
}

/// The ONNX file of a network, by its name or of its own file, with `theta` for its parameters. A file keeps its types.
pub fn with_parameters(name: &str, theta: &[f64], precision: Precision) -> Result<Vec<u8>> {
    let Some(path) = onnx::file(name) else {
        return onnx::write(&Built::parse(name).map_err(failed)?, theta, precision.into()).map_err(failed);
    };
    let of_file = |error: mountainpass_sdk::Error| Error::Config { path: path.to_owned(), text: error.text };
    let model = OnnxModel::open(path, &Options::default()).map_err(of_file)?;
    match count(&model) {
        found if found == theta.len() as u64 => ModelFile::read(path)
            .and_then(|file| file.with_parameters(path, model.parameters(), theta))
            .map_err(of_file),
        found => Err(Error::Argument(format!("{name}: {found} parameters, where theta has {}", theta.len()))),
    }
}

impl ModelCommand {
    /// Prints, and writes the file asked for.
    pub fn go(self) -> Result<ExitCode> {
        let (model, notes): (Box<dyn Model>, Vec<String>) = if let Some(file) = onnx::file(&self.name) {
            if self.out.is_some() {
                return Err(Error::Argument(format!("--out: {:?} is an ONNX file already", self.name)));
            }
            let model = OnnxModel::open(file, &Options::default()).map_err(failed)?;
            let notes = model.notes().to_vec();
            (Box::new(model), notes)
        } else {
            (Box::new(Built::parse(&self.name).map_err(failed)?), Vec::new())
        };
        if let Some(file) = &self.out {
            let theta = model.start(self.seed).map_err(failed)?;
            let bytes = onnx::write(&*model, &theta, self.dtype.into()).map_err(failed)?;
            durable::write(file, &bytes).map_err(Error::into_usage)?;
        }
        notes.iter().for_each(|note| tell!("{note}"));
        if self.json {
            print_json(&json_of(&*model)?)?
        } else {
            print(&text_of(&*model))?
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn kind(element: Element) -> &'static str {
    match element {
        Element::Real => "real",
        Element::Index => "index",
    }
}

fn count(model: &dyn Model) -> u64 {
    model.parameters().iter().map(|block| block.shape.iter().product::<u64>()).sum()
}

fn json_of(model: &dyn Model) -> Result<String> {
    let parameters = model.parameters().iter().zip(model.is_weight()).map(|(block, is_weight)| {
        json!({ "name": block.name, "shape": block.shape, "offset": block.offset, "is_weight": is_weight })
    });
    let inputs = model
        .features()
        .iter()
        .map(|feature| json!({ "name": feature.name, "shape": feature.shape, "kind": kind(feature.element) }));
    let all = json!({
        "n_parameters": count(model),
        "parameters": parameters.collect::<Vec<Value>>(),
        "inputs": inputs.collect::<Vec<Value>>(),
    });
    output::json(&all)
}

fn text_of(model: &dyn Model) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let blocks = model.parameters();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} in {}",
        counted(count(model), "parameter", "parameters"),
        counted(blocks.len() as u64, "block", "blocks")
    );
    let width = blocks.iter().map(|block| block.name.chars().count()).max().unwrap_or(0);
    for block in blocks {
        let shape: Vec<String> = block.shape.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  {:<width$}  at {:<8} {}", block.name, block.offset, shape.join(" x "));
    }
    for feature in model.features() {
        let shape: Vec<String> = feature.shape.iter().map(ToString::to_string).collect();
        let kind = if feature.element == Element::Real { "reals" } else { "whole numbers" };
        let _ = writeln!(text, "input {}: {} {kind} a sample", feature.name, shape.join(" x "));
    }
    text
}
