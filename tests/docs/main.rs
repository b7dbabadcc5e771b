//! The documentation as claims: every fenced block of a page is executed, every link leads somewhere, and what a page or a
//! source names is there.
//!
//! The language of a block says how it is checked. Where that is not enough an HTML comment on the line before it says what
//! is, visible in the source of the page: `<!-- in FILE -->`, the block stands in that file, line for line;
//! `<!-- keys of [TABLE] -->`, a part of a run's file; `<!-- not run: WHY -->`.
#![cfg(all(feature = "cli", feature = "faer", feature = "surfaces", unix))]

#[path = "../built/mod.rs"]
mod built;
#[path = "../mpass/mod.rs"]
mod mpass;

mod links;
mod page;
mod reference;

use mountainpass::config::Config;
use mountainpass::npy::{Array, Values, bytes};
use page::{Block, Check, Page, pages};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The blocks of a language that are to be executed, page by page.
fn to_run(language: &str) -> impl Iterator<Item = (Page, Vec<Block>)> {
    pages().into_iter().filter_map(move |page| {
        let wanted = |block: &Block| block.language == language && matches!(block.check, Check::Run | Check::Keys(_));
        let blocks: Vec<Block> = page.blocks().into_iter().filter(wanted).collect();
        (!blocks.is_empty()).then_some((page, blocks))
    })
}

/// A folder of its own in which the blocks of a page find what they name.
fn prepared(page: &Page, language: &str) -> PathBuf {
    let folder = mpass::folder(&format!("docs-{language}-{}", page.name.replace('/', "-")));
    built::run(&mut plugin(&folder));
    for name in ["examples", "include", "plugins"] {
        std::os::unix::fs::symlink(built::root().join(name), folder.join(name)).unwrap();
    }
    let array = |name: &str, shape: &[usize], values: Values| {
        mpass::file(&folder, name, bytes(&Array { shape: shape.to_vec(), values }));
    };
    let wave = |n: usize| Values::from((0..n).map(|i| (0.7 * i as f64).sin()).collect::<Vec<f64>>());
    array("grid.npy", &[6, 7], wave(42));
    array("values.npy", &[9], wave(9));
    array("points.npy", &[9, 2], wave(18));
    let ring: Vec<i64> = (0..9).flat_map(|i| [i, (i + 1) % 9]).collect();
    array("edges.npy", &[9, 2], ring.into());
    array("edge-values.npy", &[9], wave(9));
    array("theta.npy", &[2], wave(2));
    array("direction.npy", &[2], wave(2));
    mpass::file(&folder, "a.pers", "0 0 1\n0 0 inf\n");
    folder
}

/// A program of the system, with the built `mpass` before every other one.
fn beside_mpass(program: &str, folder: &Path) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_mpass")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder).env("PATH", path).env("EDITOR", "true").env_remove("MPASS_BACKEND_PATH");
    command
}

/// Runs a block to its end; what it says is the test's where it fails.
fn succeeds(mut command: Command, page: &Page, block: &Block) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{}:{}: {command:?}: {e}", page.name, block.line));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let (name, line, text) = (&page.name, block.line, &block.text);
    assert!(output.status.success(), "{name}:{line}: {}\n{text}\n{stdout}{stderr}", output.status);
    stdout
}

#[test]
fn every_block_is_executed_or_says_why_not() {
    for page in pages() {
        for Block { language, check, line, .. } in page.blocks() {
            let place = format!("{}:{line}", page.name);
            match (language.as_str(), check) {
                (_, Check::Not(why)) => assert!(why.len() > 10, "{place}: not run, and no reason"),
                (_, Check::In(_)) | ("sh" | "toml" | "c" | "python", Check::Run) | ("toml", Check::Keys(_)) => {}
                ("", Check::Run) => {} // A drawing.
                (language, check) => panic!("{place}: nobody checks {language:?}, {check:?}"),
            }
        }
    }
}

#[test]
fn what_stands_in_a_file_stands_there_line_for_line() {
    let trimmed = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<String>>();
    for page in pages() {
        for Block { check, line, text, .. } in page.blocks() {
            let Check::In(file) = check else { continue };
            let (shown, whole) =
                (trimmed(&text), trimmed(&std::fs::read_to_string(built::root().join(&file)).unwrap()));
            let stands = whole.windows(shown.len()).any(|lines| lines == shown);
            assert!(stands, "{}:{line}: this is not in {file}", page.name);
        }
    }
}

#[test]
fn configurations_are_read_and_their_losses_open() {
    for (page, blocks) in to_run("toml") {
        let folder = prepared(&page, "toml");
        for block in blocks {
            let place = format!("{}:{}", page.name, block.line);
            let loss = "[loss]\nbackend = \"surfaces\"\nmodel = \"himmelblau\"\n";
            let text = match &block.check {
                Check::Keys(table) if table == "[loss]" => format!("[loss]\nbackend = \"faer\"\n{}", block.text),
                Check::Keys(table) => format!("{loss}{table}\n{}", block.text),
                _ => block.text.clone(),
            };
            let config = Config::parse(&text, &folder).unwrap_or_else(|e| panic!("{place}: {e}\n{text}"));
            if matches!(block.check, Check::Run) {
                mpass::file(&folder, "run.toml", &text);
                // Networks take their time: it is enough that their loss is what the file says.
                let command = if config.loss.backend.as_deref() == Some("faer") { "eval" } else { "run" };
                let ended = mpass::run(&folder, &[command, "run.toml"]);
                assert_eq!(ended.code, Some(0), "{place}: {}", ended.stderr);
                let _ = std::fs::remove_dir_all(folder.join("run"));
            }
        }
    }
}

/// The plugin that pages call libmpass_mine.so: the template.
fn plugin(folder: &Path) -> Command {
    let mut cc = built::cc();
    cc.args(["-shared", "-fPIC", "-fvisibility=hidden"]).arg(built::root().join("plugins/template-c/mine.c"));
    cc.arg("-o").arg(folder.join("libmpass_mine.so")).arg("-lm");
    cc
}

#[test]
fn commands_do_what_the_page_says() {
    for (page, blocks) in to_run("sh") {
        let folder = prepared(&page, "sh");
        for block in blocks {
            let mut bash = beside_mpass("bash", &folder);
            bash.args(["-euo", "pipefail", "-c", &block.text]).stdin(std::process::Stdio::null());
            succeeds(bash, &page, &block);
        }
    }
}

/// What a fragment of a plugin has at hand.
const FRAGMENT: &str = "#include \"mountainpass_backend.h\"
void fragment(const mpass_host *host, const mpass_eval *call, uint64_t n_tiles,
              void (*body)(void *, uint64_t, uint32_t), void *user);
void fragment(const mpass_host *host, const mpass_eval *call, uint64_t n_tiles,
              void (*body)(void *, uint64_t, uint32_t), void *user) {
  (void)host, (void)call, (void)n_tiles, (void)body, (void)user;
";

#[test]
fn programs_in_c_compile_without_a_warning_and_run() {
    let folder = mpass::folder("docs-c");
    for (page, blocks) in to_run("c") {
        for (k, block) in blocks.iter().enumerate() {
            let is_whole = block.text.contains("int main(");
            let text = if is_whole { block.text.clone() } else { format!("{FRAGMENT}{}\n}}\n", block.text) };
            let file = mpass::file(&folder, &format!("{}-{k}.c", page.name.replace('/', "-")), text);
            if is_whole {
                let program = built::linked(file.to_str().unwrap(), &built::engine());
                succeeds(Command::new(program), &page, block);
            } else {
                let mut cc = built::cc();
                cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-fsyntax-only"]);
                succeeds(
                    {
                        cc.arg(file);
                        cc
                    },
                    &page,
                    block,
                );
            }
        }
    }
}

#[test]
fn programs_in_python_run() {
    for (page, blocks) in to_run("python") {
        for block in blocks {
            let Some(mut python) = built::python() else { return };
            python.arg("-c").arg(&block.text).current_dir(mpass::folder("docs-python"));
            succeeds(python, &page, &block);
        }
    }
}
