//! Opening: from the request's model and options to a network, its data and what computes it.

use crate::executor::Executor;
use crate::loss::{Description, MeanLoss, Workspace};
use crate::network::{Graphed, Network, short};
use crate::penalty::{Corners, Penalty};
use mountainpass_network::build::{self, Built};
use mountainpass_network::model::{Model, OutputKind};
use mountainpass_network::onnx::{self, OnnxModel};
use mountainpass_network::problem::Aim;
use mountainpass_network::{DataTerm, Dataset, Feed, Mlp, Objective, Penalties};
use mountainpass_sdk::abi::{log, status};
use mountainpass_sdk::{Error, Host, Loss, Open, memory};
use std::path::Path;
use std::sync::Arc;

/// A model, what messages call it, and the options that were its own.
struct Opened {
    who: String,
    model: Arc<dyn Model>,
    kind: OutputKind,
    /// Whether it is one by name.
    is_built: bool,
    options: String,
    notes: Vec<String>,
}

/// Bytes a parameter: itself, its gradient, and the lists of its symmetries, of which each names it once.
const PARAMETER: u64 = 48;

/// All that a request names, made ready for whoever computes it.
pub struct Prepared<E: Executor> {
    who: String,
    network: Network<E>,
    penalty: Penalty,
    objective: Objective,
    data: Dataset,
    description: Description,
}

impl<E: Executor> Prepared<E> {
    /// Opens what a request names. Options of the executor's own are asked for before: what is left over is refused here.
    pub fn new(host: Host<'_>, mut request: Open<'_>, executor: E) -> Result<Prepared<E>, Error> {
        let Opened { who, model, kind, is_built, options, notes } = model(&mut request)?;
        let mut objective = Objective::from_options(&mut request, kind)?;
        if is_built {
            // It has its classes along the last axis: nothing is to be found out.
            objective.class_axis = objective.class_axis.or(Some(-1));
        }
        let data = Dataset::from_options(&mut request);
        request.finish()?;
        // A caller of the engine's library hears of them here; they are told with the loss, too.
        notes.iter().for_each(|note| host.log(log::INFO, &format!("{who}: {note}")));
        let mut data = data?;
        let params = model.parameters().iter().map(|block| block.shape.iter().product::<u64>()).sum::<u64>();
        memory::afford(params.checked_mul(PARAMETER))
            .map_err(|shortage| short(&who, &format!("what is known of {params} parameters"), shortage))?;
        let named = |error: Error| match error.code {
            status::MEMORY if !error.text.starts_with(&who) => {
                Error { text: format!("{who}: it {}", error.text), ..error }
            }
            _ => error,
        };
        let mut description = Description::of(model.clone(), &objective, (options, notes)).map_err(named)?;
        let Penalties { l2, l1, .. } = objective.penalties;
        let penalty = Penalty { l2, l1, ranges: objective.penalties.ranges(&*model)?, corners: Corners::Sharp };
        let network = Network::new(&who, executor, model.clone(), objective.clone(), &mut data).map_err(named)?;
        if network.leaves_targets() && data.train.targets.is_some() {
            let note = format!(
                "the targets (y) of {} are not looked at: the loss is what the file computes, and arrays feed all that it takes",
                data.name
            );
            host.log(log::INFO, &format!("{who}: {note}"));
            description.notes.push(note);
        }
        Ok(Prepared { who, network, penalty, objective, data, description })
    }

    /// What messages call the model.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// What runs it, chunk by chunk.
    pub fn network(&self) -> &Network<E> {
        &self.network
    }

    /// A perceptron with a label a sample, however it was given: it may have kernels of its own.
    pub fn perceptron(&self) -> Result<Option<(Mlp, DataTerm, Feed)>, Error> {
        let Prepared { who, network, objective, data, description: Description { model, .. }, .. } = self;
        if network.aim() != Aim::Classes || !objective.is_plain() || data.train.factors.is_some() {
            return Ok(None);
        }
        let Some(mlp) = build::perceptron(&**model)? else { return Ok(None) };
        let feed = data.feeds(who, model.features())?.remove(0);
        Ok(Some((mlp, objective.data, feed)))
    }

    /// Options of the executor's own, as `key = value` lines, and a remark for whoever reads results.
    pub fn tell(&mut self, options: &str, note: Option<String>) {
        self.description.options += options;
        self.description.notes.extend(note);
    }

    /// That there is no way to compute it in f64.
    pub fn only_single(&mut self) {
        self.description.dtypes.f64 = false;
    }

    /// The loss, run by its network.
    pub fn finished(self) -> Box<dyn Loss> {
        self.run_by(|network| network)
    }

    /// The loss with another way to compute it, made of its network.
    pub fn run_by<M: Graphed>(self, mean: impl FnOnce(Network<E>) -> M) -> Box<dyn Loss> {
        let Prepared { network, penalty, objective, data, description, .. } = self;
        let has_accuracy = network.has_accuracy();
        Box::new(MeanLoss {
            mean: mean(network),
            penalty,
            objective,
            data,
            has_accuracy,
            description,
            single: Workspace::default(),
            double: Workspace::default(),
            bent: Workspace::default(),
        })
    }
}

/// Files of torch's own: pickles, which only torch can read.
const PICKLES: [&str; 4] = ["pt", "pth", "ckpt", "pkl"];

fn is_pickle(model: &str) -> bool {
    let ending = Path::new(model).extension();
    !model.contains(':') && ending.is_some_and(|ending| PICKLES.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn model(request: &mut Open<'_>) -> Result<Opened, Error> {
    let batchnorm = request.option("batchnorm");
    let recomputed = onnx::recomputed(batchnorm)?;
    let (objective, class_axis) = (DataTerm::asked(request)?, request.parsed("class_axis")?);
    let chosen = [
        ("output", request.option("output")),
        ("output_kind", request.option("output_kind")),
        ("frozen", request.option("frozen")),
        ("sizes", request.option("sizes")),
    ];
    let settings = || -> Result<onnx::Options, Error> {
        let [(_, output), (_, kind), (_, frozen), (_, sizes)] = chosen;
        let output_kind = kind.map(OutputKind::parse).transpose()?;
        let default = Some(DataTerm::CrossEntropy).filter(|_| output_kind != Some(OutputKind::Loss));
        Ok(onnx::Options {
            output: output.map(str::to_owned),
            output_kind,
            objective: objective.or(default),
            class_axis,
            frozen: list(frozen).map(str::to_owned).collect(),
            recomputed,
            sizes: list(sizes).map(size).collect::<Result<_, Error>>()?,
        })
    };
    let lines: String = chosen
        .iter()
        .chain([&("batchnorm", batchnorm)])
        .filter_map(|(key, value)| value.map(|value| format!("{key} = {value}\n")))
        .collect();
    let of_file = |model: OnnxModel, who: String| {
        let (kind, notes) = (model.kind(), model.notes().to_vec());
        Opened { who, model: Arc::new(model), kind, is_built: false, options: lines.clone(), notes }
    };
    let spec = match (request.model, request.model_bytes) {
        (None, Some(bytes)) => {
            let model = OnnxModel::read(bytes.to_vec().into(), None, &settings()?)?;
            return Ok(of_file(model, "the model".into()));
        }
        (Some(spec), None) => spec,
        _ => {
            return Err(Error::argument(
                "model is missing: give an .onnx file or a specification such as \"mlp:64-8-10:tanh\"",
            ));
        }
    };
    if let Some(path) = onnx::file(spec) {
        let who = path.file_name().map_or(spec.into(), |name| name.to_string_lossy().into_owned());
        return Ok(of_file(OnnxModel::open(path, &settings()?)?, who));
    }
    if is_pickle(spec) {
        return Err(Error::argument(format!(
            "model {spec:?} is a pickle of torch's: examples/torch/export.py makes an .onnx file of it"
        )));
    }
    if let Some((key, _)) = chosen.iter().find(|(_, value)| value.is_some()) {
        return Err(Error::argument(format!("option {key} is for .onnx files; model is {spec}")));
    }
    let built = Built::parse(spec)?;
    match (recomputed, built.network(2)?.is_joint) {
        (Some(false), true) => {
            return Err(Error::argument(format!("option batchnorm: {spec} has no statistics that could be frozen")));
        }
        (Some(true), false) => {
            return Err(Error::argument(format!("option batchnorm: {spec} has no batch normalisation")));
        }
        _ => {}
    }
    let who = built.to_string();
    let (model, notes) = (Arc::new(built), Vec::new());
    Ok(Opened { who, model, kind: OutputKind::Logits, is_built: true, options: lines, notes })
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
