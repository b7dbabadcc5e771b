//! The landscape database: what goes in comes out bit for bit, a killed process loses nothing, bad files are named.
#![cfg(feature = "store")]

use mountainpass::error::Error;
use mountainpass::persistence::Barcode;
use mountainpass::run::Ended;
use mountainpass::search::Finding;
use mountainpass::search::*;
use mountainpass::store::{Provenance, RunRecord, Space, Store, salvage};
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
        method: "paths".into(),
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
    let metrics = prop::collection::vec((".{0,8}", any_float()), 0..3);
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
    let states = vec![PathState::Straight, PathState::Relaxed, PathState::Converged, PathState::Split];
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
        let evaluations = stages.into_iter().enumerate().map(|(i, tally)| (format!("stage {i}"), tally)).collect();
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
    landscape.minima.iter().for_each(|m| store.put_minimum(m).unwrap());
    landscape.paths.iter().for_each(|p| store.put_path(p).unwrap());
    store.put_evaluations(&landscape.evaluations).unwrap();
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
    store.put_minimum(&some_minimum(0)).unwrap();
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
    writer.put_minimum(&some_minimum(0)).unwrap();
    // Claimed, as a run does, its log is read as it grows; not claimed, a copy of it as it was.
    let claim = std::fs::File::open(file.parent().unwrap()).unwrap();
    let copy = Store::open(&file).unwrap();
    claim.lock().unwrap();
    let reader = Store::open(&file).unwrap();
    writer.put_minimum(&some_minimum(1)).unwrap();
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
    store.commit(&[Finding::Noise(0.0), Finding::Evaluations("paths", Tally::default())]).unwrap();
    assert_eq!(store.landscape().unwrap().minima, minima);
}

const VICTIM: &str = "MOUNTAINPASS_STORE_VICTIM";
const KEPT: u64 = 7;

/// Not a test by itself: the child process of the next one.
#[test]
fn victim() {
    let Some(file) = std::env::var_os(VICTIM) else { return };
    let mut store = Store::create(PathBuf::from(file), &provenance()).unwrap();
    (0..KEPT).for_each(|cell| store.put_minimum(&some_minimum(cell)).unwrap());
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
    store.put_minimum(&some_minimum(KEPT)).unwrap(); // and the search goes on
    drop(store);
    assert_eq!(Store::open(&file).unwrap().landscape().unwrap().minima.len() as u64, KEPT + 1);
}

#[test]
fn files_that_are_no_landscape_are_refused_in_one_line() {
    let folder = folder("refused");
    let good = folder.join("good.sqlite");
    let mut store = Store::create(&good, &provenance()).unwrap();
    (0..50).for_each(|cell| store.put_minimum(&some_minimum(cell)).unwrap());
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

/// A landscape as a search leaves one: two minima, a path over a verified saddle, and one that was split.
fn found() -> Landscape {
    let minima: Vec<Minimum> =
        (0..3).map(|cell| Minimum { theta: vec![cell as f64, 0.5], ..some_minimum(cell) }).collect();
    let path = |id: u64, ends: (u64, u64), state| Path {
        id,
        ends,
        state,
        knots: [minima[ends.0 as usize].theta.clone(), minima[ends.1 as usize].theta.clone()].concat(),
        profile: Profile { arc: vec![0.0, 1.0], loss: vec![0.5, 0.5], slope: vec![1.0, -1.0] },
        pass: Pass {
            cell: 3 + id,
            kind: PassKind::PathMaximum,
            height: 2.0,
            error: 0.0,
            arc: 0.5,
            theta: vec![0.5, 0.5],
            evidence: None,
            reason: None,
        },
        visits: 3,
    };
    let paths = vec![path(0, (0, 2), PathState::Split), path(1, (0, 1), PathState::Converged)];
    let evaluations = vec![("minima".to_owned(), Tally { loss: 3, gradient: 2, hessian_product: 1 })];
    Landscape { minima, paths, evaluations, values: vec![0.25, f64::NAN] }
}

/// Keeps it in a file, with a record of a run that is complete.
fn kept(file: &std::path::Path) -> RunRecord {
    let mut store = Store::create(file, &provenance()).unwrap();
    let landscape = found();
    keep(&mut store, &landscape);
    store.commit(&[Finding::Values(0, &landscape.values)]).unwrap();
    let record = RunRecord { noise: Some(0.0), ended: Some(Ended::Complete), ..RunRecord::default() };
    store.put_record(&record).unwrap();
    store.close().unwrap();
    record
}

fn kept_anew(file: &std::path::Path) {
    std::fs::remove_file(file).unwrap();
    kept(file);
}

fn read(file: &std::path::Path) -> mountainpass::Result<(Landscape, Provenance, RunRecord)> {
    let store = Store::open(file)?;
    Ok((store.landscape()?, store.provenance()?, store.record()?))
}

#[test]
fn whatever_bit_flips_is_refused_or_changes_nothing() {
    let folder = folder("bits");
    let file = folder.join("landscape.sqlite");
    kept(&file);
    let whole = std::fs::read(&file).unwrap();
    let expected = format!("{:?}", read(&file).unwrap());
    // MPASS_EVERY_BIT=1 takes them all, which takes minutes.
    let every = std::env::var_os("MPASS_EVERY_BIT").is_some();
    let (mut refused, mut harmless) = (0, 0);
    for at in (0..8 * whole.len()).step_by(if every { 1 } else { 577 }) {
        let mut bytes = whole.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        std::fs::write(&file, bytes).unwrap();
        match read(&file) {
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains('\n') && line.contains("landscape.sqlite"), "bit {at}: {line}");
                refused += 1;
            }
            Ok(found) => {
                assert_eq!(format!("{found:?}"), expected, "bit {at}");
                harmless += 1;
            }
        }
    }
    // Most of a page is empty; a flip there is seen by nobody and matters to nobody.
    assert!(refused > 20 && harmless > 20, "{refused} refused, {harmless} harmless");
}

/// Changes a file behind the back of its checksums.
fn meddle(file: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_was_not_written_is_named() {
    let folder = folder("meddled");
    let file = folder.join("landscape.sqlite");
    for (sql, named) in [
        ("UPDATE cells SET value = 0.25 WHERE id = 1", "damaged: cells 1: not what was written; "),
        ("UPDATE minima SET same_as = 0; UPDATE paths SET visits = 9", "minima 0, 1, 2; paths 0, 1: not what was"),
        ("UPDATE meta SET value = '1' WHERE key = 'noise'", "meta noise: not what was written"),
        ("UPDATE provenance SET value = '3' WHERE key = 'parameters'", "provenance parameters: not"),
        ("UPDATE sample_values SET value = x'00'", "sample_values 0: not"),
        ("DELETE FROM provenance WHERE key = 'parameters'", "provenance: rows are missing"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM cells WHERE id = 1", "cells: rows are missing"),
        ("DELETE FROM meta WHERE key = 'noise'", "meta: rows are missing"),
        ("CREATE TRIGGER t AFTER DELETE ON meta BEGIN DELETE FROM paths; END", "its trigger t is another one"),
        ("ALTER TABLE minima RENAME COLUMN same_as TO as_same", "its table minima is another one (at as_same "),
        ("DROP TABLE evaluations", "its table evaluations is another one"),
        ("UPDATE identity SET value = 'other' WHERE key = 'salt'", "damaged: identity salt: not what was written"),
        ("DELETE FROM identity WHERE key = 'paths'", "paths: rows are missing, or older than the rest"),
        ("DELETE FROM paths WHERE id = 1", "paths: rows are missing, or older than the rest"),
        ("DELETE FROM sample_values", "sample_values: rows are missing"),
    ] {
        kept(&file);
        meddle(&file, sql);
        let line = read(&file).unwrap_err().to_string();
        assert!(line.contains(named) && line.contains("mpass show --salvage"), "{sql}: {line}");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn rows_of_another_database_are_told_from_its_own() {
    let folder = folder("mixed");
    let [file, other] = ["landscape.sqlite", "other.sqlite"].map(|name| folder.join(name));
    kept(&file);
    kept(&other);
    meddle(
        &file,
        &format!(
            "ATTACH '{}' AS o; REPLACE INTO cells SELECT * FROM o.cells WHERE id = 1; PRAGMA foreign_keys = OFF",
            other.display()
        ),
    );
    assert!(read(&file).unwrap_err().to_string().contains("cells 1: not what was written"));
}

#[test]
fn rows_that_came_back_from_an_earlier_state_are_missed() {
    let file = folder("stale").join("landscape.sqlite");
    let mut store = Store::create(&file, &provenance()).unwrap();
    keep(&mut store, &found());
    store.close().unwrap();
    let earlier = file.with_extension("earlier");
    std::fs::copy(&file, &earlier).unwrap();
    let mut store = Store::open(&file).unwrap();
    let mut path = found().paths.remove(1);
    path.visits += 1;
    store.put_path(&path).unwrap();
    store.close().unwrap();
    assert_eq!(Store::open(&file).unwrap().landscape().unwrap().paths[1], path);
    // A page that was never written shows what it held before: whole rows, of this very database.
    let attach = format!("PRAGMA foreign_keys = OFF; ATTACH '{}' AS e; ", earlier.display());
    meddle(&file, &(attach + "DELETE FROM paths; INSERT INTO paths SELECT * FROM e.paths"));
    assert!(read(&file).unwrap_err().to_string().contains("paths: rows are missing, or older than the rest"));
}

#[test]
fn a_file_of_before_checksums_is_read_and_gets_them_when_it_is_written() {
    let file = folder("version-1").join("landscape.sqlite");
    let record = kept(&file);
    let tables = ["provenance", "meta", "cells", "minima", "paths", "evaluations", "sample_values"];
    meddle(&file, "DROP TABLE identity");
    meddle(&file, &tables.map(|table| format!("ALTER TABLE {table} DROP COLUMN sum;")).concat());
    meddle(&file, "PRAGMA user_version = 1");
    let before = std::fs::read(&file).unwrap();
    let (landscape, _, old) = read(&file).unwrap();
    assert_same_bits(&landscape, &found());
    assert_eq!(old, record);
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let mut store = Store::open(&file).unwrap();
    store.put_record(&RunRecord { title: "new".into(), ..record }).unwrap();
    store.close().unwrap();
    assert_same_bits(&read(&file).unwrap().0, &found());
    meddle(&file, "UPDATE cells SET value = 0.25 WHERE id = 1");
    assert!(Store::open(&file).unwrap_err().to_string().contains("cells 1: not what was written"));
}

#[test]
fn what_is_whole_is_saved_and_what_refers_to_the_rest_is_not() {
    let folder = folder("salvage");
    let (file, saved) = (folder.join("landscape.sqlite"), folder.join("saved.sqlite"));
    let record = kept(&file);
    // Nothing is lost of what is whole.
    let salvaged = salvage(&file, &saved).unwrap();
    assert!(salvaged.whole, "{salvaged:?}");
    let (landscape, from, now) = read(&saved).unwrap();
    assert_same_bits(&landscape, &found());
    assert_eq!((from, now), (provenance(), record));
    assert!(salvage(&file, &saved).unwrap_err().to_string().contains("exists already"));
    std::fs::remove_file(&saved).unwrap();

    // Minimum 1 is lost, and with it the path that leads there; the path that was split stands for itself again.
    meddle(&file, "UPDATE cells SET value = 0.25 WHERE id = 1; UPDATE evaluations SET loss = 0");
    let salvaged = salvage(&file, &saved).unwrap();
    let expected = [
        "4 words about the run saved",
        "2 minima saved, 1 lost",
        "1 paths saved, 1 lost",
        "0 stages' evaluations saved, 1 lost",
        "2 values saved",
    ];
    assert_eq!(salvaged.lines, expected);
    let (landscape, _, now) = read(&saved).unwrap();
    let mut known = found();
    known.minima.remove(1);
    known.paths.remove(1);
    known.paths[0].state = PathState::Relaxed;
    known.evaluations.clear();
    assert_same_bits(&landscape, &known);
    assert_eq!((now.noise, now.ended), (Some(0.0), None), "it has to be gone on with");
    std::fs::remove_file(&saved).unwrap();

    // A row that is gone without a trace is lost all the same, and what it stood for stands for itself.
    kept_anew(&file);
    meddle(&file, "DELETE FROM paths WHERE id = 1; DELETE FROM evaluations");
    let salvaged = salvage(&file, &saved).unwrap();
    assert!(!salvaged.whole, "{salvaged:?}");
    std::fs::remove_file(&saved).unwrap();
    kept_anew(&file);
    meddle(&file, "DELETE FROM minima WHERE cell = 1");
    let salvaged = salvage(&file, &saved).unwrap();
    assert_eq!(salvaged.lines[1..3], ["2 minima saved, 1 lost", "1 paths saved, 1 lost"]);
    std::fs::remove_file(&saved).unwrap();

    // The salt is there twice; of a file cut short all that is left is saved.
    kept_anew(&file);
    meddle(&file, "DELETE FROM identity; UPDATE cells SET value = 0.25 WHERE id = 1");
    assert!(Store::open(&file).is_err());
    assert_eq!(salvage(&file, &saved).unwrap().lines[1], "2 minima saved, 1 lost");
    std::fs::remove_file(&saved).unwrap();
    kept_anew(&file);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 4096]).unwrap();
    assert!(Store::open(&file).is_err());
    let salvaged = salvage(&file, &saved).unwrap();
    assert!(!salvaged.whole && read(&saved).unwrap().0.minima.len() > 1, "{salvaged:?}");
    std::fs::remove_file(&saved).unwrap();

    kept_anew(&file);
    meddle(&file, "UPDATE provenance SET value = '3' WHERE key = 'parameters'");
    assert!(salvage(&file, &saved).unwrap_err().to_string().contains("its provenance lacks parameters"));
    assert!(!saved.exists());
}

#[test]
fn pages_that_are_lost_cost_only_what_was_on_them() {
    let folder = folder("pages");
    let (file, saved) = (folder.join("landscape.sqlite"), folder.join("saved.sqlite"));
    let mut store = Store::create(&file, &provenance()).unwrap();
    let many: Vec<Minimum> =
        (0..400).map(|cell| Minimum { theta: vec![0.0, cell as f64], ..some_minimum(cell) }).collect();
    store.commit(&many.iter().map(Finding::Minimum).collect::<Vec<_>>()).unwrap();
    store.close().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let page = bytes.windows(8).position(|window| window == 200.0f64.to_le_bytes()).unwrap() / 4096;
    bytes[4096 * page..4096 * (page + 1)].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    assert!(Store::open(&file).is_err());
    let salvaged = salvage(&file, &saved).unwrap();
    let kept = Store::open(&saved).unwrap().landscape().unwrap().minima;
    assert!(!salvaged.whole && (300..400).contains(&kept.len()), "{salvaged:?}"); // A page has some 57 cells.
    assert!(kept.iter().all(|m| many.contains(m)));
}

#[test]
fn what_cannot_be_in_a_landscape_is_a_fault() {
    assert_eq!(found().fault(2, 0.0), None);
    let fault = |change: &dyn Fn(&mut Landscape)| {
        let mut landscape = found();
        change(&mut landscape);
        landscape.fault(2, 0.0).unwrap_or_default()
    };
    assert_eq!(
        fault(&|l| l.paths[1].pass.height = 0.4),
        "the pass of path 1, at 0.4, lies below its end, minimum 0 at 0.5"
    );
    assert_eq!(fault(&|l| l.paths[1].ends.1 = 9), "path 1 leads to minimum 9, which is not there");
    assert_eq!(fault(&|l| l.minima[2].same_as = Some(8)), "minimum 2 is a copy of 8, which is not there");
    assert_eq!(fault(&|l| l.minima[2].theta.push(0.0)), "minimum 2 has 3 parameters and not 2");
    assert_eq!(fault(&|l| l.paths[0].profile.slope.truncate(1)), "the profile of path 0 is cut short");
    assert_eq!(fault(&|l| l.paths[0].pass.cell = 1), "cell 1 is there twice");
    // What is only noise is none.
    let mut noisy = found();
    noisy.paths[1].pass.height = 0.45;
    assert_eq!(noisy.fault(2, 0.1), None);
}

#[test]
fn no_name_is_anything_but_a_file() {
    let folder = folder("names");
    for name in [":memory:", "file:x?mode=memory", "file:y", "a b?c#d%41", "\u{fc}"] {
        let file = folder.join(name).join("landscape.sqlite");
        std::fs::create_dir(folder.join(name)).unwrap();
        kept(&file);
        assert!(file.is_file(), "{name}");
        assert_same_bits(&read(&file).unwrap().0, &found());
    }
    assert!(matches!(Store::create("", &provenance()), Err(Error::Argument(_))));
    assert!(Store::open("").is_err());
    // Where the name itself is all that there is, it is one in the working folder, so none is tried here.
}
