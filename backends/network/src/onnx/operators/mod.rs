//! The operators that are read, and where each is written with the graph's own.

mod attention;
mod convolutions;
mod determinant;
mod einsum;
mod elementwise;
mod fourier;
mod fused;
mod heads;
mod known;
mod lookup;
mod losses;
mod normalisation;
mod order;
mod parts;
mod pools;
mod products;
mod recurrent;
mod reduction;
mod resize;
mod sampling;
mod scatter;
mod sequences;
mod shape;

use super::lowering::Lower;
use super::messages::{MICROSOFT, NodeProto};
use mountainpass_sdk::Error;
pub use normalisation::in_training;
pub(super) use parts::join;

/// Those that have graphs of their own are written out around the others.
pub(super) const WITH_GRAPHS: &[&str] = &["If", "Loop", "Scan"];

/// By name.
const TABLE: &[(&[&str], Lower)] = &[
    (&["Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Neg", "Abs", "Reciprocal"], elementwise::unary),
    (&["Sign", "Softplus", "Erf", "Sin", "Cos", "Atan", "Floor", "Round"], elementwise::unary),
    (&["Tan", "Asin", "Acos", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"], elementwise::angle),
    (&["Ceil"], elementwise::ceil),
    (&["Mod"], elementwise::modulo),
    (&["LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Shrink"], elementwise::rectifier),
    (&["Gelu", "HardSigmoid", "HardSwish", "Softsign", "Mish", "Swish"], elementwise::curve),
    (&["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"], elementwise::arithmetic),
    (&["Pow"], elementwise::power),
    (&["Clip"], elementwise::clip),
    (&["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"], elementwise::compare),
    (&["Not", "And", "Or", "Xor", "IsNaN", "IsInf"], elementwise::logic),
    (&["Where"], elementwise::choose),
    (&["Cast", "CastLike"], elementwise::cast),
    (&["Identity", "Dropout"], elementwise::identity),
    (&["Constant"], known::constant),
    (&["ConstantOfShape"], known::constant_of_shape),
    (&["Shape", "Size"], known::shape),
    (&["Range"], known::range),
    (&["EyeLike"], known::eye),
    (&["NonZero"], known::non_zero),
    (&["Reshape"], shape::reshape),
    (&["Flatten"], shape::flatten),
    (&["Squeeze", "Unsqueeze"], shape::squeeze),
    (&["Transpose"], shape::transpose),
    (&["Concat"], parts::concat),
    (&["Split"], parts::split),
    (&["SplitToSequence"], sequences::split_to_sequence),
    (&["SequenceAt"], sequences::sequence_at),
    (&["SequenceEmpty", "SequenceConstruct"], sequences::construct),
    (&["SequenceInsert", "SequenceErase"], sequences::change),
    (&["SequenceLength"], sequences::length),
    (&["ConcatFromSequence"], sequences::joined),
    (&["Slice"], parts::slice),
    (&["Expand"], shape::expand),
    (&["Tile"], shape::tile),
    (&["Gather"], lookup::gather),
    (&["GatherElements"], lookup::gather_elements),
    (&["GatherND"], lookup::gather_nd),
    (&["ScatterElements", "Scatter"], scatter::scatter_elements),
    (&["ScatterND"], scatter::scatter_nd),
    (&["DepthToSpace", "SpaceToDepth"], shape::depth),
    (&["OneHot"], lookup::one_hot),
    (&["TopK"], order::top_k),
    (&["ArgMax", "ArgMin"], order::arg),
    (&["Hardmax"], order::hardmax),
    (&["CumSum"], order::cumulative),
    (&["Trilu"], parts::trilu),
    (&["Pad"], resize::pad),
    (&["Resize"], resize::resize),
    (&["GridSample"], sampling::grid_sample),
    (&["AffineGrid"], sampling::affine_grid),
    (&["MatMul"], products::matmul),
    (&["Gemm"], products::gemm),
    (&["DFT"], fourier::dft),
    (&["Det"], determinant::det),
    (&["Einsum"], einsum::einsum),
    (&["Conv"], convolutions::conv),
    (&["ConvTranspose"], convolutions::conv_transpose),
    (&["Col2Im"], convolutions::col2im),
    (&["MaxPool", "AveragePool", "LpPool"], pools::pool),
    (&["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"], pools::global),
    (&["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"], reduction::reduce),
    (&["ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"], reduction::reduce),
    (&["Softmax", "LogSoftmax"], reduction::softmax),
    (&["Attention"], attention::attention),
    (&["RotaryEmbedding"], heads::rotary),
    (&["RNN", "GRU", "LSTM"], recurrent::recurrent),
    (&["BatchNormalization"], normalisation::batch),
    (&["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"], normalisation::layer),
    (&["InstanceNormalization", "GroupNormalization"], normalisation::groups),
    (&["LRN"], normalisation::local),
    (&["MeanVarianceNormalization", "LpNormalization"], normalisation::whole),
    (&["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"], losses::likelihood),
];

/// Of the domain [`MICROSOFT`].
const FUSED: &[(&[&str], Lower)] = &[
    (&["BiasAdd", "BiasGelu", "BiasSplitGelu", "FastGelu", "Gelu", "QuickGelu"], fused::curve),
    (&["FusedMatMul"], fused::matmul),
    (&["FusedGemm"], products::gemm),
    (&["FusedConv"], fused::conv),
    (&["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"], fused::skip_layer),
    (&["EmbedLayerNormalization"], fused::embedding),
    (&["Attention"], heads::attention),
    (&["MultiHeadAttention"], heads::multi_head),
    (&["RotaryEmbedding"], heads::rotary),
    (&["Trilu"], parts::trilu),
];

/// How a node's operator is lowered.
pub(super) fn find(node: &NodeProto) -> Result<Lower, Error> {
    let op = node.op_type();
    let table = match node.domain() {
        "" | "ai.onnx" => TABLE,
        MICROSOFT => FUSED,
        other => {
            // Those of com.microsoft.nchwc have the layouts of one machine.
            let hint = if other.starts_with(MICROSOFT) { "; save the file at ORT_ENABLE_EXTENDED" } else { "" };
            return Err(Error::unsupported(format!(
                "the operator {op} is of the domain {other:?}: known are ONNX's own and {MICROSOFT}{hint}"
            )));
        }
    };
    let found = table.iter().find(|(names, _)| names.contains(&op));
    found.map(|(_, lower)| *lower).ok_or_else(|| {
        let all = names();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let nearest = Error::unknown("operator", &name(node), &all).text;
        Error::unsupported(format!("{nearest}; docs/networks.md lists all that are known"))
    })
}

/// What messages and lists call a node's operator: of others' domains with the domain in front.
pub fn name(node: &NodeProto) -> String {
    match node.domain() {
        "" | "ai.onnx" => node.op_type().to_owned(),
        other => format!("{other}.{}", node.op_type()),
    }
}

/// The names of all operators, sorted.
pub fn names() -> Vec<String> {
    let all = |table: &'static [(&[&str], Lower)]| table.iter().flat_map(|(names, _)| names.iter().copied());
    let own = all(TABLE).chain(WITH_GRAPHS.iter().copied()).map(str::to_owned);
    let mut names: Vec<String> = own.chain(all(FUSED).map(|name| format!("{MICROSOFT}.{name}"))).collect();
    names.sort_unstable();
    names
}
