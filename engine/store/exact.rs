//! Floats that come back bit for bit, from SQLite and from JSON.
//!
//! SQLite turns NaN into NULL and -0 into 0, JSON has no word for what is not finite. Ordinary values are stored as
//! ordinary numbers, so that a person can query them; the others as their eight bytes.

use crate::search::landscape::is_zero;
use crate::search::{CellId, Certificate, Evidence, Spectrum, Survey};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// One float.
#[derive(Clone, Copy, Debug)]
pub struct Exact(pub f64);

impl ToSql for Exact {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let plain = !self.0.is_nan() && self.0.to_bits() != (-0.0f64).to_bits();
        let value = if plain { Value::Real(self.0) } else { Value::Blob(self.0.to_le_bytes().to_vec()) };
        Ok(ToSqlOutput::Owned(value))
    }
}

impl FromSql for Exact {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Exact> {
        match value {
            ValueRef::Real(x) => Ok(Exact(x)),
            ValueRef::Blob(bytes) => Ok(Exact(f64::from_le_bytes(bytes.try_into().map_err(FromSqlError::other)?))),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => to.serialize_f64(self.0),
            false => to.serialize_str(&format!("{} {:016x}", self.0, self.0.to_bits())),
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Exact, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Bits(String),
        }
        match Written::deserialize(from)? {
            Written::Number(x) => Ok(Exact(x)),
            Written::Bits(text) => {
                let bits = text.split(' ').nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
                bits.map(|bits| Exact(f64::from_bits(bits))).ok_or_else(|| de::Error::custom("not a float"))
            }
        }
    }
}

/// [`Evidence`] with exact floats; the same names, so that the JSON is that of `barcode.json`.
#[derive(Serialize, Deserialize)]
pub struct ExactEvidence {
    gradient_norm: Exact,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    eigenvalues: Vec<Exact>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    tau: Option<Exact>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    spectrum: Option<Spectrum>,
    #[serde(skip_serializing_if = "is_zero", default)]
    projected: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    ends: Option<(CellId, CellId)>,
    /// Finite throughout: what is not is not certified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    kinks: Option<Box<Certificate>>,
    #[serde(skip_serializing_if = "Survey::is_none", default)]
    survey: Survey,
}

impl From<&Evidence> for ExactEvidence {
    fn from(evidence: &Evidence) -> ExactEvidence {
        // Taken apart by name: a new field must not be forgotten here.
        let Evidence { gradient_norm, eigenvalues, tau, spectrum, projected, ends, kinks, survey } = evidence;
        ExactEvidence {
            gradient_norm: Exact(*gradient_norm),
            eigenvalues: eigenvalues.iter().copied().map(Exact).collect(),
            tau: tau.map(Exact),
            spectrum: *spectrum,
            projected: *projected,
            ends: *ends,
            kinks: kinks.clone(),
            survey: survey.clone(),
        }
    }
}

impl From<ExactEvidence> for Evidence {
    fn from(evidence: ExactEvidence) -> Evidence {
        Evidence {
            gradient_norm: evidence.gradient_norm.0,
            eigenvalues: evidence.eigenvalues.into_iter().map(|x| x.0).collect(),
            tau: evidence.tau.map(|x| x.0),
            spectrum: evidence.spectrum,
            projected: evidence.projected,
            ends: evidence.ends,
            kinks: evidence.kinks,
            survey: evidence.survey,
        }
    }
}

/// Fewer floats are not worth a second form.
const MANY: usize = 1024;
/// Behind floats of single precision, and the number of bytes of each: all others take a multiple of eight bytes.
const SINGLE: u8 = 4;

/// Floats as little-endian bytes, in single precision where none loses a bit by it; no copy of others where the machine
/// is little-endian.
pub fn bytes(values: &[f64]) -> Cow<'_, [u8]> {
    let is_single = |x: &f64| f64::from(*x as f32).to_bits() == x.to_bits();
    if values.len() >= MANY && values.iter().all(is_single) {
        let single = values.iter().flat_map(|x| (*x as f32).to_le_bytes());
        return Cow::Owned(single.chain([SINGLE]).collect());
    }
    match cfg!(target_endian = "little") {
        true => Cow::Borrowed(bytemuck::cast_slice(values)),
        false => Cow::Owned(values.iter().flat_map(|x| x.to_le_bytes()).collect()),
    }
}

/// The floats of a blob written by [`bytes`].
pub struct Floats(pub Vec<f64>);

impl FromSql for Floats {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Floats> {
        let blob = value.as_blob()?;
        if let (floats, [SINGLE]) = blob.as_chunks::<4>() {
            return Ok(Floats(floats.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect()));
        }
        let (floats, rest) = blob.as_chunks::<8>();
        match rest {
            [] => Ok(Floats(floats.iter().map(|x| f64::from_le_bytes(*x)).collect())),
            _ => Err(FromSqlError::Other("a blob of floats is not a multiple of 8 bytes long".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_bit_for_bit_and_those_of_single_precision_take_half() {
        let back = |values: &[f64]| {
            let blob = bytes(values).into_owned();
            let Floats(read) = Floats::column_result(ValueRef::Blob(&blob)).unwrap();
            assert!(read.iter().map(|x| x.to_bits()).eq(values.iter().map(|x| x.to_bits())));
            blob.len()
        };
        let single: Vec<f64> = (0..2001).map(|i| f64::from((i as f32).sin())).chain([-0.0, f64::INFINITY]).collect();
        assert_eq!(back(&single), 4 * 2003 + 1);
        let mut double = single.clone();
        double[1000] = 0.1;
        assert_eq!((back(&double), back(&single[..8])), (8 * 2003, 64));
        let odd = [single, vec![f64::from_bits(0x7ff8_0000_0000_0001)]].concat();
        assert_eq!(back(&odd), 8 * 2004);
    }
}
