//! From named tensors to theta: every parameter takes the tensor of its name.
//!
//! In an ONNX checkpoint that is the initializer's name. In others, what the metadata of the model's ONNX file call the
//! parameter comes first, with its transposition, because a name that both know may stand for either layout; and then
//! the parameter's own name. Nothing is guessed from shapes or order: what does not fit is refused, with both sides.

use super::model_file::ModelFile;
use super::statistics::is_statistic;
use super::tensor::Tensor;
use mountainpass_sdk::{Parameter, memory};

/// So many of each list are written out.
const MOST: usize = 6;

/// Theta, or the end of a sentence that says what does not fit.
pub(super) fn theta(
    tensors: &[Tensor],
    is_onnx: bool,
    parameters: &[Parameter],
    params: usize,
    model: Option<&ModelFile>,
) -> Result<Vec<f64>, String> {
    if parameters.is_empty() {
        return Err(format!("named tensors, but the loss names no parameters: give a .npy of shape ({params},)"));
    }
    let aliases = model.filter(|_| !is_onnx).map_or(&[][..], |model| &model.aliases);
    let find = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
    let (mut theta, mut taken) = (memory::filled(0.0, params)?, vec![false; tensors.len()]);
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    for block in parameters {
        let alias = aliases.iter().find(|alias| alias.initializer == block.name);
        let by_alias = alias.and_then(|alias| Some((find(&alias.name)?, alias.transpose.as_deref())));
        let Some((at, order)) = by_alias.or_else(|| Some((find(&block.name)?, None))) else {
            let called = alias.map(|alias| format!(" ({})", alias.name.escape_debug())).unwrap_or_default();
            missing.push(format!("{}{called} {:?}", block.name.escape_debug(), block.shape));
            continue;
        };
        taken[at] = true;
        let count = block.shape.iter().product::<u64>() as usize;
        let room = theta.get_mut(block.offset as usize..).and_then(|rest| rest.get_mut(..count));
        let values = transposed(&tensors[at], order, &block.shape);
        match (values, room) {
            (Some(values), Some(room)) if tensors[at].values.len() == count => {
                room.iter_mut().zip(values).for_each(|(to, from)| *to = from);
            }
            _ => misshapen.push(format!(
                "{} {:?}, not {:?}",
                tensors[at].name.escape_debug(),
                tensors[at].shape,
                block.shape
            )),
        }
    }
    let constants = model.filter(|_| is_onnx).map_or(&[][..], |model| &model.tensors);
    let is_extra = |tensor: &Tensor| {
        // Numbers of an ONNX file that are no parameters: scalars, and what the model's file holds as well.
        let constant = is_onnx && (tensor.values.len() <= 1 || constants.iter().any(|other| other.name == tensor.name));
        // Torch lists a weight that two layers share twice.
        let tied = |other: &Tensor| other.shape == tensor.shape && other.values == tensor.values;
        let is_tied = || tensors.iter().zip(&taken).any(|(other, taken)| *taken && tied(other));
        tensor.is_real && !is_statistic(&tensor.name) && !constant && !is_tied()
    };
    let extra = tensors.iter().zip(&taken).filter(|(tensor, taken)| !**taken && is_extra(tensor));
    let extra: Vec<String> =
        extra.map(|(tensor, _)| format!("{} {:?}", tensor.name.escape_debug(), tensor.shape)).collect();
    if missing.is_empty() && misshapen.is_empty() && extra.is_empty() {
        return Ok(theta);
    }
    let lists = [
        ("the loss has, the file has not: ", missing),
        ("the file has, the loss has not: ", extra),
        ("of another shape: ", misshapen),
    ];
    let lists: Vec<String> = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(head, list)| head.to_owned() + &joined(&list))
        .collect();
    Err(format!(
        "its tensors are not the loss's parameters; {}: give them the loss's names and shapes (mpass eval --json lists \
         them), or export model and checkpoints with examples/torch/export.py",
        lists.join("; ")
    ))
}

/// A list in words, cut off when it is long.
fn joined(list: &[String]) -> String {
    let rest = list.len().saturating_sub(MOST);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    list[..list.len() - rest].join(", ") + &more
}

/// The values with axis `order[i]` as axis i; `None` unless they then have the shape.
fn transposed<'t>(
    tensor: &'t Tensor,
    order: Option<&[usize]>,
    shape: &[u64],
) -> Option<Box<dyn Iterator<Item = f64> + 't>> {
    let is = |axes: &[usize]| axes.iter().map(|axis| *axis as u64).eq(shape.iter().copied());
    let Some(order) = order else { return is(&tensor.shape).then(|| Box::new(tensor.values.iter().copied()) as _) };
    let mut strides = vec![1; tensor.shape.len()];
    for axis in (1..tensor.shape.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.shape[axis];
    }
    let axes: Option<Vec<(usize, usize)>> =
        order.iter().map(|axis| Some((*tensor.shape.get(*axis)?, *strides.get(*axis)?))).collect();
    let axes = axes.filter(|axes| axes.len() == tensor.shape.len())?;
    if !is(&axes.iter().map(|(size, _)| *size).collect::<Vec<usize>>()) {
        return None;
    }
    let index = move |i: usize| {
        let step = |(rest, index): (usize, usize), (size, stride): &(usize, usize)| {
            (rest / size, index + rest % size * stride)
        };
        axes.iter().rev().fold((i, 0), step).1
    };
    Some(Box::new((0..tensor.values.len()).map(move |i| tensor.values[index(i)])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Alias;

    fn block(name: &str, shape: &[u64], offset: u64) -> Parameter {
        Parameter { name: name.into(), shape: shape.into(), offset }
    }

    fn tensor(name: &str, shape: &[usize], from: f64) -> Tensor {
        let values = (0..shape.iter().product()).map(|i: usize| from + i as f64).collect();
        Tensor { name: name.into(), shape: shape.to_vec(), values, is_real: true }
    }

    fn blocks() -> [Parameter; 2] {
        [block("w", &[2, 3], 0), block("b", &[2], 6)]
    }

    #[test]
    fn tensors_take_the_places_of_their_names_in_any_order() {
        let (w, b) = (tensor("w", &[2, 3], 0.0), tensor("b", &[2], 10.0));
        let steps = Tensor { is_real: false, ..tensor("steps", &[4], 0.0) };
        let running = tensor("bn.running_mean", &[9], 0.0);
        let shared = Tensor { name: "head.w".into(), ..w.clone() };
        let found = theta(&[b, steps, w, running, shared], false, &blocks(), 8, None).unwrap();
        assert_eq!(found, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn metadata_name_and_transpose_but_not_for_onnx_files() {
        let alias = |initializer: &str, name: &str, transpose| Alias {
            initializer: initializer.into(),
            name: name.into(),
            transpose,
        };
        let aliases = vec![alias("w", "fc.weight", Some(vec![1, 0])), alias("b", "fc.bias", None)];
        let tensors = vec![tensor("table", &[5], 0.0)];
        let model = ModelFile { aliases, tensors, ..ModelFile::default() };
        let named = [tensor("fc.weight", &[3, 2], 0.0), tensor("fc.bias", &[2], 10.0)];
        let found = theta(&named, false, &blocks(), 8, Some(&model)).unwrap();
        assert_eq!(found, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 10.0, 11.0]);
        // Another export of the same model, its constants included.
        let own =
            [tensor("w", &[2, 3], 0.0), tensor("b", &[2], 10.0), tensor("table", &[5], 1.0), tensor("one", &[], 1.0)];
        assert_eq!(theta(&own, true, &blocks(), 8, Some(&model)).unwrap()[1], 1.0);
        assert!(
            theta(&own, false, &blocks(), 8, Some(&model))
                .unwrap_err()
                .contains("the file has, the loss has not: table [5]")
        );
        let three = tensor("t", &[2, 3, 4], 0.0);
        let three = transposed(&three, Some(&[2, 0, 1]), &[4, 2, 3]).unwrap().take(8);
        assert_eq!(three.collect::<Vec<f64>>(), [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 1.0, 5.0]);
    }

    #[test]
    fn what_does_not_fit_is_said_with_both_sides() {
        let fix = ": give them the loss's names and shapes (mpass eval --json lists them), or export model and \
                   checkpoints with examples/torch/export.py";
        let says = |tensors: &[Tensor]| {
            let fault = theta(tensors, false, &blocks(), 8, None).unwrap_err();
            let middle = fault.strip_prefix("its tensors are not the loss's parameters; ");
            middle.and_then(|fault| fault.strip_suffix(fix)).unwrap().to_owned()
        };
        let (w, b) = (tensor("w", &[2, 3], 0.0), tensor("b", &[2], 10.0));
        let renamed = [tensor("fc.w", &[2, 3], 0.0), tensor("fc.b", &[2], 0.0)];
        assert_eq!(
            says(&renamed),
            "the loss has, the file has not: w [2, 3], b [2]; the file has, the loss has not: fc.w [2, 3], fc.b [2]"
        );
        assert_eq!(says(std::slice::from_ref(&w)), "the loss has, the file has not: b [2]");
        assert_eq!(says(&[w.clone(), b.clone(), tensor("c", &[1], 0.5)]), "the file has, the loss has not: c [1]");
        assert_eq!(says(&[tensor("w", &[3, 2], 0.0), b.clone()]), "of another shape: w [3, 2], not [2, 3]");
        let many: Vec<Tensor> = (0..9).map(|i| tensor(&format!("t{i}"), &[1], f64::from(i))).chain([w, b]).collect();
        assert!(says(&many).ends_with("t5 [1] and 3 more"));
        assert_eq!(
            theta(&many, false, &[], 8, None).unwrap_err(),
            "named tensors, but the loss names no parameters: give a .npy of shape (8,)"
        );
    }
}
