//! Files that look rows up by indices that come with the samples.

mod caller;

use caller::{Array, Call, Loss};
use mountainpass_network::onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use prost::Message;

const W: [f64; 6] = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75];

/// What stands in x W, [n, 3], at the numbers i along an axis.
fn picked(axis: i64) -> ModelProto {
    let node = |op: &str, inputs: [&str; 2], output: &str, attribute| NodeProto {
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        op_type: Some(op.to_owned()),
        attribute,
        ..NodeProto::default()
    };
    let along = AttributeProto { name: Some("axis".into()), kind: Some(2), i: Some(axis), ..AttributeProto::default() };
    let value = |name: &str, of, width| {
        let dim = vec![
            DimensionProto { dim_value: None, dim_param: Some("n".into()) },
            DimensionProto { dim_value: Some(width), dim_param: None },
        ];
        let tensor_type = Some(TensorTypeProto { elem_type: Some(of), shape: Some(TensorShapeProto { dim }) });
        ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }), ..ValueInfoProto::default() }
    };
    let weight = TensorProto {
        name: Some("w".into()),
        dims: vec![2, 3],
        data_type: Some(data_type::DOUBLE),
        double_data: W.to_vec(),
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![node("MatMul", ["x", "w"], "h", Vec::new()), node("GatherElements", ["h", "i"], "z", vec![along])],
        initializer: vec![weight],
        input: vec![value("x", data_type::DOUBLE, 2), value("i", data_type::INT64, 3)],
        output: vec![value("z", data_type::DOUBLE, 3)],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(18) }];
    ModelProto { ir_version: Some(9), opset_import, graph: Some(graph), ..ModelProto::default() }
}

#[test]
fn indices_of_the_samples_look_along_their_own_axes_and_from_sample_to_sample() {
    let n = 5;
    let x: Vec<f64> = (0..2 * n).map(|k| f64::from((k * 7 % 11) as u8) / 5.0 - 1.0).collect();
    let y: Vec<f64> = (0..3 * n).map(|k| f64::from((k * 5 % 7) as u8) / 3.0).collect();
    let h = |sample: usize, unit: usize| x[2 * sample] * W[unit] + x[2 * sample + 1] * W[3 + unit];
    for (axis, top) in [(0, n), (1, 3)] {
        let i: Vec<f64> = (0..3 * n).map(|k| ((k * k + 2) % top) as f64).collect();
        let path = std::env::temp_dir().join(format!("mountainpass-lookups-{}-{axis}.onnx", std::process::id()));
        std::fs::write(&path, picked(axis).encode_to_vec()).unwrap();
        let arrays =
            [Array::reals(c"x", &[5, 2], &x), Array::reals(c"i", &[5, 3], &i), Array::reals(c"y", &[5, 3], &y)];
        let mut loss = Loss::open_arrays(2, path.to_str().unwrap(), &[("objective", "mse")], &arrays).unwrap();
        let found = loss.eval(Call::new(&W)).unwrap().loss[0];
        std::fs::remove_file(&path).unwrap();
        let residual = |k: usize| match axis {
            0 => h(i[k] as usize, k % 3) - y[k],
            _ => h(k / 3, i[k] as usize) - y[k],
        };
        let wanted = (0..3 * n).map(|k| residual(k).powi(2)).sum::<f64>() / n as f64;
        // Some fifteen products and sums of numbers up to a few.
        assert!((found - wanted).abs() < 1e-13, "axis {axis}: {found} against {wanted}");
    }
}
