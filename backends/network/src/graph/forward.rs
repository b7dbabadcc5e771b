//! Derivatives along a direction as graphs: what Pearlmutter (1994) calls the R-operator.
//!
//! Along a direction of theta every node changes at a rate; rates are computed from the first node to the last.
//! Applied to a graph that holds a gradient, the rate of the gradient is the Hessian times the direction.

use super::op::Op;
use super::{Graph, Id};
use mountainpass_sdk::Error;

impl Graph {
    /// The rates of change of `outputs` along the direction; `None` where one does not depend on theta.
    pub fn rates(&mut self, outputs: &[Id]) -> Result<Vec<Option<Id>>, Error> {
        let needed = self.needed(outputs);
        let mut rates: Vec<Option<Id>> = vec![None; needed.len()];
        for i in (0..needed.len()).filter(|i| needed[*i]) {
            let node = self.node(self.id(i)).clone();
            let along: Vec<Option<Id>> = node.args.iter().map(|arg| rates[arg.index()]).collect();
            rates[i] = match &node.op {
                Op::Parameter { offset, shape } => {
                    Some(self.push(Op::Direction { offset: *offset, shape: shape.clone() }, &[])?)
                }
                _ if along.iter().all(Option::is_none) => None,
                op => self.rate(self.id(i), op, &node.args, &along)?,
            };
        }
        Ok(outputs.iter().map(|id| rates[id.index()]).collect())
    }

    /// The rate of one node, at least one of whose arguments has a rate.
    fn rate(&mut self, node: Id, op: &Op, args: &[Id], along: &[Option<Id>]) -> Result<Option<Id>, Error> {
        let rate = match op {
            Op::Unary(f) => match (self.slope(*f, args[0], node)?, along[0]) {
                (Some(slope), Some(v)) => self.mul(slope, v)?,
                _ => return Ok(None),
            },
            Op::Binary(f) => {
                let mut sum = None;
                for (k, v) in along.iter().enumerate() {
                    let Some(v) = *v else { continue };
                    if let Some(slope) = self.slope_of_two(*f, args[0], args[1], k)? {
                        let part = self.mul(slope, v)?;
                        sum = Some(self.total(sum, part)?);
                    }
                }
                return Ok(sum);
            }
            // Products are linear in each of their arguments.
            Op::MatMul | Op::Convolve { .. } | Op::ConvolveImage { .. } | Op::ConvolveKernel { .. } => {
                let mut sum = None;
                for (k, v) in along.iter().enumerate() {
                    let Some(v) = *v else { continue };
                    let mut factors = args.to_vec();
                    factors[k] = v;
                    let part = self.push(op.clone(), &factors)?;
                    sum = Some(self.total(sum, part)?);
                }
                return Ok(sum);
            }
            Op::Select | Op::Concat(_) => {
                let mut rates = args.to_vec();
                let first = usize::from(*op == Op::Select);
                for (rate, v) in rates.iter_mut().zip(along).skip(first) {
                    *rate = match v {
                        Some(v) => *v,
                        None => self.fill_like(0.0, *rate)?,
                    };
                }
                self.push(op.clone(), &rates)?
            }
            // Linear in the first; indices have no rate.
            Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast(_)
            | Op::Slice { .. }
            | Op::Place { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::Sum(_)
            | Op::SumPool(_)
            | Op::SumUnpool { .. } => {
                let Some(v) = along[0] else { return Ok(None) };
                let args: Vec<Id> = std::iter::once(v).chain(args[1..].iter().copied()).collect();
                self.push(op.clone(), &args)?
            }
            // Linear in the second; which element is picked does not change.
            Op::PickMax(_) | Op::PlaceMax(_) => {
                let Some(v) = along[1] else { return Ok(None) };
                self.push(op.clone(), &[args[0], v])?
            }
            Op::Largest(axes) => {
                let Some(v) = along[0] else { return Ok(None) };
                let share = self.share(args[0], node, axes)?;
                let weighted = self.mul(share, v)?;
                self.sum(weighted, axes)?
            }
            Op::Softmax => {
                let Some(v) = along[0] else { return Ok(None) };
                self.softmax_along(node, v)?
            }
            Op::LogSoftmax => {
                let Some(v) = along[0] else { return Ok(None) };
                let last = self.shape(node).len() - 1;
                let p = self.push(Op::Softmax, &[args[0]])?;
                let weighted = self.mul(p, v)?;
                let mean = self.sum(weighted, &[last])?;
                self.sub(v, mean)?
            }
            Op::Input { .. }
            | Op::Parameter { .. }
            | Op::Direction { .. }
            | Op::Constant(_)
            | Op::Fill(..)
            | Op::OneHot { .. }
            | Op::ToReal
            | Op::ToIndex
            | Op::TopK { .. } => return Ok(None),
        };
        Ok(Some(rate))
    }

    fn total(&mut self, sum: Option<Id>, part: Id) -> Result<Id, Error> {
        match sum {
            Some(sum) => self.add(sum, part),
            None => Ok(part),
        }
    }
}
