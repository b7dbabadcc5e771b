//! The extensions of a loss: named blocks, starts and boxes, metrics, symmetries, identity; read and checked.
//!
//! An extension, or a slot of one, that a backend lacks reads as "nothing to say". What it does say must make sense:
//! blocks cover theta, indices lie inside it, boxes are boxes, texts are UTF-8.

use super::foreign::{self, Output};
use super::loss::{Bounds, Identity, Parameter, Split, Symmetry, SymmetryKind};
use super::table::{Handle, Plugin};
use crate::error::{Error, Result};
use crate::machine::memory;
use mountainpass_sdk::Scalar;
use mountainpass_sdk::abi::{self, ext, status};
use std::ffi::{CStr, c_char};

/// More metrics, dimensions or symmetry records than these are garbage, not a model.
pub(super) const MOST_METRICS: u64 = 1024;
const MOST_DIMENSIONS: u64 = 64;
const MOST_SYMMETRIES: u64 = 1 << 24;

/// The extension tables a backend offers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extensions {
    pub parameters: Option<abi::ExtParameters>,
    pub start: Option<abi::ExtStart>,
    pub metrics: Option<abi::ExtMetrics>,
    pub symmetry: Option<abi::ExtSymmetry>,
    pub identity: Option<abi::ExtIdentity>,
    pub kinks: Option<abi::ExtKinks>,
}

/// What is wrong, as the end of a sentence.
type Checked<T> = std::result::Result<T, String>;

/// An extension of a backend by its id, if it has it.
pub(super) fn offered<T: Copy>(plugin: &Plugin, id: &CStr, zero: T) -> Checked<Option<T>> {
    let Some(extension) = plugin.extension else { return Ok(None) };
    // SAFETY: the slot is [many]; the id is terminated.
    let raw = unsafe { extension(id.as_ptr()) };
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: the id names the record's type, and it is sized and constant (mountainpass_backend.h).
    unsafe { foreign::record(raw.cast::<T>(), zero, &id.to_string_lossy()) }.map(Some)
}

impl Extensions {
    /// Asks a backend for every extension the engine knows.
    pub fn of(plugin: &Plugin) -> Checked<Extensions> {
        Ok(Extensions {
            parameters: offered(plugin, ext::PARAMETERS, abi::ExtParameters::zeroed())?,
            start: offered(plugin, ext::START, abi::ExtStart::zeroed())?,
            metrics: offered(plugin, ext::METRICS, abi::ExtMetrics::zeroed())?,
            symmetry: offered(plugin, ext::SYMMETRY, abi::ExtSymmetry::zeroed())?,
            identity: offered(plugin, ext::IDENTITY, abi::ExtIdentity::zeroed())?,
            kinks: offered(plugin, ext::KINKS, abi::ExtKinks::zeroed())?,
        })
    }

    /// The named blocks of theta, by offset; together they cover its `p` entries.
    pub fn parameters(&self, loss: &Handle, p: usize) -> Result<Vec<Parameter>> {
        let Some(list) = self.parameters.and_then(|ext| ext.list) else { return Ok(Vec::new()) };
        let (mut records, mut count) = (std::ptr::null(), 0);
        // SAFETY: a live handle; outputs are ours.
        loss.plugin.call("parameters", |err| unsafe { list(loss.raw, &raw mut records, &raw mut count, err) })?;
        // SAFETY: `count` records owned by the loss, which is open.
        let blocks = unsafe { foreign::list(records, count, p as u64, "blocks") }
            .and_then(|raw| raw.iter().map(|raw| unsafe { parameter(raw) }).collect::<Checked<Vec<_>>>())
            .and_then(|blocks| cover(blocks, p as u64));
        blocks.map_err(|text| loss.plugin.broken("parameters", text))
    }

    /// The start for a seed, as the backend gives it: a value may be NaN, which makes it a start to skip.
    pub fn start(&self, loss: &Handle, p: usize, seed: u64) -> Result<Option<Vec<f64>>> {
        let Some(start) = self.start.and_then(|ext| ext.start) else { return Ok(None) };
        let mut theta = Output::new(-2.468e-29);
        let room = theta.open(p, f64::NAN).map_err(|shortage| loss.plugin.short("start", shortage))?;
        // SAFETY: a live handle; `room` holds p values.
        match loss.plugin.call("start", |err| unsafe { start(loss.raw, seed, room, err) }) {
            Err(Error::Refused { code: status::UNSUPPORTED, .. }) => return Ok(None),
            answer => answer?,
        }
        let theta = theta.close("theta").map_err(|text| loss.plugin.broken("start", text))?;
        memory::copied(theta).map(Some).map_err(|shortage| loss.plugin.short("start", shortage))
    }

    /// The box of a bounded function.
    pub fn bounds(&self, loss: &Handle, p: usize) -> Result<Option<Bounds>> {
        let Some(bounds) = self.start.and_then(|ext| ext.r#box) else { return Ok(None) };
        let (mut lower, mut upper) = (std::ptr::null(), std::ptr::null());
        // SAFETY: a live handle; outputs are ours.
        loss.plugin.call("box", |err| unsafe { bounds(loss.raw, &raw mut lower, &raw mut upper, err) })?;
        if lower.is_null() && upper.is_null() {
            return Ok(None);
        }
        let p = p as u64;
        // SAFETY: "p values each, owned by the loss", which is open.
        let side = |from, name| unsafe { foreign::list(from, p, p, name) };
        let read = side(lower, "lower").and_then(|lower| Ok((lower, side(upper, "upper")?)));
        let checked = read.and_then(|(lower, upper)| sides(Bounds { lower, upper }, p as usize));
        checked.map(Some).map_err(|text| loss.plugin.broken("box", text))
    }

    /// The names of the metrics on a split.
    pub fn metric_names(&self, loss: &Handle, split: Split) -> Result<Vec<String>> {
        let Some(abi::ExtMetrics { names: Some(names), eval: Some(_), .. }) = self.metrics else {
            return Ok(Vec::new());
        };
        let (mut texts, mut count) = (std::ptr::null(), 0);
        let outputs = (&raw mut texts, &raw mut count);
        // SAFETY: a live handle; outputs are ours.
        loss.plugin.call("metrics", |err| unsafe { names(loss.raw, code(split), outputs.0, outputs.1, err) })?;
        // SAFETY: `count` texts owned by the loss, which is open.
        let texts = unsafe { foreign::list(texts, count, MOST_METRICS, "names") };
        // SAFETY: as above.
        let name = |text| unsafe { required(text, "a name") };
        texts
            .and_then(|texts| texts.into_iter().map(name).collect())
            .map_err(|text| loss.plugin.broken("metrics", text))
    }

    /// The metrics of every row, `n x names`; NaN where one has no value at that row.
    pub fn metrics<T: Scalar>(&self, loss: &Handle, split: Split, p: usize, theta: &[T]) -> Result<Vec<f64>> {
        let (n, count) = (theta.len() / p, self.metric_names(loss, split)?.len());
        let Some(eval) = self.metrics.and_then(|ext| ext.eval).filter(|_| n * count > 0) else {
            return Ok(Vec::new());
        };
        let mut values = Output::new(-2.468e-29);
        let room = values.open(n * count, f64::NAN).map_err(|shortage| loss.plugin.short("metrics", shortage))?;
        let view = foreign::view(theta.as_ptr().cast_mut().cast(), n, p, T::DTYPE);
        // SAFETY: a live handle, one call at a time; theta is n x p, `room` holds n x count values.
        loss.plugin.call("metrics", |err| unsafe { eval(loss.raw, code(split), &raw const view, room, err) })?;
        values.close("out").map(<[f64]>::to_vec).map_err(|text| loss.plugin.broken("metrics", text))
    }

    /// What leaves the objective unchanged.
    pub fn symmetries(&self, loss: &Handle, p: usize) -> Result<Vec<Symmetry>> {
        let Some(list) = self.symmetry.and_then(|ext| ext.list) else { return Ok(Vec::new()) };
        let (mut records, mut count) = (std::ptr::null(), 0);
        // SAFETY: a live handle; outputs are ours.
        loss.plugin.call("symmetry", |err| unsafe { list(loss.raw, &raw mut records, &raw mut count, err) })?;
        // SAFETY: `count` records owned by the loss, which is open.
        let read = unsafe { foreign::list(records, count, MOST_SYMMETRIES, "records") }.and_then(|raw| {
            let numbered = raw.iter().enumerate();
            // SAFETY: as above; each record's index holds n_blocks x block values.
            numbered
                .map(|(i, raw)| unsafe { symmetry(raw, p as u64) }.map_err(|t| format!("record {i}: {t}")))
                .collect()
        });
        read.map_err(|text| loss.plugin.broken("symmetry", text))
    }

    /// Hashes of model and data, and the options in effect.
    pub fn identity(&self, loss: &Handle) -> Result<Identity> {
        let Some(get) = self.identity.and_then(|ext| ext.get) else { return Ok(Identity::default()) };
        // SAFETY: a live handle.
        let raw = unsafe { get(loss.raw) };
        // SAFETY: mpass_identity, "owned by the loss, constant until close", its texts included.
        let read = unsafe { foreign::record(raw, abi::Identity::zeroed(), "mpass_identity") }.and_then(|raw| {
            // SAFETY: as above.
            let text = |from, name| unsafe { foreign::text(from, name) }.map(Option::unwrap_or_default);
            let hash = |from, name| {
                text(from, name).and_then(|hash| match hash.len() {
                    0 => Ok(hash),
                    64 if hash.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(hash),
                    _ => Err(format!("{name} {hash:?} is no SHA-256 in hexadecimal")),
                })
            };
            Ok(Identity {
                model_hash: hash(raw.model_hash, "model_hash")?,
                data_hash: hash(raw.data_hash, "data_hash")?,
                options: text(raw.options, "options")?,
                notes: text(raw.notes, "notes")?,
            })
        });
        read.map_err(|text| loss.plugin.broken("identity", text))
    }
}

/// The code of a split.
pub(crate) fn code(split: Split) -> u32 {
    match split {
        Split::Train => abi::split::TRAIN,
        Split::Test => abi::split::TEST,
    }
}

/// A box, if it is one of `p` finite intervals.
pub(super) fn sides(bounds: Bounds, p: usize) -> Checked<Bounds> {
    let Bounds { lower, upper } = &bounds;
    if (lower.len(), upper.len()) != (p, p) {
        return Err(format!("{} and {} sides for {p} parameters", lower.len(), upper.len()));
    }
    match lower.iter().zip(upper).position(|(l, u)| !is_side(*l, *u)) {
        None => Ok(bounds),
        Some(i) => Err(format!("coordinate {i} lies in [{}, {}], which is no interval", lower[i], upper[i])),
    }
}

fn is_side(lower: f64, upper: f64) -> bool {
    lower.is_finite() && upper.is_finite() && lower < upper
}

/// # Safety
/// As for [`foreign::text`].
unsafe fn required(from: *const c_char, name: &str) -> Checked<String> {
    // SAFETY: forwarded.
    unsafe { foreign::text(from, name) }?.ok_or_else(|| format!("{name} is NULL"))
}

/// # Safety
/// The record's name is terminated and its shape holds `ndim` values.
unsafe fn parameter(raw: &abi::Parameter) -> Checked<Parameter> {
    // SAFETY: forwarded.
    let name = unsafe { required(raw.name, "the name of a block") }?;
    // SAFETY: forwarded.
    let shape = unsafe { foreign::list(raw.shape, raw.ndim.into(), MOST_DIMENSIONS, "dimensions") };
    let shape = shape.map_err(|text| format!("block {name:?}: {text}"))?;
    Ok(Parameter { name, shape, offset: raw.offset })
}

/// Blocks by offset, if they cover `0..p` without gap or overlap.
pub(super) fn cover(mut blocks: Vec<Parameter>, p: u64) -> Checked<Vec<Parameter>> {
    blocks.sort_by_key(|block| block.offset);
    let mut end = 0_u64;
    for Parameter { name, shape, offset } in &blocks {
        if *offset != end {
            return Err(format!("block {name:?} starts at {offset} where the blocks before it end at {end}"));
        }
        let size = shape.iter().try_fold(1_u64, |product, &axis| product.checked_mul(axis));
        end = match size.filter(|&size| size > 0).and_then(|size| end.checked_add(size)) {
            Some(end) if end <= p => end,
            _ => return Err(format!("block {name:?} of shape {shape:?} at {offset} does not fit into {p} parameters")),
        };
    }
    if end != p && !blocks.is_empty() {
        return Err(format!("the blocks end at {end} but there are {p} parameters"));
    }
    Ok(blocks)
}

/// # Safety
/// The record's index holds `n_blocks x block` values.
unsafe fn symmetry(raw: &abi::Symmetry, p: u64) -> Checked<Symmetry> {
    use abi::symmetry::*;
    let abi::Symmetry { n_blocks, block, split, period, .. } = *raw;
    if n_blocks == 0 || block == 0 {
        return Err(format!("{n_blocks} blocks of {block} indices"));
    }
    let kind = match raw.kind {
        PERMUTATION => SymmetryKind::Permutation,
        SIGN => SymmetryKind::Sign,
        SCALE => SymmetryKind::Scale { split },
        PERIOD => SymmetryKind::Period(period),
        RIGID => SymmetryKind::Rigid,
        CONJUGATION => SymmetryKind::Conjugation { split },
        MIXING => SymmetryKind::Mixing { split },
        other => return Err(format!("unknown kind {other}")),
    };
    // No index repeats, so that there are at most p of them.
    let count = n_blocks.saturating_mul(block);
    // SAFETY: forwarded; a count above p is refused before anything is read.
    let index = unsafe { foreign::list(raw.index, count, p, "indices") }?;
    sound(Symmetry { kind, blocks: index.chunks(block as usize).map(<[u64]>::to_vec).collect() }, p)
}

/// A symmetry, if it is one of `p` parameters: blocks of one length, no index outside or twice.
pub(super) fn sound(symmetry: Symmetry, p: u64) -> Checked<Symmetry> {
    let blocks = &symmetry.blocks;
    let block = blocks.first().map_or(0, |block| block.len() as u64);
    if block == 0 || blocks.iter().any(|other| other.len() as u64 != block) {
        return Err("blocks of no or of several lengths".into());
    }
    match symmetry.kind {
        SymmetryKind::Scale { split } if split == 0 || split > block => {
            return Err(format!("split is {split} in blocks of {block}"));
        }
        SymmetryKind::Conjugation { split }
            if split >= block || !(block - split).is_multiple_of(blocks.len() as u64) =>
        {
            let n = blocks.len();
            return Err(format!("split is {split} in blocks of {block}: what is behind it are no rows of {n} entries"));
        }
        SymmetryKind::Mixing { split } if split >= blocks.len() as u64 => {
            return Err(format!("split is {split} of {} points: none is left for the inverse", blocks.len()));
        }
        SymmetryKind::Period(period) if !(period.is_finite() && period > 0.0) => {
            return Err(format!("period is {period}"));
        }
        _ => {}
    }
    let mut sorted = blocks.concat();
    if let Some(i) = sorted.iter().find(|&&i| i >= p) {
        return Err(format!("index {i} lies outside {p} parameters"));
    }
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("index {} repeats", pair[0])),
        None => Ok(symmetry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, shape: &[u64], offset: u64) -> Parameter {
        Parameter { name: name.into(), shape: shape.into(), offset }
    }

    #[test]
    fn blocks_must_cover_theta_once() {
        let (w, b) = (block("w", &[2, 3], 0), block("b", &[], 6));
        assert_eq!(cover(vec![b.clone(), w.clone()], 7), Ok(vec![w.clone(), b.clone()]));
        assert_eq!(cover(vec![], 7), Ok(vec![]));
        for (blocks, says) in [
            (vec![w.clone()], "the blocks end at 6 but there are 7 parameters"),
            (vec![b.clone()], "block \"b\" starts at 6 where the blocks before it end at 0"),
            (vec![w.clone(), block("b", &[2], 5)], "block \"b\" starts at 5 where the blocks before it end at 6"),
            (vec![w.clone(), block("b", &[2], 6)], "block \"b\" of shape [2] at 6 does not fit into 7 parameters"),
            (vec![block("w", &[0], 0)], "block \"w\" of shape [0] at 0 does not fit into 7 parameters"),
            (vec![block("w", &[1 << 40, 1 << 40], 0)], "does not fit into 7 parameters"),
        ] {
            let error = cover(blocks, 7).unwrap_err();
            assert!(error.ends_with(says), "{error}");
        }
    }

    #[test]
    fn symmetry_records_are_read_only_if_they_make_sense() {
        use abi::symmetry::*;
        let read = |kind, n_blocks, block, index: &[u64], split, period| {
            let raw = abi::Symmetry { kind, reserved: 0, n_blocks, block, index: index.as_ptr(), split, period };
            // SAFETY: counts above p = 4 are refused before the index is read; the others match it.
            unsafe { symmetry(&raw, 4) }
        };
        let blocks = vec![vec![0, 1], vec![2, 3]];
        assert_eq!(
            read(SCALE, 2, 2, &[0, 1, 2, 3], 1, 0.0),
            Ok(Symmetry { kind: SymmetryKind::Scale { split: 1 }, blocks })
        );
        // All of a block: only its direction counts.
        assert!(read(SCALE, 1, 2, &[0, 1], 2, 0.0).is_ok());
        // A matrix of 2 x 2, and nothing beside it.
        assert!(read(CONJUGATION, 2, 2, &[0, 1, 2, 3], 0, 0.0).is_ok());
        assert!(read(MIXING, 2, 2, &[0, 1, 2, 3], 0, 0.0).is_ok() && read(MIXING, 2, 2, &[0, 1, 2, 3], 1, 0.0).is_ok());
        for (found, says) in [
            (read(MIXING, 2, 2, &[0, 1, 2, 3], 2, 0.0), "split is 2 of 2 points: none is left for the inverse"),
            (read(CONJUGATION, 2, 2, &[0, 1, 2, 3], 1, 0.0), "what is behind it are no rows of 2 entries"),
            (read(CONJUGATION, 2, 2, &[0, 1, 2, 3], 2, 0.0), "what is behind it are no rows of 2 entries"),
            (read(PERMUTATION, 2, 2, &[0, 1, 2, 4], 0, 0.0), "index 4 lies outside 4 parameters"),
            (read(PERMUTATION, 2, 2, &[0, 1, 2, 1], 0, 0.0), "index 1 repeats"),
            (read(SIGN, 5, 1, &[], 0, 0.0), "indices: 5 of them where at most 4 make sense"),
            (read(SIGN, u64::MAX, 2, &[], 0, 0.0), "make sense"),
            (read(SIGN, 0, 1, &[], 0, 0.0), "0 blocks of 1 indices"),
            (read(SCALE, 1, 2, &[0, 1], 3, 0.0), "split is 3 in blocks of 2"),
            (read(PERIOD, 1, 2, &[0, 1], 0, f64::NAN), "period is NaN"),
            (read(9, 1, 2, &[0, 1], 0, 0.0), "unknown kind 9"),
        ] {
            let error = found.unwrap_err();
            assert!(error.ends_with(says), "{error}");
        }
    }

    #[test]
    fn a_side_of_a_box_is_a_finite_interval() {
        assert!(is_side(-1.0, 1.0));
        for (lower, upper) in [(1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(!is_side(lower, upper));
        }
    }
}
