//! What stands at the end of a file: an activation that the objective applies itself, or whose results are probabilities.
//!
//! Cross-entropy of probabilities taken for logits is finite, plausible and wrong, and so is the squared error of logits
//! where the network has a sigmoid. An activation is left out only where the objective puts it back.

use super::file::File;
use super::messages::NodeProto;
use super::options::Options;
use crate::DataTerm;
use crate::model::OutputKind;
use mountainpass_sdk::Error;

/// A softmax or a sigmoid at the end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    op: String,
    /// What enters it.
    pub before: String,
    /// Of a softmax, where it can be told.
    axis: Option<usize>,
    /// Whether its results are only moved or cut off behind it, and so are no longer its own.
    is_moved: bool,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Met {
    /// The objective applies it itself, to what enters it; with what to say of that.
    LeftOut(String),
    /// It stays, and its results are probabilities.
    Probabilities(String),
    /// It stays, and its results are numbers like any.
    Kept,
}

impl File {
    /// The activation at the end, if there is one, of an output with so many axes.
    pub fn ending(&self, rank: usize) -> Option<Ending> {
        let mut node = self.producer(&self.output)?;
        let mut is_moved = false;
        // Nodes are finite, and so is the walk even if they stand in a circle.
        for _ in 0..self.nodes.len() {
            match node.op_type() {
                "Identity" | "Cast" => {}
                "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Clip" => is_moved = true,
                _ => break,
            }
            node = self.producer(node.input.first()?)?;
        }
        let op = node.op_type();
        matches!(op, "Softmax" | "LogSoftmax" | "Sigmoid").then_some(())?;
        let axis = self.axis(node, rank).filter(|_| !is_moved);
        Some(Ending { op: op.to_owned(), before: node.input.first()?.clone(), axis, is_moved })
    }

    /// The axis of a softmax of so many axes, if it is one.
    fn axis(&self, node: &NodeProto, rank: usize) -> Option<usize> {
        let given = node.attribute.iter().find(|a| a.name() == "axis").map(|a| a.i());
        let axis = given.unwrap_or(if self.opset < 13 { 1 } else { -1 });
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        // Before opset 13 all axes from there on are one.
        (axis < rank && (self.opset >= 13 || axis + 1 == rank)).then_some(axis)
    }
}

impl Ending {
    /// What becomes of it under the objective, for outputs of this shape, called `output`.
    pub fn met(&self, options: &Options, output: &str, shape: &[usize]) -> Result<Met, Error> {
        let (op, is_sigmoid) = (&self.op, self.op == "Sigmoid");
        let is_single = shape.len() == 1 || shape.last() == Some(&1);
        let is_said = options.output_kind.is_some();
        let left_out = || Ok(Met::LeftOut(format!("the final {op} of {output:?} is left out: the outputs are logits")));
        let probabilities = || Ok(Met::Probabilities(format!("{output:?} is what a {op} gives: probabilities")));
        match options.objective {
            Some(DataTerm::Mse | DataTerm::Mae | DataTerm::Model)
                if options.output_kind == Some(OutputKind::Logits) =>
            {
                Err(Error::argument(format!(
                    "output_kind = \"logits\", but {output:?} is a {op}, which this objective keeps: leave output_kind \
                     out, or name what enters it with output = {:?}",
                    self.before
                )))
            }
            Some(DataTerm::Mse | DataTerm::Mae | DataTerm::Model) => Ok(Met::Kept),
            Some(DataTerm::BinaryCrossEntropy) if is_sigmoid && !self.is_moved => left_out(),
            Some(DataTerm::BinaryCrossEntropy) if self.op != "LogSoftmax" && !is_said => probabilities(),
            Some(DataTerm::BinaryCrossEntropy) => Ok(Met::Kept),
            None if is_sigmoid && !is_single && !is_said => {
                Ok(Met::Probabilities(format!("{output:?} is a Sigmoid of several numbers: taken as probabilities")))
            }
            None if is_sigmoid && is_single && !self.is_moved => left_out(),
            Some(DataTerm::CrossEntropy) | None if !is_sigmoid && self.is_over_classes(options, shape.len()) => {
                left_out()
            }
            Some(DataTerm::CrossEntropy) if options.output_kind != Some(OutputKind::Probabilities) => {
                self.refused(output, shape)
            }
            _ => Ok(Met::Kept),
        }
    }

    fn is_over_classes(&self, options: &Options, rank: usize) -> bool {
        let classes =
            options.class_axis.map_or(rank as i64 - 1, |axis| if axis < 0 { axis + rank as i64 } else { axis });
        self.axis.is_some_and(|axis| axis as i64 == classes)
    }

    fn refused(&self, output: &str, shape: &[usize]) -> Result<Met, Error> {
        let Ending { op, before, axis, .. } = self;
        let logits = format!("output = {before:?} names what enters it");
        Err(Error::argument(match (op.as_str(), axis) {
            ("Sigmoid", _) => format!(
                "cross_entropy of {output:?}, a Sigmoid of the shape {shape:?}, whose numbers are no probabilities of one \
                 class: take objective = \"binary_cross_entropy\"; or {logits}"
            ),
            (_, Some(axis)) => format!(
                "{output:?} of the shape {shape:?} is a {op} over axis {axis}, and the classes of cross_entropy are along \
                 another: set class_axis = {axis}"
            ),
            _ => format!(
                "cross_entropy of {output:?}, which is a {op} moved about: say what it is by output_kind = \
                 \"probabilities\" (or \"logits\"); or {logits}"
            ),
        }))
    }
}
