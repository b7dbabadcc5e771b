//! What `mpass grid`, `graph` and `cloud` end with: the barcode of a sampled function as a table and in files.

use super::show::{print_barcode, print_findings};
use mountainpass::hash::hexadecimal;
use mountainpass::machine::durable;
use mountainpass::persistence::{Barcode, Diagram};
use mountainpass::report::diagram::ExportFormat;
use mountainpass::report::{BarcodeFile, Findings};
use mountainpass::store::{By, Provenance};
use mountainpass::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The files that a barcode is written to.
#[derive(clap::Args)]
pub struct Outputs {
    /// Writes barcode.json to FILE, or to standard output for -
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Writes the bars as GUDHI reads them
    #[arg(long, value_name = "FILE")]
    pers: Option<PathBuf>,
    /// Writes the bars as a DIPHA persistence diagram
    #[arg(long, value_name = "FILE")]
    dipha: Option<PathBuf>,
}

impl Outputs {
    /// The files among them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.json, &self.pers, &self.dipha].into_iter().flatten();
        files.map(PathBuf::as_path).filter(|file| *file != Path::new("-"))
    }

    /// True where standard output belongs to barcode.json.
    pub fn fill_stdout(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }
}

/// The barcode of a sampled function.
pub struct Answer {
    pub title: String,
    pub barcode: Barcode,
    pub superlevel: bool,
    pub method: By,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    pub seconds: f64,
    pub notes: Vec<String>,
}

impl Answer {
    /// Writes the files that are asked for, and prints the table unless one of them is standard output.
    pub fn tell(self, outputs: &Outputs) -> Result<ExitCode> {
        let provenance = Provenance { data_hash: hash(&self.files)?, ..Provenance::of_given(self.method) };
        let findings = Findings {
            title: &self.title,
            barcode: &self.barcode,
            provenance: &provenance,
            superlevel: self.superlevel,
            seconds: &[(self.method.to_string(), self.seconds)],
            notes: &self.notes,
            run: None,
        };
        self.export(outputs)?;
        if outputs.fill_stdout() {
            print_barcode(&findings)?;
        } else {
            if let Some(file) = &outputs.json {
                let barcode = BarcodeFile::of_findings(&findings)?;
                durable::fill(file, |out| barcode.write(out)).map_err(Error::into_usage)?;
            }
            print_findings(&findings)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes the files for other programs.
    fn export(&self, outputs: &Outputs) -> Result<()> {
        for (format, file) in [(ExportFormat::Gudhi, &outputs.pers), (ExportFormat::Dipha, &outputs.dipha)] {
            if let Some(file) = file {
                format.write(file, &Diagram::of(&self.barcode.bars, self.superlevel)?)?;
            }
        }
        Ok(())
    }
}

/// SHA-256 over the bytes of some files; none where one of them was a pipe, which cannot be read twice.
fn hash(files: &[PathBuf]) -> Result<String> {
    if !files.iter().all(|file| file.is_file()) {
        return Ok(String::new());
    }
    let mut digest = Sha256::new();
    for file in files {
        let mut reader = std::fs::File::open(file).map_err(|e| Error::io(file, e).into_usage())?;
        let mut block = vec![0; 1 << 20];
        loop {
            match reader.read(&mut block).map_err(|e| Error::io(file, e))? {
                0 => break,
                n => digest.update(&block[..n]),
            }
        }
    }
    Ok(hexadecimal(digest))
}
