//! Files that are small on the disk, or in a test's memory, and large for whoever believes them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

pub fn header(descr: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// A file that begins with these bytes and goes on with zeros that fill no disk.
pub fn sparse(folder: &Path, name: &str, start: &[u8], zeros: u64) {
    let mut file = File::create(folder.join(name)).unwrap();
    file.write_all(start).unwrap();
    file.set_len(start.len() as u64 + zeros).unwrap();
}

/// A .npy file of zeros.
pub fn array(folder: &Path, name: &str, descr: &str, shape: &[u64]) {
    let axes: String = shape.iter().map(|axis| format!("{axis},")).collect();
    let width: u64 = descr[2..].parse().unwrap();
    sparse(folder, name, &header(descr, &format!("({axes})")), shape.iter().product::<u64>() * width);
}

/// `start` and then zeros, deflated: the same packed piece over and over, since nobody should unpack all of it.
pub fn packed(start: &[u8], zeros: u64, zlib: bool) -> Vec<u8> {
    use flate2::{Compress, Compression, FlushCompress};
    let mut compress = Compress::new(Compression::fast(), zlib);
    let mut piece = |bytes: &[u8], flush| {
        let mut to = Vec::with_capacity(bytes.len() + 4096);
        compress.compress_vec(bytes, &mut to, flush).unwrap();
        to
    };
    let zero = vec![0; 1 << 20];
    let (first, _) = (piece(start, FlushCompress::Full), ());
    // The second piece looks back at none before it, as all that follow.
    let more = piece(&zero, FlushCompress::Full);
    let end = piece(&[], FlushCompress::Finish);
    [first, more.repeat((zeros >> 20) as usize), end].concat()
}

/// A zip archive of one packed member; its sums are wrong, which only whoever unpacks all of it finds.
pub fn zip(name: &str, data: &[u8], size: u64) -> Vec<u8> {
    let size = u32::try_from(size).unwrap();
    let sizes = [0_u32, data.len() as u32, size].map(u32::to_le_bytes).concat();
    let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &sizes, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), data].concat();
    let central = [b"PK\x01\x02", &[20, 0][..], &common, &[0; 14], name.as_bytes()].concat();
    let end = [
        b"PK\x05\x06",
        &[0, 0, 0, 0, 1, 0, 1, 0][..],
        &(central.len() as u32).to_le_bytes(),
        &(local.len() as u32).to_le_bytes(),
        &[0; 2],
    ];
    [local, central, end.concat()].concat()
}

/// A gzip file; its sum is wrong.
pub fn gzip(start: &[u8], zeros: u64) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &packed(start, zeros, false), &[0; 8]].concat()
}

pub fn idx(shape: &[u32]) -> Vec<u8> {
    std::iter::once(0x0800 | shape.len() as u32).chain(shape.iter().copied()).flat_map(u32::to_be_bytes).collect()
}

/// An archive of members that are not packed.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut local, mut central) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let size = data.len() as u32;
        let sizes = [crc.sum(), size, size].map(u32::to_le_bytes).concat();
        let common =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        let offset = local.len() as u32;
        local.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        central
            .extend([b"PK\x01\x02", &[20, 0][..], &common, &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let n = (members.len() as u16).to_le_bytes();
    let end = [
        b"PK\x05\x06",
        &[0, 0, 0, 0][..],
        &n,
        &n,
        &(central.len() as u32).to_le_bytes(),
        &(local.len() as u32).to_le_bytes(),
        &[0; 2],
    ];
    [local, central, end.concat()].concat()
}

/// A field of a protobuf message: bytes behind their length.
pub fn field(tag: u32, bytes: &[u8]) -> Vec<u8> {
    [&varint(u64::from(tag << 3 | 2))[..], &varint(bytes.len() as u64), bytes].concat()
}

/// A field of one number.
pub fn number(tag: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(tag << 3)), varint(value)].concat()
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An initializer: of ONNX's type 1 (float) or 7 (int64).
pub fn tensor(name: &str, of: u64, dims: &[u64], raw: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| number(1, *d)).collect();
    field(5, &[dims, number(2, of), field(8, name.as_bytes()), field(9, raw)].concat())
}

pub fn wholes(name: &str, values: &[i64]) -> Vec<u8> {
    tensor(name, 7, &[values.len() as u64], &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

pub fn reals(name: &str, dims: &[u64]) -> Vec<u8> {
    let count = dims.iter().product::<u64>();
    tensor(name, 1, dims, &(0..count).flat_map(|i| (i as f32 / 7.0).to_le_bytes()).collect::<Vec<u8>>())
}

/// A node; its attributes are whole numbers.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, u64)]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    let attribute =
        |(name, value): &(&str, u64)| field(5, &[field(1, name.as_bytes()), number(3, *value), number(20, 2)].concat());
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    field(1, &[inputs, field(2, output.as_bytes()), field(4, op.as_bytes()), attributes].concat())
}

/// A model of the input x, `[n, 6]`, whose output is x W and the mean of `big`, which these nodes and initializers make.
pub fn model(parts: &[Vec<u8>]) -> Vec<u8> {
    let info = |name: &str, width: u64| {
        let axes = [field(1, &field(2, b"n")), field(1, &number(1, width))].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &[number(1, 1), field(2, &axes)].concat()))].concat()
    };
    let rest = [
        reals("W", &[6, 3]),
        node("ReduceMean", &["big"], "mean", &[("keepdims", 0)]),
        node("MatMul", &["x", "W"], "product", &[]),
        node("Add", &["product", "mean"], "y", &[]),
        field(11, &info("x", 6)),
        field(12, &info("y", 3)),
    ];
    let graph = [parts.concat(), rest.concat()].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}
