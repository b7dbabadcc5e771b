//! From ONNX nodes to a graph: what every operator of a file shares when it is written down with the graph's own.
//!
//! A value of the file is known (shapes, indices, switches: computed while reading), a weight of the file, or a node.
//! An operator is lowered by one function whether its arguments are known or not; where all are, it is lowered into a
//! graph of its own and that is evaluated, so that no operator is written twice.

use super::messages::{AttributeProto, NodeProto, TensorProto};
use super::tensors::{self, AXES_MAX, KnownArray, ValueKind};
use crate::graph::evaluate::{Sources, evaluate};
use crate::graph::op::{Constant, Element, Number, Op, Shape, Values};
use crate::graph::shape::elements;
use crate::graph::{Graph, Id, Node};
use mountainpass_sdk::{Error, memory};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Known(KnownArray),
    /// A weight, by its place in [`Lowering::weights`]: a node for whoever computes with it, known to whoever asks.
    Weight(usize),
    Node(Id, ValueKind),
    /// What torch makes of a split.
    List(Vec<Value>),
}

/// What an operator gives.
pub(super) type Results = Result<Vec<Value>, Error>;

/// How an operator is written with the graph's own.
pub(super) type Lower = fn(&mut Lowering<'_>, &Call<'_>) -> Results;

/// One real result.
pub(super) fn real(id: Id) -> Results {
    Ok(vec![Value::Node(id, ValueKind::Real)])
}

/// An initializer that is part of theta.
pub(super) struct Weight<'m> {
    pub tensor: &'m TensorProto,
    pub shape: Shape,
    /// In theta.
    pub offset: usize,
}

/// The state of reading one file for one batch size.
pub(super) struct Lowering<'m> {
    pub graph: Graph,
    /// The version of the operators.
    pub opset: i64,
    /// Whether normalisations take their statistics from the batch; as each of them says if left out.
    pub recomputed: Option<bool>,
    pub weights: &'m [Weight<'m>],
    /// Where external data is.
    pub folder: Option<&'m Path>,
    /// The samples in a batch.
    pub batch: usize,
    /// The batch size that the file's own constants were written for, where it is another.
    pub baked: Option<usize>,
    /// Which axis of a written shape is the batch's, by what is computed in it: found with several samples, as one leaves no
    /// trace in the shapes.
    pub batch_axes: HashMap<String, usize>,
    /// Numbers written down in reading, so far.
    pub written: usize,
}

/// A table written down in reading (of indices, masks, counts) is no longer than this.
const TABLE_MAX: usize = 1 << 24;

/// All that is written down in reading has no more numbers: half a gigabyte.
pub(super) const WRITTEN_MAX: usize = 1 << 26;

impl<'m> Lowering<'m> {
    /// A lowering without any node yet.
    pub fn new(opset: i64, weights: &'m [Weight<'m>], folder: Option<&'m Path>, batch: usize) -> Lowering<'m> {
        let graph = Graph::new();
        Lowering {
            graph,
            opset,
            recomputed: None,
            weights,
            folder,
            batch,
            baked: None,
            batch_axes: HashMap::new(),
            written: 0,
        }
    }

    /// The sizes of a value's axes.
    pub fn shape(&self, value: &Value) -> Shape {
        match value {
            Value::Known(tensor) => tensor.shape.clone(),
            Value::Weight(i) => self.weights[*i].shape.clone(),
            Value::Node(id, _) => self.graph.shape(*id).to_vec(),
            Value::List(_) => Shape::new(),
        }
    }

    /// A value as a node of whatever it holds.
    pub fn array(&mut self, value: &Value) -> Result<Id, Error> {
        match value {
            Value::Node(id, _) => Ok(*id),
            Value::List(_) => Err(Error::unsupported("it takes a list of arrays")),
            Value::Weight(i) => {
                let Weight { shape, offset, .. } = &self.weights[*i];
                self.graph.parameter(*offset, shape.clone())
            }
            Value::Known(tensor) => self.table(tensor.shape.clone(), tensor.values.clone()),
        }
    }

    /// A value as a node of reals. Whole numbers are computed with as reals, which hold them exactly up to 2^53, and up to
    /// 2^24 where the run's numbers are f32.
    pub fn real(&mut self, value: &Value) -> Result<Id, Error> {
        match value {
            Value::Known(tensor) if tensor.kind == ValueKind::Whole => {
                self.table(tensor.shape.clone(), Arc::new(Values::Real(tensor.reals())))
            }
            Value::Node(id, _) if self.graph.element(*id) == Element::Index => self.graph.push(Op::ToReal, &[*id]),
            other => self.array(other),
        }
    }

    /// A value as a node of indices.
    pub fn index(&mut self, value: &Value) -> Result<Id, Error> {
        match value {
            Value::Known(tensor) => self.indices(tensor.shape.clone(), tensor.indices()),
            other => {
                let id = self.array(other)?;
                match self.graph.element(id) {
                    Element::Index => Ok(id),
                    Element::Real => self.graph.push(Op::ToIndex, &[id]),
                }
            }
        }
    }

    /// The numbers of a node that depends on neither inputs nor weights, if they are few.
    pub fn constant(&self, id: Id) -> Result<Option<KnownArray>, Error> {
        let (small, outputs) = self.graph.pruned(&[id]);
        let is_known = |node: &Node| !matches!(node.op, Op::Input { .. } | Op::Parameter { .. } | Op::Direction { .. });
        let count = |node: &Node| elements(&node.of.shape).unwrap_or(usize::MAX);
        let all = small.nodes().iter().map(count).fold(0, usize::saturating_add);
        if all > TABLE_MAX || !small.nodes().iter().all(is_known) {
            return Ok(None);
        }
        let values = evaluate(&small, Sources::default(), &outputs)?.into_iter().next();
        let kind = if self.graph.element(id) == Element::Index { ValueKind::Whole } else { ValueKind::Real };
        let shape = self.graph.shape(id).to_vec();
        Ok(values.map(|values| KnownArray { kind, shape, values: Arc::new(values) }))
    }

    /// Known numbers as a node.
    fn table(&mut self, shape: Shape, values: Arc<Values>) -> Result<Id, Error> {
        let first = match &*values {
            Values::Real(all) => all.first().filter(|x| all.iter().all(|y| y.to_bits() == x.to_bits())),
            Values::Index(_) => None,
        };
        match first {
            Some(x) if elements(&shape) == Some(values.len()) => {
                let number = Number::new(*x);
                self.graph.push(Op::Fill(number, shape), &[])
            }
            _ => self.graph.push(Op::Constant(Constant { shape, values }), &[]),
        }
    }

    /// Refuses tables that only a fault of the file asks for.
    pub fn modest(&mut self, count: usize) -> Result<usize, Error> {
        self.written = self.written.saturating_add(count);
        if count > TABLE_MAX || self.written > WRITTEN_MAX {
            return Err(Error::unsupported(format!("it needs a table of {count} numbers")));
        }
        // As the operator writes it down, and as the graph keeps it.
        memory::afford(count.checked_mul(2).and_then(memory::bytes_of::<f64>))?;
        Ok(count)
    }

    /// Indices as a node.
    pub fn indices(&mut self, shape: Shape, values: Vec<i64>) -> Result<Id, Error> {
        self.table(shape, Arc::new(Values::Index(values)))
    }

    /// The numbers of a value that must be known.
    pub fn known(&self, value: &Value) -> Result<KnownArray, Error> {
        match value {
            Value::Known(tensor) => Ok(tensor.clone()),
            Value::Weight(i) => tensors::read(self.weights[*i].tensor, self.folder),
            Value::Node(..) | Value::List(_) => Err(Error::unsupported(
                "an argument that decides shapes depends on the numbers of the inputs, not only on the batch size",
            )),
        }
    }

    /// A known argument as whole numbers; `None` where it is left out.
    pub fn wholes(&self, call: &Call<'_>, k: usize) -> Result<Option<Vec<i64>>, Error> {
        call.optional(k).map(|value| self.known(value).map(|tensor| tensor.indices())).transpose()
    }

    /// A known argument of one number; `None` where it is left out.
    pub fn number(&self, call: &Call<'_>, k: usize) -> Result<Option<f64>, Error> {
        let Some(value) = call.optional(k) else { return Ok(None) };
        match self.known(value)?.reals()[..] {
            [number] => Ok(Some(number)),
            ref other => Err(Error::argument(format!("argument {k} has {} numbers, expected 1", other.len()))),
        }
    }

    /// What a value holds.
    pub fn kind(&self, value: &Value) -> ValueKind {
        match value {
            Value::Known(tensor) => tensor.kind,
            Value::Weight(_) | Value::List(_) => ValueKind::Real,
            Value::Node(_, kind) => *kind,
        }
    }
}

/// The name of a node, or that of what it computes.
pub(super) fn label(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.first().map_or("", String::as_str),
        name => name,
    }
}

/// A node of the file with its arguments.
pub(super) struct Call<'a> {
    pub node: &'a NodeProto,
    /// `None` where an argument is left out.
    pub inputs: Vec<Option<Value>>,
    /// The version of the operators.
    pub opset: i64,
}

impl Call<'_> {
    /// The operator's name.
    pub fn op(&self) -> &str {
        self.node.op_type()
    }

    /// An argument that must be there.
    pub fn input(&self, k: usize) -> Result<&Value, Error> {
        self.optional(k).ok_or_else(|| Error::argument(format!("argument {k} is missing")))
    }

    /// An argument that may be left out.
    pub fn optional(&self, k: usize) -> Option<&Value> {
        self.inputs.get(k).and_then(Option::as_ref)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|a| a.name() == name)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|a| a.i())
    }

    /// A switch, off where it is left out.
    pub fn is_on(&self, name: &str) -> bool {
        self.int(name).is_some_and(|i| i != 0)
    }

    /// Whole numbers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    /// A real.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).map_or(default, |a| f64::from(a.f()))
    }

    /// Reals.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|a| &a.floats[..])
    }

    /// A text; what is no UTF-8 is an unknown text.
    pub fn text<'b>(&'b self, name: &str, default: &'b str) -> &'b str {
        self.attribute(name).map_or(default, |a| std::str::from_utf8(a.s.as_deref().unwrap_or_default()).unwrap_or("?"))
    }

    /// Texts; none where they are left out.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let all = self.attribute(name).map_or(&[][..], |a| &a.strings);
        all.iter().map(|text| std::str::from_utf8(text).unwrap_or("?")).collect()
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    /// Axes that were counted from the end too, for arrays of `rank` axes.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Error> {
        let at = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        let at = at.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
        at.ok_or_else(|| Error::argument(format!("axis {axis} of an array of {rank} axes")))
    }

    /// The same for several, sorted and each once.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Error> {
        if axes.len() > AXES_MAX {
            return Err(Error::argument(format!("a list of {} axes", axes.len())));
        }
        let mut all = axes.iter().map(|axis| self.axis(*axis, rank)).collect::<Result<Vec<usize>, Error>>()?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Refuses a setting that is not supported.
    pub fn refuse(&self, what: impl std::fmt::Display) -> Error {
        Error::unsupported(format!("{what} is not supported"))
    }
}
