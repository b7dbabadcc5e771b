//! What a file's initializers are called where it was exported from: the metadata `mountainpass.parameters`.
//!
//! Exporters rename and transpose weights. Our export script (`examples/torch/export.py`) writes down how, as a JSON
//! object `{initializer: {"name": state-dict name, "transpose": axes or null}}`, so that checkpoints find their places.

use super::messages::{GraphProto, StringStringEntryProto, entry};
use mountainpass_sdk::Error;
use serde_json::Value;

/// The key of the metadata.
pub(super) const KEY: &str = "mountainpass.parameters";

/// An initializer, and the tensor of a checkpoint that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name in the ONNX file.
    pub initializer: String,
    /// The name in checkpoints.
    pub name: String,
    /// Axis i of the initializer is axis `transpose[i]` of the tensor; `None` where they are laid out alike.
    pub transpose: Option<Vec<usize>>,
}

/// Reads the metadata, in the order of the initializers; what the file no longer holds (tools drop initializers) is
/// skipped.
pub(crate) fn read(metadata: &[StringStringEntryProto], graph: &GraphProto) -> Result<Vec<Alias>, Error> {
    let Some(text) = entry(metadata, KEY) else { return Ok(Vec::new()) };
    let wrong = |what: String| {
        Error::argument(format!("the file's metadata {KEY:?} {what}: export it again, or take the metadata out"))
    };
    let all: Value = serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON ({error})")))?;
    let all = all.as_object().ok_or_else(|| wrong("is no JSON object".into()))?;
    let mut aliases = Vec::new();
    for tensor in &graph.initializer {
        let Some(value) = all.get(tensor.name()) else { continue };
        let unclear = || {
            wrong(format!(
                "says of {:?}: {value}, expected {{\"name\": ..., \"transpose\": an order of its {} axes or null}}",
                tensor.name(),
                tensor.dims.len()
            ))
        };
        let name = value.get("name").and_then(Value::as_str).ok_or_else(unclear)?.to_owned();
        let transpose = match value.get("transpose") {
            None | Some(Value::Null) => None,
            Some(axes) => Some(order(axes, tensor.dims.len()).ok_or_else(unclear)?),
        };
        aliases.push(Alias { initializer: tensor.name().to_owned(), name, transpose });
    }
    Ok(aliases)
}

/// The numbers from 0 to `rank`, each once.
fn order(axes: &Value, rank: usize) -> Option<Vec<usize>> {
    let axes = axes.as_array()?.iter().map(|axis| axis.as_u64().and_then(|axis| usize::try_from(axis).ok()));
    let axes: Vec<usize> = axes.collect::<Option<_>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank).then_some(axes)
}

#[cfg(test)]
mod tests {
    use super::super::messages::TensorProto;
    use super::*;

    fn aliases(text: &str) -> Result<Vec<Alias>, Error> {
        let entry = StringStringEntryProto { key: Some(KEY.into()), value: Some(text.into()) };
        let tensor = |name: &str, dims: &[i64]| TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            ..TensorProto::default()
        };
        let initializer = vec![tensor("val_1", &[3, 2]), tensor("b", &[2]), tensor("other", &[1])];
        read(&[entry], &GraphProto { initializer, ..GraphProto::default() })
    }

    #[test]
    fn names_and_orders_of_axes_are_read() {
        let text = r#"{"b": {"name": "fc.bias", "transpose": null}, "gone": {"name": "x"},
                       "val_1": {"name": "fc.weight", "transpose": [1, 0]}}"#;
        let alias = |initializer: &str, name: &str, transpose| Alias {
            initializer: initializer.into(),
            name: name.into(),
            transpose,
        };
        let known = [alias("val_1", "fc.weight", Some(vec![1, 0])), alias("b", "fc.bias", None)];
        assert_eq!(aliases(text).unwrap(), known);
        assert_eq!(read(&[], &GraphProto::default()).unwrap(), []);
    }

    #[test]
    fn metadata_that_cannot_be_meant_is_refused() {
        let end = ": export it again, or take the metadata out";
        let of = "the file's metadata \"mountainpass.parameters\"";
        let says = |value: &str| {
            format!(
                "{of} says of \"b\": {value}, expected {{\"name\": ..., \"transpose\": an order of its 1 axes or null}}{end}"
            )
        };
        let cases = [
            ("[1]", format!("{of} is no JSON object{end}")),
            ("{", format!("{of} is no JSON (EOF while parsing an object at line 1 column 1){end}")),
            (r#"{"b": 3}"#, says("3")),
            (r#"{"b": {"name": "x", "transpose": [0, 1]}}"#, says(r#"{"name":"x","transpose":[0,1]}"#)),
            (r#"{"b": {"name": "x", "transpose": [-1]}}"#, says(r#"{"name":"x","transpose":[-1]}"#)),
        ];
        for (text, message) in cases {
            assert_eq!(aliases(text).unwrap_err().text, message, "{text}");
        }
    }
}
