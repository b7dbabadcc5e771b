//! The engine's side of one server: the process, the memory shared with it, and calls that always come back, with an
//! answer or with what became of the process.
//!
//! Nothing that the other side writes is believed: sizes are the engine's, texts are parsed, and an answer that cannot
//! be one counts as a death.

#![forbid(unsafe_code)]

use super::message::{Call, SCRIBBLED, answer};
use super::shared::{HEAD, Page, Patience, SharedMemory};
use super::terms::{BackendSource, Isolation, Limits, Terms};
use super::told::{Loaded, ToldError};
use crate::error::{Error, Result};
use crate::loss::Log;
use crate::machine::child::Child;
use crate::machine::memory::{self, gib};
use crate::run::Cancel;
use mountainpass_sdk::abi::{log, status};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the engine sleeps between two looks at the process, the clock and the token, at most.
const LOOK: Duration = Duration::from_millis(20);
/// What a call gets to stop by itself once it is cancelled.
const GRACE: Duration = Duration::from_secs(1);
/// What a server gets for its first word, and a backend to close its loss.
const SOON: Duration = Duration::from_secs(5);
/// More bytes than any answer in text has.
const MOST_TEXT: usize = 1 << 30;
/// The longest line of the log.
const LONGEST: u64 = 1 << 16;

/// Why a call has no answer.
pub enum Trouble {
    /// The process is gone, and this is how: the end of a sentence about the backend.
    Lost(String),
    /// It answered with an error, or the engine cannot ask.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Failed(error)
    }
}

/// What came of a call.
pub type Asked<T> = std::result::Result<T, Trouble>;

/// Calls and, where that is lost, once more, which is for a fresh process then; `tell` hears of it.
pub fn insist<T>(limits: Limits, mut call: impl FnMut() -> Asked<T>, tell: impl Fn(&str)) -> Asked<T> {
    let first = match call() {
        Ok(answer) => return Ok(answer),
        Err(trouble) => survive(limits, trouble)?,
    };
    tell(&format!("{first}; asked once more in a fresh process"));
    call().map_err(|trouble| match trouble {
        Trouble::Lost(second) => Trouble::Lost(twice(&first, &second)),
        failed => failed,
    })
}

/// How a call was lost that a fresh process may answer; an error where none will.
pub fn survive(limits: Limits, trouble: Trouble) -> Result<String> {
    match trouble {
        Trouble::Lost(how) => Ok(how),
        Trouble::Failed(Error::Refused { text, code: status::MEMORY, .. }) => {
            Ok(format!("ran out of memory ({text}; its process has {})", gib(limits.memory)))
        }
        Trouble::Failed(error) => Err(error),
    }
}

/// How a call was lost both times.
pub fn twice(first: &str, second: &str) -> String {
    if first == second { format!("{first}, twice") } else { format!("{first}, and then {second}") }
}

/// What a call was answered with, if with no error.
pub enum Answer {
    Done,
    Nothing,
    Text(Vec<u8>),
}

/// A running server. Dropping it ends the process with everything it has started.
pub struct Served {
    process: Child,
    shared: SharedMemory,
    /// The file of the shared.
    file: File,
    turn: u32,
    patience: Patience,
    limits: Limits,
    /// When the engine last looked at the memory of the process.
    looked: Instant,
    reader: Option<JoinHandle<()>>,
    source: BackendSource,
}

impl Served {
    /// Starts a server and has it load its backend.
    pub fn start(source: &BackendSource, terms: &Terms<'_>) -> Asked<(Served, Loaded)> {
        let Terms { isolation, threads, log, cancel } = *terms;
        let (shared, file) = SharedMemory::create()?;
        let mut command = Command::new(&isolation.server);
        command.arg0("mpass").arg("serve-loss");
        command.args(["--threads", &threads.to_string(), "--memory", &isolation.limits.memory.to_string()]);
        match source {
            BackendSource::File(file) => command.arg("--plugin").arg(file),
            BackendSource::Linked(name) => command.args(["--backend", name]),
        };
        let memory = file.try_clone().map_err(|e| Error::io("shared memory", e))?;
        command.stdin(Stdio::from(memory)).stdout(Stdio::piped());
        let mut process = Child::spawn(&mut command)?;
        let reader = process.process().stdout.take().map(|lines| hear(lines, log.clone()));
        let (limits, source, looked) = (isolation.limits, source.clone(), Instant::now());
        let (turn, patience) = (0, Patience::default());
        let mut served = Served { process, shared, file, turn, patience, limits, looked, reader, source };
        // A program that says nothing is none of ours, and no plugin is to blame.
        let hello = served.turn(Call::Hello, &[], &[], SOON.min(limits.call), cancel);
        match hello.and_then(|()| served.answer(Call::Hello, cancel)).and_then(|answer| served.read::<String>(answer)) {
            Ok(version) if version == env!("CARGO_PKG_VERSION") => {}
            Ok(version) => return Err(stranger(isolation, &format!("is of version {version}"))),
            Err(Trouble::Lost(how)) => return Err(stranger(isolation, &how)),
            Err(failed) => return Err(failed),
        }
        let loaded = served.ask(Call::Load, &[], &[], cancel).and_then(|answer| served.read(answer))?;
        Ok((served, loaded))
    }

    /// Makes room for an answer of so many words.
    pub fn room(&mut self, words: usize) -> Asked<()> {
        Ok(self.shared.grow(&self.file, words)?)
    }

    /// Calls, with parts of one payload, and waits for the answer. Its numbers are then to be had from
    /// [`numbers`](Served::numbers).
    pub fn ask(&mut self, call: Call, arguments: &[u64], parts: &[&[u64]], cancel: &Cancel) -> Asked<Answer> {
        self.turn(call, arguments, parts, self.limits.call, cancel)?;
        self.answer(call, cancel)
    }

    /// Reads the numbers of the latest answer, in parts of their payload.
    pub fn numbers(&mut self, parts: &mut [&mut [u64]]) -> Asked<()> {
        match self.shared.receive(&self.shared.header().reply, self.turn, parts) {
            Some(_) => Ok(()),
            None => Err(self.scribbled()),
        }
    }

    /// The answer of this turn.
    fn answer(&mut self, call: Call, cancel: &Cancel) -> Asked<Answer> {
        let mut text = Vec::new();
        loop {
            let (head, len) = self.shared.peek(&self.shared.header().reply).ok_or_else(|| self.scribbled())?;
            if head[0] == answer::DONE {
                return Ok(Answer::Done);
            }
            let mut piece = vec![0_u64; len];
            self.numbers(&mut [&mut piece])?;
            let bytes: &[u8] = bytemuck::cast_slice(&piece);
            let bytes = usize::try_from(head[1]).ok().and_then(|length| bytes.get(..length));
            text.extend_from_slice(bytes.ok_or_else(|| self.scribbled())?);
            match head {
                [answer::NOTHING, ..] => return Ok(Answer::Nothing),
                [answer::TEXT, _, 0, ..] => return Ok(Answer::Text(text)),
                [answer::ERROR, _, 0, ..] => break,
                [answer::TEXT | answer::ERROR, ..] if text.len() <= MOST_TEXT => {}
                _ => return Err(self.scribbled()),
            }
            self.turn(Call::More, &[], &[], self.limits.call, cancel)?;
        }
        let told: ToldError = serde_json::from_slice(&text).map_err(|_| self.scribbled())?;
        Err(match told.into_error(call, self.source.file()) {
            Ok(Error::Cancelled) if !cancel.fired() => self.scribbled(), // Nobody has said so but the backend.
            Ok(error) => Trouble::Failed(error),
            Err(how) => {
                self.process.kill();
                Trouble::Lost(how)
            }
        })
    }

    /// Reads an answer that is a text.
    pub fn read<T: serde::de::DeserializeOwned>(&mut self, answer: Answer) -> Asked<T> {
        let Answer::Text(text) = answer else { return Err(self.scribbled()) };
        serde_json::from_slice(&text).map_err(|_| self.scribbled())
    }

    /// Ends a process that has answered nonsense.
    pub fn scribbled(&mut self) -> Trouble {
        self.process.kill();
        Trouble::Lost(SCRIBBLED.into())
    }

    /// Closes the loss; how the process died of it, if it did.
    pub fn close(mut self) -> std::result::Result<(), String> {
        match self.turn(Call::Close, &[], &[], SOON.min(self.limits.call), &Cancel::default()) {
            Ok(()) | Err(Trouble::Failed(_)) => Ok(()),
            Err(Trouble::Lost(how)) => Err(how),
        }
    }

    /// Sends one turn and waits for its reply.
    fn turn(&mut self, call: Call, arguments: &[u64], parts: &[&[u64]], limit: Duration, cancel: &Cancel) -> Asked<()> {
        self.room(parts.iter().map(|part| part.len()).sum())?;
        if self.looked.elapsed() > LOOK {
            self.look_at_memory()?; // Calls that are too short for a look take memory too.
        }
        let before = self.turn;
        self.turn = before.wrapping_add(1);
        let header = self.shared.header().clone();
        header.cancel.store(0, Ordering::Release);
        let mut head = [0; HEAD];
        head[0] = call as u64;
        head[1..=arguments.len()].copy_from_slice(arguments);
        self.shared.send(&header.request, self.turn, head, parts);
        if !header.reply.spin(&mut self.patience, |now| now != before) {
            self.wait(&header, before, limit, cancel)?;
        }
        // Any other turn than this one has been written there by somebody else than the server.
        if header.reply.turn() == self.turn { Ok(()) } else { Err(self.scribbled()) }
    }

    /// Sleeps until there is another turn than the one before.
    fn wait(&mut self, header: &Page, before: u32, limit: Duration, cancel: &Cancel) -> Asked<()> {
        let (begun, mut look, mut cancelled) = (Instant::now(), Duration::from_millis(1), None);
        // A death shows at a look only: the first ones come soon, because most die at once.
        while !header.reply.sleep(|now| now != before, look) {
            look = (2 * look).min(LOOK);
            if let Some(end) = self.process.ended() {
                // It may have answered before it died.
                if header.reply.turn() != before {
                    break;
                }
                return Err(self.lost(end.to_string()));
            }
            self.look_at_memory()?;
            if begun.elapsed() > limit {
                return Err(self.lost(format!("gave no answer within {} s", limit.as_secs_f64())));
            }
            if cancel.fired() {
                header.cancel.store(1, Ordering::Release);
                if cancelled.get_or_insert_with(Instant::now).elapsed() > GRACE {
                    self.silence();
                    return Err(Trouble::Failed(Error::Cancelled));
                }
            }
        }
        Ok(())
    }

    /// Ends a process that has more memory than it may: the system's limit counts what is its own, not what it shares,
    /// be it with itself alone. What it shares with the engine does not count.
    fn look_at_memory(&mut self) -> Asked<()> {
        self.looked = Instant::now();
        let Some(memory::Resident { own, shared }) = self.process.memory() else { return Ok(()) };
        let shared = shared.saturating_sub(self.shared.size());
        let (taken, most) = (own + shared, self.limits.memory);
        match shared > 0 && taken > most {
            true => {
                Err(self.lost(format!("took more memory than the {} of its process, some of it shared", gib(most))))
            }
            false => Ok(()),
        }
    }

    /// A process that is no more, or is ended.
    fn lost(&mut self, how: String) -> Trouble {
        self.silence();
        Trouble::Lost(how)
    }

    /// Kills the process and lets its last lines be told before anything else is.
    fn silence(&mut self) {
        self.process.kill();
        let since = Instant::now();
        // Whoever left the group may hold the log open for ever.
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && since.elapsed() < 5 * LOOK {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.silence();
    }
}

/// Another program than ours, or another version of it.
fn stranger(isolation: &Isolation, what: &str) -> Trouble {
    let (server, ours) = (isolation.server.display(), env!("CARGO_PKG_VERSION"));
    Trouble::Failed(Error::Argument(format!("{server} {what}: to isolate backends it must be mpass {ours}")))
}

/// Tells what the process logs, line by line, until the last writer is gone.
fn hear(lines: ChildStdout, log: Arc<Log>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(lines);
        loop {
            let mut line = Vec::new();
            match lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(1..) => {}
                _ => return,
            }
            let line = String::from_utf8_lossy(&line);
            let (level, text) = line.trim_end().split_once(' ').unwrap_or_default();
            match level.parse() {
                Ok(level) => log(level, text),
                Err(_) => log(log::WARN, line.trim_end()), // The rest of a line that was too long.
            }
        }
    })
}
