//! Many thetas at once: the graph with an axis of rows in front of whatever theta enters.
//!
//! A runtime asked once for eight rows is asked once for each of its operators, not eight times: of small networks that is
//! what a run costs. What theta does not enter is computed once for all rows.

use super::op::{Op, Shape, Stride};
use super::{Graph, Id, Node};
use mountainpass_sdk::Error;

impl Graph {
    /// What computes `outputs` for so many rows, each output `[rows, ..]`; `None` where an operator takes no such axis: products
    /// of an image with a kernel that both depend on theta. A block of theta at `offset` is expected at `rows * offset`, row after
    /// row, and so is one of the direction.
    pub fn in_rows(&self, outputs: &[Id], rows: usize) -> Result<Option<(Graph, Vec<Id>)>, Error> {
        let needed = self.needed(outputs);
        let mut many = Rows { graph: Graph::new(), rows };
        let mut now: Vec<Option<Lane>> = vec![None; needed.len()];
        for (i, node) in self.nodes().iter().enumerate().filter(|(i, _)| needed[*i]) {
            let args: Vec<Lane> = node.args.iter().filter_map(|arg| now[arg.index()]).collect();
            match many.node(node, &args)? {
                Some(lane) => now[i] = Some(lane),
                None => return Ok(None),
            }
        }
        let lanes = outputs.iter().filter_map(|id| now[id.index()]);
        let all = lanes.map(|lane| many.each(lane)).collect::<Result<Vec<Id>, Error>>()?;
        Ok(Some((many.graph, all)))
    }
}

/// A node of the new graph.
#[derive(Clone, Copy)]
enum Lane {
    /// The same for all rows.
    Shared(Id),
    /// With an axis of rows in front.
    Each(Id),
}

impl Lane {
    fn id(self) -> Id {
        match self {
            Lane::Shared(id) | Lane::Each(id) => id,
        }
    }
}

struct Rows {
    graph: Graph,
    rows: usize,
}

impl Rows {
    /// A shape with the axis of rows.
    fn with(&self, shape: &[usize]) -> Shape {
        [&[self.rows], shape].concat()
    }

    /// The node with the axis of rows, repeated if it has none.
    fn each(&mut self, lane: Lane) -> Result<Id, Error> {
        match lane {
            Lane::Each(id) => Ok(id),
            Lane::Shared(id) => {
                let shape = self.with(self.graph.shape(id));
                self.graph.repeat(id, &shape)
            }
        }
    }

    /// An operator of the plain graph; `None` where it takes no rows.
    fn node(&mut self, node: &Node, args: &[Lane]) -> Result<Option<Lane>, Error> {
        let varies = |k: usize| matches!(args.get(k), Some(Lane::Each(_)));
        let is_source = matches!(node.op, Op::Parameter { .. } | Op::Direction { .. });
        if !is_source && !(0..args.len()).any(varies) {
            let args: Vec<Id> = args.iter().map(|lane| lane.id()).collect();
            return self.graph.push(node.op.clone(), &args).map(|id| Some(Lane::Shared(id)));
        }
        let behind = |axes: &[usize]| axes.iter().map(|axis| axis + 1).collect::<Vec<usize>>();
        let op = match &node.op {
            Op::Parameter { offset, shape } => Op::Parameter { offset: self.rows * offset, shape: self.with(shape) },
            Op::Direction { offset, shape } => Op::Direction { offset: self.rows * offset, shape: self.with(shape) },
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::MatMul | Op::OneHot { .. } => node.op.clone(),
            Op::ToReal | Op::ToIndex | Op::TopK { .. } | Op::Softmax | Op::LogSoftmax => node.op.clone(),
            Op::Reshape(shape) => Op::Reshape(self.with(shape)),
            Op::Broadcast(shape) => Op::Broadcast(self.with(shape)),
            Op::Transpose(perm) => Op::Transpose([&[0], &behind(perm)[..]].concat()),
            Op::Slice { along, shape } => Op::Slice { along: whole(along), shape: self.with(shape) },
            Op::Place { along, shape } => Op::Place { along: whole(along), shape: self.with(shape) },
            Op::Concat(axis) => Op::Concat(axis + 1),
            Op::Sum(axes) => Op::Sum(behind(axes)),
            Op::Largest(axes) => Op::Largest(behind(axes)),
            Op::Gather { .. } | Op::Scatter { .. } => return self.lookup(&node.op, args).map(Some),
            Op::Convolve { .. } | Op::ConvolveImage { .. } if !varies(1) => return self.folded(node, args).map(Some),
            Op::SumPool(_) | Op::SumUnpool { .. } | Op::PickMax(_) | Op::PlaceMax(_) => {
                return self.folded(node, args).map(Some);
            }
            Op::Convolve { .. } | Op::ConvolveImage { .. } | Op::ConvolveKernel { .. } => return Ok(None),
            Op::Input { .. } | Op::Constant(_) | Op::Fill(..) => return Ok(None),
        };
        let args = args.iter().map(|lane| self.each(*lane)).collect::<Result<Vec<Id>, Error>>()?;
        self.graph.push(op, &args).map(|id| Some(Lane::Each(id)))
    }

    /// (data, indices), where one of them is a row's own. Indices that all rows share are looked up in all at once, if they have
    /// no axes in common with the data.
    fn lookup(&mut self, op: &Op, args: &[Lane]) -> Result<Lane, Error> {
        let shared_by = |shared: usize| shared == 0 && matches!(args[1], Lane::Shared(_));
        let (op, is_apart) = match *op {
            Op::Gather { axis, shared } if shared_by(shared) => (Op::Gather { axis: axis + 1, shared }, true),
            Op::Scatter { axis, size, shared } if shared_by(shared) => {
                (Op::Scatter { axis: axis + 1, size, shared }, true)
            }
            Op::Gather { axis, shared } => (Op::Gather { axis: axis + 1, shared: shared + 1 }, false),
            Op::Scatter { axis, size, shared } => (Op::Scatter { axis: axis + 1, size, shared: shared + 1 }, false),
            _ => return Err(Error::argument("it looks nothing up")),
        };
        let data = self.each(args[0])?;
        let indices = if is_apart { args[1].id() } else { self.each(args[1])? };
        self.graph.push(op, &[data, indices]).map(Lane::Each)
    }

    /// Images of all rows as one batch; what is no image is a known kernel.
    fn folded(&mut self, node: &Node, args: &[Lane]) -> Result<Lane, Error> {
        let is_kernel = |k: usize| k == 1 && matches!(node.op, Op::Convolve { .. } | Op::ConvolveImage { .. });
        let mut all = Vec::with_capacity(args.len());
        for (k, lane) in args.iter().enumerate() {
            all.push(if is_kernel(k) { lane.id() } else { self.fold(*lane)? });
        }
        let result = self.graph.push(node.op.clone(), &all)?;
        let shape = self.with(&node.of.shape);
        self.graph.reshape(result, shape).map(Lane::Each)
    }

    fn fold(&mut self, lane: Lane) -> Result<Id, Error> {
        let id = self.each(lane)?;
        let shape = self.graph.shape(id);
        let joined = [&[shape[0] * shape[1]], &shape[2..]].concat();
        self.graph.reshape(id, joined)
    }
}

/// The rows whole, and behind them as it was.
fn whole(along: &[Stride]) -> Vec<Stride> {
    [&[Stride { start: 0, step: 1 }], along].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Built;
    use crate::graph::evaluate::{Sources, evaluate};
    use crate::graph::op::{Element, Unary, Values, Window};
    use crate::model::Model;
    use crate::problem::{Aim, Problem};
    use crate::{DataTerm, Objective};

    const ROWS: usize = 3;

    fn numbers(n: usize, of: f64) -> Vec<f64> {
        (0..n).map(|i| (of * i as f64 + of).sin()).collect()
    }

    /// A theta, or a direction, for each row, and all of them as a graph of rows reads them.
    fn stacked(graph: &Graph, p: usize, of: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let rows: Vec<Vec<f64>> = (0..ROWS).map(|row| numbers(p, of + row as f64)).collect();
        let mut all = vec![0.0; ROWS * p];
        for node in graph.nodes() {
            if let Op::Parameter { offset, shape } | Op::Direction { offset, shape } = &node.op {
                let (first, count) = (*offset, shape.iter().product::<usize>());
                for (row, theta) in rows.iter().enumerate() {
                    let to = ROWS * first + row * count;
                    all[to..to + count].copy_from_slice(&theta[first..first + count]);
                }
            }
        }
        (rows, all)
    }

    fn reals(values: Vec<Values>) -> Vec<Vec<f64>> {
        let of = |values: Values| match values {
            Values::Real(values) => values,
            Values::Index(values) => values.into_iter().map(|i| i as f64).collect(),
        };
        values.into_iter().map(of).collect()
    }

    /// Every row of the graph of rows is what the plain graph makes of its theta.
    fn are_rows(what: &str, (graph, outputs): (&Graph, &[Id]), inputs: &[Values], p: usize) {
        let (many, found) = graph.in_rows(outputs, ROWS).unwrap().unwrap_or_else(|| panic!("{what} takes no rows"));
        let ((thetas, theta), (directions, direction)) = (stacked(graph, p, 0.3), stacked(graph, p, 0.7));
        let sources = Sources { inputs, theta: &theta, direction: &direction };
        let all = reals(evaluate(&many, sources, &found).unwrap());
        for (row, (theta, direction)) in thetas.iter().zip(&directions).enumerate() {
            let wanted = reals(evaluate(graph, Sources { inputs, theta, direction }, outputs).unwrap());
            for (k, wanted) in wanted.iter().enumerate() {
                let part = &all[k][row * wanted.len()..(row + 1) * wanted.len()];
                // The same operations in the same order, but for x + 0 and the like that only one of both leaves away.
                let gap = part.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(part.len() == wanted.len() && gap < 1e-14, "{what}: output {k} of row {row} is {gap} apart");
            }
        }
    }

    fn problem(spec: &str, objective: &Objective, n: usize) -> (Problem, Vec<Values>, usize) {
        let model = Built::parse(spec).unwrap();
        let problem = Problem::new(&model, objective, (Aim::Classes, None), n).unwrap();
        let feature = &model.features()[0];
        let count = n * feature.shape.iter().product::<usize>();
        let x = match feature.element {
            Element::Real => Values::Real(numbers(count, 0.9)),
            Element::Index => Values::Index((0..count as i64).map(|i| (i * 5) % 7).collect()),
        };
        let places = if feature.element == Element::Index { count } else { n };
        let labels = Values::Index((0..places as i64).map(|i| i % 3).collect());
        let p = model.start(0).unwrap().len();
        (problem, vec![x, labels], p)
    }

    #[test]
    fn losses_gradients_and_products_of_networks_are_those_of_each_row() {
        let specs = [
            "mlp:4-5-3:tanh",
            "mlp:4-3-3:relu",
            "mlp:4-5-4-3:gelu",
            "transformer:vocabulary=7:context=4:width=6:heads=2:layers=2",
        ];
        for spec in specs {
            for term in [DataTerm::CrossEntropy, DataTerm::Mse, DataTerm::Mae] {
                let (problem, inputs, p) = problem(spec, &term.into(), 4);
                let outputs = [&[problem.losses][..], &problem.gradient, &problem.product].concat();
                are_rows(spec, (&problem.graph, &outputs), &inputs, p);
            }
        }
    }

    #[test]
    fn what_theta_does_not_enter_is_computed_once_and_images_are_one_batch() {
        let mut g = Graph::new();
        let x = g.input(0, vec![2, 4, 4, 1], Element::Real).unwrap();
        let w = g.parameter(0, vec![1, 4, 4, 1]).unwrap();
        let taps = g.constant(vec![3, 3, 1, 2], Values::Real(numbers(18, 0.4))).unwrap();
        let window = Window { begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
        let known = g.push(Op::Convolve { window, groups: 1 }, &[x, taps]).unwrap();
        let known = g.unary(Unary::Exp, known).unwrap();
        let image = g.mul(x, w).unwrap();
        let mixed = g.push(Op::Convolve { window, groups: 1 }, &[image, taps]).unwrap();
        let both = g.add(known, mixed).unwrap();
        let pooled = g.max_pool(both, Window { strides: [2; 2], ..Window::new([2; 2]) }).unwrap();
        let at = g.constant(vec![2], Values::Index(vec![1, 0])).unwrap();
        let picked = g.push(Op::Gather { axis: 3, shared: 0 }, &[pooled, at]).unwrap();
        let seed = g.fill_like(1.0, picked).unwrap();
        let gradient = g.gradient(picked, seed, &[w]).unwrap()[0].unwrap();
        are_rows("it", (&g, &[picked, gradient, known]), &[Values::Real(numbers(32, 0.6))], 16);
        let (many, _) = g.in_rows(&[picked], ROWS).unwrap().unwrap();
        let exp = many.nodes().iter().find(|node| node.op == Op::Unary(Unary::Exp)).unwrap();
        assert_eq!(exp.of.shape, [2, 4, 4, 2]);
    }

    #[test]
    fn a_kernel_of_each_row_s_own_takes_no_rows() {
        let (problem, ..) = problem("cnn:4x4x1-3-3:tanh", &DataTerm::CrossEntropy.into(), 2);
        assert!(problem.graph.in_rows(&problem.gradient, ROWS).unwrap().is_none());
    }
}
