//! What is wrong with an ONNX file, said in one line that names what, where, and what to do.

use bytes::Bytes;
use mountainpass_network::model::Model;
use mountainpass_network::onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use mountainpass_network::onnx::{OnnxModel, Options};
use prost::Message;
use std::path::{Path, PathBuf};

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: Some(format!("node_{output}")),
        op_type: Some(op.to_owned()),
        ..NodeProto::default()
    }
}

fn weight(name: &str, dims: &[i64], count: usize) -> TensorProto {
    let raw: Vec<u8> = (0..count).flat_map(|i| (i as f32 / 8.0).to_le_bytes()).collect();
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(data_type::FLOAT),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// Axes: a number is a size, 0 an axis without one, and the first is the batch.
fn value(name: &str, of: i32, axes: &[&str]) -> ValueInfoProto {
    let dim = |axis: &&str| match axis.parse::<i64>() {
        Ok(size) => DimensionProto { dim_value: Some(size), dim_param: None },
        Err(_) => DimensionProto { dim_value: None, dim_param: Some((*axis).to_owned()) },
    };
    let shape = Some(TensorShapeProto { dim: axes.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(of), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }), ..ValueInfoProto::default() }
}

fn input(axes: &[&str]) -> ValueInfoProto {
    value("x", data_type::FLOAT, axes)
}

fn model(input: ValueInfoProto, nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let output = nodes.last().map(|node| value(&node.output[0], data_type::FLOAT, &["n"])).into_iter().collect();
    let graph = GraphProto { node: nodes, initializer, input: vec![input], output, ..GraphProto::default() };
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn linear() -> ModelProto {
    model(input(&["n", "4"]), vec![node("MatMul", &["x", "w"], "y")], vec![weight("w", &[4, 2], 8)])
}

fn refusal(model: &ModelProto) -> String {
    refusal_with(model, &Options::default())
}

fn refusal_with(model: &ModelProto, options: &Options) -> String {
    let text = OnnxModel::read(model.encode_to_vec().into(), None, options).unwrap_err().text;
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn an_operator_that_is_not_supported_is_named_with_node_and_opset() {
    const PAGE: &str = "; docs/networks.md lists all that are known";
    let nodes = vec![node("MatMul", &["x", "w"], "h"), node("Reluu", &["h"], "y")];
    let text = refusal(&model(input(&["n", "4"]), nodes, vec![weight("w", &[4, 2], 8)]));
    let known = "unknown operator \"Reluu\"; the nearest is \"Relu\"";
    assert_eq!(text, format!("node \"node_y\" (Reluu, opset 17): {known}{PAGE}"));
    // Operators of other domains are others, whatever they are called.
    let of = |domain: &str| NodeProto { domain: Some(domain.into()), ..node("Relu", &["x"], "y") };
    let refused = |domain: &str| refusal(&model(input(&["n", "4"]), vec![of(domain)], vec![]));
    let text = refused("com.microsoft");
    assert!(text.contains("): unknown operator \"com.microsoft.Relu\"; the nearest is \"com.microsoft."), "{text}");
    assert!(text.ends_with(PAGE), "{text}");
    assert_eq!(
        refused("my.own"),
        "node \"node_y\" (Relu, opset 17): the operator Relu is of the domain \"my.own\": known are ONNX's own and \
         com.microsoft"
    );
    // Behind the output that is asked for, it does not matter.
    let nodes = vec![node("MatMul", &["x", "w"], "h"), node("STFT", &["h"], "y")];
    let file = model(input(&["n", "4"]), nodes, vec![weight("w", &[4, 2], 8)]);
    let options = Options { output: Some("h".into()), ..Options::default() };
    assert!(OnnxModel::read(file.encode_to_vec().into(), None, &options).is_ok());
}

#[test]
fn a_size_that_the_batch_does_not_settle_is_refused() {
    let free = model(input(&["n", "width"]), vec![node("Relu", &["x"], "y")], vec![]);
    assert_eq!(
        refusal(&free),
        "input \"x\": the size of axis 1, \"width\", is not in the file and not settled by the batch: export it with a \
         fixed size"
    );
    let options = Options { sizes: vec![("width".into(), 3)], ..Options::default() };
    let read = OnnxModel::read(free.encode_to_vec().into(), None, &options).unwrap();
    assert_eq!(read.features()[0].shape, [3]);
    // A shape made of the inputs' numbers.
    let nodes = vec![
        node("ReduceSum", &["x"], "s"),
        NodeProto {
            attribute: vec![AttributeProto {
                name: Some("to".into()),
                i: Some(i64::from(data_type::INT64)),
                ..AttributeProto::default()
            }],
            ..node("Cast", &["s"], "i")
        },
        node("Reshape", &["x", "i"], "y"),
    ];
    assert_eq!(
        refusal(&model(input(&["n", "4"]), nodes, vec![])),
        "node \"node_y\" (Reshape, opset 17): an argument that decides shapes depends on the numbers of the inputs, not \
         only on the batch size"
    );
    let whole = value("x", data_type::INT64, &["n", "2"]);
    let nodes = vec![node("Reshape", &["w", "x"], "y")];
    assert_eq!(
        refusal(&model(whole, nodes, vec![weight("w", &[4, 2], 8)])),
        "node \"node_y\" (Reshape, opset 17): an argument that decides shapes depends on the numbers of the inputs, not \
         only on the batch size"
    );
    assert_eq!(
        refusal(&model(input(&[]), vec![node("Relu", &["x"], "y")], vec![])),
        "input \"x\" has no axes, expected the batch first"
    );
}

#[test]
fn shapes_that_disagree_are_shown() {
    let file = |op: &str, dims: &[i64], count| {
        model(input(&["n", "4"]), vec![node(op, &["x", "w"], "y")], vec![weight("w", dims, count)])
    };
    assert_eq!(
        refusal(&file("MatMul", &[3, 2], 6)),
        "node \"node_y\" (MatMul, opset 17): MatMul of [[3, 4], [3, 2]]: the sizes do not match"
    );
    assert_eq!(
        refusal(&file("Add", &[3], 3)),
        "node \"node_y\" (Add, opset 17): [[3, 4], [3]] cannot be repeated to one shape"
    );
    assert_eq!(
        refusal(&file("Conv", &[2, 3, 3, 3], 54)),
        "node \"node_y\" (Conv, opset 17): an array of [3, 4], other than [n, channels, ..., width], is not supported"
    );
    let reshaped = model(
        input(&["n", "4"]),
        vec![node("Reshape", &["x", "to"], "y")],
        vec![TensorProto {
            name: Some("to".into()),
            dims: vec![2],
            data_type: Some(data_type::INT64),
            int64_data: vec![-1, 5],
            ..TensorProto::default()
        }],
    );
    assert_eq!(refusal(&reshaped), "node \"node_y\" (Reshape, opset 17): [3, 4] cannot take the shape [-1, 5]");
}

#[test]
fn lists_that_only_a_fault_makes_long_are_refused_at_once() {
    let whole = |name: &str, i: i64| TensorProto {
        name: Some(name.into()),
        data_type: Some(data_type::INT64),
        int64_data: vec![i],
        ..TensorProto::default()
    };
    let numbers = || vec![whole("start", 0), whole("end", 5_000_000), whole("step", 1)];
    let range = node("Range", &["start", "end", "step"], "axes");
    let nodes = vec![range.clone(), node("Unsqueeze", &["x", "axes"], "y")];
    assert_eq!(
        refusal(&model(input(&["n", "4"]), nodes, numbers())),
        "node \"node_y\" (Unsqueeze, opset 17): a list of 5000000 axes"
    );
    let nodes = vec![range, node("Pad", &["x", "axes"], "y")];
    let text = refusal(&model(input(&["n", "4"]), nodes, numbers()));
    assert!(text.len() < 5000 && text.ends_with(" ..."), "{text}");
    let mut all = numbers();
    all[1] = whole("end", i64::MAX);
    let text = refusal(&model(input(&["n", "4"]), vec![node("Range", &["start", "end", "step"], "y")], all));
    assert_eq!(text, "node \"node_y\" (Range, opset 17): it needs a table of 9223372036854775808 numbers");
}

#[test]
fn what_is_no_onnx_file_is_said_to_be_none() {
    let read =
        |bytes: &'static [u8]| OnnxModel::read(Bytes::from_static(bytes), None, &Options::default()).unwrap_err().text;
    let none = "no ONNX file, or a broken one: ";
    assert_eq!(read(b""), format!("{none}it has no graph or no version of operators"));
    let text = read(b"PK\x03\x04 a zip file");
    assert!(text.starts_with(none) && !text.contains('\n'), "{text}");
    let whole = linear().encode_to_vec();
    let cut = OnnxModel::read(whole[..whole.len() - 9].to_vec().into(), None, &Options::default()).unwrap_err().text;
    assert!(cut.starts_with(none), "{cut}");
    let mut old = linear();
    old.opset_import[0].version = Some(9);
    assert_eq!(refusal(&old), "its operators are of opset 9: export it with 11 or later");
    old.opset_import.clear();
    assert_eq!(refusal(&old), format!("{none}it has no graph or no version of operators"));
}

#[test]
fn values_that_nothing_computes_are_named() {
    let from_nothing = model(input(&["n", "4"]), vec![node("Add", &["x", "z"], "y")], vec![]);
    assert_eq!(refusal(&from_nothing), "node \"node_y\" takes \"z\", which nothing before it computes");
    let circle = vec![node("Add", &["x", "b"], "a"), node("Relu", &["a"], "b"), node("Relu", &["b"], "y")];
    let text = refusal(&model(input(&["n", "4"]), circle, vec![]));
    assert_eq!(text, "node \"node_a\" takes \"b\", which nothing before it computes");
    let options = Options { output: Some("logit".into()), ..Options::default() };
    let text = refusal_with(&model(input(&["n", "4"]), vec![node("Relu", &["x"], "logits")], vec![]), &options);
    assert_eq!(text, "unknown output \"logit\"; the nearest is \"logits\"");
    let options = Options { frozen: vec!["v".into()], ..Options::default() };
    assert_eq!(refusal_with(&linear(), &options), "unknown initializer \"v\"; the nearest is \"w\"");
}

#[test]
fn initializers_of_the_wrong_size_are_refused() {
    let with = |tensor: TensorProto| {
        let mut file = linear();
        file.graph.as_mut().unwrap().initializer[0] = tensor;
        refusal(&file)
    };
    assert_eq!(with(weight("w", &[4, 2], 7)), "tensor \"w\" has 28 bytes, but [4, 2] wants 32");
    let fields = TensorProto { raw_data: None, float_data: vec![1.0; 9], ..weight("w", &[4, 2], 0) };
    assert_eq!(with(fields), "tensor \"w\" has 9 numbers, but [4, 2] wants 8");
    assert_eq!(with(weight("w", &[-4, 2], 8)), "tensor \"w\" has the shape [-4, 2]");
    assert_eq!(
        with(weight("w", &[1 << 40, 1 << 40], 8)),
        "tensor \"w\" of the shape [1099511627776, 1099511627776] has more than 2 GB: networks of that size are not read"
    );
    assert_eq!(with(weight("w", &[1; 65], 1)), "tensor \"w\" has 65 axes");
    let text = TensorProto { data_type: Some(8), ..weight("w", &[4, 2], 8) };
    assert_eq!(with(text), "tensor \"w\" holds string: only reals, whole numbers and bool are read");
}

/// An empty folder below the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx_refusals").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("model")).unwrap();
    folder
}

#[test]
fn weights_in_other_files_are_read_from_the_models_folder_only() {
    let here = folder("external");
    let model_file = here.join("model/m.onnx");
    let with = |entries: &[(&str, &str)]| {
        let mut file = linear();
        let tensor = &mut file.graph.as_mut().unwrap().initializer[0];
        tensor.raw_data = None;
        tensor.data_location = Some(1);
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        tensor.external_data = entries.iter().map(entry).collect();
        std::fs::write(&model_file, file.encode_to_vec()).unwrap();
        let text = OnnxModel::open(&model_file, &Options::default()).map(|_| ()).map_err(|error| error.text);
        text.map_err(|text| text.strip_prefix(&format!("model {model_file:?}: ")).unwrap().to_owned())
    };
    let missing = "tensor \"w\" is in the file \"w.bin\", which is not beside the model: keep both in one folder";
    assert_eq!(with(&[("location", "w.bin")]).unwrap_err(), missing);
    std::fs::write(here.join("model/w.bin"), [0; 40]).unwrap();
    assert_eq!(with(&[("location", "w.bin")]), Ok(()));
    assert_eq!(with(&[("location", "./w.bin"), ("offset", "8"), ("length", "32")]), Ok(()));
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("location", "w.bin"), ("offset", "16")], "tensor \"w\": 32 bytes from 16 on of \"w.bin\", which has 40"),
        (
            &[("location", "w.bin"), ("offset", "18446744073709551615")],
            "tensor \"w\": 32 bytes from 18446744073709551615 on of \"w.bin\", which has 40",
        ),
        (&[("location", "w.bin"), ("length", "12")], "tensor \"w\": 12 bytes of \"w.bin\", expected 32"),
        (&[("location", "w.bin"), ("offset", "-1")], "tensor \"w\": external offset is \"-1\", expected a number"),
    ];
    for (entries, message) in cases {
        assert_eq!(with(entries).unwrap_err(), message);
    }
    // Outside: by name, by root, by nothing, by a link.
    std::fs::write(here.join("secret.bin"), [0; 32]).unwrap();
    let root = here.join("secret.bin");
    let escapes = |location: &str| {
        let text = format!("tensor \"w\" is in the file {location:?}: only files inside the model's folder are read");
        assert_eq!(with(&[("location", location)]).unwrap_err(), text);
    };
    escapes("../secret.bin");
    escapes(root.to_str().unwrap());
    escapes("");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&root, here.join("model/link.bin")).unwrap();
        escapes("link.bin");
    }
    // From bytes alone there is no folder.
    let bytes = std::fs::read(&model_file).unwrap();
    let text = OnnxModel::read(bytes.into(), None, &Options::default()).unwrap_err().text;
    assert_eq!(text, "tensor \"w\" is in another file, but the model was given as bytes");
}

#[test]
fn files_that_are_missing_or_folders_are_named() {
    let here = folder("paths");
    let open = |path: &Path| OnnxModel::open(path, &Options::default()).unwrap_err().text;
    let path = here.join("none.onnx");
    assert_eq!(open(&path), format!("model {path:?}: no such file"));
    let path = here.join("model");
    assert!(open(&path).starts_with(&format!("model {path:?}: ")), "{}", open(&path));
}
