//! How the plans of a network are made: of its problem for so many samples and rows.

use super::kinks::Bend;
use super::programs::{Key, Program};
use super::{ALL, Network};
use crate::batch::Wanted;
use crate::executor::Executor;
use mountainpass_network::graph::Graph;
use mountainpass_network::graph::op::Op;
use mountainpass_network::problem::Problem;
use mountainpass_sdk::Error;
use std::sync::Arc;

impl<E: Executor> Network<E> {
    /// The program for so many samples and rows.
    pub(super) fn planned(&self, size: (usize, usize), wanted: Wanted) -> Result<Program<E::Plan>, Error> {
        let none = || Error::argument("this network takes one row at a time");
        self.program(size, wanted)?.ok_or_else(none)
    }

    /// The same; `None` where the graph takes no more rows than one.
    fn program(&self, size: (usize, usize), wanted: Wanted) -> Result<Option<Program<E::Plan>>, Error> {
        let (of, (n, rows)) = (self.key(size, wanted), size);
        if of.bend != Bend::None {
            return Ok(Some(Program { of, judge: None, plan: self.bent_plan(n, wanted, of.bend)? }));
        }
        let Problem { graph, losses, judged, gradient, product, .. } =
            Problem::new(&*self.model, &self.objective, (self.slots.aim, self.slots.factors), n)?;
        let mut outputs = vec![losses];
        match wanted {
            Wanted::Derivatives { grad, hvp } => {
                outputs.extend(gradient.into_iter().filter(|_| grad));
                outputs.extend(product.into_iter().filter(|_| hvp));
            }
            Wanted::Verdict => outputs.extend(judged.map(|(predictions, _)| predictions)),
        }
        let judge = judged.map(|(_, judge)| judge);
        let program = |plan| Some(Program { of, judge, plan });
        if rows == 1 {
            return self.executor.plan(&graph, &outputs).map(program);
        }
        match graph.in_rows(&outputs, rows)?.filter(|_| self.is_in_blocks(&graph)) {
            Some((graph, outputs)) => self.executor.plan(&graph, &outputs).map(program),
            None => Ok(None),
        }
    }

    /// The program for so many samples and rows, of those that are kept.
    pub(super) fn prepared(&self, size: (usize, usize), wanted: Wanted) -> Result<Arc<Program<E::Plan>>, Error> {
        self.programs.get(self.key(size, wanted), || self.planned(size, wanted))
    }

    fn key(&self, (samples, rows): (usize, usize), wanted: Wanted) -> Key {
        Key { samples, rows, wanted, bend: self.way.bend() }
    }

    /// As many rows as the executor wants in a run, if the graph takes them.
    pub(super) fn taken_rows(&self) -> Result<usize, Error> {
        let rows = self.executor.rows();
        if rows > 1 && self.program((self.few(), rows), ALL)?.is_none() { Ok(1) } else { Ok(rows) }
    }

    /// Whether a graph reads theta by whole blocks: where there are several these stand row after row.
    fn is_in_blocks(&self, graph: &Graph) -> bool {
        graph.nodes().iter().all(|node| match &node.op {
            Op::Parameter { offset, shape } | Op::Direction { offset, shape } => {
                self.blocks.contains(&(*offset..offset + shape.iter().product::<usize>()))
            }
            _ => true,
        })
    }
}
