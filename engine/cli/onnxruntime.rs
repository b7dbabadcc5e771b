//! `mpass onnxruntime`: the library that the backend onnx runs networks by.

use super::builtin::library::{self, Flavour};
use super::output::print;
use mountainpass::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// The options of `mpass onnxruntime`.
#[derive(clap::Args)]
pub struct OnnxruntimeCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Fetches it from PyPI by python3 and pip, checks its SHA-256, prints where it is; nothing is done twice
    Install {
        /// With what computes on NVIDIA devices: CUDA 13 and cuDNN, some 2 GB
        #[arg(long)]
        gpu: bool,
        /// Into this folder instead of the cache folder; options of a loss then name the file as library
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl OnnxruntimeCommand {
    /// Installs.
    pub fn go(self) -> Result<ExitCode> {
        let What::Install { gpu, dir } = self.what;
        let flavour = if gpu { Flavour::Gpu } else { Flavour::Cpu };
        let file = library::install(flavour, dir.as_deref()).map_err(|error| Error::Argument(error.text))?;
        print(&format!("{}\n", file.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
