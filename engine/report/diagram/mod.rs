//! Barcodes in files: our own `barcode.json`, GUDHI's persistence text, tables with commas, NumPy's arrays and DIPHA's
//! binary diagrams are read alike; GUDHI's and DIPHA's are also written, for the programs of others.
//!
//! What a file is, its first bytes say, not its name. Sizes are checked against the file before anything is allocated,
//! and every fault is one sentence.

mod array;
mod dipha;
mod gudhi;
mod rows;

use super::json::BarcodeFile;
use crate::error::{Error, Result};
use crate::machine::durable;
use crate::machine::memory;
use crate::persistence::Diagram;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Bytes a bar: as it is read, checked and compared.
const BAR: u64 = 160;

/// What a `barcode.json` says of how its bars were made; others say nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Made {
    /// Which complex a grid was taken for: "V" or "T".
    pub construction: Option<String>,
    /// The highest degree that was computed.
    pub max_degree: Option<u32>,
}

impl Made {
    /// Why bars of `degree` (or of all) made in two ways are not to be compared.
    pub fn unlike(&self, other: &Made, degree: Option<u32>) -> Option<String> {
        if let (Some(one), Some(other)) = (&self.construction, &other.construction)
            && one != other
        {
            return Some(format!("one barcode is of construction {one}, the other of {other}: they are not alike"));
        }
        let (one, other) = (self.max_degree?, other.max_degree?);
        let computed = degree.is_some_and(|degree| degree <= one.min(other));
        (one != other && !computed).then(|| {
            format!(
                "one barcode goes up to degree {one}, the other to {other}: choose one that both have with --degree"
            )
        })
    }
}

/// Reads a barcode: `barcode.json` (or a folder with one), a GUDHI .pers or .csv, a .npy or a DIPHA diagram.
pub fn read(path: &Path) -> Result<Diagram> {
    Ok(read_made(path)?.0)
}

/// The file that is read: the `barcode.json` of a folder.
pub fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("barcode.json") } else { path.to_owned() }
}

/// Reads a barcode, and what its file says of how it was made.
pub fn read_made(path: &Path) -> Result<(Diagram, Made)> {
    let file = file(path);
    let bytes = memory::contents(&file).map_err(|e| Error::io(&file, e).into_usage())?;
    let diagram = parse(&bytes).map_err(|text| Error::Config { path: file, text })?;
    // What is no JSON says nothing.
    Ok((diagram, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// Reads the bytes of such a file; the fault, if any, as one sentence.
pub fn parse(bytes: &[u8]) -> std::result::Result<Diagram, String> {
    let is_dipha = bytes.starts_with(&dipha::MAGIC.to_le_bytes());
    let is_array = bytes.starts_with(array::MAGIC);
    // Lines, words, doubles or objects: as many bars, or fewer, with what distances make of them.
    let each = |mark: u8| bytes.iter().filter(|byte| **byte == mark).count();
    let bars = match (is_dipha, is_array) {
        (true, _) => bytes.len() / 24,
        (_, true) => bytes.len() / 16,
        _ => each(b'\n').max(each(b'{')),
    };
    memory::afford((bars as u64).checked_mul(BAR)).map_err(|shortage| format!("what it holds {shortage}"))?;
    if is_dipha {
        return dipha::parse(bytes);
    }
    if is_array {
        return array::parse(bytes);
    }
    let none = "is no barcode: a barcode.json, a GUDHI .pers, a .csv, a .npy or a DIPHA diagram is needed";
    let text = std::str::from_utf8(bytes).map_err(|_| none)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // A byte order mark.
    if text.trim_start().is_empty() {
        return Err(format!("is empty and {none}"));
    }
    if !text.trim_start().starts_with('{') {
        return gudhi::parse(text);
    }
    let file = BarcodeFile::parse(text)?;
    Diagram::of(&file.bars, file.superlevel).map_err(|error| error.to_string())
}

/// A format of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// GUDHI's text, `.pers`.
    Gudhi,
    /// DIPHA's binary diagrams, `.dipha`.
    Dipha,
}

impl ExportFormat {
    /// The one that a file's name asks for.
    pub fn of(path: &Path) -> Option<ExportFormat> {
        match path.extension()?.to_str()? {
            "pers" => Some(ExportFormat::Gudhi),
            "dipha" => Some(ExportFormat::Dipha),
            _ => None,
        }
    }

    /// The bytes of a file.
    pub fn bytes(self, diagram: &Diagram) -> Vec<u8> {
        match self {
            ExportFormat::Gudhi => gudhi::text(diagram).into_bytes(),
            ExportFormat::Dipha => dipha::bytes(diagram),
        }
    }

    /// Writes a file, whole or not at all.
    pub fn write(self, path: &Path, diagram: &Diagram) -> Result<()> {
        durable::write(path, &self.bytes(diagram)).map_err(Error::into_usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::{self, Array, Values};
    use crate::persistence::Interval;
    use proptest::prelude::*;

    fn diagrams() -> impl Strategy<Value = Diagram> {
        let number = prop_oneof![-1e3..1e3, any::<f64>().prop_filter("finite", |x| x.is_finite())];
        let bar = (0_u32..5, number.clone(), prop::option::of(number));
        (prop::collection::vec(bar, 0..20), any::<bool>()).prop_map(|(bars, superlevel)| {
            let interval = |(degree, x, y): (u32, f64, Option<f64>)| {
                let Some(y) = y else { return Interval { degree, birth: x, death: None } };
                let (low, high) = (x.min(y), x.max(y));
                let (birth, death) = if superlevel { (high, low) } else { (low, high) };
                Interval { degree, birth, death: Some(death) }
            };
            Diagram::new(bars.into_iter().map(interval).collect(), Some(superlevel)).unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(diagram in diagrams()) {
            for format in [ExportFormat::Gudhi, ExportFormat::Dipha] {
                let found = parse(&format.bytes(&diagram)).unwrap();
                prop_assert_eq!(found.intervals(), diagram.intervals(), "{:?}", format);
                // A file does not say which way bars without length go.
                prop_assert!(found.superlevel().is_none_or(|found| Some(found) == diagram.superlevel()));
                let tells = |bar: &Interval| bar.death != Some(bar.birth) && bar.death.is_some();
                prop_assert!(found.superlevel().is_some() || !diagram.intervals().iter().any(tells));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text: String, keep in 0_usize..80, diagram in diagrams()) {
            let lines = |head: &str| format!("{head}{text}\n1 2 {text}\n0 1 2").into_bytes();
            let mut inputs = vec![bytes.clone(), lines(""), lines("#"), lines("{"), lines("{\"format\": \"mountainpass.barcode\", \"version\": 1, \"bars\": [")];
            for good in [ExportFormat::Gudhi, ExportFormat::Dipha].map(|format| format.bytes(&diagram)) {
                let kept = &good[..keep.min(good.len())];
                inputs.push([kept, &bytes].concat());
                let mut spoilt = good.clone();
                spoilt.iter_mut().zip(&bytes).skip(8).for_each(|(byte, by)| *byte ^= by & by.rotate_left(3));
                inputs.push(spoilt);
            }
            for input in inputs {
                if let Err(fault) = parse(&input) {
                    prop_assert!(!fault.contains('\n'), "{fault:?}");
                }
            }
        }
    }

    #[test]
    fn files_of_other_programs_read_as_they_mean_them() {
        let bar = |degree, birth, death| Interval { degree, birth, death };
        // As in GUDHI's documentation; its writer ends lines with a space and gives the field first.
        let text = "# Persistence diagram example\n2 2.7 3.7\n2 9.6 14.\n# Some comments\n4 3. inf\n";
        let known = [bar(2, 2.7, Some(3.7)), bar(2, 9.6, Some(14.0)), bar(4, 3.0, None)];
        assert_eq!(parse(text.as_bytes()).unwrap().intervals(), known);
        assert_eq!(
            parse(b"2  0 0 inf \r\n2  1 0.5 1 \n\n").unwrap().intervals(),
            [bar(0, 0.0, None), bar(1, 0.5, Some(1.0))]
        );
        let falling = parse(b"1 -inf\n1 0.5").unwrap();
        assert_eq!(
            (falling.intervals(), falling.superlevel()),
            (&[bar(0, 1.0, None), bar(0, 1.0, Some(0.5))][..], Some(true))
        );
        assert!(parse(b"# no bars\n").unwrap().intervals().is_empty());
        // DIPHA writes the complex's largest value as the death of an essential class.
        let words =
            [8_067_171_840, 2, 2, -1, 0.25_f64.to_bits() as i64, 9_f64.to_bits() as i64, 1, 0, 2_f64.to_bits() as i64];
        let bytes: Vec<u8> = words.iter().flat_map(|word: &i64| word.to_le_bytes()).collect();
        let found = parse(&bytes).unwrap();
        assert_eq!(
            (found.intervals(), found.superlevel()),
            (&[bar(0, 0.25, None), bar(1, 0.0, Some(2.0))][..], Some(false))
        );
    }

    #[test]
    fn tables_and_arrays_read_as_text_does() {
        let known = parse(b"0 1 2.5\n1 3 inf\n0 -inf 2\n").unwrap();
        let tables = [
            "degree,birth,death\r\n0,1,2.5\r\n1,3,inf\r\n0,-inf,2\r\n",
            "\u{feff}0, 1, 2.5\n1, 3, inf # never dies\n0, -inf, 2",
            "\u{feff}# bars\n0 1 2.5 # the first\n1 3 inf#\n0 -inf 2",
        ];
        for text in tables {
            assert_eq!(parse(text.as_bytes()).as_ref(), Ok(&known), "{text:?}");
        }
        let array = |shape: &[usize], values: Values| npy::bytes(&Array { shape: shape.to_vec(), values });
        let infinite = f64::INFINITY;
        let values = vec![0.0, 1.0, 2.5, 1.0, 3.0, infinite, 0.0, -infinite, 2.0];
        assert_eq!(parse(&array(&[3, 3], values.into())).unwrap(), known);
        let falling = parse(&array(&[2, 2], vec![3_i32, 1, 1, 0].into())).unwrap();
        assert_eq!((falling.superlevel(), falling.degrees()), (Some(true), vec![0]));
        let refused = |shape: &[usize], values: Values| parse(&array(shape, values)).unwrap_err();
        let shape = "is an array of shape [4]: bars are rows of (birth, death) or of (degree, birth, death)";
        assert_eq!(refused(&[4], vec![0.0; 4].into()), shape);
        assert_eq!(refused(&[1, 3], vec![0.5, 1.0, 2.0].into()), "row 1: 0.5 is no dimension");
        assert_eq!(refused(&[2, 2], vec![0.0, 1.0, 0.0, f64::NAN].into()), "row 2: a bar dies at NaN");
        let large = vec![1_i64 << 53, (1 << 53) + 1];
        let said = "holds 9007199254740993, which a double does not: distances are taken of doubles";
        assert_eq!(refused(&[1, 2], large.into()), said);
        assert_eq!(
            parse(b"0,1,\n").unwrap_err(),
            "line 1: \"\" is no number; a line is [[field] dimension] birth death"
        );
    }

    #[test]
    fn what_was_made_in_two_ways_is_not_alike() {
        let made = |construction: &str, max_degree| Made { construction: Some(construction.to_owned()), max_degree };
        let (all, cut) = (made("V", Some(2)), made("V", Some(0)));
        assert_eq!(
            (all.unlike(&all, None), all.unlike(&Made::default(), None), all.unlike(&cut, Some(0))),
            (None, None, None)
        );
        assert!(all.unlike(&cut, None).is_some_and(|text| text.contains("up to degree 2, the other to 0")));
        assert!(all.unlike(&cut, Some(1)).is_some());
        let other = all.unlike(&made("T", Some(2)), Some(0)).unwrap();
        assert_eq!(other, "one barcode is of construction V, the other of T: they are not alike");
    }

    #[test]
    fn what_is_no_barcode_is_refused_in_a_sentence() {
        let refused = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert_eq!(
            refused(b"\x89PNG"),
            "is no barcode: a barcode.json, a GUDHI .pers, a .csv, a .npy or a DIPHA diagram is needed"
        );
        assert_eq!(refused(b"1 nan 2"), "line 1: a bar is born at NaN");
        assert_eq!(refused(b"# x\n0 1 nan"), "line 2: a bar dies at NaN");
        assert_eq!(refused(b"0 1 1e999"), "line 1: \"1e999\" is larger than numbers go");
        assert_eq!(refused(b"0 1 2\n0 5 4"), "line 2: a bar of sublevel sets dies at 4, before its birth at 5");
        assert_eq!(refused(b"0 1 inf\n0 1 -inf"), "line 2: a half-line ends at -inf, others at inf");
        assert_eq!(refused(b"0 1 2\n1 2"), "line 2: there are 2 numbers, in the lines before 3");
        assert_eq!(refused(b"hello 1"), "line 1: \"hello\" is no number; a line is [[field] dimension] birth death");
        assert_eq!(refused(b"1"), "line 1: there is 1 number; a line is [[field] dimension] birth death");
        assert_eq!(refused(b"0.5 1 2"), "line 1: 0.5 is no dimension");
        assert_eq!(refused(b"-1 1 2"), "line 1: -1 is no dimension");
        let dipha = |words: &[i64]| {
            let all = [&[dipha::MAGIC][..], words].concat();
            refused(&all.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
        };
        assert_eq!(dipha(&[]), "is a DIPHA file cut off inside its header");
        assert_eq!(dipha(&[1, 0]), "is a DIPHA file of type 1: a persistence diagram, type 2, is needed");
        assert_eq!(dipha(&[2, -1]), "is a DIPHA diagram of -1 bars");
        assert_eq!(dipha(&[2, i64::MAX]), "is a DIPHA diagram of 9223372036854775807 bars in a file of 24 bytes");
        assert_eq!(dipha(&[2, 0, 0]), "is a DIPHA diagram of 0 bars in a file of 32 bytes");
        assert_eq!(dipha(&[2, 1, i64::MIN, 0, 0]), "bar 1: a dimension of -9223372036854775808");
        let infinite = f64::INFINITY.to_bits() as i64;
        assert_eq!(dipha(&[2, 1, 0, infinite, infinite]), "bar 1: a bar dies at inf");
        assert!(refused(b"{ \"format\": 3 }").starts_with("not a barcode file: "));
    }
}
