//! A request to open a loss, packed: copies of all that it borrows, in words that another process can read.

#![forbid(unsafe_code)]

use super::message::words;
use crate::error::Error;
use crate::loss::Dtype;
use crate::loss::request::{Elements, NamedArray, OpenRequest};
use serde::{Deserialize, Serialize};

/// Where bytes lie behind the JSON.
#[derive(Serialize, Deserialize)]
struct Extent {
    at: usize,
    len: usize,
}

/// The request in JSON, less the bytes that it borrows.
#[derive(Serialize, Deserialize)]
struct Head {
    model: String,
    options: Vec<(String, String)>,
    device: u32,
    dtype: Option<Dtype>,
    threads: u32,
    repeatable: bool,
    model_bytes: Option<Extent>,
    /// Name, shape, element type.
    data: Vec<(String, Vec<u64>, u32, Extent)>,
}

/// A request with copies of all it borrows, in words: the length of the JSON, the JSON, and the bytes at multiples of 64.
pub fn pack(request: &OpenRequest<'_>) -> Result<Vec<u64>, Error> {
    let mut bytes = Vec::new();
    let mut extent = |piece: &[u8]| {
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        bytes.extend_from_slice(piece);
        Extent { at: bytes.len() - piece.len(), len: piece.len() }
    };
    let model_bytes = request.model_bytes.map(&mut extent);
    let mut data = Vec::new();
    for array in &request.data {
        let (dtype, elements) = array.elements()?;
        data.push((array.name.to_owned(), array.shape.to_vec(), dtype, extent(&elements)));
    }
    let OpenRequest { device, dtype, threads, repeatable, .. } = *request;
    let (model, options) = (request.model.clone(), request.options.clone());
    let head = Head { model, options, device, dtype, threads, repeatable, model_bytes, data };
    let head = serde_json::to_vec(&head).map_err(|e| Error::Internal(format!("a request has no JSON: {e}")))?;
    let mut packed = (head.len() as u64).to_le_bytes().to_vec();
    packed.extend_from_slice(&head);
    packed.resize(packed.len().next_multiple_of(64), 0);
    packed.extend_from_slice(&bytes);
    Ok(words(&packed))
}

/// Calls `use_it` with the request that was packed; its arrays lie in `packed`.
pub fn unpack<T>(packed: &[u64], use_it: impl FnOnce(&OpenRequest<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let lost = || Error::Internal("a packed request does not unpack".into());
    let packed: &[u8] = bytemuck::cast_slice(packed);
    let (len, rest) = packed.split_first_chunk::<8>().ok_or_else(lost)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok().filter(|len| *len <= rest.len()).ok_or_else(lost)?;
    let head: Head = serde_json::from_slice(&rest[..len]).map_err(|_| lost())?;
    let bytes = packed.get((8 + len).next_multiple_of(64)..).unwrap_or_default();
    let piece = |extent: &Extent| extent.at.checked_add(extent.len).and_then(|end| bytes.get(extent.at..end));
    let array = |(name, shape, dtype, extent): &'_ (String, Vec<u64>, u32, Extent)| {
        Some((name.clone(), shape.clone(), *dtype, piece(extent)?))
    };
    let arrays: Option<Vec<_>> = head.data.iter().map(array).collect();
    let arrays = arrays.ok_or_else(lost)?;
    let data = arrays.iter().map(|(name, shape, dtype, bytes)| {
        let values = Elements::Packed { dtype: *dtype, bytes };
        NamedArray { name, shape, values }
    });
    use_it(&OpenRequest {
        model: head.model,
        model_bytes: head.model_bytes.as_ref().map(|extent| piece(extent).ok_or_else(lost)).transpose()?,
        options: head.options,
        device: head.device,
        dtype: head.dtype,
        threads: head.threads,
        data: data.collect(),
        repeatable: head.repeatable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mountainpass_sdk::abi::dtype;

    #[test]
    fn a_request_arrives_as_it_was() {
        let halves = [1_u16, 2, 3, 4, 5, 6].map(u16::to_ne_bytes);
        let packed = Elements::Packed { dtype: dtype::F16, bytes: halves.as_flattened() };
        let data = vec![
            NamedArray { name: "x", shape: &[2, 3], values: packed },
            NamedArray { name: "y", shape: &[2], values: Elements::F64(&[0.1, f64::NAN]) },
        ];
        let options = vec![("l2".to_owned(), "0.1".to_owned())];
        let request = OpenRequest {
            model: "grün".into(),
            model_bytes: Some(b"onnx"),
            options,
            device: 3,
            dtype: Some(Dtype::F32),
            threads: 2,
            data,
            repeatable: true,
        };
        let packed = pack(&request).unwrap();
        unpack(&packed, |arrived| {
            assert_eq!((&arrived.model, &arrived.options), (&request.model, &request.options));
            assert_eq!((arrived.model_bytes, arrived.device, arrived.threads), (Some(&b"onnx"[..]), 3, 2));
            assert_eq!((arrived.dtype, arrived.repeatable), (Some(Dtype::F32), true));
            let [x, y] = &arrived.data[..] else { panic!("two arrays") };
            assert_eq!((x.name, x.shape, y.shape), ("x", &[2, 3][..], &[2][..]));
            assert_eq!(x.elements().unwrap(), (dtype::F16, halves.as_flattened().into()));
            assert_eq!(y.elements().unwrap().1.as_ref(), [0.1, f64::NAN].map(f64::to_ne_bytes).as_flattened());
            Ok(())
        })
        .unwrap();
        assert!(unpack(&packed[..2], |_| Ok(())).is_err() && unpack(&[], |_| Ok(())).is_err());
    }
}
