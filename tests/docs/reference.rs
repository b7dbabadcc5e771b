//! docs/reference.md is complete: every command, every option, every key; and names none that is not there.

use crate::built::root;
use crate::mpass;
use crate::page::files;
use std::collections::BTreeSet;

fn reference() -> String {
    std::fs::read_to_string(root().join("docs/reference.md")).unwrap()
}

fn help(arguments: &[&str]) -> String {
    mpass::succeeds(root(), &[arguments, &["--help"]].concat()).stdout
}

/// The commands of `mpass`.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names = listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// Every `--option` of a text.
fn options(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| !word(c)).filter(|word| word.starts_with("--") && !word.starts_with("---"));
    words.map(str::to_owned).filter(|option| option != "--help" && option != "--version").collect()
}

/// The part of the reference under a command's heading.
fn section<'a>(reference: &'a str, command: &str) -> &'a str {
    let wanted = format!("mpass {command}");
    let is_wanted = |heading: &str| heading.split(" and ").any(|name| name == wanted);
    let found = reference.split("\n## ").find(|section| section.lines().next().is_some_and(is_wanted));
    found.unwrap_or_else(|| panic!("docs/reference.md has no section on mpass {command}"))
}

#[test]
fn it_names_every_command_and_every_option_and_no_other() {
    let reference = reference();
    let commands = commands();
    assert!(commands.len() > 8, "{commands:?}");
    let mut known = options(&help(&["check", "fuzz"]));
    known.extend(options(&help(&["onnxruntime", "install"])));
    for command in &commands {
        let wanted = options(&help(&[command]));
        let said = options(section(&reference, command));
        // What is shared is explained once: `--threads N` as of `mpass run`.
        let missing: Vec<&String> = wanted.difference(&said).collect();
        assert!(missing.is_empty(), "docs/reference.md, mpass {command}: {missing:?} are not there");
        known.extend(wanted);
    }
    let strange: Vec<String> = options(&reference).difference(&known).cloned().collect();
    assert!(strange.is_empty(), "docs/reference.md: no command has {strange:?}");
}

/// Every key that the readers of a run's file ask for.
fn keys() -> BTreeSet<String> {
    let readers = files(&|file| {
        file.starts_with(root().join("engine/config")) && file.extension().is_some_and(|end| end == "rs")
    });
    let mut keys = BTreeSet::new();
    for file in readers {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
        for ask in [
            "section",
            "text",
            "texts",
            "boolean",
            "count",
            "counts",
            "positive",
            "number",
            "numbers",
            "within",
            "intervals",
            "choice",
            "take",
        ] {
            let call = format!(".{ask}(\"");
            let asked = text.split(&call).skip(1).filter_map(|rest| rest.split('"').next());
            keys.extend(asked.map(str::to_owned));
        }
    }
    keys
}

#[test]
fn the_page_on_networks_lists_every_operator_and_no_other() {
    let page = std::fs::read_to_string(root().join("docs/networks.md")).unwrap();
    let list = page.split_once("### All operators\n").unwrap().1.split("\n#").next().unwrap();
    let items =
        |text: &str| text.split([',', '.']).map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    let [own, fused] = &list.trim().splitn(2, "\n\n").map(str::to_owned).collect::<Vec<String>>()[..] else {
        panic!("{list}")
    };
    let fused = fused.strip_prefix("Of the domain com.microsoft:").unwrap();
    let (own, fused): (Vec<String>, Vec<String>) = (items(own), items(fused));
    let listed: Vec<String> = own.into_iter().chain(fused.iter().map(|name| format!("com.microsoft.{name}"))).collect();
    assert_eq!(listed, mountainpass_network::onnx::names());
}

#[test]
fn it_names_every_key_of_a_runs_file() {
    let (reference, keys) = (reference(), keys());
    assert!(keys.len() > 30, "{keys:?}");
    let is_named = |key: &&String| {
        let said = [format!("`{key}`"), format!("] {key}`"), format!("[{key}]")];
        !said.iter().any(|said| reference.contains(said.as_str()))
    };
    let missing: Vec<&String> = keys.iter().filter(is_named).collect();
    assert!(missing.is_empty(), "docs/reference.md: the keys {missing:?} are not there");
}
