//! From a graph to steps: what moves elements becomes a view, what works element by element a chain (`group` says which
//! operators, `fuse` how), the rest a kernel each (`operators`); buffers are shared by arrays that are never alive together.

mod buffers;
mod draft;
mod fuse;
mod group;
mod node;
mod operators;

use super::plan::Plan;
use super::view::Place;
use draft::Draft;
use group::{is_sink, recomputed, units};
use mountainpass_network::graph::op::Element;
use mountainpass_network::graph::{Graph, Id};
use mountainpass_sdk::Error;
use node::{Local, mark, rewrite};
use std::sync::atomic::{AtomicU64, Ordering};

impl Plan {
    /// Plans the computation of `outputs`, which hold reals.
    pub fn new(graph: &Graph, outputs: &[Id]) -> Result<Plan, Error> {
        static PLANS: AtomicU64 = AtomicU64::new(1);
        let outputs: Vec<usize> = outputs.iter().map(|id| id.index()).collect();
        let mut nodes: Vec<Local> = graph
            .nodes()
            .iter()
            .map(|node| Local {
                op: node.op.clone(),
                args: node.args.iter().map(|id| id.index()).collect(),
                shape: node.of.shape.clone(),
                element: node.of.element,
                needed: false,
                turned: false,
            })
            .collect();
        mark(&mut nodes, &outputs);
        rewrite(&mut nodes, &outputs);
        mark(&mut nodes, &outputs);
        let number = PLANS.fetch_add(1, Ordering::Relaxed);
        Draft::new(&nodes).plan(&outputs, number)
    }
}

impl Draft<'_> {
    /// Lowers every unit, then shares out the buffers.
    fn plan(mut self, outputs: &[usize], number: u64) -> Result<Plan, Error> {
        let mut wanted = vec![false; self.nodes.len()];
        outputs.iter().for_each(|i| wanted[*i] = true);
        self.recomputed = recomputed(self.nodes, &self.users, &wanted);
        for unit in units(self.nodes) {
            match unit[..] {
                [i] if !self.nodes[i].is_each() && !is_sink(self.nodes, i) => self.node(i)?,
                _ => self.chain(&unit, &wanted)?,
            }
        }
        let mut values = Vec::with_capacity(outputs.len());
        for &i in outputs {
            let Local { shape, element, .. } = &self.nodes[i];
            if *element == Element::Index {
                return Err(Error::argument("an output of indices: only reals can be computed for"));
            }
            // An output is a whole buffer: what is seen elsewhere, or inside of an array, is copied.
            let view = self.view(i)?;
            let len = shape.iter().product();
            let value = match view.place {
                Place::Value(value) if view.is_dense(shape) && self.values[value].0 == len => value,
                _ => self.copied(i)?,
            };
            values.push((value, len));
        }
        Ok(self.shared_out(values, number))
    }
}
