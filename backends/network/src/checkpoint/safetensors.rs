//! The format of Hugging Face's safetensors: a JSON header, then the tensors' bytes.
//!
//! Read by its own crate, which checks that offsets, shapes and types agree and cover the file; only what torch trains
//! in, reals of 16 to 64 bits, and whole numbers of buffers are taken from it. Written is double precision.

use super::tensor::Tensor;
use half::{bf16, f16};
use mountainpass_sdk::Parameter;
use mountainpass_sdk::memory::{self, Shortage};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// A name of one letter and an empty tensor take some sixty bytes of a header, and a few hundred of memory.
const HEADER: u64 = 8;

/// The tensors of a file, by name.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    // What a header of so many bytes says is many times as long in memory.
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length).min(bytes.len() as u64));
    memory::afford(header.checked_mul(HEADER))?;
    let file = SafeTensors::deserialize(bytes).map_err(|fault| match (fault, data(bytes, header)) {
        (SafeTensorError::MetadataIncompleteBuffer, Some((said, there))) => {
            format!("a safetensors file whose header tells of {said} bytes of data, but there are {there}")
        }
        (fault, _) => format!("no safetensors file, or a broken one: {fault}"),
    })?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let (values, is_real) = match view.dtype() {
            Dtype::F64 => (widened(view.data(), f64::from_le_bytes), true),
            Dtype::F32 => (widened(view.data(), |b| f64::from(f32::from_le_bytes(b))), true),
            Dtype::F16 => (widened(view.data(), |b| f16::from_le_bytes(b).to_f64()), true),
            Dtype::BF16 => (widened(view.data(), |b| bf16::from_le_bytes(b).to_f64()), true),
            Dtype::I64 => (widened(view.data(), |b| i64::from_le_bytes(b) as f64), false),
            Dtype::U64 => (widened(view.data(), |b| u64::from_le_bytes(b) as f64), false),
            Dtype::I32 => (widened(view.data(), |b| f64::from(i32::from_le_bytes(b))), false),
            Dtype::U32 => (widened(view.data(), |b| f64::from(u32::from_le_bytes(b))), false),
            Dtype::I16 => (widened(view.data(), |b| f64::from(i16::from_le_bytes(b))), false),
            Dtype::U16 => (widened(view.data(), |b| f64::from(u16::from_le_bytes(b))), false),
            Dtype::I8 => (widened(view.data(), |b| f64::from(i8::from_le_bytes(b))), false),
            Dtype::U8 | Dtype::BOOL => (widened(view.data(), |[byte]| f64::from(byte)), false),
            other => {
                return Err(format!("tensor {name:?} holds {other:?}: reals of 16, 32 or 64 bits are read"));
            }
        };
        let values = values.map_err(|shortage| format!("tensor {name:?} {shortage}"))?;
        tensors.push(Tensor { name: name.to_owned(), shape: view.shape().to_vec(), values, is_real });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// The bytes of a file that holds parameters by their names, in double precision.
pub fn write(parameters: &[Parameter], theta: &[f64]) -> Result<Vec<u8>, String> {
    let shape = |block: &Parameter| block.shape.iter().map(|size| *size as usize).collect::<Vec<usize>>();
    let end = parameters.iter().map(|block| block.offset as usize + shape(block).iter().product::<usize>()).max();
    match end {
        None => return Err("the loss names no parameters: write them as .npy".to_owned()),
        Some(end) if end > theta.len() => return Err(format!("{} numbers for {end} parameters", theta.len())),
        Some(_) => {}
    }
    let bytes = |block: &Parameter| -> Vec<u8> {
        let (from, count) = (block.offset as usize, shape(block).iter().product::<usize>());
        theta[from..from + count].iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    let data: Vec<Vec<u8>> = parameters.iter().map(bytes).collect();
    let views = parameters.iter().zip(&data).map(|(block, data)| {
        let view = TensorView::new(Dtype::F64, shape(block), data).map_err(|fault| fault.to_string())?;
        Ok((block.name.as_str(), view))
    });
    let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, String>>()?;
    safetensors::serialize(views, None).map_err(|fault| fault.to_string())
}

/// Numbers of `N` bytes each as f64.
fn widened<const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, Shortage> {
    let numbers = bytes.as_chunks::<N>().0;
    memory::collected(numbers.len(), numbers.iter().map(|bytes| from(*bytes)))
}

/// How many bytes of data a header of so many bytes tells of, and how many there are.
fn data(bytes: &[u8], header: u64) -> Option<(u64, u64)> {
    let end = header.checked_add(8)?;
    let text = std::str::from_utf8(bytes.get(8..usize::try_from(end).ok()?)?).ok()?;
    let ends = text.split("\"data_offsets\"").skip(1).filter_map(|rest| {
        let (list, _) = rest.split_once(']')?;
        list.rsplit(',').next()?.trim().parse::<u64>().ok()
    });
    Some((ends.max()?, bytes.len() as u64 - end))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file, written by hand after the format's description.
    pub(crate) fn written(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let (from, to) = (data.len(), data.len() + bytes.len());
            entries
                .push(format!("{name:?}:{{\"dtype\":{dtype:?},\"shape\":{shape:?},\"data_offsets\":[{from},{to}]}}"));
            data.extend(bytes);
        }
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    fn sample() -> Vec<u8> {
        let singles = [1.0_f32, -2.5, 3.0, 0.1, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        written(&[
            ("w", "F32", &[2, 3], singles),
            ("half", "F16", &[2], [0x3c00_u16, 0xc100].iter().flat_map(|x| x.to_le_bytes()).collect()),
            ("brain", "BF16", &[1], 0x4049_u16.to_le_bytes().to_vec()),
            ("wide", "F64", &[], 0.1_f64.to_le_bytes().to_vec()),
            ("steps", "I64", &[], 7_i64.to_le_bytes().to_vec()),
        ])
    }

    #[test]
    fn reals_are_widened_and_everything_keeps_name_and_shape() {
        let read = parse(&sample()).unwrap();
        let of = |name: &str| read.iter().find(|tensor| tensor.name == name).unwrap();
        assert_eq!(
            (&of("w").shape, &of("w").values),
            (&vec![2, 3], &vec![1.0, -2.5, 3.0, f64::from(0.1_f32), 5.0, 6.0])
        );
        assert_eq!((&of("half").values, &of("brain").values), (&vec![1.0, -2.5], &vec![3.140625]));
        assert_eq!((&of("wide").shape, &of("wide").values), (&vec![], &vec![0.1]));
        assert!(!of("steps").is_real && of("half").is_real && of("brain").is_real);
    }

    #[test]
    fn a_file_cut_off_or_of_strange_numbers_is_refused() {
        let good = sample();
        for cut in [0, 7, 20] {
            assert!(parse(&good[..cut]).unwrap_err().starts_with("no safetensors file, or a broken one: "), "{cut}");
        }
        for (more, there) in [(&good[..good.len() - 1], 45), (&[&good[..], &[0; 3]].concat(), 49)] {
            assert_eq!(
                parse(more).unwrap_err(),
                format!("a safetensors file whose header tells of 46 bytes of data, but there are {there}")
            );
        }
        let strange = written(&[("q", "F8_E4M3", &[2], vec![0, 1])]);
        assert_eq!(parse(&strange).unwrap_err(), "tensor \"q\" holds F8_E4M3: reals of 16, 32 or 64 bits are read");
    }

    proptest! {
        #[test]
        fn no_spoilt_file_makes_it_panic(changes in prop::collection::vec((0usize..500, any::<u8>()), 1..6)) {
            let mut bytes = sample();
            let n = bytes.len();
            changes.iter().for_each(|(at, byte)| bytes[at % n] = *byte);
            let _ = parse(&bytes);
        }
    }
}
