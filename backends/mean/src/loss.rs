//! A mean over samples and its penalty, as a loss of the plugin contract.

use crate::batch::{Mean, Verdict, Wanted, Workers};
use crate::kept::{Hands, Kept, Part};
use crate::network::{Graphed, Network};
use crate::penalty::Penalty;
use crate::real::Real;
use crate::row::Row;
use crate::shelf::Shelf;
use mountainpass_network::graph::Graph;
use mountainpass_network::graph::op::Op;
use mountainpass_network::invariance::{Seen, symmetries};
use mountainpass_network::model::Model;
use mountainpass_network::{Dataset, Objective, Penalties, Samples};
use mountainpass_sdk::{
    Cancel, Caps, Dtypes, Error, Eval, Figures, Host, Identity, Info, Kink, Loss, Matrix, MatrixMut, Parameter, Rows,
    RowsMut, Slope, Split, Symmetry,
};
use std::sync::{Arc, RwLockReadGuard};

/// What is said about a loss, whoever computes it.
pub(crate) struct Description {
    pub model: Arc<dyn Model>,
    /// The length of theta.
    pub p: usize,
    pub is_smooth: bool,
    /// Whether samples see each other.
    pub is_joint: bool,
    /// The only number of samples that a call may be about, if there is one.
    pub only: Option<usize>,
    pub symmetries: Vec<Symmetry>,
    /// In which types there is a way to compute it.
    pub dtypes: Dtypes,
    /// Options in effect beside those of data and objective, as `key = value` lines.
    pub options: String,
    /// What was decided in opening, a line each.
    pub notes: Vec<String>,
}

impl Description {
    pub fn of(
        model: Arc<dyn Model>,
        objective: &Objective,
        (options, notes): (String, Vec<String>),
    ) -> Result<Description, Error> {
        let network = model.network(model.only().map_or(2, |(only, _)| only))?;
        let (graph, outputs) = network.graph.pruned(&[network.output]);
        let size = |block: &Parameter| block.shape.iter().product::<u64>() as usize;
        Ok(Description {
            p: model.parameters().iter().map(size).sum(),
            is_smooth: is_smooth(&graph) && objective.is_smooth(),
            is_joint: network.is_joint,
            only: model.only().map(|(only, _)| only).filter(|only| *only > 1 || network.is_joint),
            symmetries: match outputs.first() {
                Some(output) => symmetries(&graph, *output, seen(&objective.penalties))?,
                None => Vec::new(),
            },
            dtypes: Dtypes { f32: true, f64: true },
            options,
            notes,
            model,
        })
    }
}

/// What penalties see. They take a parameter whole or not at all, and a mixing leaves each one's sum of squares.
fn seen(penalties: &Penalties) -> Seen {
    match penalties {
        Penalties { l1, .. } if *l1 > 0.0 => Seen::Sizes,
        Penalties { l2, .. } if *l2 > 0.0 => Seen::Squares,
        _ => Seen::Nothing,
    }
}

/// Whether nothing that depends on theta has a kink.
fn is_smooth(graph: &Graph) -> bool {
    let mut varies = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let depends = matches!(node.op, Op::Parameter { .. }) || node.args.iter().any(|id| varies[id.index()]);
        if depends && !node.op.is_smooth() {
            return false;
        }
        varies.push(depends);
    }
    true
}

/// An opened loss with its data. Calls of several threads share all of it: what a call alone writes to it takes from a shelf.
pub(crate) struct MeanLoss<M: Graphed> {
    pub mean: M,
    pub penalty: Penalty,
    pub objective: Objective,
    pub data: Dataset,
    /// Whether predictions can be right or wrong.
    pub has_accuracy: bool,
    pub description: Description,
    pub single: Workspace<f32, M>,
    pub double: Workspace<f64, M>,
    /// Of the network with its kinks bent.
    pub bent: Workspace<f64, Network<M::Executor>>,
}

/// What is kept per element type: laid out samples and the workers' memory; made on first use.
pub(crate) struct Workspace<T: Real, M: Mean> {
    pub train: Kept<M::Laid<T>>,
    test: Kept<M::Laid<T>>,
    batch: Shelf<Part<M::Laid<T>>>,
    pub workers: Workers<T, M::Scratch<T>>,
}

impl<T: Real, M: Mean> Default for Workspace<T, M> {
    fn default() -> Workspace<T, M> {
        Workspace {
            train: Kept::default(),
            test: Kept::default(),
            batch: Shelf::default(),
            workers: Workers::default(),
        }
    }
}

/// What an evaluation needs beside the memory of its element type.
pub(crate) struct Setting<'a, M> {
    pub host: Host<'a>,
    pub mean: &'a M,
    pub penalty: &'a Penalty,
    pub data: &'a Dataset,
    pub p: usize,
}

/// The part of an evaluation that does not depend on the element type.
pub(crate) struct Request<'a> {
    pub ids: Option<&'a [u64]>,
    pub loss: &'a mut [f64],
    pub status: &'a mut [i32],
    pub cancel: Cancel<'a>,
}

/// All samples of a part.
pub(crate) fn laid_out<'a, T: Real, M: Mean>(
    (part, samples): (&'a Kept<M::Laid<T>>, &Samples),
    mean: &M,
    hands: Hands<'_>,
) -> Result<RwLockReadGuard<'a, Part<M::Laid<T>>>, Error> {
    part.all(samples.n, hands, |laid| mean.lay_out::<T>(samples, hands, laid))
}

impl<T: Real, M: Mean> Workspace<T, M> {
    pub fn eval(
        &self,
        setting: Setting<'_, M>,
        request: Request<'_>,
        theta: Rows<'_, T>,
        grad: Option<RowsMut<'_, T>>,
        hvp: Option<(Rows<'_, T>, RowsMut<'_, T>)>,
    ) -> Result<(), Error> {
        let Setting { host, mean, penalty, data, p } = setting;
        let hands = Hands { host, cancel: Some(request.cancel) };
        let wanted = Wanted::Derivatives { grad: grad.is_some(), hvp: hvp.is_some() };
        mean.prepare(request.ids.map_or(data.train.n, <[u64]>::len), wanted)?;
        let mut grads = grad.map(|g| g.into_rows().into_iter());
        let mut hvps = hvp.map(|(dir, out)| (dir, out.into_rows().into_iter()));
        let outputs = request.loss.iter_mut().zip(request.status);
        let mut rows: Vec<Row<'_, T>> = outputs
            .enumerate()
            .map(|(i, (loss, status))| Row {
                theta: theta.row(i),
                loss,
                grad: grads.as_mut().and_then(Iterator::next),
                hvp: hvps.as_mut().and_then(|(dir, out)| out.next().map(|out| (dir.row(i), out))),
                status,
            })
            .collect();
        for row in &rows {
            let hvp = row.hvp.as_ref().map_or([p, p], |(dir, hvp)| [dir.len(), hvp.len()]);
            let lengths = [row.theta.len(), row.grad.as_ref().map_or(p, |g| g.len()), hvp[0], hvp[1]];
            if lengths != [p; 4] {
                return Err(Error::argument(format!("rows of {lengths:?} values, but there are {p} parameters")));
            }
        }
        let mut over =
            |part: &Part<M::Laid<T>>| self.workers.evaluate((mean, penalty), part, &mut rows, host, request.cancel);
        match request.ids {
            Some(ids) => self.batch.with(|batch| {
                mean.choose::<T>((&data.train, ids), hands, &self.train, &mut batch.laid)?;
                batch.n = ids.len();
                over(batch)
            }),
            None => over(&*laid_out((&self.train, &data.train), mean, hands)?),
        }
    }

    fn metrics(&self, setting: Setting<'_, M>, split: Split, theta: Rows<'_, T>, out: &mut [f64]) -> Result<(), Error> {
        let Setting { host, mean, penalty, data, p } = setting;
        let (part, samples) = match split {
            Split::Train => (&self.train, &data.train),
            Split::Test => (&self.test, &data.test),
        };
        mean.prepare(samples.n, Wanted::Verdict)?;
        let part = laid_out((part, samples), mean, Hands { host, cancel: None })?;
        let mut rows: Vec<(&[T], Verdict)> = (0..theta.n()).map(|i| (theta.row(i), Verdict::default())).collect();
        if rows.iter().any(|(theta, _)| theta.len() != p) {
            return Err(Error::argument(format!("there are {p} parameters")));
        }
        self.workers.judge(mean, &*part, &mut rows, host)?;
        let each = out.len() / rows.len().max(1);
        for ((theta, verdict), out) in rows.iter().zip(out.chunks_exact_mut(each)) {
            let penalty = if split == Split::Train { penalty.at(theta) } else { 0.0 };
            let found = [
                verdict.loss * (1.0 / samples.n as f64) + penalty,
                verdict.correct as f64 / verdict.predictions.max(1) as f64,
            ];
            out.copy_from_slice(&found[..each]);
        }
        Ok(())
    }
}

impl<M: Graphed> MeanLoss<M> {
    fn setting<'a>(&'a self, host: Host<'a>) -> Setting<'a, M> {
        let MeanLoss { mean, penalty, data, description, .. } = self;
        Setting { host, mean, penalty, data, p: description.p }
    }
}

impl<M: Graphed> Loss for MeanLoss<M> {
    fn info(&self) -> Info {
        Info {
            caps: Caps {
                grad: true,
                hvp: true,
                minibatch: self.description.only.is_none(),
                many: true,
                // Kernels may round a row by where it stands among those of a run.
                repeatable: self.mean.at_once() == 1,
                cancel: true,
                smooth: self.description.is_smooth,
                joint: self.description.is_joint && self.description.only.is_none(),
                ..Caps::default()
            },
            params: self.description.p as u64,
            samples: self.data.train.n as u64,
            rows_best: Some(self.mean.at_once() as u64).filter(|rows| *rows > 1).unwrap_or(0),
            dtypes: self.description.dtypes,
            ..Info::default()
        }
    }

    fn eval(&self, eval: Eval<'_>) -> Result<(), Error> {
        let setting = self.setting(eval.host);
        let request = Request { ids: eval.ids, loss: eval.loss, status: eval.row_status, cancel: eval.cancel };
        let mixed = || Error::argument("theta, grad, dir and hvp differ in their element types");
        match eval.theta {
            Matrix::F32(theta) => {
                let grad = match eval.grad {
                    Some(MatrixMut::F32(grad)) => Some(grad),
                    None => None,
                    Some(MatrixMut::F64(_)) => return Err(mixed()),
                };
                let hvp = match eval.hvp {
                    Some((Matrix::F32(dir), MatrixMut::F32(out))) => Some((dir, out)),
                    None => None,
                    Some(_) => return Err(mixed()),
                };
                self.single.eval(setting, request, theta, grad, hvp)
            }
            Matrix::F64(theta) => {
                let grad = match eval.grad {
                    Some(MatrixMut::F64(grad)) => Some(grad),
                    None => None,
                    Some(MatrixMut::F32(_)) => return Err(mixed()),
                };
                let hvp = match eval.hvp {
                    Some((Matrix::F64(dir), MatrixMut::F64(out))) => Some((dir, out)),
                    None => None,
                    Some(_) => return Err(mixed()),
                };
                self.double.eval(setting, request, theta, grad, hvp)
            }
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.description.model.parameters().to_vec()
    }

    fn metrics(&self, split: Split) -> Vec<String> {
        let names = ["loss", "accuracy"].map(str::to_owned);
        match split {
            Split::Test if self.data.test.n == 0 => Vec::new(),
            Split::Test if self.description.only.is_some_and(|only| only != self.data.test.n) => Vec::new(),
            _ => names.into_iter().take(1 + usize::from(self.has_accuracy)).collect(),
        }
    }

    fn eval_metrics(&self, host: Host<'_>, split: Split, theta: Matrix<'_>, out: &mut [f64]) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let setting = self.setting(host);
        match theta {
            Matrix::F32(theta) => self.single.metrics(setting, split, theta, out),
            Matrix::F64(theta) => self.double.metrics(setting, split, theta, out),
        }
    }

    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        self.description.model.start(seed)
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        self.description.symmetries.clone()
    }

    fn identity(&self) -> Identity {
        let data = &self.data;
        let Description { model, options, notes, .. } = &self.description;
        Identity {
            model_hash: model.hash(),
            data_hash: data.hash(),
            options: format!(
                "data = {}\nlimit = {}\n{}{}{options}",
                data.name, data.train.n, data.choices, self.objective
            ),
            notes: notes.join("\n"),
        }
    }

    fn kinks(&self) -> Result<u64, Error> {
        self.count_kinks()
    }

    fn eval_smoothed(&self, eps: f64, eval: Eval<'_>) -> Result<(), Error> {
        self.smoothed(eps, eval)
    }

    fn kinks_near(&self, host: Host<'_>, theta: &[f64], width: f64) -> Result<Vec<Kink>, Error> {
        self.near(host, theta, width)
    }

    fn eval_linear(&self, slopes: &[Slope], eval: Eval<'_>, figures: Figures<'_>) -> Result<(), Error> {
        self.linear(slopes, eval, figures)
    }

    fn kink_rows(&self, host: Host<'_>, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<(), Error> {
        self.rows_of(host, theta, slopes, out)
    }
}
