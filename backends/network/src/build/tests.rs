//! What the built networks are: their sizes, their names, and that they can be differentiated.

use super::*;
use crate::Mlp;
use crate::graph::evaluate::{Sources, evaluate};
use crate::graph::op::Values;
use proptest::prelude::*;

fn params(spec: &str) -> usize {
    let built = Built::parse(spec).unwrap();
    built.parameters().iter().map(|p| p.shape.iter().product::<u64>() as usize).sum()
}

#[test]
fn sizes_are_those_counted_by_hand() {
    assert_eq!(params("mlp:64-8-10:tanh"), 64 * 8 + 8 + 80 + 10);
    assert_eq!(params("cnn:8x8x1-4-6-10:relu"), (9 * 4 + 4) + (9 * 24 + 6) + 70);
    let conv = |i: usize, o: usize| 9 * i * o + o;
    // As torch counts the public code's networks, their one BatchNorm (128) left out.
    let resnet9 = conv(3, 16) + 2 * conv(16, 16) + conv(16, 32) + 2 * conv(32, 32) + conv(32, 64) + 4 * conv(64, 64);
    assert_eq!(params("resnet9:32x32x3-10"), resnet9 + 650);
    let stage = |m: usize, w: usize| (2 * m - 1) * conv(w, w) + if w < 64 { conv(w, 2 * w) } else { conv(w, w) };
    for (m, spec) in [(2, "resnet14:32x32x3-10"), (3, "resnet20:32x32x3-10")] {
        assert_eq!(params(spec), conv(3, 16) + stage(m, 16) + stage(m, 32) + stage(m, 64) + 650);
    }
    assert_eq!(params("resnet20:8x8x1-10:batchnorm") - params("resnet20:8x8x1-10"), 2 * (16 * 6 + 32 * 6 + 64 * 7));
    let layer = 2 * (2 * 8) + 4 * (64 + 8) + (8 * 32 + 32) + (32 * 8 + 8);
    let transformer = "transformer:vocabulary=11:context=5:width=8:heads=2:layers=3";
    assert_eq!(params(transformer), 11 * 8 + 5 * 8 + 3 * layer + 16 + 8 * 11 + 11);
}

#[test]
fn blocks_tile_theta_and_have_names_of_their_own() {
    for spec in ["resnet14:8x8x1-10:batchnorm:width=2", "transformer:vocabulary=11:context=5:width=8:heads=2:layers=2"]
    {
        let built = Built::parse(spec).unwrap();
        let mut end = 0;
        for block in built.parameters() {
            assert_eq!(block.offset, end, "{spec}: {}", block.name);
            end += block.shape.iter().product::<u64>();
        }
        let mut names: Vec<&str> = built.parameters().iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), built.parameters().len());
        assert_eq!(built.start(1).unwrap().len() as u64, end);
        assert_ne!(built.start(1).unwrap(), built.start(2).unwrap());
        let weights = built.parameters().iter().zip(built.is_weight()).filter(|(_, is)| **is);
        assert!(weights.clone().all(|(p, _)| p.shape.len() > 1) && weights.count() > 5);
    }
}

#[test]
fn a_perceptron_has_the_layout_that_its_own_kernels_read() {
    for spec in ["mlp:5-4-3:relu", "mlp:5-4-4-3:tanh"] {
        let (built, mlp) = (Built::parse(spec).unwrap(), Mlp::parse(spec).unwrap());
        let block = |i: usize, kind: &str, shape: &[usize], offset: usize| Parameter {
            name: format!("layers.{i}.{kind}"),
            shape: shape.iter().map(|d| *d as u64).collect(),
            offset: offset as u64,
        };
        let blocks = mlp.layers().iter().enumerate().flat_map(|(i, l)| {
            [block(i, "weight", &[l.outputs, l.inputs], l.weight), block(i, "bias", &[l.outputs], l.bias)]
        });
        assert_eq!(built.parameters(), blocks.collect::<Vec<Parameter>>());
    }
}

#[test]
fn starts_have_the_stated_variance_and_bias() {
    for (spec, first) in [("mlp:100-200-10:relu", 2.0 / 100.0), ("mlp:100-200-10:tanh", 2.0 / 300.0)] {
        let theta = Built::parse(spec).unwrap().start(7).unwrap();
        for (layer, variance) in Mlp::parse(spec).unwrap().layers().iter().zip([first, 2.0 / 210.0]) {
            let w = &theta[layer.weight..layer.bias];
            let seen = w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
            // The relative deviation of a sample variance is sqrt(2/n): n >= 2,000, five deviations.
            assert!((seen / variance - 1.0).abs() < 5.0 * (2.0 / w.len() as f64).sqrt(), "{spec}: {seen}");
            assert!(theta[layer.bias..layer.end()].iter().all(|b| *b == 0.01));
        }
    }
}

/// Per sample losses of a batch under the specification's own network.
fn losses(spec: &str, n: usize, theta: &[f64], inputs: &Values, labels: &[i64]) -> Vec<f64> {
    let built = Built::parse(spec).unwrap();
    let Network { mut graph, output, .. } = built.network(n).unwrap();
    let classes = *graph.shape(output).last().unwrap();
    let logits = graph.reshape(output, vec![labels.len(), classes]).unwrap();
    let y = graph.input(1, vec![labels.len()], Element::Index).unwrap();
    let loss = graph.cross_entropy(logits, y).unwrap();
    let sources = Sources { inputs: &[inputs.clone(), Values::Index(labels.to_vec())], theta, direction: &[] };
    match evaluate(&graph, sources, &[loss]).unwrap().remove(0) {
        Values::Real(losses) => losses,
        Values::Index(_) => panic!("indices"),
    }
}

#[test]
fn samples_do_not_see_each_other_unless_statistics_join_them() {
    let image = |k: usize| (0..64).map(|i| ((i * 7 + k * 13) % 17) as f64 / 16.0).collect::<Vec<f64>>();
    for (spec, joint) in [("cnn:8x8x1-3-10", false), ("cnn:8x8x1-3-10:batchnorm", true), ("resnet9:8x8x1-10", false)] {
        let built = Built::parse(spec).unwrap();
        assert_eq!(built.network(2).unwrap().is_joint, joint);
        let theta = built.start(1).unwrap();
        let both = losses(spec, 2, &theta, &Values::Real([image(1), image(2)].concat()), &[3, 4]);
        let alone = losses(spec, 1, &theta, &Values::Real(image(1)), &[3]);
        assert_eq!(both[0].to_bits() == alone[0].to_bits(), !joint, "{spec}");
    }
}

#[test]
fn no_place_of_a_causal_transformer_sees_a_later_token() {
    let spec = "transformer:vocabulary=7:context=5:width=8:heads=2:layers=2";
    let theta = Built::parse(spec).unwrap().start(4).unwrap();
    let of = |tokens: [i64; 5]| losses(spec, 1, &theta, &Values::Index(tokens.to_vec()), &[1, 2, 3, 4, 5]);
    let (a, b) = (of([1, 2, 3, 4, 5]), of([1, 2, 3, 6, 0]));
    assert_eq!(a[..3], b[..3]);
    assert!(a[3] != b[3] && a[4] != b[4]);
    // A classifier looks everywhere.
    let spec = "transformer:vocabulary=7:context=5:width=8:heads=2:layers=1:classes=3";
    let theta = Built::parse(spec).unwrap().start(4).unwrap();
    let of = |tokens: [i64; 5]| losses(spec, 1, &theta, &Values::Index(tokens.to_vec()), &[1]);
    assert_ne!(of([1, 2, 3, 4, 5]), of([1, 2, 3, 4, 6]));
}

proptest! {
    #[test]
    fn a_specification_survives_printing(
        sizes in (1usize..9, 1usize..9, 1usize..4), hidden in prop::collection::vec(1usize..9, 1..4), a in 0usize..6,
        batchnorm: bool, width in 1usize..4,
    ) {
        let (h, w, c) = sizes;
        let tail = if batchnorm { ":batchnorm" } else { "" };
        let widths: Vec<String> = hidden.iter().map(usize::to_string).collect();
        let activation = crate::Activation::NAMES[a];
        let cnn = format!("cnn:{h}x{w}x{c}-{}-10:{activation}{tail}", widths.join("-"));
        let by = if width == 1 { String::new() } else { format!(":width={width}") };
        let resnet = format!("resnet14:{h}x{w}x{c}-10:{activation}{tail}{by}");
        for spec in [cnn, resnet] {
            prop_assert_eq!(Specification::parse(&spec).unwrap().to_string(), spec);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        text in "(cnn|resnet9|resnet14|transformer)(:[0-9x-]{0,12})?(:[a-z]{0,12}(=[0-9a-z]{0,9})?){0,3}",
    ) {
        let _ = Specification::parse(&text);
    }
}

#[test]
fn errors_name_the_part() {
    let text = |spec| Built::parse(spec).unwrap_err().text;
    assert_eq!(text("resnet18:3x3x1-10"), "unknown kind of network \"resnet18\"; the nearest is \"resnet14\"");
    assert!(text("cnn:8x8-10").contains("the image is \"8x8\", expected HxWxC"), "{}", text("cnn:8x8-10"));
    assert!(text("cnn:8x8x1-10").contains("the widths are \"10\""), "{}", text("cnn:8x8x1-10"));
    assert!(text("cnn:8x8x1").contains("no number of classes"));
    assert!(text("resnet9:8x8x1-10:relo").contains("the nearest is \"relu\""));
    assert!(text("transformer:vocab=3").contains("the nearest is \"vocabulary\""));
    assert!(text("transformer:context=3").contains("vocabulary is missing"));
    let large = "transformer:vocabulary=1048576:context=5:width=1048576:heads=1:layers=2";
    assert!(text(large).contains("parameters"), "{}", text(large));
    let heads = "transformer:vocabulary=11:context=5:width=8:heads=3:layers=2";
    assert!(text(heads).contains("3 heads do not divide a width of 8"));
}
