//! A crate as a tree of modules, and which file needs which: every path is followed through re-exports to the file that
//! defines what it names. Methods are not seen, nor what macros of other crates write.

use super::source::{Word, words};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module with a file of its own.
struct Module {
    file: PathBuf,
    words: Vec<Word>,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// What stands in the file itself: items, macros, modules in braces.
    items: BTreeSet<String>,
    /// Names and the paths they stand for; `*` for what is imported whole.
    imports: Vec<(String, Vec<String>)>,
}

/// What a path leads to.
enum Found {
    Module(usize),
    /// Something that the module's file defines.
    Item(usize),
}

/// The modules of a crate; the first is its root.
pub struct Crate(Vec<Module>);

impl Crate {
    /// Reads the files of a crate, from its root on.
    pub fn read(root: &Path) -> Crate {
        let mut modules = Crate(Vec::new());
        modules.add(root, None);
        modules
    }

    fn add(&mut self, file: &Path, parent: Option<usize>) -> usize {
        let source = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let words = words(&source);
        let (items, imports) = (items(&words), imports(&words));
        let own = self.0.len();
        let children = BTreeMap::new();
        self.0.push(Module { file: file.to_owned(), words: words.clone(), parent, children, items, imports });
        let is_folder = parent.is_none() || file.ends_with("mod.rs");
        let folder = if is_folder { file.parent().unwrap().to_owned() } else { file.with_extension("") };
        for (name, path) in declared(&words) {
            let beside = path.map(|path| file.parent().unwrap().join(path));
            let places = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            let found = beside.into_iter().chain(places).find(|place| place.exists());
            let child = self.add(&found.unwrap_or_else(|| panic!("{}: mod {name}", file.display())), Some(own));
            self.0[own].children.insert(name, child);
        }
        own
    }

    /// Every pair of files of which the first needs the second.
    pub fn needs(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut needs = BTreeMap::new();
        for (own, module) in self.0.iter().enumerate() {
            let mut paths = paths(&module.words);
            paths.extend(module.imports.iter().map(|(_, path)| path.clone()));
            let found = paths.iter().filter_map(|path| match self.follow(own, path, 0)? {
                Found::Item(at) => Some(self.0[at].file.as_path()),
                Found::Module(_) => None,
            });
            let others: BTreeSet<&Path> = found.filter(|file| *file != module.file).collect();
            needs.entry(module.file.as_path()).or_insert_with(BTreeSet::new).extend(others);
        }
        needs
    }

    fn follow(&self, from: usize, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(from),
            "super" => Found::Module(self.0[from].parent?),
            name => self.named(from, name, depth)?,
        };
        rest.iter().try_fold(start, |found, name| match found {
            Found::Module(at) if name == "super" => Some(Found::Module(self.0[at].parent?)),
            Found::Module(at) if name == "*" => Some(Found::Item(at)),
            Found::Module(at) => self.named(at, name, depth),
            item => Some(item),
        })
    }

    /// What a name means in a module: a child, an item, or what is imported under it.
    fn named(&self, at: usize, name: &str, depth: usize) -> Option<Found> {
        let module = &self.0[at];
        if let Some(child) = module.children.get(name) {
            return Some(Found::Module(*child));
        }
        if module.items.contains(name) {
            return Some(Found::Item(at));
        }
        if depth > 16 {
            return None; // Imports that lead back to themselves name other crates.
        }
        let imported = module.imports.iter().find(|(known, path)| known == name && path[0] != name);
        if let Some((_, path)) = imported {
            return self.follow(at, path, depth + 1);
        }
        module.imports.iter().filter(|(known, _)| known == "*").find_map(|(_, path)| {
            match self.follow(at, &path[..path.len() - 1], depth + 1)? {
                Found::Module(whole) if whole != at => self.named(whole, name, depth + 1),
                _ => None,
            }
        })
    }
}

/// Modules with files of their own, and where their path is said.
fn declared(words: &[Word]) -> Vec<(String, Option<String>)> {
    let mut declared = Vec::new();
    let mut path = None;
    for (i, word) in words.iter().enumerate() {
        match (word, &words[i + 1..]) {
            (Word::Name(name), [Word::Sign('='), Word::Text(text), ..]) if name == "path" => path = Some(text.clone()),
            (Word::Name(name), [Word::Name(own), Word::Sign(';'), ..]) if name == "mod" => {
                declared.push((own.clone(), path.take()));
            }
            _ => {}
        }
    }
    declared
}

/// The names of what stands at the top of a file.
fn items(words: &[Word]) -> BTreeSet<String> {
    const KINDS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "mod"];
    let mut depth = 0;
    let mut items = BTreeSet::new();
    for (i, word) in words.iter().enumerate() {
        depth += i32::from(*word == Word::Sign('{')) - i32::from(*word == Word::Sign('}'));
        match (word, &words[i + 1..]) {
            (Word::Name(rules), [Word::Sign('!'), Word::Name(name), ..]) if rules == "macro_rules" => {
                items.insert(name.clone());
            }
            (Word::Name(kind), [Word::Name(name), rest @ ..])
                if depth == 0 && KINDS.contains(&kind.as_str()) && rest.first() != Some(&Word::Sign(';')) =>
            {
                items.insert(name.clone());
            }
            _ => {}
        }
    }
    items
}

fn imports(words: &[Word]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        // `use<'a>` names lifetimes.
        if word.is("use") && words.get(i + 1) != Some(&Word::Sign('<')) {
            tree(&words[i + 1..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one branch of an import and tells how many words it took.
fn tree(words: &[Word], path: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) -> usize {
    let (above, mut at) = (path.len(), 0);
    loop {
        match words.get(at) {
            Some(Word::Name(_)) if words[at].is("as") => {
                let alias = words[at + 1].name().unwrap_or_default().to_owned();
                found.push((alias, path.clone()));
                at += 2;
                break;
            }
            Some(Word::Name(name)) => path.push(name.clone()),
            Some(Word::Sign('*')) => path.push("*".into()),
            Some(Word::Sign('{')) => {
                at += 1;
                while words.get(at).is_some_and(|word| *word != Word::Sign('}')) {
                    at += tree(&words[at..], path, found);
                    at += usize::from(words.get(at) == Some(&Word::Sign(',')));
                }
                at += 1;
                break;
            }
            Some(Word::Path) => {}
            _ => {
                if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                    path.pop();
                }
                found.push((path.last().cloned().unwrap_or_default(), path.clone()));
                break;
            }
        }
        at += 1;
    }
    path.truncate(above.min(path.len()));
    at
}

/// Every path of two names or more.
fn paths(words: &[Word]) -> Vec<Vec<String>> {
    let (mut paths, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let mut path: Vec<String> = word.name().map(str::to_owned).into_iter().collect();
        at += 1;
        while let (false, Some([Word::Path, Word::Name(next)])) = (path.is_empty(), words.get(at..at + 2)) {
            path.push(next.clone());
            at += 2;
        }
        if path.len() > 1 {
            paths.push(path);
        }
    }
    paths
}
