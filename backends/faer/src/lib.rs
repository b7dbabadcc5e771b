//! Losses of multilayer perceptrons on the CPU: `backend = "faer"`.
//!
//! `model` is a specification such as `mlp:64-8-10:tanh`; options are `data` and what chooses
//! among its samples, `objective`, `l2` and `l2_on` (see `mountainpass-network`). Theta may be f32 or f64; arithmetic is in its type, losses are summed in f64.
//! Bits of a row depend on theta, the sample ids and the machine only.

#![forbid(unsafe_code)]

mod activation;
mod batch;
pub mod graph;
mod head;
mod lanes;
mod pass;
mod real;
mod scratch;
mod sums;
mod tiles;

use batch::{Function, Row, Workers};
use mountainpass_network::graph::op::Element;
use mountainpass_network::model::Feature;
use mountainpass_network::{Dataset, Feed, Mlp, Objective};
use mountainpass_sdk::{
    Backend, Cancel, Caps, Dtypes, Error, Eval, Host, Identity, Info, Loss, Matrix, MatrixMut, Open, Parameter, Rows,
    RowsMut, Split, Symmetry,
};
pub use real::Real;
use std::ffi::CStr;
use tiles::Tiles;

/// The backend; its losses are opened through [`mountainpass_sdk::table`] or [`Backend::open`].
pub struct Faer;

impl Backend for Faer {
    const NAME: &'static CStr = c"faer";
    const VERSION: &'static CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(version) => version,
        Err(_) => c"",
    };
    type Loss = Perceptron;

    fn open(host: Host, mut request: Open<'_>) -> Result<Perceptron, Error> {
        let objective = Objective::from_options(&mut request)?;
        let data = Dataset::from_options(&mut request);
        request.finish()?;
        if request.device != 0 {
            return Err(Error::argument(format!("device {}: there is only 0, the CPU", request.device)));
        }
        let spec = match (request.model, request.model_bytes) {
            (Some(spec), None) => spec,
            _ => return Err(Error::argument("model is missing: give a specification such as \"mlp:64-8-10:tanh\"")),
        };
        let mlp = Mlp::parse(spec)?;
        let mut data = data?;
        data.check(&mlp)?;
        let slot = Feature { name: "x".into(), shape: vec![mlp.inputs()], element: Element::Real };
        let feed = data.feeds(&mlp.to_string(), &[slot])?.remove(0);
        let penalised = objective.penalised(&mlp);
        let f = Function { mlp, objective, penalised };
        let tile = tile_size(&f.mlp);
        Ok(Perceptron { host, f, tile, data: (feed, data), single: Workspace::default(), double: Workspace::default() })
    }
}

/// Samples per tile: long columns for the products, but so few that one layer of one tile takes well below the
/// 100 ms between polls of the cancel token.
fn tile_size(mlp: &Mlp) -> usize {
    match mlp.layers().iter().map(|l| l.inputs * l.outputs).max() {
        Some(weights) if weights > 1 << 22 => 32,
        Some(weights) if weights > 1 << 20 => 64,
        _ => 256,
    }
}

/// An opened perceptron with its data.
pub struct Perceptron {
    host: Host,
    f: Function,
    tile: usize,
    /// The samples, and how they are laid out.
    data: (Feed, Dataset),
    single: Workspace<f32>,
    double: Workspace<f64>,
}

/// What is kept per element type: laid out samples and the workers' memory; made on first use.
#[derive(Default)]
struct Workspace<T> {
    train: Tiles<T>,
    test: Tiles<T>,
    batch: Tiles<T>,
    workers: Workers<T>,
}

/// The part of an evaluation that does not depend on the element type.
struct Request<'a> {
    ids: Option<&'a [u64]>,
    loss: &'a mut [f64],
    status: &'a mut [i32],
    cancel: Cancel<'a>,
}

impl<T: Real> Workspace<T> {
    fn eval(
        &mut self,
        (host, f, (feed, data), tile): (&Host, &Function, &(Feed, Dataset), usize),
        request: Request<'_>,
        theta: Rows<'_, T>,
        grad: Option<RowsMut<'_, T>>,
        hvp: Option<(Rows<'_, T>, RowsMut<'_, T>)>,
    ) -> Result<(), Error> {
        let tiles = match request.ids {
            Some(ids) => {
                self.batch.fill((feed, &data.train), Some(ids), tile, host);
                &self.batch
            }
            None => {
                if self.train.count() == 0 {
                    self.train.fill((feed, &data.train), None, tile, host);
                }
                &self.train
            }
        };
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
        let p = f.mlp.params();
        for row in &rows {
            let hvp = row.hvp.as_ref().map_or([p, p], |(dir, hvp)| [dir.len(), hvp.len()]);
            let lengths = [row.theta.len(), row.grad.as_ref().map_or(p, |g| g.len()), hvp[0], hvp[1]];
            if lengths != [p; 4] {
                return Err(Error::argument(format!("rows of {lengths:?} values, but {} has {p} parameters", f.mlp)));
            }
        }
        self.workers.evaluate(f, tiles, &mut rows, host, request.cancel)
    }

    fn metrics(
        &mut self,
        (host, f, (feed, data), tile): (&Host, &Function, &(Feed, Dataset), usize),
        split: Split,
        theta: Rows<'_, T>,
        out: &mut [f64],
    ) -> Result<(), Error> {
        let (tiles, samples) = match split {
            Split::Train => (&mut self.train, &data.train),
            Split::Test => (&mut self.test, &data.test),
        };
        if tiles.count() == 0 {
            tiles.fill((feed, samples), None, tile, host);
        }
        let mut rows: Vec<(&[T], f64, f64)> = (0..theta.n()).map(|i| (theta.row(i), 0.0, 0.0)).collect();
        if rows.iter().any(|(theta, ..)| theta.len() != f.mlp.params()) {
            return Err(Error::argument(format!("{} has {} parameters", f.mlp, f.mlp.params())));
        }
        self.workers.judge(f, tiles, &mut rows, host);
        for ((theta, loss, accuracy), out) in rows.iter().zip(out.chunks_exact_mut(2)) {
            let penalty = if split == Split::Train { f.penalty(theta) } else { 0.0 };
            out.copy_from_slice(&[loss + penalty, *accuracy]);
        }
        Ok(())
    }
}

impl Loss for Perceptron {
    fn info(&self) -> Info {
        Info {
            caps: Caps {
                grad: true,
                hvp: true,
                minibatch: true,
                repeatable: true,
                cancel: true,
                smooth: self.f.mlp.activation().is_smooth() || self.f.mlp.layers().len() == 1,
                ..Caps::default()
            },
            params: self.f.mlp.params() as u64,
            samples: self.data.1.train.n as u64,
            dtypes: Dtypes { f32: true, f64: true },
            ..Info::default()
        }
    }

    fn eval(&mut self, eval: Eval<'_>) -> Result<(), Error> {
        let shared = (&self.host, &self.f, &self.data, self.tile);
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
                self.single.eval(shared, request, theta, grad, hvp)
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
                self.double.eval(shared, request, theta, grad, hvp)
            }
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.f.mlp.parameters()
    }

    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        Ok(self.f.mlp.start(seed))
    }

    fn metrics(&self, split: Split) -> Vec<String> {
        match split {
            Split::Test if self.data.1.test.n == 0 => Vec::new(),
            _ => vec!["loss".into(), "accuracy".into()],
        }
    }

    fn eval_metrics(&mut self, split: Split, theta: Matrix<'_>, out: &mut [f64]) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let shared = (&self.host, &self.f, &self.data, self.tile);
        match theta {
            Matrix::F32(theta) => self.single.metrics(shared, split, theta, out),
            Matrix::F64(theta) => self.double.metrics(shared, split, theta, out),
        }
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        self.f.mlp.symmetries(self.f.objective.l2)
    }

    fn identity(&self) -> Identity {
        let data = &self.data.1;
        let (name, n) = (&data.name, data.train.n);
        Identity {
            model_hash: self.f.mlp.hash(),
            data_hash: data.hash(),
            options: format!("data = {name}\nlimit = {n}\n{}{}", data.choices, self.f.objective),
        }
    }
}
