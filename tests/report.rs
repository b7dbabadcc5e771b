//! The report: files read back, are the same bytes twice, are well-formed and whole, for landscapes of every kind.

use mountainpass::error::Error;
use mountainpass::persistence::{Bar, Barcode, CellKind, Death, DeathAt, NamedCell, Searched, Top};
use mountainpass::report::{self, BarcodeFile, Findings, RunFindings, terminal};
use mountainpass::run::Ended;
use mountainpass::search::*;
use mountainpass::store::{By, Heights, Provenance, Space};
use std::path::PathBuf;

/// Findings with their owners.
#[derive(Clone, Default)]
struct Case {
    name: &'static str,
    title: String,
    landscape: Landscape,
    barcode: Barcode,
    provenance: Provenance,
    superlevel: bool,
    seconds: Vec<(String, f64)>,
    versions: Vec<(String, String)>,
    notes: Vec<String>,
    pairs: Vec<Pair>,
}

impl Case {
    fn with<T>(&self, then: impl FnOnce(&Findings<'_>) -> T) -> T {
        then(&Findings {
            title: &self.title,
            barcode: &self.barcode,
            provenance: &self.provenance,
            superlevel: self.superlevel,
            seconds: &self.seconds,
            notes: &self.notes,
            run: Some(RunFindings {
                landscape: &self.landscape,
                ended: Some(Ended::Complete),
                versions: &self.versions,
                passes: &[],
                pairs: &self.pairs,
                noise: 1e-12,
            }),
        })
    }

    /// Writes the report into an empty folder of its own, where it stays to be looked at.
    fn write(&self, folder: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder).join(self.name);
        let _ = std::fs::remove_dir_all(&folder);
        self.with(|findings| report::write(findings, &folder)).unwrap();
        folder
    }
}

/// Loss of each minimum; for all but the first the climb above it, and the elder.
fn searched(name: &'static str, title: &str, minima: &[(f64, f64, usize)], with_paths: bool) -> Case {
    let mut case = Case { name, title: title.to_owned(), ..Case::default() };
    let n = minima.len() as u64;
    for (i, (loss, ..)) in minima.iter().enumerate() {
        let (seed, sampled) = (26 + i as u64, i < 8);
        case.landscape.minima.push(Minimum {
            cell: i as u64,
            origin: if sampled { Origin::Start { seed } } else { Origin::Transit { path: (i % 8) as u64 } },
            descent: Descent::Converged,
            theta: vec![0.0; 3],
            loss: *loss,
            evidence: Evidence {
                gradient_norm: 3.1e-9 * (1.0 + i as f64),
                eigenvalues: vec![2.3e-4 / (1.0 + i as f64)],
                ..Evidence::default()
            },
            same_as: None,
            metrics: vec![
                ("train accuracy".to_owned().into(), 1.0 - 0.0007 * i as f64),
                ("test accuracy".to_owned().into(), 0.953 - 0.0031 * (i % 5) as f64),
            ],
            evaluations: 1100,
        });
    }
    // The neighbour named by a minimum may have died below: then its component's eldest swallows.
    let death = |i: usize| if i > 0 { minima[i].0 + minima[i].1 } else { f64::INFINITY };
    let elder_of = |i: usize| {
        let mut elder = minima[i].2;
        while death(elder) <= death(i) && elder > 0 {
            elder = minima[elder].2;
        }
        if minima[elder].0 <= minima[i].0 { elder } else { 0 }
    };
    for (i, (birth, climb, _)) in minima.iter().enumerate() {
        let (cell, elder, end) = (i as u64, &elder_of(i), (i > 0).then_some(birth + climb));
        let verified = i % 3 != 2;
        let path = (i as u64).saturating_sub(1);
        case.barcode.cells.push(NamedCell {
            id: cell,
            degree: 0,
            value: *birth,
            kind: CellKind::Minimum,
            position: Vec::new(),
        });
        if let Some(value) = end {
            let kind = if verified { CellKind::Saddle } else { CellKind::PathMaximum };
            case.barcode.cells.push(NamedCell { id: n + cell - 1, degree: 1, value, kind, position: Vec::new() });
        }
        case.barcode.bars.push(Bar {
            degree: 0,
            birth: *birth,
            birth_cell: cell,
            end: end.map(|value| Death {
                value,
                cell: n + cell - 1,
                elder: Some(*elder as u64),
                at: DeathAt::Top(Top { path: Some(path), error: 1e-11, kind: kind_of(verified), below_noise: false }),
            }),
            searched: Some(Searched::default()),
            cycle: Vec::new(),
        });
        if let Some(height) = end.filter(|_| with_paths) {
            case.landscape.paths.push(some_path(
                path,
                n + path,
                (cell, *elder as u64),
                (*birth, height, minima[*elder].0),
                verified,
            ));
        }
    }
    case.barcode.bars.sort_by(|a, b| a.birth.total_cmp(&b.birth).then(a.birth_cell.cmp(&b.birth_cell)));
    let tally = |loss, gradient, hessian_product| Tally { loss, gradient, hessian_product };
    case.landscape.evaluations = vec![
        (Stage::Minima, tally(12, 8_931, 0)),
        (Stage::Paths, tally(61_200, 46_012, 0)),
        (Stage::Saddles, tally(0, 3_302, 5_120)),
    ];
    case.seconds = vec![("minima".to_owned(), 3.25), ("paths".to_owned(), 14.5)];
    case.versions = vec![("mountainpass".to_owned(), "0.1.0".to_owned()), ("faer".to_owned(), "0.24.4".to_owned())];
    case.provenance = Provenance {
        version: "0.1.0".to_owned(),
        backend: "faer".to_owned(),
        backend_version: "0.1.0".to_owned(),
        model: "mlp:64-8-10:tanh".to_owned(),
        model_hash: "5f0c2a7be1".repeat(4),
        data_hash: "91d3".repeat(10),
        config_hash: "07aa".repeat(10),
        config: "[loss]\nbackend = \"faer\"\nmodel   = \"mlp:64-8-10:tanh\"\nl2      = 1e-3\n".to_owned(),
        seed: Some(26),
        space: Space::Aligned,
        parameters: 610,
        samples: 1_437,
        method: By::Paths,
        heights: Heights::UpperBounds,
        ..Provenance::default()
    };
    case
}

fn kind_of(verified: bool) -> PassKind {
    if verified { PassKind::VerifiedSaddle } else { PassKind::PathMaximum }
}

/// Up from one minimum to the pass and down to the other.
fn some_path(id: u64, cell: u64, ends: (u64, u64), (start, top, end): (f64, f64, f64), verified: bool) -> Path {
    let (n, at) = (121, 0.3 + 0.05 * (id % 7) as f64);
    let arc: Vec<f64> = (0..n).map(|i| 4.2 * i as f64 / (n - 1) as f64).collect();
    let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
    let value = |s: &f64| match s / 4.2 {
        t if t < at => start + (top - start) * smooth(t / at),
        t => end + (top - end) * smooth((1.0 - t) / (1.0 - at)),
    };
    let slope = |s: &f64| (value(&(s + 1e-4)) - value(&(s - 1e-4))) / 2e-4;
    let profile = Profile {
        loss: arc.iter().map(value).collect(),
        slope: arc.iter().map(|s| if *s > 0.0 && *s < 4.2 { slope(s) } else { 0.0 }).collect(),
        arc,
    };
    let pass = Pass {
        cell,
        kind: kind_of(verified),
        height: top,
        error: 1e-11,
        arc: 4.2 * at,
        theta: vec![0.0; 3],
        evidence: verified.then(|| Evidence {
            gradient_norm: 2e-9,
            eigenvalues: vec![-0.31, 0.004],
            tau: Some(1e-7),
            spectrum: Some(Spectrum::Dense),
            projected: 0,
            ends: Some(ends),
            ..Evidence::default()
        }),
        reason: (!verified).then(|| "budget".to_owned()),
    };
    Path { id, ends, state: PathState::Converged, knots: vec![0.0; 9], profile, pass, visits: 2 }
}

/// Aligned minima of a small network: births over 3e-3, bars of 4e-7 to 3e-4 (docs/decisions.md#search).
fn digits() -> Case {
    let births =
        [3.1e-4, 9.4e-4, 1.31e-3, 1.9e-3, 2.22e-3, 2.75e-3, 3.1e-3, 3.52e-3, 5e-4, 1.2e-3, 2.4e-3, 2.41e-3, 3.3e-3];
    let climbs = [0.0, 2.9e-4, 1.2e-5, 4.1e-7, 8.8e-5, 6.3e-6, 1.5e-4, 3.3e-5, 7.7e-6, 2.2e-6, 1.9e-5, 5.4e-7, 1.0e-4];
    let elders = [0, 0, 1, 2, 1, 4, 0, 6, 0, 8, 4, 10, 7];
    let minima: Vec<(f64, f64, usize)> = (0..13).map(|i| (births[i], climbs[i], elders[i])).collect();
    let mut case = searched("digits", "Digits, one hidden layer of 8 <tanh> & \"L2\"", &minima, true);
    case.notes = vec!["The plateau at seed 31 was left after 40 restarts.".to_owned()];
    let copy = Minimum { cell: 90, same_as: Some(3), ..case.landscape.minima[3].clone() };
    let escaped = Minimum { cell: 91, descent: Descent::Escaped, ..case.landscape.minima[3].clone() };
    case.landscape.minima.extend([copy, escaped]);
    case
}

fn mueller() -> Case {
    let minima = [(-146.6995, 0.0, 0), (-108.1667, 67.5019, 0), (-80.7678, 8.5189, 0)];
    searched("mueller", "Müller-Brown surface", &minima, true)
}

fn one() -> Case {
    searched("one", "A convex bowl", &[(0.25, 0.0, 0)], true)
}

fn sixty() -> Case {
    let hash = |i: usize| ((i as f64 + 1.0) * 0.618_033_988_749).fract();
    let minima: Vec<(f64, f64, usize)> = (0..60)
        .map(|i| (0.2 + 0.01 * i as f64, 0.6 * hash(i).powi(4) + 0.003, if i % 3 == 0 { 0 } else { i / 2 }))
        .collect();
    searched("sixty", "Sixty minima", &minima, true)
}

fn doubtful() -> Case {
    let minima = [(0.5, 0.0, 0), (0.5, 0.1, 0), (0.5, 0.1, 0), (0.5, 1e-15, 0), (0.7, 0.0, 1)];
    let mut case = searched("doubtful", "Equal births, noise, a zero bar", &minima, false);
    let Some(Death { at: DeathAt::Top(short), .. }) = &mut case.barcode.bars[3].end else { unreachable!() };
    short.below_noise = true;
    case.barcode.bars[2].searched = Some(Searched { unconverged: true, transit: false });
    case.landscape.minima[2].descent = Descent::Unconverged;
    case.provenance.space = Space::Raw;
    case
}

fn huge() -> Case {
    let minima = [(1e-12, 0.0, 0), (3e-9, 1e-300, 0), (0.4, 1e6, 0), (2e5, 1e-3, 2), (1e5, 3e150, 0)];
    searched("huge", "Huge ranges", &minima, true)
}

fn tall_negative() -> Case {
    let minima = [(-1e150, 0.0, 0), (1e148, 7e149, 0), (0.0, 5e-324, 0), (-0.0, 1.0, 0)];
    searched("tall-negative", "Tall, negative, signed zeros", &minima, true)
}

/// A superlevel barcode of a grid, two degrees, no search.
fn grid() -> Case {
    let mut case =
        Case { name: "grid", title: "Superlevel sets of a grid".to_owned(), superlevel: true, ..Case::default() };
    case.provenance = Provenance { method: By::Grid, heights: Heights::Exact, ..Provenance::default() };
    for (i, (degree, birth, death)) in
        [(0, 9.0, None), (0, 7.0, Some(3.0)), (0, 6.5, Some(6.0)), (1, 3.5, Some(1.0)), (1, 2.0, Some(1.5))]
            .into_iter()
            .enumerate()
    {
        case.barcode.bars.push(Bar {
            degree,
            birth,
            birth_cell: 1000 + i as u64,
            end: death.map(|value| Death {
                value,
                cell: 2000 + i as u64,
                elder: (degree == 0).then_some(1000),
                at: DeathAt::Cell,
            }),
            searched: None,
            cycle: Vec::new(),
        });
    }
    case
}

fn nothing() -> Case {
    Case { name: "nothing", title: "Nothing at all".to_owned(), ..Case::default() }
}

/// Three checkpoints that nothing lies between but rounding, one of them a copy; a line on which the loss is not finite.
fn given() -> Case {
    let mut case = searched("given", "Checkpoints", &[(0.5, 0.0, 0), (0.5, 4e-17, 0)], true);
    let Some(Death { at: DeathAt::Top(top), .. }) = &mut case.barcode.bars[1].end else { unreachable!() };
    top.below_noise = true;
    case.landscape.minima.push(Minimum { cell: 90, same_as: Some(1), ..case.landscape.minima[1].clone() });
    for (minimum, index) in case.landscape.minima.iter_mut().zip(0..) {
        minimum.origin = Origin::Given { index, name: format!("runs/<{index}> & co.npz") };
        minimum.metrics.truncate(0);
    }
    let test = || Metric::from("test accuracy".to_owned());
    let along = |barrier: f64| Along {
        length: 4.0,
        height: 0.5 + barrier,
        climb: barrier,
        barrier,
        worst: Place { t: 0.5, loss: 0.5 + barrier, metrics: vec![(test(), 0.25)] },
        loss: vec![0.5, 0.5 + barrier, 0.5],
        metrics: vec![(test(), vec![1.0, 0.25, 0.75])],
    };
    let pair = |given, barrier, minima| Pair {
        given,
        raw: along(barrier),
        aligned: Some(along(0.125)),
        path: Some(Way { minima, paths: vec![0], along: along(1e-17) }),
    };
    case.pairs = vec![pair((0, 1), 2.0, (0, 1)), pair((0, 2), f64::INFINITY, (0, 1)), pair((1, 2), 0.0, (1, 1))];
    case.pairs[2].path.as_mut().unwrap().along.loss = vec![0.5];
    case
}

#[test]
fn what_lies_between_checkpoints_is_told_on_page_and_terminal_and_in_the_summary() {
    let case = given();
    let folder = case.write("report-pairs");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let headline = "3 checkpoints, 1 basin; from all but the lowest a way leads down without a climb.";
    let table = case.with(|findings| terminal::table(findings, 100, false));
    assert!(table.contains(headline) && read("report.html").contains(headline), "{table}");
    let rows = "\
barrier between      line  aligned  path climbs    least test accuracy
<0> & co – <1> & co  2.00    0.125     no climb  0.250 / 0.250 / 0.250
<0> & co – <2> & co     ∞    0.125     no climb  0.250 / 0.250 / 0.250
<1> & co – <2> & co     0    0.125  one minimum  0.250 / 0.250 / 0.250
";
    assert!(table.contains(rows), "{table}");
    assert!(table.contains("TO-score 0: no bar is longer than the noise of the loss, so there is no pass to climb."));
    let page = read("report.html");
    assert!(page.contains("<td>&lt;0&gt; &amp; co – &lt;1&gt; &amp; co</td>") && !page.contains("<0>"), "{page}");
    assert!(page.contains(">0.5000 → ∞ → 0.5000</td>"), "{page}");
    let summary = read("summary.json");
    let known = r#"  "basins": 1,
  "checkpoints": [
    {
      "name": "runs/<0> & co.npz",
      "minimum": 0,
      "basin": 1,
      "loss": 0.5
    },
    {
      "name": "runs/<1> & co.npz",
      "minimum": 1,
      "basin": 1,
      "loss": 0.5
    },
    {
      "name": "runs/<2> & co.npz",
      "minimum": 1,
      "basin": 1,
      "loss": 0.5
    }
  ],
"#;
    assert!(summary.contains(known), "{summary}");
    let known = r#"
      "between": [
        "runs/<0> & co.npz",
        "runs/<2> & co.npz"
      ],
      "given": [0, 2],
      "raw": {
        "length": 4.0,
        "height": null,
        "climb": null,
        "barrier": null,
        "worst": {
          "t": 0.5,
          "loss": null,
          "metrics": {
            "test accuracy": 0.25
          }
        },
        "loss": [0.5, null, 0.5],
        "metrics": {
          "test accuracy": [1.0, 0.25, 0.75]
        }
      },
      "aligned": {
"#;
    assert!(summary.contains(known), "{summary}");
    assert!(
        summary.contains(
            "      \"path\": {\n        \"minima\": [0, 1],\n        \"paths\": [0],\n        \"length\": 4.0,"
        )
    );
}

fn cases() -> Vec<Case> {
    vec![digits(), mueller(), one(), sixty(), doubtful(), huge(), tall_negative(), given(), grid(), nothing()]
}

/// Walks through XML and returns the number of elements; panics where it is not well-formed.
fn elements(xml: &str, file: &str) -> usize {
    let (mut open, mut n, mut rest): (Vec<&str>, usize, &str) = (Vec::new(), 0, xml);
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(
            !text.contains('>') && text.split('&').skip(1).all(|t| t[..t.len().min(7)].contains(';')),
            "{file}: {text}"
        );
        let end = at + rest[at..].find('>').unwrap_or_else(|| panic!("{file}: a tag does not end"));
        let tag = &rest[at + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{file}");
        } else {
            n += 1;
            let name = tag.split([' ', '/']).next().unwrap();
            assert_eq!(tag.matches('\'').count() % 2, 0, "{file}: {tag}");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{file}: {open:?} left open");
    n
}

#[test]
fn drawings_are_well_formed_and_hold_no_number_that_is_none() {
    for case in cases() {
        let folder = case.write("report-drawings");
        for name in ["barcode.svg", "tree.svg", "paths.svg"] {
            let Ok(svg) = std::fs::read_to_string(folder.join(name)) else { continue };
            let file = format!("{} {name}", case.name);
            assert!(elements(&svg, &file) > 3 || case.barcode.bars.is_empty(), "{file}");
            for wrong in ["NaN", "'inf", "'-inf", " inf"] {
                assert!(!svg.contains(wrong), "{file}: {wrong}");
            }
        }
    }
}

#[test]
fn a_barcode_reads_back_equal() {
    for case in cases() {
        let file = BarcodeFile::read(&case.write("report-json").join("barcode.json")).unwrap();
        let known = BarcodeFile::of(&case.barcode, case.superlevel, &case.provenance).unwrap();
        assert_eq!(file, known, "{}", case.name);
        assert_eq!((&*file.bars, &*file.cells), (&*case.barcode.bars, &*case.barcode.cells), "{}", case.name);
    }
}

#[test]
fn a_bar_in_the_file_has_the_evidence_of_its_pass_or_else_of_its_birth() {
    let case = digits();
    let text = std::fs::read_to_string(case.write("report-evidence").join("barcode.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (bar, told) in case.barcode.bars.iter().zip(file["bars"].as_array().unwrap()) {
        let pass = bar.top().and_then(|top| case.landscape.path(top.path?)?.pass.evidence.as_ref());
        let birth = &case.landscape.minimum(bar.birth_cell).unwrap().evidence;
        assert_eq!(told["evidence"], serde_json::to_value(pass.unwrap_or(birth)).unwrap());
    }
    let sampled = std::fs::read_to_string(grid().write("report-evidence").join("barcode.json")).unwrap();
    assert!(!sampled.contains("evidence"));
}

#[test]
fn a_row_says_which_bars_are_way_stations_and_what_speaks_for_each() {
    let mut case = digits();
    case.barcode.bars[2].searched = Some(Searched { transit: true, unconverged: false });
    case.landscape.minima[0].evidence =
        Evidence { gradient_norm: 1e-9, eigenvalues: vec![-1.0, 1e-9, 2.0], tau: Some(1e-6), ..Evidence::default() };
    let table = std::fs::read_to_string(case.write("report-rows").join("barcode.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    for (bar, row) in case.barcode.bars.iter().zip(&rows[1..]) {
        assert_eq!(row.len(), rows[0].len());
        assert_eq!(row[column("transit")], bar.is_transit().to_string());
        let pass = bar.top().and_then(|top| case.landscape.path(top.path?)?.pass.evidence.as_ref());
        let evidence = pass.unwrap_or(&case.landscape.minimum(bar.birth_cell).unwrap().evidence);
        assert_eq!(row[column("gradient_norm")], format!("{:?}", evidence.gradient_norm));
        if bar.birth_cell == 0 {
            assert_eq!((row[column("negative")], row[column("undecided")]), ("1", "1"));
        }
    }
    let sampled = std::fs::read_to_string(grid().write("report-rows").join("barcode.csv")).unwrap();
    assert!(sampled.lines().skip(1).all(|row| row.ends_with(",,,,")), "{sampled}");
}

#[test]
fn the_same_findings_are_the_same_bytes_whatever_the_time() {
    for case in cases() {
        let later = Case { seconds: vec![("minima".to_owned(), 99.0)], ..case.clone() };
        let (a, b) = (case.write("report-a"), later.write("report-b"));
        for entry in std::fs::read_dir(&a).unwrap() {
            let name = entry.unwrap().file_name();
            let same = std::fs::read(a.join(&name)).unwrap() == std::fs::read(b.join(&name)).unwrap();
            assert!(same || name == "summary.json", "{} {name:?}", case.name);
        }
    }
}

#[test]
fn every_bar_appears_everywhere() {
    for case in cases().into_iter().filter(|case| case.superlevel || !case.barcode.bars.is_empty()) {
        let folder = case.write("report-bars");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let n = case.barcode.bars.len();
        assert_eq!(read("barcode.csv").lines().count(), n + 1);
        let (svg, page) = (read("barcode.svg"), read("report.html"));
        for bar in &case.barcode.bars {
            let hint = format!(" {}: born at", bar.birth_cell);
            assert!(svg.contains(&hint) && page.contains(&hint), "{} {}", case.name, bar.birth_cell);
        }
        for m in case.landscape.minima.iter().filter(|m| m.counts()) {
            assert!(page.contains(&format!("<tr><td class=\"n\">{}</td>", m.cell)), "{} {}", case.name, m.cell);
        }
    }
}

#[test]
fn the_page_needs_nothing_but_itself() {
    for case in cases() {
        let page = std::fs::read_to_string(case.write("report-page").join("report.html")).unwrap();
        for outside in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{}: {outside}", case.name);
        }
    }
}

#[test]
fn the_summary_counts_what_was_found() {
    let text = std::fs::read_to_string(digits().write("report-summary").join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&summary["minima"], &summary["copies"], &summary["escaped"]), (&13.into(), &1.into(), &1.into()));
    assert_eq!((&summary["saddles"]["1"], &summary["passes"]["path maximum"]), (&8.into(), &4.into()));
    assert_eq!(summary["evaluations"]["paths"]["gradient"], 46_012);
    assert_eq!((&summary["seed"], &summary["seconds"]["minima"]), (&26.into(), &3.25.into()));
}

#[test]
fn a_barcode_that_json_cannot_hold_is_an_error_and_leaves_no_file() {
    let mut case = mueller();
    case.barcode.bars[1].birth = f64::NAN;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report-nan");
    let _ = std::fs::remove_dir_all(&folder);
    assert!(matches!(case.with(|f| report::write(f, &folder)), Err(Error::Numeric(_))));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report-in-the-way");
    std::fs::write(&file, "").unwrap();
    let error = mueller().with(|findings| report::write(findings, &file)).unwrap_err().to_string();
    assert!(error.starts_with(&file.display().to_string()), "{error}");
}

#[test]
fn a_terminal_shows_every_bar_within_its_width() {
    for (case, width) in cases().iter().flat_map(|case| [60, 80, 110].map(|width| (case, width))) {
        let plain = case.with(|findings| terminal::table(findings, width, false));
        assert!(
            plain.lines().all(|line| line.chars().count() <= width && !line.contains('\x1b')),
            "{}:\n{plain}",
            case.name
        );
        let drawn = plain.lines().filter(|line| line.contains('●')).count();
        assert_eq!(drawn, case.barcode.bars.len().min(40), "{}:\n{plain}", case.name);
        let coloured = case.with(|findings| terminal::table(findings, width, true));
        assert_eq!(coloured.lines().count(), plain.lines().count());
        if width == 80 {
            println!("{plain}");
        }
    }
}
