//! Databases that are not what was written: refused with what is damaged in them, and saved as far as they are whole.

use super::*;

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
    let evaluations = vec![(Stage::Minima, Tally { loss: 3, gradient: 2, hessian_product: 1 })];
    Landscape { minima, paths, evaluations, critical: Vec::new() }
}

/// Keeps it in a file, with a record of a run that is complete.
fn kept(file: &std::path::Path) -> RunRecord {
    let mut store = Store::create(file, &provenance()).unwrap();
    let landscape = found();
    keep(&mut store, &landscape);
    store.commit(&[Finding::Values(0, &[0.25, f64::NAN])]).unwrap();
    let record = RunRecord { noise: Some(0.0), ended: Some(Ended::Complete), ..RunRecord::default() };
    store.put_record(&record).unwrap();
    store.close().unwrap();
    record
}

fn kept_anew(file: &std::path::Path) {
    std::fs::remove_file(file).unwrap();
    kept(file);
}

fn read(file: &std::path::Path) -> mountainpass::Result<(Landscape, Provenance, RunRecord, Vec<f64>)> {
    let store = Store::open(file)?;
    Ok((store.landscape()?, store.provenance()?, store.record()?, store.values()?))
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
    store.commit(&[Finding::Path(&path)]).unwrap();
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
    let (landscape, _, old, _) = read(&file).unwrap();
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

/// What was counted, how many were saved, how many were not.
fn counts(salvaged: &Salvaged) -> Vec<(&'static str, usize, usize)> {
    salvaged.counts.iter().map(|of| (of.what, of.saved, of.lost)).collect()
}

#[test]
fn what_is_whole_is_saved_and_what_refers_to_the_rest_is_not() {
    let folder = folder("salvage");
    let (file, saved) = (folder.join("landscape.sqlite"), folder.join("saved.sqlite"));
    let record = kept(&file);
    // Nothing is lost of what is whole.
    let salvaged = salvage(&file, &saved).unwrap();
    assert!(salvaged.whole, "{salvaged:?}");
    let (landscape, from, now, values) = read(&saved).unwrap();
    assert_same_bits(&landscape, &found());
    assert_eq!((from, now), (provenance(), record));
    assert_eq!(format!("{values:?}"), "[0.25, NaN]");
    assert!(salvage(&file, &saved).unwrap_err().to_string().contains("exists already"));
    std::fs::remove_file(&saved).unwrap();

    // Minimum 1 is lost, and with it the path that leads there; the path that was split stands for itself again.
    meddle(&file, "UPDATE cells SET value = 0.25 WHERE id = 1; UPDATE evaluations SET loss = 0");
    let salvaged = salvage(&file, &saved).unwrap();
    let expected = [
        ("words about the run", 4, 0),
        ("minima", 2, 1),
        ("paths", 1, 1),
        ("evaluations of stages", 0, 1),
        ("values", 2, 0),
    ];
    assert_eq!(counts(&salvaged), expected);
    let (landscape, _, now, _) = read(&saved).unwrap();
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
    assert_eq!(counts(&salvaged)[1..3], [("minima", 2, 1), ("paths", 1, 1)]);
    std::fs::remove_file(&saved).unwrap();

    // The salt is there twice; of a file cut short all that is left is saved.
    kept_anew(&file);
    meddle(&file, "DELETE FROM identity; UPDATE cells SET value = 0.25 WHERE id = 1");
    assert!(Store::open(&file).is_err());
    assert_eq!(counts(&salvage(&file, &saved).unwrap())[1], ("minima", 2, 1));
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
fn what_cannot_be_in_a_landscape_is_a_flaw() {
    assert_eq!(found().flaw(2, 0.0), None);
    let flaw = |change: &dyn Fn(&mut Landscape)| {
        let mut landscape = found();
        change(&mut landscape);
        landscape.flaw(2, 0.0).map_or(String::new(), |flaw| flaw.to_string())
    };
    assert_eq!(
        flaw(&|l| l.paths[1].pass.height = 0.4),
        "the pass of path 1, at 0.4, lies below its end, minimum 0 at 0.5"
    );
    assert_eq!(flaw(&|l| l.paths[1].ends.1 = 9), "path 1 leads to minimum 9, which is not there");
    assert_eq!(flaw(&|l| l.minima[2].same_as = Some(8)), "minimum 2 is a copy of 8, which is not there");
    assert_eq!(flaw(&|l| l.minima[2].theta.push(0.0)), "minimum 2 has 3 parameters and not 2");
    assert_eq!(flaw(&|l| l.paths[0].profile.slope.truncate(1)), "the profile of path 0 is cut short");
    assert_eq!(flaw(&|l| l.paths[0].pass.cell = 1), "cell 1 is there twice");
    // What is only noise is none.
    let mut noisy = found();
    noisy.paths[1].pass.height = 0.45;
    assert_eq!(noisy.flaw(2, 0.1), None);
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
