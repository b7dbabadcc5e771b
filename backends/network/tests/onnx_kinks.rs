//! Operators that bend, in files: outputs and gradients as torch has them, kinks wherever they bend, and the names of
//! those that jump.
//!
//! What is told of the kinks is held against differences by `mpass check` (tests/check.rs of the engine).

mod bundle;

use mountainpass_network::bent::weights;
use mountainpass_network::graph::evaluate::{Sources, evaluate};
use mountainpass_network::graph::kinks::{Bend, Bent, OWN_SIDE};
use mountainpass_network::graph::op::{Element, Values};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Model, OutputKind};
use mountainpass_network::onnx::messages::ModelProto;
use mountainpass_network::onnx::{OnnxModel, Options};
use mountainpass_sdk::Error;
use prost::Message;

/// The operators that jump, and by which name.
const JUMPS: [(&str, &str); 6] = [
    ("sign", "Sign"),
    ("floor", "Floor"),
    ("round", "Round"),
    ("threshold", "Step"),
    ("hard shrink", "Step"),
    ("arg max", "TopK"),
];

/// A network at the point that its file has, with its samples.
struct Case {
    name: String,
    proto: ModelProto,
    model: OnnxModel,
    samples: usize,
    inputs: Vec<Values>,
    theta: Vec<f64>,
}

fn cases() -> impl Iterator<Item = Case> {
    bundle::file("kinks.gz").into_iter().map(|proto| {
        let name = proto.graph.as_ref().unwrap().name().to_owned();
        let options = Options { output_kind: Some(OutputKind::Logits), ..Options::default() };
        let model = OnnxModel::read(proto.encode_to_vec().into(), None, &options);
        let model = model.unwrap_or_else(|error| panic!("{name}: {}", error.text));
        let (samples, inputs) = bundle::inputs(&proto, &model);
        let theta = model.start(0).unwrap();
        Case { name, proto, model, samples, inputs, theta }
    })
}

impl Case {
    fn stored(&self, key: &str) -> Vec<f64> {
        let stored = &self.proto.graph.as_ref().unwrap().initializer;
        bundle::numbers(stored.iter().find(|t| t.name() == key).unwrap()).1
    }

    fn jump(&self) -> Option<&'static str> {
        JUMPS.iter().find(|(name, _)| *name == self.name).map(|(_, jump)| *jump)
    }

    fn values(&self, graph: &Graph, more: &[Values], of: Id) -> Vec<f64> {
        let inputs = [&self.inputs[..], more].concat();
        let sources = Sources { inputs: &inputs, theta: &self.theta, direction: &[] };
        bundle::reals(&evaluate(graph, sources, &[of]).unwrap()[0]).to_vec()
    }

    fn bent(&self, bend: Bend) -> Result<Bent, Error> {
        let network = self.model.network(self.samples).unwrap();
        network.graph.bent(network.output, bend)
    }
}

#[track_caller]
fn assert_near(name: &str, found: &[f64], known: &[f64]) {
    let most = known.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
    assert_eq!(found.len(), known.len(), "{name}");
    // f64 on both sides; a few roundings.
    assert!(found.iter().zip(known).all(|(a, b)| (a - b).abs() < 1e-13 * most), "{name}: {found:?} {known:?}");
}

#[test]
fn outputs_and_gradients_are_those_of_torch() {
    for case in cases() {
        let mut network = case.model.network(case.samples).unwrap();
        let (graph, name) = (&mut network.graph, &case.name);
        assert_near(name, &case.values(graph, &[], network.output), &case.stored("expected/y"));
        let seed = graph.input(case.inputs.len(), graph.shape(network.output).to_vec(), Element::Real).unwrap();
        let mut offset = 0;
        for parameter in case.model.parameters() {
            let known = case.stored(&format!("gradient/{}", parameter.name));
            let shape = parameter.shape.iter().map(|axis| *axis as usize).collect();
            let block = graph.parameter(parameter.offset as usize, shape).unwrap();
            let found = graph.gradient(network.output, seed, &[block]).unwrap()[0];
            let found = found.map_or(vec![0.0; known.len()], |found| {
                case.values(graph, &[Values::Real(case.stored("seed"))], found)
            });
            assert_near(&format!("{name}: {}", parameter.name), &found, &known);
            offset += known.len();
        }
        assert_eq!(offset, case.theta.len(), "{name}: every parameter has a gradient");
    }
}

#[test]
fn what_bends_has_kinks_that_change_nothing_and_what_jumps_is_named() {
    let mut found = 0;
    for case in cases() {
        let first = case.inputs.len();
        match (case.bent(Bend::Linear(first)), case.jump()) {
            (Err(error), Some(jump)) => {
                assert_eq!(error.text, format!("the loss jumps: {jump} of what depends on theta"), "{}", case.name);
            }
            (Ok(bent), None) => {
                let count = |id: Id| bent.graph.shape(id).iter().product::<usize>();
                let mut own = vec![Values::Real(Vec::new()); weights(&bent.kinks) - first];
                for kink in &bent.kinks {
                    own[kink.slot - first] = Values::Real(vec![OWN_SIDE; count(kink.z)]);
                }
                assert_near(&case.name, &case.values(&bent.graph, &own, bent.of), &case.stored("expected/y"));
                assert!(!bent.kinks.is_empty(), "{} has no kinks", case.name);
                found += 1;
            }
            (bent, jump) => panic!("{}: {:?} {jump:?}", case.name, bent.map(|bent| bent.kinks)),
        }
    }
    assert_eq!(found, 21);
}
