//! The calls on kinks of a mean loss: its network's, and behind them the corners of the penalty's absolute values.
//!
//! They are run by the graph of the network in f64, whatever computes the loss itself; losses of the two agree to rounding.

use crate::batch::Mean;
use crate::kept::Hands;
use crate::loss::{MeanLoss, Request, Setting, Workspace, laid_out};
use crate::network::{Asked, Found, Graphed, Network, Way};
use crate::penalty::{Corners, Penalty};
use mountainpass_sdk::{
    Cancel, Error, Eval, Figures, Host, Kink, Matrix, MatrixMut, Rows, RowsMut, Slope, abi::status,
};

/// The network's loss with its kinks bent, and all that an evaluation of it takes.
struct Bent<'a, M: Graphed> {
    loss: &'a MeanLoss<M>,
    network: &'a Network<M::Executor>,
    work: &'a Workspace<f64, Network<M::Executor>>,
    penalty: Penalty,
}

/// What is evaluated: theta, where losses and flags go, and derivatives if they are wanted.
struct Batch<'a> {
    theta: Rows<'a, f64>,
    loss: &'a mut [f64],
    status: &'a mut [i32],
    grad: Option<RowsMut<'a, f64>>,
    hvp: Option<(Rows<'a, f64>, RowsMut<'a, f64>)>,
}

impl<M: Graphed> Bent<'_, M> {
    /// Evaluates rows in one way; returns what was found on it.
    fn eval(
        &self,
        way: Way,
        (host, cancel): (Host<'_>, Cancel<'_>),
        Batch { theta, loss, status, grad, hvp }: Batch<'_>,
    ) -> Result<Way, Error> {
        let network = self.network.in_way(way);
        let request = Request { ids: None, loss, status, cancel };
        let setting =
            Setting { host, mean: &network, penalty: &self.penalty, data: &self.loss.data, p: self.loss.description.p };
        self.work.eval(setting, request, theta, grad, hvp)?;
        Ok(network.way)
    }

    /// Rows with linear kinks, and what was asked of these in each.
    fn linear(
        &mut self,
        (slopes, width): (&[Slope], Option<f64>),
        hands: (Host<'_>, Cancel<'_>),
        batch: Batch<'_>,
    ) -> Result<Vec<Vec<Found>>, Error> {
        let n = self.loss.data.train.n;
        let sites = self.network.sites()?;
        let first = sites.count(n);
        let own = slopes.partition_point(|slope| slope.id < first);
        let corners: Vec<(usize, f64)> = self.loss.corners(&slopes[own..], first)?;
        self.penalty.corners = Corners::Linear(corners.clone());
        // Those of them that are told of: their ids, and what they are corners of.
        let told: Vec<(u64, usize)> = match width {
            Some(_) => self.penalty.places().enumerate().map(|(k, place)| (first + k as u64, place)).collect(),
            None => slopes[own..].iter().zip(&corners).map(|(slope, (place, _))| (slope.id, *place)).collect(),
        };
        let (theta, delta) = (batch.theta, self.penalty.l1);
        let sizes = (theta.n(), self.network.pieces(n));
        let way = Way::Linear(Asked::new(sites, slopes[..own].to_vec(), width, sizes));
        let mut found = match self.eval(way, hands, batch)? {
            Way::Linear(asked) => asked.found(),
            _ => Vec::new(),
        };
        for (row, found) in found.iter_mut().enumerate() {
            let corner = |&(id, place): &(u64, usize)| Found { id, z: theta.row(row)[place], alpha: -1.0, delta };
            let is_near = |kink: &Found| width.is_none_or(|width| kink.z.abs() < width);
            found.extend(told.iter().map(corner).filter(is_near));
        }
        Ok(found)
    }
}

impl<M: Graphed> MeanLoss<M> {
    fn bent(&self) -> Result<Bent<'_, M>, Error> {
        if !self.description.dtypes.f64 {
            return Err(Error::unsupported("kinks are told in f64, in which this loss cannot be computed"));
        }
        Ok(Bent { loss: self, network: self.mean.network(), work: &self.bent, penalty: self.penalty.clone() })
    }

    /// The places of theta, and the slopes, of kinks of the penalty.
    fn corners(&self, slopes: &[Slope], first: u64) -> Result<Vec<(usize, f64)>, Error> {
        if slopes.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<usize> = self.penalty.places().collect();
        let corner = |slope: &Slope| {
            let place = usize::try_from(slope.id - first).ok().and_then(|k| places.get(k));
            let place = place.ok_or_else(|| Error::argument(format!("there is no kink {}", slope.id)))?;
            Ok((*place, slope.t))
        };
        slopes.iter().map(corner).collect()
    }

    pub(crate) fn count_kinks(&self) -> Result<u64, Error> {
        let bent = self.bent()?;
        Ok(bent.network.sites()?.count(self.data.train.n) + self.penalty.places().count() as u64)
    }

    pub(crate) fn smoothed(&self, eps: f64, eval: Eval<'_>) -> Result<(), Error> {
        let mut bent = self.bent()?;
        bent.network.sites()?;
        bent.penalty.corners = Corners::Smoothed(eps);
        let Eval { loss, row_status, cancel, host, .. } = eval;
        let (theta, grad, hvp) = doubles(eval.theta, eval.grad, eval.hvp)?;
        let batch = Batch { theta, loss, status: row_status, grad, hvp };
        bent.eval(Way::Smoothed(eps), (host, cancel), batch).map(drop)
    }

    pub(crate) fn near(&self, host: Host<'_>, theta: &[f64], width: f64) -> Result<Vec<Kink>, Error> {
        let (loss, status) = (&mut [0.0], &mut [status::OK]);
        let batch = Batch { theta: Rows::new(theta, self.description.p), loss, status, grad: None, hvp: None };
        let hands = (host, Cancel::never());
        let found = self.bent()?.linear((&[], Some(width)), hands, batch)?;
        Ok(found.into_iter().flatten().map(|Found { id, z, alpha, delta }| Kink { id, z, alpha, delta }).collect())
    }

    pub(crate) fn linear(&self, slopes: &[Slope], eval: Eval<'_>, figures: Figures<'_>) -> Result<(), Error> {
        let mut bent = self.bent()?;
        let hands = (eval.host, eval.cancel);
        let (theta, grad, hvp) = doubles(eval.theta, eval.grad, eval.hvp)?;
        let batch = Batch { theta, loss: eval.loss, status: eval.row_status, grad, hvp };
        let found = bent.linear((slopes, None), hands, batch)?;
        let Figures { mut z, mut delta } = figures;
        for (i, found) in found.iter().flatten().enumerate() {
            z.iter_mut().for_each(|z| z[i] = found.z);
            delta.iter_mut().for_each(|delta| delta[i] = found.delta);
        }
        Ok(())
    }

    pub(crate) fn rows_of(
        &self,
        host: Host<'_>,
        theta: &[f64],
        slopes: &[Slope],
        out: &mut [f64],
    ) -> Result<(), Error> {
        let Bent { network, work, .. } = self.bent()?;
        let (n, p) = (self.data.train.n, self.description.p);
        let first = network.sites()?.count(n);
        let own = slopes.partition_point(|slope| slope.id < first);
        let (rows, corners) = out.split_at_mut(own * p);
        corners.fill(0.0);
        for ((place, _), row) in self.corners(&slopes[own..], first)?.iter().zip(corners.chunks_exact_mut(p)) {
            row[*place] = 1.0;
        }
        let part = laid_out((&work.train, &self.data.train), network, Hands { host, cancel: None })?;
        network.in_way(Way::Rows).rows((host, &work.workers.scratch), (&part.laid, n), theta, &slopes[..own], rows)
    }
}

/// Rows of f64, with gradient and product where these are wanted.
type Doubles<'a> = (Rows<'a, f64>, Option<RowsMut<'a, f64>>, Option<(Rows<'a, f64>, RowsMut<'a, f64>)>);

fn doubles<'a>(
    theta: Matrix<'a>,
    grad: Option<MatrixMut<'a>>,
    hvp: Option<(Matrix<'a>, MatrixMut<'a>)>,
) -> Result<Doubles<'a>, Error> {
    match (theta, grad, hvp) {
        (Matrix::F64(theta), None, None) => Ok((theta, None, None)),
        (Matrix::F64(theta), Some(MatrixMut::F64(grad)), None) => Ok((theta, Some(grad), None)),
        (Matrix::F64(theta), None, Some((Matrix::F64(dir), MatrixMut::F64(out)))) => {
            Ok((theta, None, Some((dir, out))))
        }
        (Matrix::F64(theta), Some(MatrixMut::F64(grad)), Some((Matrix::F64(dir), MatrixMut::F64(out)))) => {
            Ok((theta, Some(grad), Some((dir, out))))
        }
        _ => Err(Error::argument("kinks are told in f64")),
    }
}
