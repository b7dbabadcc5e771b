//! What a checkpoint holds beside parameters: the running statistics of batch normalisations.
//!
//! They are no part of theta. A loss that takes its statistics from the model's file is only a checkpoint's own where
//! the checkpoint's agree with them.

use super::tensor::Tensor;
use crate::onnx::BATCHNORM;

/// What torch calls them.
const NAMES: [&str; 3] = ["running_mean", "running_var", "num_batches_tracked"];

/// Whether a name is that of a running statistic, `bn1.running_mean` or so.
pub(super) fn is_statistic(name: &str) -> bool {
    NAMES.contains(&name.rsplit('.').next().unwrap_or(name))
}

/// Refuses running statistics that differ from file to file: a loss that takes those of its model has one set of them. The
/// last are the model's.
pub fn agree(files: &[Vec<Tensor>]) -> Result<(), String> {
    let names = differing(files).join(", ");
    match names.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the checkpoints' running statistics differ, from each other or from the model's ({names}), but a loss of \
             frozen statistics has one set of them: set [loss] {BATCHNORM} = \"recomputed\""
        )),
    }
}

/// The names of means and variances that one file has otherwise than another that has them too, in the order in which
/// they come up.
fn differing(files: &[Vec<Tensor>]) -> Vec<&str> {
    let mut seen: Vec<&Tensor> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for tensor in files.iter().flatten().filter(|tensor| tensor.is_real) {
        match seen.iter().find(|other| other.name == tensor.name) {
            Some(other) if !alike(&other.values, &tensor.values) => {
                if !names.contains(&tensor.name.as_str()) {
                    names.push(&tensor.name);
                }
            }
            Some(_) => {}
            None => seen.push(tensor),
        }
    }
    names
}

/// Equal but for a rounding to single precision: one file may hold the other's numbers in fewer digits.
pub(super) fn alike(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| *a as f32 == *b as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_that_differ_are_named_once() {
        let tensor =
            |name: &str, value: f64| Tensor { name: name.into(), shape: vec![1], values: vec![value], is_real: true };
        let file = |mean: f64| vec![tensor("bn.running_mean", mean), tensor("bn.running_var", 1.0)];
        let (a, b, c) = (file(0.0), file(0.0), file(3.0));
        assert!(differing(&[a.clone(), b.clone()]).is_empty());
        assert_eq!(differing(&[a, c.clone(), b, c]), ["bn.running_mean"]);
        assert!(is_statistic("num_batches_tracked") && !is_statistic("running_mean.weight"));
    }
}
