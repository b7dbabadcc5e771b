//! What the exporter of a file has done to the module that it was: which of its initializers are no parameters of it, and
//! what it left in training. The loss is right all the same; but a search goes over other numbers than a user thinks of.

use super::file::{Block, File};
use super::messages::{GraphProto, NodeProto, entry};
use super::operators::in_training;
use super::tensors;
use mountainpass_sdk::Error;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many of a list are written out.
const MOST: usize = 6;

/// A matrix of whole numbers this large is hardly a weight.
const TABLE_MIN: usize = 4;

/// What torch says of the module's own parameters, a line each.
const SIGNATURE: &str = "pkg.torch.export.ExportedProgram.graph_signature";

const FIX: &str = "export with torch.onnx.export(..., optimize=False), or with examples/torch/export.py";

impl File {
    /// Normalisations and Dropout that were written in training.
    pub fn training(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let entering = || self.nodes.iter().map(|i| &self.graph.node[*i]);
        let is_training = |node: &&NodeProto| node.op_type() == "BatchNormalization" && in_training(node, self.opset);
        if self.recomputed.is_none() && entering().any(|node| is_training(&node)) {
            notes.push(
                "its batch normalisations are in training: they take the statistics of the samples; batchnorm = \
                 \"frozen\" takes the file's"
                    .to_owned(),
            );
        }
        if entering().any(|node| node.op_type() == "Dropout" && self.drops(node)) {
            notes.push("its Dropout is in training: left out, as in evaluation".to_owned());
        }
        notes
    }

    /// Whether a Dropout is asked to drop, or may be.
    fn drops(&self, node: &NodeProto) -> bool {
        let Some(mode) = node.input.get(2).filter(|name| !name.is_empty()) else { return false };
        let initializer = self.graph.initializer.iter().find(|tensor| tensor.name() == mode);
        let constant = || self.producer(mode)?.attribute.iter().find(|a| a.name() == "value")?.t.as_ref();
        let value = initializer.or_else(constant).and_then(|tensor| tensors::read(tensor, self.folder.as_deref()).ok());
        value.is_none_or(|value| value.numbers().any(|x| x != 0.0))
    }

    /// Whether samples could give a normalisation its statistics.
    pub fn normalises(&self) -> bool {
        self.nodes.iter().any(|i| self.graph.node[*i].op_type() == "BatchNormalization")
    }

    /// Where theta is not what the parameters of the module were.
    pub fn foreign(&self, theta: &[Block]) -> Result<Vec<String>, Error> {
        let name = |block: &Block| self.graph.initializer[block.index].name();
        let is_known = |name: &str| self.aliases.iter().any(|alias| alias.initializer == name);
        let unknown: Vec<&Block> = theta.iter().filter(|block| !is_known(name(block))).collect();
        let own: HashSet<&str> = module(&self.graph).collect();
        let is_made = |name: &str| match own.is_empty() {
            true => name.starts_with("onnx::") || name.starts_with("val_"),
            false => !own.contains(name),
        };
        let mut notes = Vec::new();
        let made: Vec<&str> = unknown.iter().map(|block| name(block)).filter(|name| is_made(name)).collect();
        if !made.is_empty() {
            notes.push(format!("theta has {}, which the exporter made: {FIX}", listed(&made)));
        }
        let is_there = |name: &str| self.graph.initializer.iter().any(|tensor| tensor.name() == name);
        let is_alias = |name: &str| self.aliases.iter().any(|alias| alias.name == name);
        let mut absent: Vec<&str> = own.iter().copied().filter(|name| !is_there(name) && !is_alias(name)).collect();
        absent.sort_unstable();
        if !absent.is_empty() {
            notes.push(format!(
                "parameters of the module that the file has not, or under another name (tied, equal to one of these, or of \
                 no use): {}",
                listed(&absent)
            ));
        }
        notes.extend(self.doubtful(&unknown)?);
        Ok(notes)
    }

    /// Parameters that are copies of others, and tables of whole numbers.
    fn doubtful(&self, theta: &[&Block]) -> Result<Vec<String>, Error> {
        let name = |block: &Block| self.graph.initializer[block.index].name();
        let mut seen: Vec<(&Block, u64)> = Vec::new();
        let (mut copies, mut tables): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
        for block in theta.iter().filter(|block| block.shape.len() >= 2) {
            let values = tensors::read(&self.graph.initializer[block.index], self.folder.as_deref())?.into_reals()?;
            // What begins as one number throughout says nothing.
            if values.iter().all(|x| *x == values[0]) {
                continue;
            }
            if values.len() >= TABLE_MIN && values.iter().all(|x| x.fract() == 0.0) {
                tables.push(name(block));
            }
            let (own, other) = (digest(&block.shape, values.iter()), transposed(&block.shape, &values));
            match seen.iter().find(|(_, of)| *of == own || Some(*of) == other) {
                Some((first, _)) => copies.push(format!("{} of {}", name(block), name(first))),
                None => seen.push((block, own)),
            }
        }
        let mut notes = Vec::new();
        if !copies.is_empty() {
            let copies: Vec<&str> = copies.iter().map(String::as_str).collect();
            notes.push(format!("theta has copies, which are parameters of their own: {}: {FIX}", listed(&copies)));
        }
        if !tables.is_empty() {
            notes.push(format!(
                "theta has tables of whole numbers: {}: frozen makes them constants, if they are no parameters",
                listed(&tables)
            ));
        }
        Ok(notes)
    }
}

/// The parameters of the module that a file was, where its exporter says so.
pub(crate) fn module(graph: &GraphProto) -> impl Iterator<Item = &str> {
    entry(&graph.metadata_props, SIGNATURE).into_iter().flat_map(str::lines).filter_map(parameter)
}

/// The parameter that a line of the signature names.
fn parameter(line: &str) -> Option<&str> {
    line.split_once(": PARAMETER target='")?.1.split('\'').next()
}

/// Numbers and their shape in short: of equal ones it is the same, and of others it is another.
fn digest<'v>(shape: &[usize], values: impl Iterator<Item = &'v f64>) -> u64 {
    let mut hash = DefaultHasher::new();
    shape.hash(&mut hash);
    values.for_each(|x| x.to_bits().hash(&mut hash));
    hash.finish()
}

/// The same of a matrix, transposed.
fn transposed(shape: &[usize], values: &[f64]) -> Option<u64> {
    let &[rows, columns] = shape else { return None };
    Some(digest(&[columns, rows], (0..values.len()).map(|i| &values[i % rows * columns + i / rows])))
}

fn listed(names: &[&str]) -> String {
    let rest = names.len().saturating_sub(MOST);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    names[..names.len() - rest].join(", ") + &more
}
