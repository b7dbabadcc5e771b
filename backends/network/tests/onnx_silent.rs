//! What a file could be taken for in silence: a final activation that the objective does not apply, classes along another
//! axis, folded normalisations, and parameters that the exporter made.

use mountainpass_network::DataTerm;
use mountainpass_network::model::{Model, OutputKind};
use mountainpass_network::onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use mountainpass_network::onnx::{OnnxModel, Options};
use prost::Message;

const FLOAT: i32 = 1;
const BOOL: i32 = 9;

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(FLOAT),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn node(op: &str, input: &[&str], output: &str, axis: Option<i64>) -> NodeProto {
    let attribute = axis.map(|axis| AttributeProto { name: Some("axis".into()), i: Some(axis), ..Default::default() });
    NodeProto {
        op_type: Some(op.into()),
        input: input.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        attribute: attribute.into_iter().collect(),
        ..NodeProto::default()
    }
}

fn value(name: &str, axes: &[i64]) -> ValueInfoProto {
    let axis = |size: &i64| DimensionProto {
        dim_value: (*size > 0).then_some(*size),
        dim_param: (*size == 0).then(|| "n".into()),
    };
    let shape = Some(TensorShapeProto { dim: axes.iter().map(axis).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(FLOAT), shape });
    let r#type = Some(TypeProto { tensor_type });
    ValueInfoProto { name: Some(name.into()), r#type, ..ValueInfoProto::default() }
}

/// x, of three numbers a sample, through the nodes to z.
fn file(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node,
        initializer,
        input: vec![value("x", &[0, 3])],
        output: vec![value("z", &[])],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(18) }];
    ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() }
}

fn weights() -> Vec<TensorProto> {
    vec![tensor("w", &[3, 4], &[0.5, -1.0, 0.25, 2.0, 1.5, 0.75, -0.5, 0.0, 1.0, 0.125, -2.0, 0.3])]
}

fn open(model: &ModelProto, options: &Options) -> Result<OnnxModel, String> {
    OnnxModel::read(model.encode_to_vec().into(), None, options).map_err(|error| error.text)
}

/// What is made of an affine map with an activation at its end: what its numbers are, and whether the activation is there.
fn ended(op: &str, behind: &[NodeProto], objective: DataTerm) -> Result<(OutputKind, bool), String> {
    let last = if behind.is_empty() { "z" } else { "a" };
    let axis = (op != "Sigmoid").then_some(-1);
    let mut nodes = vec![node("MatMul", &["x", "w"], "h", None), node(op, &["h"], last, axis)];
    nodes.extend_from_slice(behind);
    let model = open(&file(nodes, weights()), &Options { objective: Some(objective), ..Options::default() })?;
    let is_there = model.network(2).unwrap().graph.nodes().len() > 3;
    Ok((model.kind(), is_there))
}

#[test]
fn an_activation_is_left_out_only_where_the_objective_applies_it() {
    use DataTerm::{BinaryCrossEntropy, CrossEntropy, Mae, Mse};
    use OutputKind::{Logits, Probabilities};
    for op in ["Sigmoid", "Softmax", "LogSoftmax"] {
        for term in [Mse, Mae] {
            assert_eq!(ended(op, &[], term), Ok((Logits, true)), "{op} {term:?}");
        }
    }
    for op in ["Softmax", "LogSoftmax"] {
        assert_eq!(ended(op, &[], CrossEntropy), Ok((Logits, false)), "{op}");
    }
    assert_eq!(ended("Sigmoid", &[], BinaryCrossEntropy), Ok((Logits, false)));
    assert_eq!(ended("Softmax", &[], BinaryCrossEntropy), Ok((Probabilities, true)));
    let fault = ended("Sigmoid", &[], CrossEntropy).unwrap_err();
    assert!(fault.contains("no probabilities of one class") && fault.ends_with("output = \"h\" names what enters it"));
    // Behind it, its numbers are only moved.
    let moved = [node("Identity", &["a"], "b", None), node("Flatten", &["b"], "z", None)];
    assert_eq!(ended("Sigmoid", &moved, BinaryCrossEntropy), Ok((Probabilities, true)));
    assert!(ended("Softmax", &moved, CrossEntropy).unwrap_err().contains("say what it is by output_kind"));
}

#[test]
fn what_is_said_of_an_output_is_heeded_or_refused() {
    let nodes = || vec![node("MatMul", &["x", "w"], "h", None), node("Sigmoid", &["h"], "z", None)];
    let with = |objective, kind| {
        let options = Options { objective: Some(objective), output_kind: Some(kind), ..Options::default() };
        open(&file(nodes(), weights()), &options).map(|model| model.kind())
    };
    assert!(with(DataTerm::Mse, OutputKind::Logits).unwrap_err().contains("is a Sigmoid, which this objective keeps"));
    assert_eq!(with(DataTerm::Mse, OutputKind::Probabilities), Ok(OutputKind::Probabilities));
    assert_eq!(with(DataTerm::CrossEntropy, OutputKind::Probabilities), Ok(OutputKind::Probabilities));
    assert!(with(DataTerm::CrossEntropy, OutputKind::Logits).is_err());
}

#[test]
fn a_softmax_over_another_axis_than_that_of_the_classes_is_refused() {
    let options = |class_axis| Options { objective: Some(DataTerm::CrossEntropy), class_axis, ..Options::default() };
    let shape =
        TensorProto { data_type: Some(7), float_data: vec![], int64_data: vec![-1, 2, 2], ..tensor("s", &[3], &[]) };
    let nodes = vec![
        node("MatMul", &["x", "w"], "h", None),
        node("Reshape", &["h", "s"], "r", None),
        node("Softmax", &["r"], "z", Some(1)),
    ];
    let file = file(nodes, [weights(), vec![shape]].concat());
    assert!(open(&file, &options(None)).unwrap_err().ends_with("along another: set class_axis = 1"));
    assert!(open(&file, &options(Some(-1))).is_err());
    for axis in [1, -2] {
        let notes = open(&file, &options(Some(axis))).unwrap().notes().join("\n");
        assert!(notes.starts_with("the final Softmax of \"z\" is left out"), "{notes}");
    }
}

#[test]
fn statistics_that_are_folded_away_cannot_be_recomputed() {
    let linear = file(vec![node("MatMul", &["x", "w"], "z", None)], weights());
    let recomputed = |recomputed| Options { recomputed, ..Options::default() };
    assert!(open(&linear, &recomputed(Some(true))).unwrap_err().contains("no BatchNormalization node is left"));
    assert!(open(&linear, &recomputed(Some(false))).is_ok());
    // In training it takes those of the samples, unless it is told not to.
    let training = AttributeProto { name: Some("training_mode".into()), i: Some(1), ..Default::default() };
    let mut normalised = node("BatchNormalization", &["h", "s", "b", "m", "v"], "z", None);
    normalised.attribute = vec![training];
    let of_four = |name: &str, value: f32| tensor(name, &[4], &[value, 1.0, 2.0, 3.0]);
    let four = [of_four("s", 0.5), of_four("b", 0.0), of_four("m", 0.1), of_four("v", 2.0)];
    let file = file(vec![node("MatMul", &["x", "w"], "h", None), normalised], [weights(), four.to_vec()].concat());
    let model = open(&file, &recomputed(None)).unwrap();
    assert!(
        model.network(3).unwrap().is_joint && model.notes()[0].starts_with("its batch normalisations are in training")
    );
    let model = open(&file, &recomputed(Some(false))).unwrap();
    assert!(!model.network(3).unwrap().is_joint && model.notes().is_empty());
}

#[test]
fn dropout_in_training_is_told() {
    let mode = |on: f32| {
        let mode = TensorProto {
            data_type: Some(BOOL),
            int32_data: vec![on as i32],
            float_data: vec![],
            ..tensor("t", &[], &[])
        };
        let nodes = vec![node("MatMul", &["x", "w"], "h", None), node("Dropout", &["h", "", "t"], "z", None)];
        open(&file(nodes, [weights(), vec![mode]].concat()), &Options::default()).unwrap().notes().join("\n")
    };
    assert_eq!(mode(1.0), "its Dropout is in training: left out, as in evaluation");
    assert_eq!(mode(0.0), "");
}

#[test]
fn theta_that_is_not_the_modules_is_told() {
    let turned: Vec<f32> = (0..12).map(|i| weights()[0].float_data[i % 3 * 4 + i / 3]).collect();
    let table = tensor("A", &[3, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 2.0]);
    let nodes = || {
        vec![
            node("MatMul", &["x", "A"], "y", None),
            node("MatMul", &["y", "w"], "h", None),
            node("MatMul", &["h", "val_2"], "z", None),
        ]
    };
    let all = || [weights(), vec![table.clone(), tensor("val_2", &[4, 3], &turned)]].concat();
    let notes = |model: &ModelProto| open(model, &Options::default()).unwrap().notes().join("\n");
    let plain = notes(&file(nodes(), all()));
    for part in [
        "theta has val_2, which the exporter made",
        "copies, which are parameters of their own: val_2 of w",
        "whole numbers: A:",
    ] {
        assert!(plain.contains(part), "{plain}");
    }
    // Torch's exporter says which are parameters.
    let mut told = file(nodes(), all());
    let signature = "\n# inputs\np_w: PARAMETER target='w'\np_e: PARAMETER target='e'\nb_a: BUFFER target='A'\n";
    let key = Some("pkg.torch.export.ExportedProgram.graph_signature".into());
    told.graph.as_mut().unwrap().metadata_props = vec![StringStringEntryProto { key, value: Some(signature.into()) }];
    let told = notes(&told);
    assert!(told.contains("theta has A, val_2, which the exporter made"), "{told}");
    assert!(told.contains("of no use): e"), "{told}");
    let own = file(vec![node("MatMul", &["x", "w"], "z", None)], weights());
    assert_eq!(notes(&own), "");
}

#[test]
fn frozen_names_are_patterns() {
    let nodes = vec![node("MatMul", &["x", "base.a"], "h", None), node("MatMul", &["h", "head"], "z", None)];
    let named =
        |name: &str, dims: &[i64]| TensorProto { name: Some(name.into()), dims: dims.to_vec(), ..weights().remove(0) };
    let file = file(nodes, vec![named("base.a", &[3, 4]), named("head", &[4, 3])]);
    let frozen =
        |names: &[&str]| Options { frozen: names.iter().map(|name| (*name).into()).collect(), ..Options::default() };
    let left = |names: &[&str]| open(&file, &frozen(names)).map(|model| model.parameters().len());
    assert_eq!((left(&["base.*"]), left(&["*"])), (Ok(1), Ok(0)));
    assert!(left(&["bass.*"]).unwrap_err().contains("unknown initializer \"bass.*\""));
}
