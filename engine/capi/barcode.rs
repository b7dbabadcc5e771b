//! A barcode, of a landscape or a sampled function: its bars, cycles, scores and text.

use super::abi::{self, bar, death, keep};
use super::argument::{handle, options, out_pointer, record, unknown_flags};
use super::barrier::take;
use super::chain::Chains;
use super::hooks::c_text;
use crate::error::{Error, Result};
use crate::persistence::{self, Bar, DeathKind, Diagram, Metric, Score, distance};
use crate::report::BarcodeFile;
use crate::search::Evidence;
use crate::store::{By, Provenance};
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

/// `mpass_barcode`.
pub struct Barcode {
    barcode: persistence::Barcode,
    superlevel: bool,
    provenance: Provenance,
    /// What speaks for each bar, where they were searched for.
    evidence: Vec<Option<Evidence>>,
    pub(super) bars: Vec<abi::Bar>,
    cycles: Chains,
    /// One for each degree that has bars.
    scores: Vec<abi::Score>,
    /// What their `without_doubtful` points to; never changed again.
    _sure: Vec<abi::Score>,
    /// The text, or why a value in it has no word in JSON; written when it is first asked for.
    json: OnceLock<std::result::Result<CString, String>>,
}

export! {
    /// All bars.
    fn mpass_barcode_bars(barcode: *const Barcode, count: *mut u64) -> *const abi::Bar, else std::ptr::null(); {
        let count = out_pointer(count, "count")?;
        // SAFETY: the caller's handle.
        let bars = &unsafe { handle(barcode, "barcode") }?.bars;
        // SAFETY: checked above.
        unsafe { count.write(bars.len() as u64) };
        Ok(bars.as_ptr())
    }
}

export! {
    /// What represents a bar.
    fn mpass_barcode_cycle(barcode: *const Barcode, bar: u64) -> *const abi::Chain, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let cycles = unsafe { handle(barcode, "barcode") }?.cycles.records();
        record(cycles, bar, "bar")
    }
}

export! {
    /// The score of one degree.
    fn mpass_barcode_score(barcode: *const Barcode, degree: u32) -> *const abi::Score, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let scores = &unsafe { handle(barcode, "barcode") }?.scores;
        let score = scores.iter().find(|score| score.degree == degree);
        score.map(std::ptr::from_ref).ok_or_else(|| Error::Argument(format!("there is no bar of degree {degree}")))
    }
}

export! {
    /// The distance of order q to the ideal barcode.
    fn mpass_barcode_wasserstein(barcode: *const Barcode, degree: u32, q: f64, out: *mut f64) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let barcode = unsafe { handle(barcode, "barcode") }?;
        let distance = Score::wasserstein(&barcode.barcode, degree, q);
        let distance = distance.ok_or_else(|| Error::Argument(format!("q is {q}: it must be from 1 to INFINITY")))?;
        // SAFETY: checked above.
        unsafe { out.write(distance) };
        Ok(())
    }
}

export! {
    /// The distance of order q between two barcodes.
    fn mpass_barcode_distance(a: *const Barcode, b: *const Barcode, degree: u32, q: f64, out: *mut f64) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let a = unsafe { handle(a, "a") }?;
        // SAFETY: the caller's handle.
        let b = unsafe { handle(b, "b") }?;
        let diagram = |of: &Barcode| Diagram::of(&of.barcode.bars, of.superlevel);
        let (a, b) = (diagram(a)?, diagram(b)?);
        let found = distance(&a, &b, degree, Metric::Wasserstein { order: q, relative_error: Some(0.0) })?;
        // SAFETY: checked above.
        unsafe { out.write(found.value) };
        Ok(())
    }
}

export! {
    /// The text of a barcode.json.
    fn mpass_barcode_json(barcode: *const Barcode) -> *const c_char, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let barcode = unsafe { handle(barcode, "barcode") }?;
        let json = barcode.json.get_or_init(|| barcode.to_json());
        json.as_ref().map(|text| text.as_ptr()).map_err(|fault| Error::Numeric(fault.clone()))
    }
}

export! {
    /// Frees a barcode.
    fn mpass_barcode_free(barcode: *mut Barcode) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(barcode) };
        Ok(())
    }
}

impl Barcode {
    /// The barcode of a function whose samples were given.
    pub(super) fn of_samples(bars: persistence::Barcode, superlevel: bool, method: By) -> Barcode {
        Barcode::new(bars, Vec::new(), superlevel, Provenance::of_given(method))
    }

    pub(super) fn new(
        barcode: persistence::Barcode,
        evidence: Vec<Option<Evidence>>,
        superlevel: bool,
        provenance: Provenance,
    ) -> Barcode {
        let all: Vec<(Score, u64)> = barcode
            .degrees()
            .into_iter()
            .map(|degree| {
                let essential = barcode.degree(degree).filter(|bar| bar.death().is_none()).count() as u64;
                (Score::of(&barcode, degree), essential)
            })
            .collect();
        let sure: Vec<abi::Score> = all
            .iter()
            .filter_map(|(score, essential)| {
                Some(score_record(score.without_doubtful.as_deref()?, *essential, std::ptr::null()))
            })
            .collect();
        let without_doubtful =
            |degree| sure.iter().find(|s| s.degree == degree).map_or(std::ptr::null(), std::ptr::from_ref);
        let scores = all
            .iter()
            .map(|(score, essential)| score_record(score, *essential, without_doubtful(score.degree)))
            .collect();
        let never = if superlevel { f64::NEG_INFINITY } else { f64::INFINITY };
        let bars = barcode.bars.iter().map(|bar| bar_record(bar, never)).collect();
        let cycles = Chains::new(barcode.bars.iter().map(|bar| &bar.cycle[..]));
        Barcode { barcode, superlevel, provenance, evidence, bars, cycles, scores, _sure: sure, json: OnceLock::new() }
    }

    /// The text of a barcode.json.
    fn to_json(&self) -> std::result::Result<CString, String> {
        let evidence = self.evidence.iter().map(Option::as_ref).collect();
        let file = BarcodeFile::of(&self.barcode, self.superlevel, &self.provenance);
        file.and_then(|file| file.with_evidence(evidence))
            .and_then(|file| file.to_json())
            .map(|text| c_text(&text))
            .map_err(|error| error.to_string())
    }
}

/// `mpass_barcode_options` of a caller.
///
/// # Safety
/// `given` is NULL or as large as its `struct_size` says.
pub(super) unsafe fn wanted(given: *const abi::BarcodeOptions) -> Result<abi::BarcodeOptions> {
    // SAFETY: forwarded from the caller.
    let given = unsafe { options(given, abi::BarcodeOptions::zeroed(), "mpass_barcode_options") }?;
    unknown_flags(given.flags, keep::ZERO_LENGTH | keep::CYCLES, "mpass_barcode_options")?;
    if given.reserved != 0 {
        return Err(Error::Argument(format!("mpass_barcode_options.reserved is {}, and must be 0", given.reserved)));
    }
    Ok(given)
}

fn score_record(score: &Score, essential: u64, without_doubtful: *const abi::Score) -> abi::Score {
    abi::Score {
        struct_size: abi::Score::SIZE,
        degree: score.degree,
        bars: score.bars,
        essential,
        doubtful: score.doubtful,
        mean: score.mean,
        total: score.total,
        max: score.max,
        bottleneck: score.bottleneck,
        wasserstein_1: score.wasserstein_1,
        wasserstein_2: score.wasserstein_2,
        without_doubtful,
    }
}

fn bar_record(of: &Bar, never: f64) -> abi::Bar {
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    abi::Bar {
        birth: of.birth,
        death: of.death().unwrap_or(never),
        death_error: of.top().map_or(0.0, |top| top.error),
        birth_cell: of.birth_cell,
        death_cell: of.death_cell().unwrap_or(abi::NONE),
        elder_cell: of.elder().unwrap_or(abi::NONE),
        path: of.top().and_then(|top| top.path).unwrap_or(abi::NONE),
        degree: of.degree,
        death_kind: of.death_kind().map_or(death::NEVER, death_code),
        flags: flag(of.is_below_noise(), bar::BELOW_NOISE)
            | flag(of.is_unconverged(), bar::UNCONVERGED)
            | flag(of.is_transit(), bar::TRANSIT),
        reserved: 0,
    }
}

/// `MPASS_DEATH_*`.
pub(super) fn death_code(kind: DeathKind) -> u32 {
    match kind {
        DeathKind::Cell => death::CELL,
        DeathKind::PathMaximum => death::PATH_MAXIMUM,
        DeathKind::VerifiedSaddle => death::VERIFIED_SADDLE,
        DeathKind::VerifiedKinkSaddle => death::VERIFIED_KINK_SADDLE,
        DeathKind::CriticalPoint => death::CRITICAL_POINT,
    }
}
