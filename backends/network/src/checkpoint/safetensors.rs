//! The format of Hugging Face's safetensors: a JSON header, then the tensors' bytes.
//!
//! Read by its own crate, which checks that offsets, shapes and types agree and cover the file; only what torch trains
//! in, reals of 16 to 64 bits, and whole numbers of buffers are taken from it.

use super::Tensor;
use half::{bf16, f16};
use mountainpass_sdk::npy::Values;
use safetensors::{Dtype, SafeTensors};

/// The tensors of a file, by name.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|fault| format!("no safetensors file, or a broken one: {fault}"))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let halves = |from: fn([u8; 2]) -> f64| view.data().as_chunks::<2>().0.iter().map(|b| from(*b)).collect();
        let plain = |descr| Values::of_bytes(descr, view.data(), false).map(|values| values.to_f64());
        let (values, is_real) = match view.dtype() {
            Dtype::F64 => (plain("f8"), true),
            Dtype::F32 => (plain("f4"), true),
            Dtype::F16 => (Some(halves(|b| f16::from_le_bytes(b).to_f64())), true),
            Dtype::BF16 => (Some(halves(|b| bf16::from_le_bytes(b).to_f64())), true),
            Dtype::I64 => (plain("i8"), false),
            Dtype::U64 => (plain("u8"), false),
            Dtype::I32 => (plain("i4"), false),
            Dtype::U32 => (plain("u4"), false),
            Dtype::I16 => (plain("i2"), false),
            Dtype::U16 => (plain("u2"), false),
            Dtype::I8 => (plain("i1"), false),
            Dtype::U8 | Dtype::BOOL => (plain("u1"), false),
            _ => (None, false),
        };
        let Some(values) = values else {
            return Err(format!("tensor {name:?} holds {:?}: reals of 16, 32 or 64 bits are read", view.dtype()));
        };
        tensors.push(Tensor { name: name.to_owned(), shape: view.shape().to_vec(), values, is_real });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
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
        for cut in [0, 7, 20, good.len() - 1] {
            assert!(parse(&good[..cut]).unwrap_err().starts_with("no safetensors file, or a broken one: "), "{cut}");
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
