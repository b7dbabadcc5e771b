//! The model that a request names: a file, its bytes or a specification, under the options that are the model's own.

use mountainpass_network::build::Built;
use mountainpass_network::model::{Model, OutputKind};
use mountainpass_network::onnx::{self, OnnxModel};
use mountainpass_sdk::{Error, Open};
use std::path::Path;
use std::sync::Arc;

/// A model, what messages call it, and the options that were its own.
pub(crate) struct Chosen {
    pub who: String,
    pub model: Arc<dyn Model>,
    pub kind: OutputKind,
    /// As `key = value` lines.
    pub options: String,
    pub notes: Vec<String>,
}

/// The options of a model as they were given.
struct Given<'a> {
    output: Option<&'a str>,
    output_kind: Option<&'a str>,
    frozen: Option<&'a str>,
    sizes: Option<&'a str>,
    batchnorm: Option<&'a str>,
}

/// Files of torch's own: pickles, which only torch can read.
const PICKLES: [&str; 4] = ["pt", "pth", "ckpt", "pkl"];

impl Chosen {
    /// The model of a request, whose options of models are taken.
    pub(crate) fn by(request: &mut Open<'_>) -> Result<Chosen, Error> {
        let given = Given::by(request)?;
        match (request.model, request.model_bytes) {
            (None, Some(bytes)) => {
                let model = OnnxModel::read(bytes.to_vec().into(), None, &given.of_file()?)?;
                Ok(Chosen::file(model, "the model".into(), &given))
            }
            (Some(text), None) => Chosen::named(text, &given),
            _ => Err(Error::argument(
                "model is missing: give an .onnx file or a specification such as \"mlp:64-8-10:tanh\"",
            )),
        }
    }

    /// A path of a file or a specification.
    fn named(text: &str, given: &Given<'_>) -> Result<Chosen, Error> {
        let path = Path::new(text);
        let is_path = !text.contains(':') || path.exists();
        let extension = path.extension().and_then(|extension| extension.to_str()).filter(|_| is_path);
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("onnx") => {
                let who = path.file_name().map_or(text.into(), |name| name.to_string_lossy().into_owned());
                Ok(Chosen::file(OnnxModel::open(path, &given.of_file()?)?, who, given))
            }
            Some(pickle) if PICKLES.contains(&pickle) => Err(Error::argument(format!(
                "model {text:?} is a pickle of torch's: examples/torch/export.py makes an .onnx file of it"
            ))),
            _ => Chosen::specified(text, given),
        }
    }

    fn file(model: OnnxModel, who: String, given: &Given<'_>) -> Chosen {
        let (kind, notes) = (model.kind(), model.notes().to_vec());
        Chosen { who, model: Arc::new(model), kind, options: given.lines(), notes }
    }

    fn specified(spec: &str, given: &Given<'_>) -> Result<Chosen, Error> {
        if let Some((key, _)) = given.of_files_only().iter().find(|(_, value)| value.is_some()) {
            return Err(Error::argument(format!("option {key} is for .onnx files; model is {spec}")));
        }
        let built = Built::parse(spec)?;
        if given.batchnorm == Some("frozen") && built.network(2)?.is_joint {
            return Err(Error::argument(format!("option batchnorm: {spec} has no statistics that could be frozen")));
        }
        let who = built.to_string();
        Ok(Chosen { who, model: Arc::new(built), kind: OutputKind::Logits, options: given.lines(), notes: Vec::new() })
    }
}

impl<'a> Given<'a> {
    fn by(request: &mut Open<'a>) -> Result<Given<'a>, Error> {
        let batchnorm = request.option("batchnorm");
        if let Some(other) = batchnorm.filter(|word| !["frozen", "recomputed"].contains(word)) {
            return Err(Error::unknown("value of batchnorm", other, &["frozen", "recomputed"]));
        }
        let [output, output_kind, frozen, sizes] =
            ["output", "output_kind", "frozen", "sizes"].map(|key| request.option(key));
        Ok(Given { output, output_kind, frozen, sizes, batchnorm })
    }

    fn of_files_only(&self) -> [(&'static str, Option<&'a str>); 4] {
        let Given { output, output_kind, frozen, sizes, .. } = *self;
        [("output", output), ("output_kind", output_kind), ("frozen", frozen), ("sizes", sizes)]
    }

    fn lines(&self) -> String {
        let all = self.of_files_only().into_iter().chain([("batchnorm", self.batchnorm)]);
        all.filter_map(|(key, value)| value.map(|value| format!("{key} = {value}\n"))).collect()
    }

    fn of_file(&self) -> Result<onnx::Options, Error> {
        Ok(onnx::Options {
            output: self.output.map(str::to_owned),
            output_kind: self.output_kind.map(OutputKind::parse).transpose()?,
            frozen: list(self.frozen).map(str::to_owned).collect(),
            recomputed: self.batchnorm == Some("recomputed"),
            sizes: list(self.sizes).map(size).collect::<Result<_, Error>>()?,
        })
    }
}

fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `NAME=SIZE`, an axis of a file.
fn size(text: &str) -> Result<(String, usize), Error> {
    let wrong = || Error::argument(format!("option sizes: {text:?}, expected NAME=SIZE, joined by commas"));
    let (name, size) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.trim().to_owned(), size.trim().parse().map_err(|_| wrong())?))
}
