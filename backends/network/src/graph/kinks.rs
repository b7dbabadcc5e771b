//! The kinks of a piecewise smooth graph, and the smooth graphs round them.
//!
//! Every kink that depends on theta becomes h = max(z, alpha z), all others being operators round it: max(a, b) =
//! b + relu(a - b), a maximum of several folds pairwise, min, clip and the leaky relu are made of these; |z| has alpha = -1.
//! Nested kinks, and ties of several, are then kinks like any other (Griewank 2013: the abs-normal form). Where several
//! operations bend by the sign of one z there is one kink; a maximum of things that a relu has bent is the relu of their
//! maximum, so that what is cut off does not tie for ever. Slopes are never differentiated: a graph of linear kinks is the
//! graph of a smooth function, whatever takes its gradient.

use super::choice::Choice;
use super::op::{Binary, Element, Op, Unary, Values, Window};
use super::{Graph, Id, Node};
use mountainpass_sdk::Error;
use std::collections::HashMap;

/// What becomes of the kinks of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    /// They stay.
    Kept,
    /// alpha z + (1 - alpha) w log(1 + exp(z / w)) of the width w that stands, as one number, in this slot.
    Smoothed(usize),
    /// t z with t from a slot of z's shape, this one or one behind it; where [`OWN_SIDE`] stands there, the slope is that of
    /// z's own side.
    Linear(usize),
}

/// In place of a slope: the kink stays on the side of its z. No slope is as large.
pub const OWN_SIDE: f64 = 2e30;
/// Slopes below it are slopes.
const MOST_SLOPE: f64 = 1e30;

/// One operation that bends, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kink {
    /// What it bends by the sign of.
    pub z: Id,
    /// What comes of it.
    pub h: Id,
    /// The slope below 0; above it is 1.
    pub alpha: f64,
    /// Where its slopes stand, of a linear one.
    pub slot: usize,
}

/// A graph up to one node, its kinks bent.
#[derive(Clone, Debug)]
pub struct Bent {
    /// Of nothing but what the node needs.
    pub graph: Graph,
    /// The node in it.
    pub of: Id,
    /// In the order of computation, which does not depend on how they are bent.
    pub kinks: Vec<Kink>,
}

impl Graph {
    /// This graph up to `of`, with its kinks bent. Jumps are refused by name.
    pub fn bent(&self, of: Id, bend: Bend) -> Result<Bent, Error> {
        let (from, ofs) = self.pruned(&[of]);
        let mut bending = Bending {
            from: &from,
            to: Graph::new(),
            now: Vec::new(),
            varies: Vec::new(),
            bend,
            known: Known::default(),
        };
        for node in from.nodes() {
            let varies =
                matches!(node.op, Op::Parameter { .. }) || node.args.iter().any(|id| bending.varies[id.index()]);
            let now = bending.node(node, varies)?;
            bending.now.push(now);
            bending.varies.push(varies);
        }
        match ofs.first().map(|id| &bending.now[id.index()]) {
            Some(Now::Is(of)) => {
                let needed = bending.to.needed(&[*of]);
                bending.known.kinks.retain(|kink| needed[kink.h.index()]);
                Ok(Bent { of: *of, graph: bending.to, kinks: bending.known.kinks })
            }
            Some(Now::Jumps(name)) => {
                Err(Error::unsupported(format!("the loss jumps: {name} of what depends on theta")))
            }
            None => Err(Error::argument("no node")),
        }
    }
}

/// What has become of a node.
#[derive(Clone, Debug)]
enum Now {
    Is(Id),
    /// A jump by this name stands in it, and nothing has been found yet that takes it away.
    Jumps(String),
}

/// What is known of the nodes of the new graph.
#[derive(Default)]
struct Known {
    kinks: Vec<Kink>,
    /// The kink that bends by the sign of a node.
    by: HashMap<Id, usize>,
    /// The argument of what a relu made.
    relu_of: HashMap<Id, Id>,
    /// What an absolute value is.
    sizes: Vec<Id>,
}

struct Bending<'a> {
    from: &'a Graph,
    to: Graph,
    now: Vec<Now>,
    /// Whether theta enters.
    varies: Vec<bool>,
    bend: Bend,
    known: Known,
}

impl Bending<'_> {
    fn node(&mut self, node: &Node, varies: bool) -> Result<Now, Error> {
        let mut args = Vec::with_capacity(node.args.len());
        let mut jump = None;
        for id in &node.args {
            match &self.now[id.index()] {
                Now::Is(now) => args.push(*now),
                Now::Jumps(name) => jump = Some(name.clone()),
            }
        }
        if let Some(name) = jump {
            return Ok(self.mended(node)?.map_or(Now::Jumps(name), Now::Is));
        }
        if !varies {
            return self.to.push(node.op.clone(), &args).map(Now::Is);
        }
        let own = |k: usize| self.varies[node.args[k].index()];
        let id = match &node.op {
            Op::Unary(Unary::Relu) => self.relu(args[0])?,
            Op::Unary(Unary::Abs) => self.abs(args[0])?,
            Op::Binary(Binary::Max) if own(0) => self.max(args[0], args[1])?,
            Op::Binary(Binary::Max) => self.max(args[1], args[0])?,
            Op::Binary(Binary::Min) if !own(0) => self.min_of_known(args[1], args[0])?,
            Op::Binary(Binary::Min) if !own(1) => self.min_of_known(args[0], args[1])?,
            Op::Binary(Binary::Min) => self.min(args[0], args[1])?,
            Op::Largest(axes) => self.largest(args[0], axes)?,
            Op::PickMax(window) if args[0] == args[1] => self.pool(args[0], *window)?,
            Op::PickMax(_) | Op::PlaceMax(_) | Op::Select if !own(0) => self.to.push(node.op.clone(), &args)?,
            op if jumps(op) => return Ok(Now::Jumps(name(op))),
            op => self.to.push(op.clone(), &args)?,
        };
        Ok(Now::Is(id))
    }

    /// max(z, 0).
    fn relu(&mut self, z: Id) -> Result<Id, Error> {
        if self.known.relu_of.contains_key(&z) || self.known.sizes.contains(&z) {
            return Ok(z);
        }
        if let Op::Unary(Unary::Neg) = self.to.node(z).op {
            let up = self.to.node(z).args[0];
            let positive = self.relu(up)?;
            return self.to.sub(positive, up);
        }
        let h = match self.known.by.get(&z) {
            None => self.kink(z, 0.0)?,
            Some(k) => match self.known.kinks[*k] {
                Kink { h, alpha: 0.0, .. } => h,
                Kink { h, .. } => {
                    let twice = self.to.add(h, z)?;
                    self.to.scale(twice, 0.5)?
                }
            },
        };
        self.known.relu_of.insert(h, z);
        Ok(h)
    }

    /// |z|.
    fn abs(&mut self, z: Id) -> Result<Id, Error> {
        if self.known.relu_of.contains_key(&z) || self.known.sizes.contains(&z) {
            return Ok(z);
        }
        if let Op::Unary(Unary::Neg) = self.to.node(z).op {
            return self.abs(self.to.node(z).args[0]);
        }
        let size = match self.known.by.get(&z) {
            None => self.kink(z, -1.0)?,
            Some(k) => match self.known.kinks[*k] {
                Kink { h, alpha: -1.0, .. } => h,
                Kink { h, .. } => {
                    let twice = self.to.scale(h, 2.0)?;
                    self.to.sub(twice, z)?
                }
            },
        };
        self.known.sizes.push(size);
        Ok(size)
    }

    fn max(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        if a == b {
            return Ok(a);
        }
        if let (Some(x), Some(y)) = (self.known.relu_of.get(&a), self.known.relu_of.get(&b)) {
            let (x, y) = (*x, *y);
            let largest = self.max(x, y)?;
            return self.relu(largest);
        }
        let ahead = self.to.sub(a, b)?;
        let h = self.relu(ahead)?;
        self.to.add(b, h)
    }

    fn min(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        if a == b {
            return Ok(a);
        }
        let ahead = self.to.sub(a, b)?;
        let h = self.relu(ahead)?;
        self.to.sub(a, h)
    }

    /// The smaller of x and what no theta changes, which is then met without rounding.
    fn min_of_known(&mut self, x: Id, known: Id) -> Result<Id, Error> {
        let below = self.to.sub(known, x)?;
        let h = self.relu(below)?;
        self.to.sub(known, h)
    }

    /// The largest over some axes, folded from the first on.
    fn largest(&mut self, x: Id, axes: &[usize]) -> Result<Id, Error> {
        if let Some(z) = self.known.relu_of.get(&x).copied() {
            let largest = self.largest(z, axes)?;
            return self.relu(largest);
        }
        let shape = self.to.shape(x).to_vec();
        let mut order: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        let mut last: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
        order.extend_from_slice(axes);
        let count = axes.iter().map(|axis| shape[*axis]).product();
        last.push(count);
        let behind = last.len() - 1;
        let turned = self.to.transpose(x, &order)?;
        let rows = self.to.reshape(turned, last)?;
        let mut largest = self.to.narrow(rows, behind, 0, 1)?;
        for k in 1..count {
            let next = self.to.narrow(rows, behind, k, 1)?;
            largest = self.max(largest, next)?;
        }
        let reduced = (0..shape.len()).map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] }).collect();
        self.to.reshape(largest, reduced)
    }

    /// The largest of every window, tap by tap; taps beside the image are none.
    fn pool(&mut self, x: Id, window: Window) -> Result<Id, Error> {
        if let Some(z) = self.known.relu_of.get(&x).copied() {
            let largest = self.pool(z, window)?;
            return self.relu(largest);
        }
        let &[n, height, width, channels] = self.to.shape(x) else {
            return Err(Error::argument(format!("a pool of {:?}: wants 4 axes", self.to.shape(x))));
        };
        let (rows, columns) = (window.places(0, height), window.places(1, width));
        let seen = |place: usize| {
            let (row, column) = (place / columns, place % columns);
            let taps = (0..window.kernel[0]).flat_map(|i| (0..window.kernel[1]).map(move |j| (i, j)));
            let at = move |(i, j)| Some((window.sees(0, row, i, height)?, window.sees(1, column, j, width)?));
            taps.filter_map(at).map(|(row, column)| (row * width + column) as i64).collect::<Vec<i64>>()
        };
        let seen: Vec<Vec<i64>> = (0..rows * columns).map(seen).collect();
        if seen.iter().any(Vec::is_empty) {
            return Err(Error::unsupported("a MaxPool with windows that see nothing"));
        }
        let image = self.to.reshape(x, vec![n, height * width, channels])?;
        let first = self.rows(image, seen.iter().map(|taps| taps[0]).collect())?;
        let mut largest = first;
        for k in 1..window.kernel.iter().product() {
            // The windows that see so many, and what they see next.
            let places = (0..).zip(&seen).filter_map(|(place, taps)| Some((place, *taps.get(k)?)));
            let (places, next): (Vec<i64>, Vec<i64>) = places.unzip();
            if places.is_empty() {
                break;
            }
            let next = self.rows(image, next)?;
            if places.len() == seen.len() {
                largest = self.max(largest, next)?;
                continue;
            }
            let at = self.to.constant(vec![places.len()], Values::Index(places))?;
            let before = self.to.push(Op::Gather { axis: 1, shared: 0 }, &[largest, at])?;
            let ahead = self.to.sub(next, before)?;
            let h = self.relu(ahead)?;
            let size = seen.len();
            let more = self.to.push(Op::Scatter { axis: 1, size, shared: 0 }, &[h, at])?;
            largest = self.to.add(largest, more)?;
        }
        self.to.reshape(largest, vec![n, rows, columns, channels])
    }

    /// Some rows of an image's pixels.
    fn rows(&mut self, image: Id, at: Vec<i64>) -> Result<Id, Error> {
        let at = self.to.constant(vec![at.len()], Values::Index(at))?;
        self.to.push(Op::Gather { axis: 1, shared: 0 }, &[image, at])
    }

    /// A new kink.
    fn kink(&mut self, z: Id, alpha: f64) -> Result<Id, Error> {
        let g = &mut self.to;
        let number = self.known.kinks.len();
        let mut at = 0;
        let h = match self.bend {
            Bend::Kept if alpha == 0.0 => g.unary(Unary::Relu, z)?,
            Bend::Kept => g.unary(Unary::Abs, z)?,
            Bend::Smoothed(slot) => {
                let width = g.input(slot, vec![1], Element::Real)?;
                let shape = g.shape(z).to_vec();
                let width = g.repeat(width, &shape)?;
                let in_widths = g.div(z, width)?;
                let soft = g.unary(Unary::Softplus, in_widths)?;
                let soft = g.mul(width, soft)?;
                let (bent, below) = (g.scale(soft, 1.0 - alpha)?, g.scale(z, alpha)?);
                g.add(below, bent)?
            }
            Bend::Linear(first) => {
                let shape = g.shape(z).to_vec();
                at = first + number;
                let given = g.input(at, shape, Element::Real)?;
                let most = g.fill_like(MOST_SLOPE, z)?;
                let is_given = g.binary(Binary::Less, given, most)?;
                let above = g.unary(Unary::Step, z)?;
                let side = g.scale(above, 1.0 - alpha).and_then(|side| g.shift(side, alpha))?;
                let slope = g.push(Op::Select, &[is_given, given, side])?;
                g.mul(slope, z)?
            }
        };
        self.known.by.insert(z, number);
        self.known.kinks.push(Kink { z, h, alpha, slot: at });
        Ok(h)
    }

    /// Of a node that a jump stands in: what it is if both sides of the jump meet there, a choice or a product.
    fn mended(&mut self, node: &Node) -> Result<Option<Id>, Error> {
        let jumps = |id: Id| matches!(self.now[id.index()], Now::Jumps(_));
        let Some(Choice { side, apart, below }) = self.from.choice(node, jumps) else { return Ok(None) };
        let Now::Is(of) = self.now[side.of.index()] else { return Ok(None) };
        let below = match below.map(|(id, sign)| (&self.now[id.index()], sign)) {
            Some((Now::Is(id), sign)) => Some((*id, sign)),
            Some(_) => return Ok(None),
            None => None,
        };
        let turned = if side.slope < 0.0 { self.to.neg(of)? } else { of };
        let z = self.to.shift(turned, side.shift / side.slope.abs())?;
        let h = self.relu(z)?;
        let h = self.to.scale(h, apart * side.slope.abs())?;
        match below {
            None => Ok(Some(h)),
            Some((below, sign)) => {
                let below = self.to.scale(below, sign)?;
                self.to.add(below, h).map(Some)
            }
        }
    }
}

/// Whether an operator of what depends on theta jumps, unless something takes that away.
fn jumps(op: &Op) -> bool {
    !op.is_smooth() || matches!(op, Op::ToIndex)
}

/// An operator's name.
fn name(op: &Op) -> String {
    let text = match op {
        Op::Unary(f) => format!("{f:?}"),
        Op::Binary(f) => format!("{f:?}"),
        op => format!("{op:?}"),
    };
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::evaluate::{Sources, evaluate};

    const P: usize = 4;
    const THETA: [f64; P] = [0.7, -0.4, 0.31, -1.3];

    /// What is made of theta, and the sum of its squares' cosines: nothing of it is lost.
    fn graph(build: impl Fn(&mut Graph, Id) -> Result<Id, Error>) -> (Graph, Id) {
        let mut g = Graph::new();
        let theta = g.parameter(0, vec![1, P]).unwrap();
        let y = build(&mut g, theta).unwrap();
        let cos = g.unary(Unary::Cos, y).unwrap();
        let axes: Vec<usize> = (0..g.shape(cos).len()).collect();
        let sum = g.sum(cos, &axes).unwrap();
        let sum = g.reshape(sum, vec![1]).unwrap();
        (g, sum)
    }

    fn values(g: &Graph, inputs: &[Values], theta: &[f64], of: &[Id]) -> Vec<Vec<f64>> {
        let found = evaluate(g, Sources { inputs, theta, direction: &[] }, of).unwrap();
        let real = |values: Values| match values {
            Values::Real(values) => values,
            Values::Index(_) => panic!("an index"),
        };
        found.into_iter().map(real).collect()
    }

    type Build = fn(&mut Graph, Id) -> Result<Id, Error>;

    fn select(g: &mut Graph, x: Id, slope: f64) -> Result<Id, Error> {
        let zero = g.fill_like(0.0, x)?;
        let is_up = g.binary(Binary::Less, zero, x)?;
        let down = g.scale(x, slope)?;
        g.push(Op::Select, &[is_up, x, down])
    }

    /// Operations that bend, and how many kinks each has for four parameters.
    const BENT: [(&str, usize, Build); 13] = [
        ("relu", 4, |g, x| g.unary(Unary::Relu, x)),
        ("abs", 4, |g, x| g.unary(Unary::Abs, x)),
        ("leaky", 4, |g, x| g.leaky_relu(x, 0.1)),
        ("choice", 4, |g, x| select(g, x, 0.1)),
        ("step", 4, |g, x| g.unary(Unary::Step, x).and_then(|step| g.mul(x, step))),
        ("sign", 4, |g, x| g.unary(Unary::Sign, x).and_then(|sign| g.mul(sign, x))),
        ("clip", 8, |g, x| {
            let (low, high) = (g.fill_like(-0.5, x)?, g.fill_like(0.5, x)?);
            let y = g.binary(Binary::Max, x, low)?;
            g.binary(Binary::Min, y, high)
        }),
        ("both", 4, |g, x| {
            let (a, b) = (g.unary(Unary::Relu, x)?, g.unary(Unary::Abs, x)?);
            let b = g.scale(b, 0.3)?;
            g.add(a, b)
        }),
        ("largest", 3, |g, x| g.push(Op::Largest(vec![1]), &[x])),
        ("largest of relus", 4, |g, x| g.unary(Unary::Relu, x).and_then(|x| g.push(Op::Largest(vec![1]), &[x]))),
        ("same", 0, |g, x| g.binary(Binary::Max, x, x)),
        ("pool", 6, |g, x| {
            let image = g.reshape(x, vec![1, 2, 2, 1])?;
            let mut window = Window::new([2, 2]);
            (window.begin, window.strides) = ([1, 0], [1, 1]);
            let pooled = g.max_pool(image, window)?;
            let wide = Window { end: [0, 1], ..Window::new([1, 2]) };
            let other = g.max_pool(image, wide)?;
            let pooled = g.reshape(pooled, vec![2])?;
            let other = g.reshape(other, vec![4])?;
            g.push(Op::Concat(0), &[pooled, other])
        }),
        ("nested", 8, |g, x| {
            let y = g.unary(Unary::Relu, x)?;
            let turned = g.narrow(y, 1, 0, 2).and_then(|a| Ok([a, g.narrow(y, 1, 2, 2)?]))?;
            let y = g.push(Op::Concat(1), &[turned[1], turned[0]])?;
            let z = g.sub(x, y)?;
            let z = g.shift(z, 0.2)?;
            g.unary(Unary::Relu, z)
        }),
    ];

    #[test]
    fn the_kinks_of_every_operation_are_found_and_change_nothing() {
        for (name, count, build) in BENT {
            let (g, of) = graph(build);
            let bent = g.bent(of, Bend::Kept).unwrap();
            let found: usize = bent.kinks.iter().map(|kink| bent.graph.shape(kink.z).iter().product::<usize>()).sum();
            assert_eq!(found, count, "{name}");
            let linear = g.bent(of, Bend::Linear(0)).unwrap();
            let own = slopes(&linear, OWN_SIDE);
            let plain = values(&g, &[], &THETA, &[of])[0][0];
            for (what, value) in [
                ("kept", values(&bent.graph, &[], &THETA, &[bent.of])[0][0]),
                ("linear", values(&linear.graph, &own, &THETA, &[linear.of])[0][0]),
            ] {
                assert!((value - plain).abs() < 1e-14, "{name} {what}: {value}, not {plain}"); // A few roundings.
            }
        }
    }

    /// One slope for all kinks, slot by slot.
    fn slopes(bent: &Bent, slope: f64) -> Vec<Values> {
        let last = bent.kinks.iter().map(|kink| kink.slot + 1).max().unwrap_or(0);
        let mut slots = vec![Values::Real(Vec::new()); last];
        for kink in &bent.kinks {
            slots[kink.slot] = Values::Real(vec![slope; bent.graph.shape(kink.z).iter().product()]);
        }
        slots
    }

    #[test]
    fn a_smoothed_graph_comes_near_as_its_width_falls_and_has_its_derivatives() {
        for (name, _, build) in BENT {
            let (g, of) = graph(build);
            let Bent { graph: mut smooth, of: value, kinks } = g.bent(of, Bend::Smoothed(0)).unwrap();
            let theta = smooth.parameter(0, vec![1, P]).unwrap();
            let seed = smooth.fill_like(1.0, value).unwrap();
            let gradient = smooth.gradient(value, seed, &[theta]).unwrap()[0].unwrap();
            let at = |theta: &[f64], width: f64| values(&smooth, &[Values::Real(vec![width])], theta, &[value])[0][0];
            let plain = values(&g, &[], &THETA, &[of])[0][0];
            let off = |width: f64| (at(&THETA, width) - plain).abs();
            assert!(off(1e-3) < 1e-12 && (kinks.is_empty() || off(0.2) > 1e-6), "{name}: {} {}", off(1e-3), off(0.2));
            let width = Values::Real(vec![0.2]);
            let exact = &values(&smooth, &[width], &THETA, &[gradient])[0];
            for i in 0..P {
                let moved = |by: f64| {
                    let mut theta = THETA;
                    theta[i] += by;
                    at(&theta, 0.2)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((difference - exact[i]).abs() < 1e-8, "{name}: {difference}, not {}", exact[i]); // h^2.
            }
        }
    }

    /// The gradient jumps across a kink by what h is worth times the gradient of z.
    #[test]
    fn the_gradient_jumps_by_delta_times_the_row() {
        for (name, _, build) in BENT {
            let (g, of) = graph(build);
            let linear = g.bent(of, Bend::Linear(0)).unwrap();
            // Nothing is cut off by the others.
            let between = slopes(&linear, 0.5);
            let Bent { graph: mut g, of: value, kinks } = linear;
            let theta = g.parameter(0, vec![1, P]).unwrap();
            let seed = g.fill_like(1.0, value).unwrap();
            let mut by: Vec<Id> = vec![theta];
            by.extend(kinks.iter().map(|kink| kink.h));
            let found = g.gradient(value, seed, &by).unwrap();
            let gradient = found[0].unwrap();
            for (k, kink) in kinks.iter().enumerate() {
                for e in 0..g.shape(kink.z).iter().product::<usize>() {
                    // Somewhere the kink's z is 0: Newton's steps along its row.
                    let mut at = THETA;
                    let mut inputs = between.clone();
                    let seed = Values::Real(
                        (0..g.shape(kink.z).iter().product()).map(|i| f64::from(u8::from(i == e))).collect(),
                    );
                    let slot = inputs.len();
                    let unit = g.input(slot, g.shape(kink.z).to_vec(), Element::Real).unwrap();
                    let row = g.gradient(kink.z, unit, &[theta]).unwrap()[0].unwrap();
                    inputs.push(seed);
                    for _ in 0..20 {
                        let found = values(&g, &inputs, &at, &[kink.z, row]);
                        let (z, row) = (found[0][e], &found[1]);
                        let square: f64 = row.iter().map(|x| x * x).sum();
                        at.iter_mut().zip(row).for_each(|(x, r)| *x -= z * r / square.max(1e-300));
                    }
                    let mut with = |t: f64| {
                        let Values::Real(slopes) = &mut inputs[kink.slot] else { panic!("an index") };
                        slopes[e] = t;
                        let delta = found[1 + k].unwrap_or(kink.z);
                        values(&g, &inputs, &at, &[gradient, row, kink.z, delta, value])
                    };
                    // A slope may be outside: active sets are found by way of such.
                    for outside in [0.0, 200.0] {
                        let (low, high) = (with(kink.alpha), with(1.0 + outside));
                        assert!(low[2][e].abs() < 1e-12, "{name}: z is {}", low[2][e]);
                        let delta = if found[1 + k].is_some() { low[3][e] } else { 0.0 };
                        assert!((low[4][0] - high[4][0]).abs() < 1e-12, "{name}: the loss depends on the slope");
                        for ((high, low), row) in high[0].iter().zip(&low[0]).zip(&low[1]) {
                            let (jump, told) = (high - low, (1.0 + outside - kink.alpha) * delta * row);
                            assert!((jump - told).abs() < 1e-9, "{name}: the gradient jumps by {jump}, not {told}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn jumps_are_refused_by_name() {
        let jumping: [(&str, Build); 5] = [
            ("Sign", |g, x| g.unary(Unary::Sign, x)),
            ("Floor", |g, x| g.unary(Unary::Floor, x)),
            ("Step", |g, x| {
                let up = g.shift(x, -1.0)?;
                let step = g.unary(Unary::Step, up)?;
                g.mul(x, step)
            }),
            ("Less", |g, x| {
                let zero = g.fill_like(0.0, x)?;
                let is_up = g.binary(Binary::Less, zero, x)?;
                let next = g.shift(x, 1.0)?;
                g.push(Op::Select, &[is_up, next, x])
            }),
            ("TopK", |g, x| {
                let at = g.push(Op::TopK { count: 2 }, &[x])?;
                g.push(Op::ToReal, &[at])
            }),
        ];
        for (name, build) in jumping {
            let (g, of) = graph(build);
            let error = g.bent(of, Bend::Kept).unwrap_err();
            assert_eq!(error.text, format!("the loss jumps: {name} of what depends on theta"));
        }
    }
}
