//! Links between pages, and what pages and sources name.

use crate::built::root;
use crate::page::{Page, files, pages};
use std::path::{Path, PathBuf};

/// A place in the repository, by a path and perhaps a heading; what is amiss with it, if anything is.
fn fault(from: &Path, target: &str, pages: &[Page]) -> Option<String> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() { from.to_owned() } else { from.parent()?.join(path) };
    let Ok(file) = file.canonicalize() else { return Some(format!("{target}: there is no such file")) };
    let anchor = anchor?;
    let name = file.strip_prefix(root().canonicalize().ok()?).ok()?.to_str()?.to_owned();
    match pages.iter().find(|page| page.name == name) {
        Some(page) if page.anchors().iter().any(|known| known == anchor) => None,
        Some(page) => Some(format!("{target}: {name} has no heading #{anchor}, but {:?}", page.anchors())),
        None => Some(format!("{target}: only pages have headings")),
    }
}

/// Every `](target)` of a line, code left out.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (k, part) in line.split('`').enumerate() {
        if k % 2 == 0 {
            found.extend(part.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        }
    }
    // The text of a link may be code, which cuts the line before `](`.
    found.retain(|target| !target.starts_with("http"));
    found
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut faults = Vec::new();
    for page in &pages {
        let from = root().join(&page.name);
        for (line, text) in page.prose() {
            let wrong = targets(text).into_iter().filter_map(|target| fault(&from, target, &pages));
            faults.extend(wrong.map(|fault| format!("{}:{line}: {fault}", page.name)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The words of a text that name a file of a kind, with a heading perhaps.
fn named<'a>(text: &'a str, ending: &str) -> Vec<&'a str> {
    let word = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    let words = text.split(|c: char| !word(c)).map(|word| word.trim_end_matches(['.', '/']));
    words
        .filter(|word| {
            word.split('#')
                .next()
                .is_some_and(|path| path.len() > ending.len() && path.ends_with(ending) && !path.starts_with('/'))
        })
        .collect()
}

#[test]
fn every_page_that_a_source_cites_is_there() {
    let pages = pages();
    let kinds = ["rs", "h", "hpp", "c", "cpp", "py", "toml", "sh"];
    let is_source = |file: &Path| file.extension().and_then(|end| end.to_str()).is_some_and(|end| kinds.contains(&end));
    let mut faults = Vec::new();
    let mut cited = 0;
    for file in files(&is_source).into_iter().filter(|file| !file.starts_with(root().join("tests/docs"))) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for (line, text) in text.lines().enumerate() {
            for target in named(text, ".md") {
                cited += 1;
                // From the root, or from beside the file.
                let from_root = fault(&root().join("README.md"), target, &pages);
                let wrong = from_root.filter(|_| fault(&file, target, &pages).is_some());
                faults.extend(wrong.map(|fault| format!("{}:{}: {fault}", file.display(), line + 1)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(cited > 10, "sources cite the pages that explain them; {cited} citations were seen");
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let tops =
        ["engine/", "backends/", "plugins/", "include/", "examples/", "tests/", "benches/", "docs/", ".ci/", ".cargo/"];
    let mut faults = Vec::new();
    for page in pages().iter().filter(|page| page.name != "CHANGELOG.md") {
        for (line, text) in page.prose() {
            for code in text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace) {
                let placeholder = code.contains(['*', '<', '{']) || code.chars().any(|c| c.is_uppercase());
                let path = code.trim_end_matches([',', ':', ';', ')']);
                if tops.iter().any(|top| path.starts_with(top)) && !placeholder && !there(page, path) {
                    faults.push(format!("{}:{line}: {path} is not there", page.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn there(page: &Page, path: &str) -> bool {
    let places: [PathBuf; 2] = [root().join(path), page.folder().join(path)];
    places.iter().any(|place| place.exists())
}

/// A row of the map has a folder, and what is in it.
#[test]
fn the_map_is_true() {
    let map = pages().into_iter().find(|page| page.name == "ARCHITECTURE.md").unwrap();
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<String>>();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (line, text) in map.prose() {
        let cells: Vec<Vec<String>> = text.split('|').map(code).collect();
        let [_, folders, inside, _] = &cells[..] else { continue };
        for name in inside.iter().filter(|name| name.ends_with(".rs") || name.ends_with('/')) {
            seen += 1;
            let is_there = folders.iter().any(|folder| below(&root().join(folder), name));
            if !is_there && !root().join(name).exists() {
                faults.push(format!("ARCHITECTURE.md:{line}: {folders:?} has no {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 40, "the map names files; {seen} were seen");
}

/// Whether a folder has such a file or folder, at whatever depth.
fn below(folder: &Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    folder.join(name).exists() || entries.flatten().any(|entry| below(&entry.path(), name))
}
