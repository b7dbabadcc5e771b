//! Landscapes in files: `landscape.sqlite`, as the command writes it. Needs the feature `store`.

use super::argument::{handle, out_pointer, text};
use super::barrier::give;
use super::landscape::Landscape;
use std::ffi::c_char;
use std::path::Path;

export! {
    /// Writes a landscape to a new file.
    fn mpass_landscape_save(landscape: *const Landscape, path: *const c_char) {
        // SAFETY: the caller's handle.
        let landscape = unsafe { handle(landscape, "landscape") }?;
        // SAFETY: the caller's text.
        let path = unsafe { text(path, "path") }?;
        save(landscape, Path::new(&path))
    }
}

export! {
    /// Reads a landscape from a file.
    fn mpass_landscape_open(path: *const c_char, out: *mut *mut Landscape) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's text.
        let landscape = open(Path::new(&unsafe { text(path, "path") }?))?;
        // SAFETY: checked above.
        unsafe { give(out, landscape) };
        Ok(())
    }
}

#[cfg(not(feature = "store"))]
use missing::{open, save};
#[cfg(feature = "store")]
use stored::{open, save};

#[cfg(not(feature = "store"))]
mod missing {
    use super::Landscape;
    use crate::error::{Error, Result};
    use std::path::Path;

    fn missing() -> Error {
        let text = "built without the feature store: landscapes are neither saved nor opened".to_owned();
        Error::Unsupported { backend: "libmountainpass".into(), text }
    }

    pub fn save(_: &Landscape, _: &Path) -> Result<()> {
        Err(missing())
    }

    pub fn open(_: &Path) -> Result<Landscape> {
        Err(missing())
    }
}

#[cfg(feature = "store")]
mod stored {
    use super::Landscape;
    use crate::error::{Error, Result};
    use crate::store::{Kept, Store};
    use std::path::Path;

    pub fn save(landscape: &Landscape, path: &Path) -> Result<()> {
        let Kept { landscape, provenance, record } = &landscape.kept;
        let mut store = Store::create(path, provenance)?;
        store.put_landscape(landscape)?;
        store.put_record(record)?;
        store.close()
    }

    pub fn open(path: &Path) -> Result<Landscape> {
        let kept = Store::open(path)?.kept()?;
        if kept.provenance.is_of_samples() {
            let method = kept.provenance.method.name();
            let text = format!("made with method = {method:?}: this library reads paths; mpass show prints it");
            return Err(Error::Store { path: path.to_owned(), text });
        }
        let params = usize::try_from(kept.provenance.parameters).unwrap_or(0);
        Ok(Landscape::new(kept, params))
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::*;
    use crate::capi::landscape::found;
    use crate::capi::{
        mpass_barcode_compute, mpass_barcode_free, mpass_barcode_json, mpass_landscape_free, mpass_landscape_get_info,
        mpass_landscape_path, mpass_last_error,
    };
    use crate::search::{
        self, Descent, Evidence, Minimum, Origin, Pass, PassKind, Path as Curve, PathState, Profile, Stage, Tally,
    };
    use mountainpass_sdk::abi::status;
    use std::ffi::{CStr, CString};

    fn landscape() -> Landscape {
        let minimum = |cell: u64, loss| Minimum {
            cell,
            origin: Origin::Start { seed: cell },
            descent: Descent::Converged,
            theta: vec![cell as f64, -0.0],
            loss,
            evidence: Evidence::default(),
            same_as: None,
            metrics: Vec::new(),
            evaluations: 3,
        };
        let kind = PassKind::PathMaximum;
        let (theta, reason) = (vec![0.5, 0.1], Some("it is flat".to_owned()));
        let pass = Pass { cell: 2, kind, height: 5.0, error: 0.25, arc: 0.5, theta, evidence: None, reason };
        let profile = Profile { arc: vec![0.0, 1.0], loss: vec![0.0, 1.0], slope: vec![0.5, f64::NAN] };
        let knots = vec![0.0, 0.0, 1.0, 0.0];
        let path = Curve { id: 7, ends: (0, 1), state: PathState::Converged, knots, profile, pass, visits: 1 };
        let evaluations = vec![(Stage::Minima, Tally { loss: 1, gradient: 2, hessian_product: 3 })];
        found(
            search::Landscape {
                minima: vec![minimum(0, 0.0), minimum(1, 1.0)],
                paths: vec![path],
                evaluations,
                critical: Vec::new(),
            },
            2,
        )
    }

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "a caller's program, one call after the other")]
    fn a_landscape_comes_back_from_its_file_with_the_same_barcode() {
        let folder = std::env::temp_dir().join(format!("mpass-landscape-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = CString::new(folder.join("landscape.sqlite").to_str().unwrap()).unwrap();
        let json = |landscape| {
            let mut barcode = std::ptr::null_mut();
            // SAFETY: a live landscape.
            unsafe {
                assert_eq!(mpass_barcode_compute(landscape, &raw mut barcode), status::OK);
                let text = CStr::from_ptr(mpass_barcode_json(barcode)).to_owned();
                mpass_barcode_free(barcode);
                text
            }
        };
        let mut ours = landscape();
        ours.kept.record.title = "two wells".into();
        ours.kept.record.notes = vec!["said".into()];
        let mut back = std::ptr::null_mut();
        // SAFETY: live handles and texts.
        unsafe {
            assert_eq!(mpass_landscape_open(file.as_ptr(), &raw mut back), status::NOT_FOUND);
            assert_eq!(mpass_landscape_save(&raw const ours, c"".as_ptr()), status::ARGUMENT);
            assert_eq!(mpass_landscape_save(&raw const ours, file.as_ptr()), status::OK);
            assert_eq!(mpass_landscape_save(&raw const ours, file.as_ptr()), status::ARGUMENT);
            assert!((*mpass_last_error()).message().contains("exists already"));
            assert_eq!(mpass_landscape_open(file.as_ptr(), &raw mut back), status::OK);
            let (info, known) = (*mpass_landscape_get_info(back), *mpass_landscape_get_info(&raw const ours));
            assert_eq!((info.params, info.n_minima, info.n_paths, info.ended), (2, 2, 1, known.ended));
            assert_eq!((info.n_loss, info.n_gradient, info.n_hessian_product), (1, 2, 3));
            let path = *mpass_landscape_path(back, 0);
            assert_eq!((path.id, path.n_knots, path.n_samples, *path.knots.add(2)), (7, 2, 2, 1.0));
            assert!((*path.slope.add(1)).is_nan());
            assert_eq!(
                ((*back).kept.record.title.as_str(), &*(*back).kept.record.notes),
                ("two wells", &["said".to_owned()][..])
            );
            assert_eq!(json(back), json(&raw const ours));
            mpass_landscape_free(back);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
