//! The operators that are read, and where each is written with the graph's own.

mod attention;
mod elementwise;
mod known;
mod normalisation;
mod parts;
mod pools;
mod products;
mod recurrent;
mod reduction;
mod resize;
mod shape;

use super::lowering::Lower;
use super::messages::NodeProto;
use mountainpass_sdk::Error;
pub use normalisation::in_training;

/// By name; the message about unsupported operators lists them.
const TABLE: &[(&[&str], Lower)] = &[
    (&["Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Neg", "Abs", "Reciprocal"], elementwise::unary),
    (&["Sign", "Softplus", "Erf", "Sin", "Cos"], elementwise::unary),
    (&["LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu"], elementwise::rectifier),
    (&["Gelu", "HardSigmoid", "HardSwish", "Softsign", "Mish", "Swish"], elementwise::curve),
    (&["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"], elementwise::arithmetic),
    (&["Pow"], elementwise::power),
    (&["Clip"], elementwise::clip),
    (&["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"], elementwise::compare),
    (&["Not", "And", "Or", "Xor", "IsNaN"], elementwise::logic),
    (&["Where"], elementwise::choose),
    (&["Cast", "CastLike"], elementwise::cast),
    (&["Identity", "Dropout"], elementwise::identity),
    (&["Constant"], known::constant),
    (&["ConstantOfShape"], known::constant_of_shape),
    (&["Shape", "Size"], known::shape),
    (&["Range"], known::range),
    (&["Floor", "Ceil", "Round", "Mod"], known::rounding),
    (&["NonZero"], known::non_zero),
    (&["Reshape"], shape::reshape),
    (&["Flatten"], shape::flatten),
    (&["Squeeze", "Unsqueeze"], shape::squeeze),
    (&["Transpose"], shape::transpose),
    (&["Concat"], parts::concat),
    (&["Split"], parts::split),
    (&["SplitToSequence"], parts::split_to_sequence),
    (&["SequenceAt"], parts::sequence_at),
    (&["Slice"], parts::slice),
    (&["Expand"], shape::expand),
    (&["Tile"], shape::tile),
    (&["Gather"], parts::gather),
    (&["GatherElements"], parts::gather_elements),
    (&["DepthToSpace", "SpaceToDepth"], shape::depth),
    (&["OneHot"], parts::one_hot),
    (&["Trilu"], parts::trilu),
    (&["Pad"], resize::pad),
    (&["Resize"], resize::resize),
    (&["MatMul"], products::matmul),
    (&["Gemm"], products::gemm),
    (&["Einsum"], products::einsum),
    (&["Conv"], products::conv),
    (&["ConvTranspose"], products::conv_transpose),
    (&["MaxPool", "AveragePool"], pools::pool),
    (&["GlobalAveragePool", "GlobalMaxPool"], pools::global),
    (&["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"], reduction::reduce),
    (&["ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"], reduction::reduce),
    (&["Softmax", "LogSoftmax"], reduction::softmax),
    (&["Attention"], attention::attention),
    (&["RNN", "GRU", "LSTM"], recurrent::recurrent),
    (&["BatchNormalization"], normalisation::batch),
    (&["LayerNormalization", "RMSNormalization"], normalisation::layer),
    (&["InstanceNormalization", "GroupNormalization"], normalisation::groups),
];

/// How a node's operator is lowered.
pub(super) fn find(node: &NodeProto) -> Result<Lower, Error> {
    let op = node.op_type();
    let standard = matches!(node.domain(), "" | "ai.onnx");
    let found = TABLE.iter().find(|(names, _)| standard && names.contains(&op));
    found.map(|(_, lower)| *lower).ok_or_else(|| {
        let full = if standard { op.to_owned() } else { format!("{}.{op}", node.domain()) };
        let names = names().join(", ");
        Error::unsupported(format!("the operator {full} is not supported; supported are {names}"))
    })
}

/// The names of all operators, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = TABLE.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    names.sort_unstable();
    names
}
