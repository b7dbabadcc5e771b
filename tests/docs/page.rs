//! The pages of the repository, as text, fenced blocks and headings.

use crate::built::root;
use std::path::{Path, PathBuf};

/// A file in Markdown.
pub struct Page {
    /// From the root of the repository.
    pub name: String,
    text: String,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    pub language: String,
    pub check: Check,
    /// Where it begins.
    pub line: usize,
    pub text: String,
}

/// What is done with a block.
#[derive(Debug)]
pub enum Check {
    Run,
    /// It stands in this file.
    In(String),
    /// It has keys of this table.
    Keys(String),
    /// Nothing, for this reason.
    Not(String),
}

impl Check {
    fn of(line: &str) -> Check {
        let Some(comment) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else {
            return Check::Run;
        };
        let rest = |start: &str| comment.strip_prefix(start).map(|rest| rest.trim().to_owned());
        let known = [rest("in ").map(Check::In), rest("keys of ").map(Check::Keys), rest("not run:").map(Check::Not)];
        known.into_iter().flatten().next().unwrap_or(Check::Run)
    }
}

/// Every page, sorted by name.
pub fn pages() -> Vec<Page> {
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        Page { name: file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text }
    };
    files(&|file| file.extension().is_some_and(|end| end == "md")).into_iter().map(read).collect()
}

/// The files of the repository that are wanted, sorted; what is built or hidden is none of them.
pub fn files(wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('.') || name == "target" || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Page {
    /// The folder that links start from.
    pub fn folder(&self) -> PathBuf {
        root().join(&self.name).parent().unwrap().to_owned()
    }

    /// The fenced blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open, mut before): (Vec<Block>, Option<Block>, &str) = (Vec::new(), None, "");
        for (at, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text += &format!("{line}\n"),
                (None, Some(language)) => {
                    let (language, text) = (language.trim().to_owned(), String::new());
                    open = Some(Block { language, check: Check::of(before), line: at + 1, text });
                }
                (None, None) => {}
            }
            before = line;
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name);
        blocks
    }

    /// The lines outside blocks, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut lines = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push((at + 1, line));
            }
        }
        lines
    }

    /// What links can name of it: its headings, in lower case, a hyphen for a space and nothing for a stop.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
