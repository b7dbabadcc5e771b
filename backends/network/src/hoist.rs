//! A model in two parts: a trunk that depends on the inputs alone, and what takes the trunk's values as further inputs.
//!
//! Whoever runs a model computes the trunk once a sample, keeps its values beside the data, and runs the rest at every theta:
//! a [`Hoisted`] is that rest, a model like any other, whose derivatives never see the trunk. The two together compute what
//! the model computes, operator by operator.
//!
//! The cut is found in the graph of a few samples, and again in that of any other number: of the operators that depend on
//! inputs alone and compute something it is the same ones. Where a graph is built otherwise for some number of samples,
//! the rest is the whole model there.

use crate::graph::hoist::computes;
use crate::graph::op::Op;
use crate::graph::{Graph, Id};
use crate::model::{Feature, Model, Network};
use mountainpass_sdk::{Error, Parameter};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

/// What is left of a model behind its trunk.
pub struct Hoisted {
    model: Arc<dyn Model>,
    /// The model's, then the trunk's values.
    features: Vec<Feature>,
    /// The operators before theta that compute something, and which of them are cut at.
    operators: Vec<Discriminant<Op>>,
    cuts: Vec<usize>,
}

impl Hoisted {
    /// Cuts a model; `None` where nothing before its first parameter is worth keeping.
    pub fn new(model: Arc<dyn Model>) -> Result<Option<Hoisted>, Error> {
        let n = model.only().map_or(2, |(only, _)| only);
        let Network { graph, output, .. } = model.network(n)?;
        let cuts = graph.cuts(output);
        if cuts.is_empty() {
            return Ok(None);
        }
        let mut features = model.features().to_vec();
        for (k, cut) in cuts.iter().enumerate() {
            let Some(shape) = of_one(graph.shape(*cut), n) else { return Ok(None) };
            features.push(Feature { name: format!("kept.{k}"), shape, element: graph.element(*cut) });
        }
        let operators = operators(&graph, output);
        let place = |cut: &Id| operators.iter().position(|id| id == cut);
        let Some(cuts) = cuts.iter().map(place).collect() else { return Ok(None) };
        let operators = operators.iter().map(|id| discriminant(&graph.node(*id).op)).collect();
        Ok(Some(Hoisted { model, features, operators, cuts }))
    }

    /// The trunk's values, of one sample: the last of the [`features`](Model::features).
    pub fn kept(&self) -> &[Feature] {
        &self.features[self.features.len() - self.cuts.len()..]
    }

    /// How many numbers of a sample are kept.
    pub fn numbers(&self) -> usize {
        self.kept().iter().map(|feature| feature.shape.iter().product::<usize>()).sum()
    }

    /// The trunk for `n` samples: the graph from the model's inputs to the values [`kept`](Hoisted::kept). `None` where it
    /// cannot be told from the rest in the graph of so many.
    pub fn trunk(&self, n: usize) -> Result<Option<(Graph, Vec<Id>)>, Error> {
        let network = self.model.network(n)?;
        Ok(self.cuts_in(&network, n).map(|cuts| network.graph.pruned(&cuts)))
    }

    fn cuts_in(&self, Network { graph, output, .. }: &Network, n: usize) -> Option<Vec<Id>> {
        let operators = operators(graph, *output);
        let kinds = operators.iter().map(|id| discriminant(&graph.node(*id).op));
        if !kinds.eq(self.operators.iter().copied()) {
            return None;
        }
        let cuts: Vec<Id> = self.cuts.iter().map(|place| operators[*place]).collect();
        let is_kept = |(cut, kept): (&Id, &Feature)| of_one(graph.shape(*cut), n).is_some_and(|of| of == kept.shape);
        cuts.iter().zip(self.kept()).all(is_kept).then_some(cuts)
    }
}

/// What depends on inputs alone and computes something, in order.
fn operators(graph: &Graph, output: Id) -> Vec<Id> {
    let (of_inputs, needed) = (graph.of_inputs(), graph.needed(&[output]));
    let all = graph.nodes().iter().enumerate();
    all.filter(|(i, node)| of_inputs[*i] && needed[*i] && computes(&node.op)).map(|(i, _)| graph.id(i)).collect()
}

/// The axes of one of `n` samples that share the first axis.
fn of_one(shape: &[usize], n: usize) -> Option<Vec<usize>> {
    let (first, rest) = shape.split_first()?;
    let each = first.is_multiple_of(n).then_some(first / n)?;
    Some([each].iter().filter(|each| **each > 1).chain(rest).copied().collect())
}

impl Model for Hoisted {
    fn parameters(&self) -> &[Parameter] {
        self.model.parameters()
    }

    fn features(&self) -> &[Feature] {
        &self.features
    }

    fn is_weight(&self) -> &[bool] {
        self.model.is_weight()
    }

    fn called(&self) -> Vec<String> {
        self.model.called()
    }

    fn only(&self) -> Option<(usize, &str)> {
        self.model.only()
    }

    fn network(&self, n: usize) -> Result<Network, Error> {
        let network = self.model.network(n)?;
        let Some(cuts) = self.cuts_in(&network, n) else { return Ok(network) };
        let (graph, outputs) = network.graph.behind(&cuts, self.model.features().len(), &[network.output]);
        Ok(Network { graph, output: outputs[0], ..network })
    }

    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        self.model.start(seed)
    }

    fn hash(&self) -> String {
        self.model.hash()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::op::{Element, Values};
    use crate::model::OutputKind;

    /// 8 numbers through known weights and through theta; of 4 samples, theta comes first.
    struct Frozen {
        parameters: Vec<Parameter>,
        features: Vec<Feature>,
    }

    fn frozen() -> Arc<dyn Model> {
        Arc::new(Frozen {
            parameters: Vec::new(),
            features: vec![Feature { name: "x".into(), shape: vec![8], element: Element::Real }],
        })
    }

    impl Model for Frozen {
        fn parameters(&self) -> &[Parameter] {
            &self.parameters
        }

        fn features(&self) -> &[Feature] {
            &self.features
        }

        fn is_weight(&self) -> &[bool] {
            &[]
        }

        fn network(&self, n: usize) -> Result<Network, Error> {
            let mut graph = Graph::new();
            let x = graph.input(0, vec![n, 8], Element::Real)?;
            let known = graph.constant(vec![8, 8], Values::Real((0..64).map(f64::from).collect()))?;
            let theta = graph.parameter(0, vec![8, 8])?;
            let [first, second] = if n == 4 { [theta, known] } else { [known, theta] };
            let y = graph.matmul(x, first)?;
            let output = graph.matmul(y, second)?;
            Ok(Network { graph, output, kind: OutputKind::Logits, is_joint: false })
        }

        fn start(&self, _: u64) -> Result<Vec<f64>, Error> {
            Ok(vec![0.0; 64])
        }

        fn hash(&self) -> String {
            String::new()
        }
    }

    fn slots(network: &Network) -> Vec<usize> {
        let slot = |op: &Op| if let Op::Input { slot, .. } = op { Some(*slot) } else { None };
        network.graph.nodes().iter().filter_map(|node| slot(&node.op)).collect()
    }

    #[test]
    fn the_cut_is_the_same_for_any_number_of_samples() {
        let rest = Hoisted::new(frozen()).unwrap().unwrap();
        assert_eq!((rest.features().len(), rest.numbers()), (2, 8));
        for n in [1, 2, 3, 8] {
            let (trunk, kept) = rest.trunk(n).unwrap().unwrap();
            assert_eq!(trunk.shape(kept[0]), [n, 8]);
            assert_eq!(slots(&rest.network(n).unwrap()), [1], "{n}: the trunk's values alone");
        }
    }

    #[test]
    fn where_the_graph_is_built_otherwise_the_rest_is_the_whole() {
        let rest = Hoisted::new(frozen()).unwrap().unwrap();
        assert!(rest.trunk(4).unwrap().is_none());
        assert_eq!(slots(&rest.network(4).unwrap()), [0]);
    }
}
