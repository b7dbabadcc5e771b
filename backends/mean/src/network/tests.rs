//! A network with a known trunk, whole and cut in two.

use super::*;
use crate::executor::Input;
use mountainpass_network::graph::evaluate::{self, evaluate};
use mountainpass_network::graph::op::{Element, Op, Unary, Values, Window};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Feature, OutputKind};
use mountainpass_sdk::{Host, Parameter};

/// An 8 x 8 image through a known convolution, relu, and products with theta; `is_joint`: its batch's mean taken off; `only`: for so
/// many alone.
struct Frozen {
    is_joint: bool,
    only: Option<usize>,
    features: Vec<Feature>,
    parameters: Vec<Parameter>,
}

const CHANNELS: usize = 3;
const WIDTH: usize = 64 * CHANNELS;
const P: usize = WIDTH * 10;

fn frozen(is_joint: bool, only: Option<usize>) -> Arc<dyn Model> {
    let features = vec![Feature { name: "x".into(), shape: vec![64], element: Element::Real }];
    let shape = vec![WIDTH as u64, 10];
    let parameters = vec![Parameter { name: "w".into(), shape, offset: 0 }];
    Arc::new(Frozen { is_joint, only, features, parameters })
}

impl Model for Frozen {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn features(&self) -> &[Feature] {
        &self.features
    }

    fn is_weight(&self) -> &[bool] {
        &[true]
    }

    fn network(&self, n: usize) -> Result<mountainpass_network::model::Network, Error> {
        assert!(self.only.is_none_or(|only| only == n), "{n} samples");
        let mut graph = Graph::new();
        let x = graph.input(0, vec![n, 64], Element::Real)?;
        let x = graph.reshape(x, vec![n, 8, 8, 1])?;
        let taps = (0..9 * CHANNELS).map(|i| (i as f64).sin()).collect();
        let taps = graph.constant(vec![3, 3, 1, CHANNELS], Values::Real(taps))?;
        let window = Window { begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
        let y = graph.push(Op::Convolve { window, groups: 1 }, &[x, taps])?;
        let y = graph.unary(Unary::Relu, y)?;
        let mut y = graph.reshape(y, vec![n, WIDTH])?;
        if self.is_joint {
            let mean = graph.mean(y, &[0])?;
            y = graph.sub(y, mean)?;
        }
        let w = graph.parameter(0, vec![WIDTH, 10])?;
        let output = graph.matmul(y, w)?;
        Ok(mountainpass_network::model::Network { graph, output, kind: OutputKind::Logits, is_joint: self.is_joint })
    }

    fn only(&self) -> Option<(usize, &str)> {
        self.only.map(|only| (only, "it was written so"))
    }

    fn start(&self, _: u64) -> Result<Vec<f64>, Error> {
        Ok((0..P).map(|i| (i as f64).cos() / 9.0).collect())
    }

    fn hash(&self) -> String {
        String::new()
    }
}

/// Runs graphs as their operators are defined.
struct Interpreter;

struct Interpreted(Graph, Vec<Id>);

impl Executor for Interpreter {
    type Plan = Interpreted;

    fn plan(&self, graph: &Graph, outputs: &[Id]) -> Result<Interpreted, Error> {
        let (graph, outputs) = graph.pruned(outputs);
        Ok(Interpreted(graph, outputs))
    }
}

#[derive(Default)]
struct Arrays<T>(Vec<Vec<T>>);

impl<T: Real> Outcome<T> for Arrays<T> {
    fn output(&self, k: usize) -> &[T] {
        &self.0[k]
    }
}

impl Plan for Interpreted {
    type Memory<T: Real> = Arrays<T>;

    fn number(&self) -> u64 {
        0
    }

    fn numbers(&self) -> usize {
        self.0.nodes().iter().map(|node| node.of.shape.iter().product::<usize>()).sum()
    }

    fn reads(&self, slot: usize) -> bool {
        self.0.nodes().iter().any(|node| matches!(node.op, Op::Input { slot: of, .. } if of == slot))
    }

    fn run<T: Real>(
        &self,
        _: Option<Host<'_>>,
        memory: &mut Arrays<T>,
        sources: Sources<'_, T>,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        let wide = |values: &[T]| values.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
        let input = |input: &Input<'_, T>| match input {
            Input::Real(values) => Values::Real(wide(values)),
            Input::Index(values) => Values::Index(values.to_vec()),
        };
        let inputs: Vec<Values> = sources.inputs.iter().map(input).collect();
        let (theta, direction) = (wide(sources.theta), wide(sources.direction));
        let sources = evaluate::Sources { inputs: &inputs, theta: &theta, direction: &direction };
        let narrow = |values: Values| match values {
            Values::Real(values) => values.into_iter().map(T::from_f64).collect(),
            Values::Index(_) => Vec::new(),
        };
        memory.0 = evaluate(&self.0, sources, &self.1)?.into_iter().map(narrow).collect();
        Ok(())
    }
}

fn digits(limit: usize) -> Dataset {
    let mut data = Dataset::open("digits").unwrap();
    data.train.n = limit;
    data
}

/// The network whole, and with its trunk apart.
fn both(is_joint: bool, only: Option<usize>, data: &mut Dataset) -> [Network<Interpreter>; 2] {
    let objective = || Objective::from(DataTerm::CrossEntropy);
    let (whole, _) = Network::whole("it", Interpreter, frozen(is_joint, only), objective(), data).unwrap();
    let apart = Network::new("it", Interpreter, frozen(is_joint, only), objective(), data).unwrap();
    assert!(apart.trunk.is_some() && whole.trunk.is_none());
    [whole, apart]
}

/// Loss, gradient and Hessian product, by their bits, and what is known of the trunk then.
fn bits(network: &Network<Interpreter>, data: &Dataset, ids: Option<&[u64]>) -> (Vec<u64>, Vec<bool>) {
    bits_with(&Kept::default(), network, data, ids)
}

/// The same with what is kept of all samples.
fn bits_with(
    whole: &Kept<Laid<f64>>,
    network: &Network<Interpreter>,
    data: &Dataset,
    ids: Option<&[u64]>,
) -> (Vec<u64>, Vec<bool>) {
    let n = ids.map_or(data.train.n, <[u64]>::len);
    network.prepare(n, Wanted::Derivatives { grad: true, hvp: true }).unwrap();
    let hands = Hands { host: Host::none(), cancel: None };
    let mut laid = Laid::default();
    match ids {
        Some(ids) => network.choose((&data.train, ids), hands, whole, &mut laid).unwrap(),
        None => network.lay_out(&data.train, hands, &mut laid).unwrap(),
    }
    let known = if ids.is_some() { whole.read(hands).unwrap().laid.known.clone() } else { laid.known.clone() };
    let theta: Vec<f64> = network.model.start(0).unwrap();
    let (mut grad, mut hvp, mut scratch) = (vec![0.0; P], vec![0.0; P], MemoryOf::<Interpreter, f64>::default());
    let mut loss = 0.0;
    for t in 0..network.pieces(n) {
        let piece = Piece { row: 0, laid: &laid, n, t, host: Host::none() };
        let out = Outputs { grad: Some(&mut grad), hvp: Some((&theta, &mut hvp)), add: t > 0 };
        loss += network.pass(piece, &mut scratch, &theta, out, &|| false).unwrap();
    }
    let all = [loss].into_iter().chain(grad).chain(hvp);
    (all.map(f64::to_bits).collect(), known)
}

#[test]
fn a_trunk_apart_leaves_the_bits_alone() {
    let mut data = digits(1437);
    let [whole, apart] = both(false, None, &mut data);
    let (chunk, n) = (apart.chunk.unwrap(), data.train.n);
    assert!(n > chunk && n % chunk > 1, "several pieces, the last a part");
    assert!(bits(&whole, &data, None).0 == bits(&apart, &data, None).0);
    let ids: Vec<u64> = (0..2 * chunk as u64 + 5).map(|i| i * i % n as u64).collect();
    assert!(bits(&whole, &data, Some(&ids)).0 == bits(&apart, &data, Some(&ids)).0);
    // 33 would leave one sample alone.
    for (n, only) in [(33, None), (100, None), (40, Some(40))] {
        let mut data = digits(n);
        let [whole, apart] = both(true, only, &mut data);
        assert!(bits(&whole, &data, None).0 == bits(&apart, &data, None).0);
    }
}

#[test]
fn a_minibatch_asks_the_trunk_for_no_more_than_its_chunks() {
    let mut data = digits(1437);
    let [_, apart] = both(false, None, &mut data);
    let chunk = apart.chunk.unwrap();
    let known = bits(&apart, &data, Some(&[2 * chunk as u64, 1, 3])).1;
    assert_eq!(known.iter().enumerate().filter(|(_, known)| **known).map(|(t, _)| t).collect::<Vec<_>>(), [0, 2]);
    // Nor for more than fits: then there is none.
    data.train.n = 1 << 27;
    assert!(
        Network::new("it", Interpreter, frozen(false, None), DataTerm::CrossEntropy.into(), &mut data)
            .unwrap()
            .trunk
            .is_none()
    );
}

#[test]
fn threads_that_want_a_trunk_at_once_have_its_bits() {
    let mut data = digits(300);
    let [whole, apart] = both(false, None, &mut data);
    let n = data.train.n as u64;
    // Some chunks are wanted by several, and some by all.
    let ids: Vec<Vec<u64>> = (0..4).map(|k| (0..40).map(|i| (i * (k + 3) + 60 * k) % n).collect()).collect();
    let wanted: Vec<Vec<u64>> = ids.iter().map(|ids| bits(&whole, &data, Some(ids)).0).collect();
    let (kept, gate) = (Kept::default(), std::sync::Barrier::new(ids.len()));
    std::thread::scope(|scope| {
        for (ids, wanted) in ids.iter().zip(&wanted) {
            let (apart, data, kept, gate) = (&apart, &data, &kept, &gate);
            scope.spawn(move || {
                gate.wait();
                assert!(bits_with(kept, apart, data, Some(ids)).0 == *wanted);
            });
        }
    });
}
