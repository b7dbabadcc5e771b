//! Nodes that ONNX Runtime has made of two, as two again: a product or a convolution, and the activation behind it. Whoever
//! looks for the activation at the end of a file finds it there.

use super::messages::{AttributeProto, GraphProto, MICROSOFT, NodeProto};
use mountainpass_sdk::{Error, memory};

/// Nodes that one becomes at the most: itself, an activation, and two bounds of that.
const MOST: usize = 4;

/// Takes the nodes of a graph apart, and those of the graphs inside.
pub(super) fn apart(graph: &mut GraphProto) -> Result<(), Error> {
    let inside = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    inside.filter_map(|attribute| attribute.g.as_mut()).try_for_each(apart)?;
    let fused = graph.node.iter().filter(|node| fused_with(node).is_some()).count();
    if fused == 0 {
        return Ok(());
    }
    let mut nodes = Vec::new();
    memory::reserve(&mut nodes, graph.node.len() + (MOST - 1) * fused)?;
    for node in std::mem::take(&mut graph.node) {
        match fused_with(&node) {
            Some(op) => nodes.extend(both(node, op)),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
    Ok(())
}

/// The activation that a node has beside what it is.
fn fused_with(node: &NodeProto) -> Option<String> {
    let is_fused = node.domain() == MICROSOFT && ["FusedConv", "FusedGemm"].contains(&node.op_type());
    activation(node).filter(|_| is_fused)
}

fn activation(node: &NodeProto) -> Option<String> {
    let named = node.attribute.iter().find(|attribute| attribute.name() == "activation")?;
    let op = std::str::from_utf8(named.s.as_deref()?).ok()?;
    (!op.is_empty()).then(|| op.to_owned())
}

fn both(mut node: NodeProto, op: String) -> Vec<NodeProto> {
    let (settings, kept): (Vec<AttributeProto>, Vec<AttributeProto>) =
        node.attribute.drain(..).partition(|attribute| attribute.name().starts_with("activation"));
    node.attribute = kept;
    let after = node.output.first().cloned().unwrap_or_default();
    let before = format!("{after} before {op}");
    node.output = vec![before.clone()];
    // Of a product each setting has its name; of a convolution they stand in a list.
    let called = |attribute: AttributeProto| {
        let name = attribute.name().strip_prefix("activation_").map(str::to_owned);
        AttributeProto { name, ..attribute }
    };
    let (lists, mut named): (Vec<AttributeProto>, Vec<AttributeProto>) =
        settings.into_iter().map(called).filter(|setting| setting.name.is_some()).partition(|s| s.name() == "params");
    let list = lists.into_iter().flat_map(|list| list.floats);
    let mut nodes = vec![node];
    let mut input = vec![before];
    if op == "Clip" {
        for (bound, which) in list.zip(["low", "high"]) {
            let name = format!("{after} {which}");
            input.push(name.clone());
            nodes.push(made("Constant", Vec::new(), name, vec![setting("value_float", bound)]));
        }
    } else {
        named.extend(list.zip(["alpha", "beta"]).map(|(x, name)| setting(name, x)));
    }
    nodes.push(made(&op, input, after, named));
    nodes
}

/// A node of ONNX's own, called by its output.
fn made(op: &str, input: Vec<String>, output: String, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto { op_type: Some(op.to_owned()), input, output: vec![output], attribute, ..NodeProto::default() }
}

fn setting(name: &str, x: f32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), kind: Some(1), f: Some(x), ..AttributeProto::default() }
}
