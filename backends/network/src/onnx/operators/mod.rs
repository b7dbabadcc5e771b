//! The operators that are read, and where each is written with the graph's own.

mod attention;
mod convolutions;
mod einsum;
mod elementwise;
mod fourier;
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
use super::messages::NodeProto;
use mountainpass_sdk::Error;
pub use normalisation::in_training;
pub(super) use parts::join;

/// Those that have graphs of their own are written out around the others.
pub(super) const WITH_GRAPHS: &[&str] = &["If", "Loop", "Scan"];

/// By name; the message about unsupported operators lists them.
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
    (&["RNN", "GRU", "LSTM"], recurrent::recurrent),
    (&["BatchNormalization"], normalisation::batch),
    (&["LayerNormalization", "RMSNormalization"], normalisation::layer),
    (&["InstanceNormalization", "GroupNormalization"], normalisation::groups),
    (&["LRN"], normalisation::local),
    (&["MeanVarianceNormalization", "LpNormalization"], normalisation::whole),
    (&["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"], losses::likelihood),
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
    let table = TABLE.iter().flat_map(|(names, _)| names.iter().copied());
    let mut names: Vec<&str> = table.chain(WITH_GRAPHS.iter().copied()).collect();
    names.sort_unstable();
    names
}
