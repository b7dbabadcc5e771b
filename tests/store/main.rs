//! The landscape database: what goes in comes out bit for bit, a killed process loses nothing, bad files are named.
#![cfg(feature = "store")]

mod damage;

use mountainpass::error::Error;
use mountainpass::explore::AtPass;
use mountainpass::persistence::Barcode;
use mountainpass::run::Ended;
use mountainpass::search::*;
use mountainpass::store::{Provenance, RunRecord, Salvaged, Space, Store, salvage};
use proptest::prelude::*;
use std::path::PathBuf;

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn provenance() -> Provenance {
    Provenance {
        version: "0.1.0".into(),
        backend: "surfaces".into(),
        model_hash: "00ff".into(),
        config: "[loss]\nmodel = \"camel\"\n".into(),
        seed: Some(u64::MAX),
        space: Space::Aligned,
        parameters: 2,
        method: mountainpass::store::By::Paths,
        ..Provenance::default()
    }
}

/// Any bit pattern: NaN with a payload, infinities, -0, subnormal numbers.
fn any_float() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 5e-324, 3.0]);
    prop_oneof![any::<u64>().prop_map(f64::from_bits), special]
}

fn floats() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(any_float(), 0..6)
}

/// What is kept of a certified point on kinks is finite.
fn on_kinks(id: u64) -> Certificate {
    Certificate {
        loss: 0.1 + 0.2,
        active: vec![id],
        slopes: vec![1.0 / 3.0],
        inverted: Vec::new(),
        negative: 1,
        residual: 5e-324,
        error: Some(1e-300),
        width: 0.1,
        split_units: 1,
        side_error: None,
        strict_error: Some(1e-9),
        side: None,
        strict: Some(-0.0),
        independence: Some(f64::EPSILON),
        eigenvalues: vec![-1e-5, f64::MAX],
        tau: 2.0_f64.sqrt(),
        doubts: Vec::new(),
    }
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let spectrum = prop::sample::select(vec![None, Some(Spectrum::Dense), Some(Spectrum::Iterative)]);
    let ends = prop::option::of(any::<(u64, u64)>());
    (any_float(), floats(), prop::option::of(any_float()), spectrum, 0usize..7, ends).prop_map(
        |(gradient_norm, eigenvalues, tau, spectrum, projected, ends)| Evidence {
            gradient_norm,
            eigenvalues,
            tau,
            spectrum,
            projected,
            ends,
            kinks: ends.map(|(id, _)| Box::new(on_kinks(id))),
            survey: Survey { found: projected as u32, boundary: ends, faces: Some(vec![7]), ..Survey::default() },
        },
    )
}

fn minimum() -> impl Strategy<Value = Minimum> {
    let origin = prop_oneof![
        any::<u64>().prop_map(|seed| Origin::Start { seed }),
        (any::<u64>(), any::<String>()).prop_map(|(index, name)| Origin::Given { index, name }),
        any::<u64>().prop_map(|path| Origin::Transit { path }),
    ];
    let ends = vec![Descent::Converged, Descent::Unconverged, Descent::Escaped, Descent::NotFinite];
    let metrics = prop::collection::vec((".{0,8}".prop_map(Metric::from), any_float()), 0..3);
    (
        (origin, prop::sample::select(ends), floats(), any_float(), evidence()),
        (prop::option::of(any::<u64>()), metrics, any::<u64>()),
    )
        .prop_map(|((origin, descent, theta, loss, evidence), (same_as, metrics, evaluations))| Minimum {
            cell: 0,
            origin,
            descent,
            theta,
            loss,
            evidence,
            same_as,
            metrics,
            evaluations,
        })
}

fn path() -> impl Strategy<Value = Path> {
    let states =
        vec![PathState::Straight, PathState::Relaxed, PathState::Fresh, PathState::Converged, PathState::Split];
    let kinds = vec![PassKind::VerifiedSaddle, PassKind::PathMaximum];
    let pass = (
        prop::sample::select(kinds),
        any_float(),
        any_float(),
        any_float(),
        floats(),
        prop::option::of(evidence()),
        prop::option::of(".{0,8}"),
    )
        .prop_map(|(kind, height, error, arc, theta, evidence, reason)| Pass {
            cell: 0,
            kind,
            height,
            error,
            arc,
            theta,
            evidence,
            reason,
        });
    let profile = (floats(), floats(), floats()).prop_map(|(arc, loss, slope)| Profile { arc, loss, slope });
    (any::<(u64, u64)>(), prop::sample::select(states), floats(), profile, pass, any::<u32>()).prop_map(
        |(ends, state, knots, profile, pass, visits)| Path { id: 0, ends, state, knots, profile, pass, visits },
    )
}

/// Cells and paths are numbered as a search would, minima and passes in turn; 2^64 - 1 is a number like another.
fn landscape() -> impl Strategy<Value = Landscape> {
    let tally = any::<(u64, u64, u64)>().prop_map(|(loss, gradient, hessian_product)| Tally {
        loss,
        gradient,
        hessian_product,
    });
    let stages = prop::collection::vec(tally, 0..4);
    let lists = (prop::collection::vec(minimum(), 0..5), prop::collection::vec(path(), 0..5), stages);
    lists.prop_map(|(mut minima, mut paths, stages)| {
        minima.iter_mut().zip(0..).for_each(|(m, i)| m.cell = u64::MAX - 2 * i);
        paths.iter_mut().zip(0..).for_each(|(p, i)| (p.id, p.pass.cell) = (i, 2 * i + 1));
        let evaluations = Stage::ALL.iter().copied().zip(stages).collect();
        Landscape { minima, paths, evaluations, ..Landscape::default() }
    })
}

/// `Debug` of Rust's floats is shortest round-trip apart from NaN, whose bits are compared besides.
fn assert_same_bits(a: &Landscape, b: &Landscape) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    let bits = |l: &Landscape| -> Vec<u64> {
        let of_evidence = |e: &Evidence| -> Vec<f64> {
            [e.gradient_norm].into_iter().chain(e.eigenvalues.iter().copied()).chain(e.tau).collect()
        };
        let of_minimum = |m: &Minimum| -> Vec<f64> {
            let metrics: Vec<f64> = m.metrics.iter().map(|(_, x)| *x).collect();
            [vec![m.loss], m.theta.clone(), metrics, of_evidence(&m.evidence)].concat()
        };
        let of_path = |p: &Path| -> Vec<f64> {
            let of_pass = vec![p.pass.height, p.pass.error, p.pass.arc];
            let of_profile = [p.profile.arc.clone(), p.profile.loss.clone(), p.profile.slope.clone()].concat();
            let proof = p.pass.evidence.as_ref().map(of_evidence).unwrap_or_default();
            [of_pass, p.pass.theta.clone(), p.knots.clone(), of_profile, proof].concat()
        };
        let all = l.minima.iter().map(of_minimum).chain(l.paths.iter().map(of_path));
        all.flatten().map(f64::to_bits).collect()
    };
    assert_eq!(bits(a), bits(b));
}

fn keep(store: &mut Store, landscape: &Landscape) {
    store.put_landscape(landscape).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_landscape_comes_back_bit_for_bit(found in landscape(), later in landscape()) {
        let file = folder("round-trip").join("landscape.sqlite");
        let mut store = Store::create(&file, &provenance()).unwrap();
        keep(&mut store, &found);
        assert_same_bits(&store.landscape().unwrap(), &found);
        store.close().unwrap();

        // What has the same number is replaced, in its old place; the rest is added.
        let mut store = Store::open(&file).unwrap();
        keep(&mut store, &later);
        let mut expected = found;
        fn overlay<T: Clone>(old: &mut Vec<T>, new: &[T]) {
            old.splice(..new.len().min(old.len()), new.iter().cloned());
        }
        overlay(&mut expected.minima, &later.minima);
        overlay(&mut expected.paths, &later.paths);
        overlay(&mut expected.evaluations, &later.evaluations);
        drop(store);
        assert_same_bits(&Store::open(&file).unwrap().landscape().unwrap(), &expected);
    }
}

fn some_minimum(cell: u64) -> Minimum {
    Minimum {
        cell,
        origin: Origin::Start { seed: cell },
        descent: Descent::Converged,
        theta: vec![cell as f64; 100],
        loss: 0.5,
        evidence: Evidence::default(),
        same_as: None,
        metrics: Vec::new(),
        evaluations: 7,
    }
}

fn some_pair(given: (u64, u64)) -> Pair {
    let along = Along {
        length: 0.1 + 0.2,
        height: f64::INFINITY,
        climb: f64::INFINITY,
        barrier: f64::INFINITY,
        worst: Place { t: 0.5, loss: f64::INFINITY, metrics: vec![("test loss".to_owned().into(), f64::INFINITY)] },
        loss: vec![1.0 / 3.0, f64::INFINITY, -0.0],
        metrics: vec![("test loss".to_owned().into(), vec![f64::INFINITY, 5e-324, 1.0])],
    };
    let path = Some(Way { minima: (0, 4), paths: vec![7], along: along.clone() });
    Pair { given, raw: along, aligned: None, path }
}

#[test]
fn a_pair_is_kept_as_it_is_made_and_what_replaces_it_is_the_one_that_is_kept() {
    let file = folder("pairs").join("landscape.sqlite");
    let mut store = Store::create(&file, &provenance()).unwrap();
    for given in [(0, 10), (1, 2), (0, 2), (0, 10)] {
        store.commit(&[Finding::Pair(&some_pair(given))]).unwrap();
    }
    let other = Pair { path: None, ..some_pair((1, 2)) };
    store.commit(&[Finding::Pair(&other)]).unwrap();
    drop(store);
    let kept = Store::open(&file).unwrap().record().unwrap().pairs;
    assert_eq!(kept, [some_pair((0, 2)), some_pair((0, 10)), other]);
}

#[test]
fn provenance_and_record_come_back() {
    let folder = folder("provenance");
    let file = folder.join("landscape.sqlite");
    let mut store = Store::create(&file, &provenance()).unwrap();
    assert_eq!(store.record().unwrap(), RunRecord::default());
    store.commit(&[Finding::Noise(0.1)]).unwrap();
    assert_eq!(store.record().unwrap(), RunRecord { noise: Some(0.1), ..RunRecord::default() });
    let record = RunRecord {
        title: "camel".into(),
        seconds: 0.1 + 0.2,
        noise: Some(5e-324),
        ended: Some(Ended::Complete),
        barcode: Some(Barcode::default()),
        notes: vec!["\u{0} \"".into()],
        passes: vec![AtPass { cell: 3, metrics: vec![("train accuracy".to_owned().into(), 0.1 + 0.2)] }],
        pairs: vec![some_pair((0, 2)), some_pair((0, 10)), some_pair((1, 2))],
    };
    store.put_record(&record).unwrap();
    drop(store);
    let mut store = Store::open(&file).unwrap();
    assert_eq!(store.provenance().unwrap(), provenance());
    assert_eq!(store.record().unwrap(), record);
    // What is none any more is not there any more.
    store.put_record(&RunRecord { ended: None, barcode: None, ..record.clone() }).unwrap();
    assert_eq!(store.record().unwrap(), RunRecord { ended: None, barcode: None, ..record });
}

#[test]
fn a_clean_close_leaves_one_file_and_reading_changes_none_of_it() {
    let folder = folder("one-file");
    let file = folder.join("landscape.sqlite");
    let mut store = Store::create(&file, &provenance()).unwrap();
    store.commit(&[Finding::Minimum(&some_minimum(0))]).unwrap();
    store.close().unwrap();
    let files = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files(), 1);
    let before = std::fs::read(&file).unwrap();
    assert_eq!(Store::open(&file).unwrap().landscape().unwrap().minima, [some_minimum(0)]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(files(), 1);
}

#[test]
fn a_running_search_can_be_looked_at() {
    let file = folder("watch").join("landscape.sqlite");
    let mut writer = Store::create(&file, &provenance()).unwrap();
    writer.commit(&[Finding::Minimum(&some_minimum(0))]).unwrap();
    // Claimed, as a run does, its log is read as it grows; not claimed, a copy of it as it was.
    let claim = std::fs::File::open(file.parent().unwrap()).unwrap();
    let copy = Store::open(&file).unwrap();
    claim.lock().unwrap();
    let reader = Store::open(&file).unwrap();
    writer.commit(&[Finding::Minimum(&some_minimum(1))]).unwrap();
    assert_eq!(reader.landscape().unwrap().minima.len(), 2);
    assert_eq!(copy.landscape().unwrap().minima.len(), 1);
    writer.close().unwrap(); // It cannot fold the log while the reader is there, which is no error for anyone.
    assert_eq!(reader.landscape().unwrap().minima.len(), 2);
}

#[test]
fn a_finding_is_kept_whole_or_not_at_all() {
    let file = folder("whole").join("landscape.sqlite");
    let mut store = Store::create(&file, &provenance()).unwrap();
    let minima: Vec<Minimum> = (0..3).map(some_minimum).collect();
    let together: Vec<Finding> = minima.iter().map(Finding::Minimum).collect();
    store.commit(&together).unwrap();
    store.commit(&[Finding::Noise(0.0), Finding::Evaluations(Stage::Paths, Tally::default())]).unwrap();
    assert_eq!(store.landscape().unwrap().minima, minima);
}

const VICTIM: &str = "MOUNTAINPASS_STORE_VICTIM";
const KEPT: u64 = 7;

/// Not a test by itself: the child process of the next one.
#[test]
fn victim() {
    let Some(file) = std::env::var_os(VICTIM) else { return };
    let mut store = Store::create(PathBuf::from(file), &provenance()).unwrap();
    (0..KEPT).for_each(|cell| store.commit(&[Finding::Minimum(&some_minimum(cell))]).unwrap());
    std::process::abort();
}

#[test]
fn a_killed_process_leaves_exactly_what_it_committed() {
    let file = folder("killed").join("landscape.sqlite");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim"])
        .env(VICTIM, &file)
        .output()
        .unwrap();
    assert!(!child.status.success(), "the child was to abort");
    let mut store = Store::open(&file).unwrap();
    let minima: Vec<Minimum> = (0..KEPT).map(some_minimum).collect();
    assert_eq!(store.landscape().unwrap().minima, minima);
    store.commit(&[Finding::Minimum(&some_minimum(KEPT))]).unwrap(); // and the search goes on
    drop(store);
    assert_eq!(Store::open(&file).unwrap().landscape().unwrap().minima.len() as u64, KEPT + 1);
}

#[test]
fn files_that_are_no_landscape_are_refused_in_one_line() {
    let folder = folder("refused");
    let good = folder.join("good.sqlite");
    let mut store = Store::create(&good, &provenance()).unwrap();
    (0..50).for_each(|cell| store.commit(&[Finding::Minimum(&some_minimum(cell))]).unwrap());
    store.close().unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };

    let foreign = folder.join("foreign.sqlite");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let newer = file("newer.sqlite", &bytes);
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let cases = [
        (file("text.sqlite", &b"this is no database at all\n".repeat(90)), "schema version 2, is expected"),
        (file("empty.sqlite", b""), "empty"),
        (file("cut.sqlite", &bytes[..bytes.len() / 2]), "damaged: "),
        (file("stub.sqlite", &bytes[..60]), "cut short"),
        (foreign, "not one of mountainpass"),
        (newer, "schema version 9"),
        (folder.join("absent.sqlite"), "No such file"),
        (folder.clone(), ""),
    ];
    for (path, expected) in cases {
        let error = Store::open(&path).and_then(|store| store.landscape()).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(expected) && !line.contains('\n'), "{line}");
        assert!(line.starts_with(&path.display().to_string()), "{line}");
    }
    assert!(
        matches!(Store::create(&good, &provenance()), Err(Error::Store { .. })),
        "an existing file is not overwritten"
    );
    assert_eq!(std::fs::read(&good).unwrap(), bytes);
}
