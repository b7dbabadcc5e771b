//! Branches and loops of a file, written out: what decides them is known when the file is read, as most often with
//! exporters. A branch that depends on the inputs is taken on both sides, and chosen from.

use super::lowering::{Call, Lowering, Results, Value, label};
use super::messages::{GraphProto, NodeProto, TensorProto};
use super::operators::{WITH_GRAPHS, join};
use super::scope::Scope;
use super::tensors::{KnownArray, ValueKind};
use crate::graph::op::Op;
use mountainpass_sdk::Error;

/// Longer loops are refused: each step adds the body's nodes to the graph and its derivatives.
const STEPS_MAX: usize = 4096;

/// What a node that is written out again weighs among all that a file may ask to be written down.
const NODE_WEIGHT: usize = 1 << 8;

/// Whether a node has graphs of its own.
fn is_control(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && WITH_GRAPHS.contains(&node.op_type())
}

/// The names of all that a node takes, its own graphs' included.
pub(super) fn taken(node: &NodeProto) -> Vec<&str> {
    let graphs = node.attribute.iter().filter_map(|a| a.g.as_ref());
    let inner = graphs.flat_map(|graph| {
        let outputs = graph.output.iter().map(|output| output.name());
        graph.node.iter().flat_map(taken).chain(outputs)
    });
    node.input.iter().map(String::as_str).chain(inner).collect()
}

impl Lowering<'_> {
    /// Lowers a node, whose results then have their names.
    pub fn run<'a>(&mut self, node: &'a NodeProto, scope: &mut Scope<'a>) -> Result<(), Error> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let value = if name.is_empty() { None } else { scope.find(name)? };
            if value.is_none() && !name.is_empty() {
                let node = label(node);
                return Err(Error::argument(format!("node {node:?} takes {name:?}, which nothing before it computes")));
            }
            inputs.push(value);
        }
        let results = match is_control(node) {
            true => {
                let call = Call { node, inputs, opset: self.opset };
                let results = self.control(&call, scope);
                // What fails inside says where.
                results.map_err(|error| match error.text.starts_with("node ") {
                    true => error,
                    false => self.named(node, error),
                })?
            }
            false => self.node(node, inputs)?,
        };
        node.output.iter().zip(results).for_each(|(name, value)| scope.give(name, value));
        Ok(())
    }

    /// The values of a node that has graphs of its own.
    fn control(&mut self, call: &Call<'_>, scope: &Scope<'_>) -> Results {
        match call.op() {
            "If" => self.branch(call, scope),
            "Loop" => self.repeated(call, scope),
            _ => self.scanned(call, scope),
        }
    }

    fn body<'c>(&self, call: &'c Call<'_>, name: &str) -> Result<&'c GraphProto, Error> {
        let found = call.node.attribute.iter().find(|a| a.name() == name).and_then(|a| a.g.as_ref());
        found.ok_or_else(|| Error::argument(format!("the graph {name:?} is missing")))
    }

    fn branch(&mut self, call: &Call<'_>, scope: &Scope<'_>) -> Results {
        let bodies = [self.body(call, "then_branch")?, self.body(call, "else_branch")?];
        let condition = call.input(0)?;
        if let Some(holds) = self.truth(condition)? {
            return self.inner(bodies[usize::from(!holds)], Vec::new(), scope);
        }
        let condition = self.real(condition)?;
        let [then, other] = [self.inner(bodies[0], Vec::new(), scope)?, self.inner(bodies[1], Vec::new(), scope)?];
        let choose = |(a, b): (&Value, &Value)| {
            if self.shape(a) != self.shape(b) || matches!((a, b), (Value::List(_), _) | (_, Value::List(_))) {
                return Err(call.refuse("a branch that depends on the inputs and gives other shapes on either side"));
            }
            let kind = self.kind(a);
            let [a, b] = [self.real(a)?, self.real(b)?];
            let scalar = self.graph.reshape(condition, Vec::new())?;
            let all = self.graph.together([scalar, a, b])?;
            Ok(Value::Node(self.graph.push(Op::Select, &all)?, kind))
        };
        then.iter().zip(&other).map(choose).collect()
    }

    /// What a known condition is; `None` where it depends on the inputs or on weights.
    fn truth(&self, value: &Value) -> Result<Option<bool>, Error> {
        let known = match value {
            Value::Known(known) => Some(known.clone()),
            Value::Node(id, _) => self.constant(*id)?,
            Value::Weight(_) | Value::List(_) => None,
        };
        match known.map(|known| known.reals()) {
            None => Ok(None),
            Some(all) if all.len() == 1 => Ok(Some(all[0] != 0.0)),
            Some(all) => Err(Error::argument(format!("a condition of {} numbers", all.len()))),
        }
    }

    fn repeated(&mut self, call: &Call<'_>, scope: &Scope<'_>) -> Results {
        let body = self.body(call, "body")?;
        let unknown = || call.refuse("a loop whose number of steps depends on the inputs");
        let most = call.optional(0).map(|value| self.known(value).map_err(|_| unknown())).transpose()?;
        let most = most.map_or(i64::MAX, |known| known.indices().first().copied().unwrap_or(0));
        let mut goes_on = match call.optional(1) {
            Some(value) => self.truth(value)?.ok_or_else(unknown)?,
            None => true,
        };
        let carried = call.inputs.len().saturating_sub(2);
        let mut state = call.inputs[2.min(call.inputs.len())..].iter().flatten().cloned().collect::<Vec<Value>>();
        let mut rows: Vec<Vec<Value>> = vec![Vec::new(); body.output.len().saturating_sub(1 + carried)];
        let mut step = 0;
        while goes_on && step < most {
            if step as usize >= STEPS_MAX {
                return Err(call.refuse(format!("a loop of more than {STEPS_MAX} steps")));
            }
            let number = Value::Known(KnownArray { shape: Vec::new(), ..KnownArray::wholes(vec![step]) });
            let yes = Value::Known(KnownArray::real(1.0).cast(ValueKind::Truth));
            let given = [number, yes].into_iter().chain(state).collect();
            let mut results = self.inner(body, given, scope)?.into_iter();
            let condition = results.next().ok_or_else(|| Error::argument("the body gives no condition"))?;
            goes_on = self.truth(&condition)?.ok_or_else(unknown)?;
            state = results.by_ref().take(carried).collect();
            rows.iter_mut().zip(results).for_each(|(rows, row)| rows.push(row));
            step += 1;
        }
        let stacked = rows.into_iter().map(|rows| self.stacked(call, rows, 0));
        state.into_iter().map(Ok).chain(stacked.collect::<Vec<_>>()).collect()
    }

    fn scanned(&mut self, call: &Call<'_>, scope: &Scope<'_>) -> Results {
        let body = self.body(call, "body")?;
        let count = call.int("num_scan_inputs").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let given = call.inputs.iter().flatten().cloned().collect::<Vec<Value>>();
        let first = given.len().checked_sub(count).ok_or_else(|| Error::argument("too few arguments"))?;
        let listed = |name: &str, k: usize| call.ints(name).and_then(|all| all.get(k)).copied().unwrap_or(0);
        let mut over = Vec::new();
        for (k, value) in given[first..].iter().enumerate() {
            let shape = self.shape(value);
            let axis = call.axis(listed("scan_input_axes", k), shape.len())?;
            over.push((
                self.array(value)?,
                self.kind(value),
                axis,
                shape[axis],
                listed("scan_input_directions", k) != 0,
            ));
        }
        let steps = over.first().map_or(0, |(.., size, _)| *size);
        if steps > STEPS_MAX || over.iter().any(|(.., size, _)| *size != steps) {
            return Err(call.refuse(format!("a scan of {steps} steps")));
        }
        let mut state = given[..first].to_vec();
        let mut rows: Vec<Vec<Value>> = vec![Vec::new(); body.output.len().saturating_sub(first)];
        for step in 0..steps {
            let mut arguments = state;
            for &(x, kind, axis, size, is_back) in &over {
                let row = self.graph.narrow(x, axis, if is_back { size - 1 - step } else { step }, 1)?;
                let mut shape = self.graph.shape(row).to_vec();
                shape.remove(axis);
                arguments.push(Value::Node(self.graph.reshape(row, shape)?, kind));
            }
            let mut results = self.inner(body, arguments, scope)?.into_iter();
            state = results.by_ref().take(first).collect();
            rows.iter_mut().zip(results).for_each(|(rows, row)| rows.push(row));
        }
        let mut results = state;
        for (k, mut rows) in rows.into_iter().enumerate() {
            if listed("scan_output_directions", k) != 0 {
                rows.reverse();
            }
            results.push(self.stacked(call, rows, listed("scan_output_axes", k))?);
        }
        Ok(results)
    }

    /// What the steps gave, side by side along a new axis.
    fn stacked(&mut self, call: &Call<'_>, rows: Vec<Value>, axis: i64) -> Result<Value, Error> {
        join(self, call, &rows, (axis, true))
    }

    /// The results of a body for these arguments.
    fn inner(&mut self, body: &GraphProto, given: Vec<Value>, scope: &Scope<'_>) -> Results {
        self.modest(body.node.len().saturating_mul(NODE_WEIGHT))?;
        let initializers = body.initializer.iter().map(|tensor: &TensorProto| (tensor.name(), tensor)).collect();
        let mut own = Scope::inside(scope, initializers);
        if body.input.len() != given.len() {
            return Err(Error::argument(format!("a graph of {} arguments takes {}", body.input.len(), given.len())));
        }
        body.input.iter().zip(given).for_each(|(input, value)| own.give(input.name(), value));
        for node in &body.node {
            self.run(node, &mut own)?;
        }
        let result = |output: &str| {
            let found = own.find(output)?;
            found.ok_or_else(|| Error::argument(format!("nothing in the graph computes {output:?}")))
        };
        body.output.iter().map(|output| result(output.name())).collect()
    }
}
