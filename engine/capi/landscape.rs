//! Exploring a loss, and reading what was found.

use super::abi::{self, ended, minimum, path};
use super::argument::{handle, ids, optional_text, options, out_pointer, read_rows, record, unknown_flags};
use super::barcode::{Barcode, death_code};
use super::barrier::{give, take};
use super::hooks::Teller;
use super::loss::{Loss, LossState};
use crate::config::Config;
use crate::error::Error;
use crate::explore::{Ended, Given, Method, barcode, evidence, explore};
use crate::loss::oracle::Oracle;
use crate::report;
use crate::search::{self, Descent, Origin, PathState, Tally, Unrecorded};
use crate::store::{By, Kept, RunRecord, Space};

/// `mpass_landscape`: what was found, and a record of each thing that points into it.
pub struct Landscape {
    pub(super) kept: Kept,
    info: abi::LandscapeInfo,
    minima: Vec<abi::Minimum>,
    paths: Vec<abi::Path>,
}

export! {
    /// Explores a loss.
    fn mpass_explore(loss: *mut Loss, given: *const abi::RunOptions, out: *mut *mut Landscape) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let mut opened = unsafe { handle(loss, "loss") }?.state.lock()?;
        // SAFETY: NULL or the caller's options.
        let given = unsafe { options(given, abi::RunOptions::zeroed(), "mpass_run_options") }?;
        // SAFETY: NULL or the caller's view.
        let ids = match unsafe { given.evaluation_ids.as_ref() } {
            None => None,
            // SAFETY: what it shows is there.
            Some(view) => unsafe { ids(view, "evaluation_ids") }?,
        };
        // SAFETY: NULL or the caller's view.
        let theta = match unsafe { given.theta.as_ref() } {
            None => None,
            Some(view) => {
                let mut rows = Vec::new();
                // SAFETY: what it shows is there.
                unsafe { read_rows(view, "theta", &mut rows) }?;
                Some((rows, view.cols as usize))
            }
        };
        // SAFETY: NULL or a live token.
        let cancel = unsafe { given.cancel.as_ref() }.cloned().unwrap_or_default();
        // SAFETY: NULL or the caller's text.
        let text = unsafe { optional_text(given.config, "config") }?.unwrap_or_default();
        unknown_flags(given.flags, 0, "mpass_run_options")?;
        let LossState { loss, model, hooks, .. } = &mut *opened;
        let mut config = Config::parse_opened(&text)?;
        if config.plan.method != Method::Paths {
            let method = By::from(&config.plan.method).name();
            let text = format!("[complex] method = {method:?}: this library explores by paths; mpass run samples");
            return Err(Error::Unsupported { backend: "libmountainpass".into(), text });
        }
        if let Some((theta, p)) = theta {
            let rows = theta.chunks_exact(p.max(1)).map(<[f64]>::to_vec).enumerate();
            config.give(rows.map(|(i, theta)| Given { name: format!("row {i}"), theta, ..Given::default() }).collect())?;
        }
        config.check(&**loss)?;
        config.loss.model = (!model.is_empty()).then(|| model.clone());
        let provenance = config.provenance(&**loss)?;
        let params = loss.info().params;
        let mut oracle = Oracle::new(&mut **loss, ids.as_deref(), &cancel, config.budget)?;
        let (known, mut journal) = (search::Landscape::default(), Unrecorded);
        let explored = explore(&mut oracle, &config.plan, known, &mut journal, &mut Teller(hooks))?;
        if !explored.landscape.minima.iter().any(search::Minimum::counts) {
            return Err(match explored.ended {
                Ended::Cancelled => Error::Cancelled,
                _ => Error::Budget("the run, before a minimum was found,"),
            });
        }
        let record = RunRecord {
            title: config.title(),
            notes: report::notes(&explored),
            passes: explored.passes,
            pairs: explored.pairs,
            noise: Some(explored.noise),
            ended: Some(explored.ended),
            ..RunRecord::default()
        };
        let landscape = Landscape::new(Kept { landscape: explored.landscape, provenance, record }, params);
        // SAFETY: checked above.
        unsafe { give(out, landscape) };
        Ok(())
    }
}

export! {
    /// Counts and costs.
    fn mpass_landscape_get_info(landscape: *const Landscape) -> *const abi::LandscapeInfo, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        Ok(&raw const unsafe { handle(landscape, "landscape") }?.info)
    }
}

export! {
    /// One minimum.
    fn mpass_landscape_minimum(landscape: *const Landscape, index: u64) -> *const abi::Minimum, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let minima = &unsafe { handle(landscape, "landscape") }?.minima;
        record(minima, index, "minimum")
    }
}

export! {
    /// One path.
    fn mpass_landscape_path(landscape: *const Landscape, index: u64) -> *const abi::Path, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let paths = &unsafe { handle(landscape, "landscape") }?.paths;
        record(paths, index, "path")
    }
}

export! {
    /// Computes the barcode of a landscape.
    fn mpass_barcode_compute(landscape: *const Landscape, out: *mut *mut Barcode) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let landscape = unsafe { handle(landscape, "landscape") }?;
        // SAFETY: checked above.
        unsafe { give(out, landscape.barcode()) };
        Ok(())
    }
}

export! {
    /// Frees a landscape.
    fn mpass_landscape_free(landscape: *mut Landscape) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(landscape) };
        Ok(())
    }
}

impl Landscape {
    fn barcode(&self) -> Barcode {
        let Kept { landscape, provenance, .. } = &self.kept;
        let bars = barcode(landscape, self.kept.noise());
        let evidence = evidence(landscape, &bars.bars).into_iter().map(|evidence| evidence.cloned()).collect();
        Barcode::new(bars, evidence, false, provenance.clone())
    }

    pub(super) fn new(kept: Kept, params: usize) -> Landscape {
        let (found, provenance) = (&kept.landscape, &kept.provenance);
        let spent = |of: fn(&Tally) -> u64| found.evaluations.iter().map(|(_, tally)| of(tally)).sum();
        let info = abi::LandscapeInfo {
            struct_size: abi::LandscapeInfo::SIZE,
            ended: match kept.record.ended {
                Some(Ended::Complete) => ended::COMPLETE,
                Some(Ended::Budget) => ended::BUDGET,
                // A run that never ended was stopped.
                Some(Ended::Cancelled) | None => ended::CANCELLED,
            },
            params: params as u64,
            n_minima: found.minima.len() as u64,
            n_paths: found.paths.len() as u64,
            n_loss: spent(|tally| tally.loss),
            n_gradient: spent(|tally| tally.gradient),
            n_hessian_product: spent(|tally| tally.hessian_product),
            noise: kept.noise(),
            aligned: (provenance.space == Space::Aligned).into(),
            reserved: 0,
        };
        // The vectors that records point into keep their memory when `kept` moves, and are never changed again.
        let minima = found.minima.iter().map(minimum_record).collect();
        let paths = found.paths.iter().map(|path| path_record(path, params)).collect();
        Landscape { kept, info, minima, paths }
    }
}

fn minimum_record(of: &search::Minimum) -> abi::Minimum {
    let descent = match of.descent {
        Descent::Converged => 0,
        Descent::Unconverged => minimum::UNCONVERGED,
        Descent::Escaped => minimum::ESCAPED,
        Descent::NotFinite => minimum::NOT_FINITE,
    };
    let (seed, path, origin) = match of.origin {
        Origin::Start { seed } => (seed, abi::NONE, 0),
        Origin::Given { index, .. } => (index, abi::NONE, minimum::GIVEN),
        Origin::Transit { path } => (abi::NONE, path, minimum::TRANSIT),
    };
    abi::Minimum {
        struct_size: abi::Minimum::SIZE,
        flags: descent | origin | if of.counts() { minimum::COUNTS } else { 0 },
        cell: of.cell,
        same_as: of.same_as.unwrap_or(abi::NONE),
        seed,
        path,
        loss: of.loss,
        gradient_norm: of.evidence.gradient_norm,
        theta: of.theta.as_ptr(),
    }
}

fn path_record(of: &search::Path, params: usize) -> abi::Path {
    abi::Path {
        struct_size: abi::Path::SIZE,
        state: match of.state {
            PathState::Straight => path::STRAIGHT,
            PathState::Relaxed | PathState::Fresh => path::RELAXED,
            PathState::Converged => path::CONVERGED,
            PathState::Split => path::SPLIT,
        },
        id: of.id,
        from_cell: of.ends.0,
        to_cell: of.ends.1,
        pass_cell: of.pass.cell,
        pass_kind: death_code(of.pass.kind.into()),
        reserved: 0,
        height: of.pass.height,
        height_error: of.pass.error,
        pass_arc: of.pass.arc,
        pass_theta: of.pass.theta.as_ptr(),
        n_samples: of.profile.arc.len() as u64,
        n_knots: (of.knots.len() / params) as u64,
        arc: of.profile.arc.as_ptr(),
        loss: of.profile.loss.as_ptr(),
        slope: of.profile.slope.as_ptr(),
        knots: of.knots.as_ptr(),
    }
}

/// A landscape of known findings, for tests.
#[cfg(test)]
pub(super) fn found(found: search::Landscape, params: usize) -> Landscape {
    let provenance = crate::store::Provenance { parameters: params as u64, ..Default::default() };
    let record = RunRecord { noise: Some(0.0), ended: Some(Ended::Complete), ..RunRecord::default() };
    Landscape::new(Kept { landscape: found, provenance, record }, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::abi::{bar, death};
    use crate::capi::mpass_barcode_score;
    use crate::search::{Evidence, Minimum, Pass, PassKind, Path, Profile};

    fn minimum(cell: u64, loss: f64, descent: Descent, origin: Origin) -> Minimum {
        let theta = vec![cell as f64];
        let (evidence, metrics) = (Evidence::default(), Vec::new());
        Minimum { cell, origin, descent, theta, loss, evidence, same_as: None, metrics, evaluations: 0 }
    }

    fn path(id: u64, ends: (u64, u64), cell: u64, height: f64) -> Path {
        let kind = PassKind::PathMaximum;
        let pass = Pass { cell, kind, height, error: 0.25, arc: 0.5, theta: vec![0.5], evidence: None, reason: None };
        let (state, profile) = (PathState::Converged, Profile::default());
        Path { id, ends, state, knots: vec![ends.0 as f64, ends.1 as f64], profile, pass, visits: 1 }
    }

    #[test]
    fn doubt_and_way_stations_are_flagged_and_scored_apart() {
        let start = |seed| Origin::Start { seed };
        let minima = vec![
            minimum(0, 0.0, Descent::Converged, start(1)),
            minimum(1, 1.0, Descent::Converged, start(2)),
            minimum(2, 2.0, Descent::Unconverged, start(3)),
            minimum(3, 3.0, Descent::Converged, Origin::Transit { path: 0 }),
        ];
        let paths = vec![path(0, (0, 1), 4, 5.0), path(1, (0, 2), 5, 3.0), path(2, (3, 0), 6, 9.0)];
        let landscape = found(search::Landscape { minima, paths, ..Default::default() }, 1);
        let barcode = landscape.barcode();
        let told: Vec<(f64, f64, u32, u32)> =
            barcode.bars.iter().map(|b| (b.birth, b.death, b.flags, b.death_kind)).collect();
        let top = death::PATH_MAXIMUM;
        let known = [
            (0.0, f64::INFINITY, 0, death::NEVER),
            (1.0, 5.0, 0, top),
            (2.0, 3.0, bar::UNCONVERGED, top),
            (3.0, 9.0, bar::TRANSIT, top),
        ];
        assert_eq!(told, known);
        assert_eq!((barcode.bars[1].elder_cell, barcode.bars[1].path, barcode.bars[1].death_error), (0, 0, 0.25));

        // SAFETY: a live barcode.
        let all = unsafe { mpass_barcode_score(&raw const barcode, 0) };
        // SAFETY: one of its records.
        let all = unsafe { *all };
        // SAFETY: as above.
        let sure = unsafe { *all.without_doubtful };
        assert_eq!((all.bars, all.essential, all.doubtful, all.total), (2, 1, 1, 5.0));
        assert_eq!((sure.bars, sure.essential, sure.doubtful, sure.total), (1, 1, 0, 4.0));
        assert!(sure.without_doubtful.is_null());
    }
}
