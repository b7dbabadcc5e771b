//! ONNX's protobuf messages: the fields that a network's graph is read from and written with.
//!
//! Written by hand after `onnx.proto` (IR version 10 and older files too), so that no `protoc` is needed; fields that
//! are not listed are skipped in reading. Weights stay in the file's bytes: `raw_data` is a view of them.

#![allow(missing_docs, reason = "onnx.proto says what a field means")]

use bytes::Bytes;
use mountainpass_sdk::{Error, memory};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

/// A file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

/// The version of a set of operators; the domain of ONNX's own is empty.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// Nodes in the order of computation, and what they start from.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A function of the model's own: nodes that stand for one.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    #[prost(string, optional, tag = "10")]
    pub domain: Option<String>,
}

/// The domain of the operators that ONNX Runtime makes of several of ONNX's.
pub(super) const MICROSOFT: &str = "com.microsoft";

/// An operator with the names of what it takes and gives; an empty name is an argument left out.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A named attribute; `kind` says which field holds it.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "21")]
    pub ref_attr_name: Option<String>,
    /// FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, FLOATS = 6, INTS = 7, STRINGS = 8.
    #[prost(int32, optional, tag = "20")]
    pub kind: Option<i32>,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub s: Option<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub strings: Vec<Bytes>,
}

/// Numbers: in `raw_data` (little endian), in the field of their type, or in another file.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// One of [`data_type`].
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 1 where `external_data` says where the numbers are.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
}

/// A name with a type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A type; sequences, maps and the like leave `tensor_type` empty.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// What a tensor holds, and its axes where they are known.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The axes of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// One axis: a size, the name of one, or nothing.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// The types of numbers.
pub mod data_type {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const BFLOAT16: i32 = 16;
    /// Their names, by number.
    pub const NAMES: [&str; 17] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
}

/// Reads a file's messages. What they take of memory may be a hundred times as much as the file: it is asked for first.
pub(crate) fn decode(bytes: Bytes) -> Result<ModelProto, Error> {
    memory::afford(Some(weight(MessageKind::Model, &bytes)))?;
    ModelProto::decode(bytes).map_err(|e| Error::argument(format!("no ONNX file, or a broken one: {e}")))
}

/// The messages, for weighing them.
#[derive(Clone, Copy)]
enum MessageKind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Axes,
    Axis,
    Entry,
}

/// What a field of bytes holds.
enum Field {
    Message(MessageKind),
    Text,
    /// Numbers side by side, of one byte or more each.
    Numbers,
    /// Nothing that is kept beside the file's bytes.
    View,
}

impl MessageKind {
    fn field(self, tag: u64) -> Field {
        use Field::{Message, Numbers, Text, View};
        match (self, tag) {
            (MessageKind::Model, 7) | (MessageKind::Attribute, 6) => Message(MessageKind::Graph),
            (MessageKind::Model, 25) => Message(MessageKind::Function),
            (MessageKind::Model, 8 | 14) | (MessageKind::Tensor, 13) | (MessageKind::ValueInfo, 4) => {
                Message(MessageKind::Entry)
            }
            (MessageKind::Graph, 1) | (MessageKind::Function, 7) => Message(MessageKind::Node),
            (MessageKind::Graph, 5) | (MessageKind::Attribute, 5) => Message(MessageKind::Tensor),
            (MessageKind::Graph, 11..=13) => Message(MessageKind::ValueInfo),
            (MessageKind::Node, 5) => Message(MessageKind::Attribute),
            (MessageKind::ValueInfo, 2) => Message(MessageKind::Type),
            (MessageKind::Type, 1) => Message(MessageKind::TensorType),
            (MessageKind::TensorType, 2) => Message(MessageKind::Axes),
            (MessageKind::Axes, 1) => Message(MessageKind::Axis),
            (MessageKind::Attribute, 7 | 8) | (MessageKind::Tensor, 1 | 4 | 5 | 7 | 10 | 11) => Numbers,
            (MessageKind::Attribute, 4) | (MessageKind::Tensor, 9) => View,
            _ => Text,
        }
    }

    fn size(self) -> usize {
        match self {
            MessageKind::Model => size_of::<ModelProto>(),
            MessageKind::Graph => size_of::<GraphProto>(),
            MessageKind::Function => size_of::<FunctionProto>(),
            MessageKind::Node => size_of::<NodeProto>(),
            MessageKind::Attribute => size_of::<AttributeProto>(),
            MessageKind::Tensor => size_of::<TensorProto>(),
            MessageKind::ValueInfo => size_of::<ValueInfoProto>(),
            MessageKind::Type => size_of::<TypeProto>(),
            MessageKind::TensorType => size_of::<TensorTypeProto>(),
            MessageKind::Axes => size_of::<TensorShapeProto>(),
            MessageKind::Axis => size_of::<DimensionProto>(),
            MessageKind::Entry => size_of::<StringStringEntryProto>(),
        }
    }
}

/// Lists double as they grow, and whoever reads a graph keeps lists of its nodes.
const LISTS: u64 = 3;

/// About how many bytes a message takes, its own and those of its fields; what is no message ends it.
fn weight(kind: MessageKind, mut bytes: &[u8]) -> u64 {
    let mut all = LISTS * kind.size() as u64;
    while let Ok((tag, wire)) = decode_key(&mut bytes) {
        let size = match wire {
            WireType::Varint => match decode_varint(&mut bytes) {
                Ok(_) => 0,
                Err(_) => break,
            },
            WireType::LengthDelimited => match decode_varint(&mut bytes) {
                Ok(size) => size,
                Err(_) => break,
            },
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            _ => break,
        };
        let Some((field, rest)) = usize::try_from(size).ok().and_then(|size| bytes.split_at_checked(size)) else {
            break;
        };
        bytes = rest;
        all += match (kind.field(u64::from(tag)), wire) {
            (Field::Message(kind), WireType::LengthDelimited) => weight(kind, field),
            (Field::Text, WireType::LengthDelimited) => LISTS * size_of::<String>() as u64 + size,
            (Field::Numbers, WireType::LengthDelimited) => LISTS * 8 * size,
            (Field::Numbers, _) => LISTS * 8,
            _ => 0,
        };
    }
    all
}

/// The value under a key.
pub(super) fn entry<'a>(entries: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    entries.iter().find(|e| e.key() == key).map(|e| e.value())
}
