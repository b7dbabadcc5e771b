//! From named tensors to theta: every parameter takes the tensor of its name.
//!
//! In an ONNX checkpoint that is the initializer's name. In others, what the metadata of the model's ONNX file call the
//! parameter comes first, with its transposition, because a name that both know may stand for either layout; then the
//! parameter's own name, and then those that the file has for the same numbers. Nothing is guessed from shapes or order:
//! what does not fit is refused, with both sides, and so is a tensor that the loss has as a constant of other numbers.

use super::model_file::ModelFile;
use super::statistics::{alike, is_statistic};
use super::tensor::Tensor;
use crate::onnx::Alias;
use mountainpass_sdk::{Parameter, memory};

/// So many of each list are written out.
const MOST: usize = 6;

/// A tensor by its number, and the order in which its axes are taken.
type Found<'m> = Option<(usize, Option<&'m [usize]>)>;

/// Theta of named tensors, or the end of a sentence that says what does not fit.
pub(super) fn of_tensors(
    tensors: &[Tensor],
    parameters: &[Parameter],
    params: usize,
    model: Option<&ModelFile>,
) -> Result<Vec<f64>, String> {
    let find = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
    let named = |block: &Parameter| {
        let alias = model.and_then(|model| model.alias(&block.name));
        let by_alias = alias.and_then(|alias| Some((find(&alias.name)?, alias.transpose.as_deref())));
        let mut others = model.into_iter().flat_map(|model| model.others(&block.name));
        by_alias.or_else(|| Some((find(&block.name).or_else(|| others.find_map(find))?, None)))
    };
    // A checkpoint that holds what is shared once may have it by the other name than the exporter, which merged the two.
    let missing = parameters.iter().filter(|block| named(block).is_none()).count();
    let merged = |block: &Parameter| {
        let fits = |at: &usize| transposed(&tensors[*at], None, &block.shape).is_some();
        let mut found = model?.merged.iter().filter_map(|name| find(name)).filter(fits);
        let first = found.next().filter(|_| missing == 1 && found.next().is_none())?;
        Some((first, None))
    };
    let of = |block: &Parameter| named(block).or_else(|| merged(block));
    let own = |tensor: &Tensor| {
        let file = model?;
        let own = file.tensors.iter().find(|own| file.called(&own.name) == tensor.name)?;
        Some((own, file.alias(&own.name).and_then(|alias| alias.transpose.as_deref())))
    };
    let tied = |tensor: &Tensor, other: &Tensor| other.shape == tensor.shape && other.values == tensor.values;
    let unheard = |tensor: &Tensor, taken: &[&Tensor]| {
        // Torch lists a weight that two layers share twice.
        tensor.is_real && !taken.iter().any(|other| tied(tensor, other))
    };
    let is_known = |tensor: &Tensor| {
        let by_model = own(tensor).zip(model).is_some_and(|((own, _), model)| model.is_statistic(own));
        by_model || is_statistic(&tensor.name)
    };
    laid(tensors, (parameters, params, model), of, Rest { own: &own, is_known: &is_known, unheard: &unheard })
}

/// The same of an ONNX file, the initializers of the same names; where both files say what those are, they say the same.
pub(super) fn of_file(
    file: &ModelFile,
    parameters: &[Parameter],
    params: usize,
    model: Option<&ModelFile>,
) -> Result<Vec<f64>, String> {
    let unlike = |alias: &&Alias| {
        let other = model.and_then(|model| model.alias(&alias.initializer));
        other.is_some_and(|other| other != *alias)
    };
    if let Some(alias) = file.aliases.iter().find(unlike) {
        let (initializer, name) = (alias.initializer.escape_debug(), alias.name.escape_debug());
        return Err(format!("its {initializer} is {name}, and the model's is not: it is no export of the same module"));
    }
    let of = |block: &Parameter| Some((file.tensors.iter().position(|tensor| tensor.name == block.name)?, None));
    let own = |tensor: &Tensor| Some((model?.tensors.iter().find(|own| own.name == tensor.name)?, None));
    // Scalars are numbers of the exporter's.
    let unheard = |tensor: &Tensor, _: &[&Tensor]| tensor.is_real && tensor.values.len() > 1;
    let is_known = |tensor: &Tensor| file.is_statistic(tensor);
    laid(&file.tensors, (parameters, params, model), of, Rest { own: &own, is_known: &is_known, unheard: &unheard })
}

/// What the model has in the place of a tensor, and the order in which the tensor's axes are taken.
type Own<'m> = Option<(&'m Tensor, Option<&'m [usize]>)>;

/// What is to be said of tensors that are no parameters.
struct Rest<'a, 'm> {
    /// What the model's file has of this name, and how its axes are taken.
    own: &'a dyn Fn(&Tensor) -> Own<'m>,
    /// Whether it may differ.
    is_known: &'a dyn Fn(&Tensor) -> bool,
    /// Whether nobody knows what it is for, beside those that are parameters.
    unheard: &'a dyn Fn(&Tensor, &[&Tensor]) -> bool,
}

/// Theta, each block from the tensor that `of` finds for it.
fn laid<'m>(
    tensors: &[Tensor],
    (parameters, params, model): (&[Parameter], usize, Option<&ModelFile>),
    of: impl Fn(&Parameter) -> Found<'m>,
    rest: Rest<'_, 'm>,
) -> Result<Vec<f64>, String> {
    if parameters.is_empty() {
        return Err(format!("named tensors, but the loss names no parameters: give a .npy of shape ({params},)"));
    }
    let (mut theta, mut taken) = (memory::filled(0.0, params)?, vec![false; tensors.len()]);
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    for block in parameters {
        let Some((at, order)) = of(block) else {
            let alias = model.and_then(|model| model.alias(&block.name));
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
            _ => misshapen.push(format!("{}, not {:?}", listed(&tensors[at]), block.shape)),
        }
    }
    let parts: Vec<&Tensor> = tensors.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(part, _)| part).collect();
    let others = tensors.iter().zip(&taken).filter(|(tensor, taken)| !**taken && !(rest.is_known)(tensor));
    let (mut extra, mut unlike) = (Vec::new(), Vec::new());
    for (tensor, _) in others {
        match (rest.own)(tensor) {
            Some((own, order)) if !is_constant(tensor, own, order) => unlike.push(listed(tensor)),
            None if (rest.unheard)(tensor, &parts) => extra.push(listed(tensor)),
            _ => {}
        }
    }
    if missing.is_empty() && misshapen.is_empty() && extra.is_empty() && unlike.is_empty() {
        return Ok(theta);
    }
    let lists = [
        ("the loss has, the file has not: ", missing),
        ("the file has, the loss has not: ", extra),
        ("of another shape: ", misshapen),
        ("constants of the loss, with other numbers than the model's: ", unlike),
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

/// Whether a tensor has the numbers that the model has in its place.
fn is_constant(tensor: &Tensor, own: &Tensor, order: Option<&[usize]>) -> bool {
    let shape: Vec<u64> = own.shape.iter().map(|size| *size as u64).collect();
    let values = transposed(tensor, order, &shape).map(|values| values.collect::<Vec<f64>>());
    values.is_some_and(|values| alike(&values, &own.values))
}

/// A tensor in a list.
fn listed(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.name.escape_debug(), tensor.shape)
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
        let found = of_tensors(&[b, steps, w, running, shared], &blocks(), 8, None).unwrap();
        assert_eq!(found, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn metadata_name_and_transpose_and_constants_are_those_of_the_model() {
        let alias = |initializer: &str, name: &str, transpose| Alias {
            initializer: initializer.into(),
            name: name.into(),
            transpose,
        };
        let aliases = vec![alias("w", "fc.weight", Some(vec![1, 0])), alias("b", "fc.bias", None)];
        let tensors = vec![tensor("table", &[5], 0.0)];
        let model = ModelFile { aliases, tensors, ..ModelFile::default() };
        let named = [tensor("fc.weight", &[3, 2], 0.0), tensor("fc.bias", &[2], 10.0)];
        let found = of_tensors(&named, &blocks(), 8, Some(&model)).unwrap();
        assert_eq!(found, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 10.0, 11.0]);
        // Another export of the same model, its constants included.
        let other = |table: f64| ModelFile {
            tensors: vec![
                tensor("w", &[2, 3], 0.0),
                tensor("b", &[2], 10.0),
                tensor("table", &[5], table),
                tensor("one", &[], 1.0),
            ],
            ..ModelFile::default()
        };
        assert_eq!(of_file(&other(0.0), &blocks(), 8, Some(&model)).unwrap()[1], 1.0);
        let unlike = "constants of the loss, with other numbers than the model's: table [5]";
        assert!(of_file(&other(1.0), &blocks(), 8, Some(&model)).unwrap_err().contains(unlike));
        assert!(
            of_file(&other(0.0), &blocks(), 8, None).unwrap_err().contains("the file has, the loss has not: table [5]")
        );
        // A full state dict, of which the loss has a part.
        let full = |table: f64| [&named[..], &[tensor("table", &[5], table)]].concat();
        assert!(of_tensors(&full(0.0), &blocks(), 8, Some(&model)).is_ok());
        assert!(of_tensors(&full(1.0), &blocks(), 8, Some(&model)).unwrap_err().contains(unlike));
        // Of two tied weights the exporter keeps one, and the checkpoint the other.
        let merged = ModelFile { merged: vec!["e".into(), "unused".into()], ..ModelFile::default() };
        let tied = [tensor("e", &[2, 3], 0.0), tensor("b", &[2], 10.0)];
        assert_eq!(of_tensors(&tied, &blocks(), 8, Some(&merged)).unwrap()[5], 5.0);
        let unclear = [&tied[..], &[tensor("unused", &[2, 3], 1.0)]].concat();
        assert!(of_tensors(&unclear, &blocks(), 8, Some(&merged)).unwrap_err().contains("the file has not: w [2, 3]"));
        // The same initializer, and another tensor of the module.
        let another = ModelFile { aliases: vec![alias("b", "fc2.bias", None)], ..other(0.0) };
        assert!(of_file(&another, &blocks(), 8, Some(&model)).unwrap_err().starts_with("its b is fc2.bias, and "));
        let three = tensor("t", &[2, 3, 4], 0.0);
        let three = transposed(&three, Some(&[2, 0, 1]), &[4, 2, 3]).unwrap().take(8);
        assert_eq!(three.collect::<Vec<f64>>(), [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 1.0, 5.0]);
    }

    #[test]
    fn what_does_not_fit_is_said_with_both_sides() {
        let fix = ": give them the loss's names and shapes (mpass eval --json lists them), or export model and \
                   checkpoints with examples/torch/export.py";
        let says = |tensors: &[Tensor]| {
            let fault = of_tensors(tensors, &blocks(), 8, None).unwrap_err();
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
            of_tensors(&many, &[], 8, None).unwrap_err(),
            "named tensors, but the loss names no parameters: give a .npy of shape (8,)"
        );
    }
}
