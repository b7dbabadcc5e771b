//! The plan of the house, proved from the sources: no circle of files, and no stage that knows one right of it.

mod modules;
mod source;

use modules::Crate;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Needs = BTreeMap<String, BTreeSet<String>>;

/// What the engine's stages are, from left to right. Those of one line know nothing of each other.
const STAGES: [&[&str]; 11] = [
    &["error", "run", "order", "pass", "spelled", "union_find", "npy", "plain", "counted", "hash", "machine"],
    &["loss"],
    &["search"],
    &["morse"],
    &["persistence"],
    &["sample"],
    &["explore"],
    &["store"],
    &["report"],
    &["config"],
    &["capi", "check"],
];

/// Whoever reads arrays and graphs needs no loss and no search.
const STRANGERS: [(&str, &[&str]); 2] = [("morse", &["loss", "search"]), ("persistence", &["loss", "search"])];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The root files of every crate of the workspace.
fn crates() -> Vec<PathBuf> {
    let mut roots = vec![repository().join("engine/lib.rs"), repository().join("engine/cli/main.rs")];
    for folder in ["backends", "plugins"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            roots.push(entry.unwrap().path().join("src/lib.rs"));
        }
    }
    roots.retain(|root| root.exists());
    roots
}

fn needs(root: &Path) -> Needs {
    let short = |path: &Path| path.strip_prefix(repository()).unwrap_or(path).to_str().unwrap().to_owned();
    let read = Crate::read(root);
    read.needs().into_iter().map(|(file, others)| (short(file), others.into_iter().map(short).collect())).collect()
}

/// Everything that a file needs, directly or not.
fn reached<'a>(needs: &'a Needs, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(file) = waiting.pop() {
        waiting.extend(needs[file].iter().map(String::as_str).filter(|other| reached.insert(*other)));
    }
    reached
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for root in crates() {
        let needs = needs(&root);
        let all: BTreeMap<&str, BTreeSet<&str>> =
            needs.keys().map(|file| (file.as_str(), reached(&needs, file))).collect();
        for (file, others) in &needs {
            let back = others.iter().filter(|other| all[other.as_str()].contains(file.as_str()));
            circles.extend(back.map(|other| format!("{file} -> {other}")));
        }
    }
    assert!(circles.is_empty(), "{} steps of circles:\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn no_stage_knows_one_right_of_it() {
    let stage = |file: &str| {
        let name = file.strip_prefix("engine/")?.split(['/', '.']).next()?;
        let place = STAGES.iter().position(|stages| stages.contains(&name))?;
        Some((place, name.to_owned()))
    };
    let mut wrong = Vec::new();
    for (file, others) in needs(&repository().join("engine/lib.rs")) {
        if file == "engine/lib.rs" {
            continue;
        }
        let (place, name) = stage(&file).unwrap_or_else(|| panic!("{file} is in no stage"));
        let strangers = STRANGERS.iter().filter(|(own, _)| *own == name).flat_map(|(_, others)| *others);
        let strangers: BTreeSet<&str> = strangers.copied().collect();
        for other in others.iter().filter(|other| *other != "engine/lib.rs") {
            let (theirs, theirs_name) = stage(other).unwrap_or_else(|| panic!("{other} is in no stage"));
            let apart = place == theirs && place > 0 && name != theirs_name;
            if theirs > place || apart || strangers.contains(theirs_name.as_str()) {
                wrong.push(format!("{file} -> {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} steps to the right:\n{}", wrong.len(), wrong.join("\n"));
}
