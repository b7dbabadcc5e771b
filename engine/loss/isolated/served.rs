//! The engine's side of one server: the process, the memory shared with it, and calls that always come back, with an
//! answer or with what became of the process.
//!
//! Nothing that the other side writes is believed: sizes are the engine's, texts are parsed, and an answer that cannot
//! be one counts as a death.

#![forbid(unsafe_code)]

use super::message::{Fault, Loaded, Op, answer};
use super::shared::{Patience, Region, WORDS};
use super::{Isolation, Source};
use crate::child::Child;
use crate::error::Error;
use crate::loss::Log;
use crate::run::Cancel;
use mountainpass_sdk::abi::log;
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

/// What a call was answered with, if with no error.
pub enum Answer {
    Done,
    Nothing,
    Text(Vec<u8>),
}

/// A running server. Dropping it ends the process with everything it has started.
pub struct Served {
    process: Child,
    pub region: Region,
    turn: u32,
    patience: Patience,
    /// The longest a call may take.
    limit: Duration,
    reader: Option<JoinHandle<()>>,
    source: Source,
}

impl Served {
    /// Starts a server and has it load its backend.
    pub fn start(isolation: &Isolation, source: &Source, threads: usize, log: &Arc<Log>) -> Asked<(Served, Loaded)> {
        let region = Region::create()?;
        let mut command = Command::new(&isolation.server);
        command.arg0("mpass").arg("serve-loss");
        command.args(["--threads", &threads.to_string(), "--memory", &isolation.limits.memory.to_string()]);
        match source {
            Source::File(file) => command.arg("--plugin").arg(file),
            Source::Linked(name) => command.args(["--backend", name]),
        };
        command.stdin(Stdio::from(region.descriptor()?)).stdout(Stdio::piped());
        let mut process = Child::spawn(&mut command)?;
        let reader = process.process().stdout.take().map(|lines| hear(lines, log.clone()));
        let (limit, source) = (isolation.limits.call, source.clone());
        let mut served = Served { process, region, turn: 0, patience: Patience::default(), limit, reader, source };
        // A program that says nothing is none of ours, and no plugin is to blame.
        let hello = served.turn(Op::Hello, &[], SOON.min(served.limit), None);
        match hello.and_then(|words| served.answer(Op::Hello, words)).and_then(|answer| served.read::<String>(answer)) {
            Ok(version) if version == env!("CARGO_PKG_VERSION") => {}
            Ok(version) => return Err(stranger(isolation, &format!("is of version {version}"))),
            Err(Trouble::Lost(how)) => return Err(stranger(isolation, &how)),
            Err(failed) => return Err(failed),
        }
        let loaded = served.ask(Op::Load, &[], None).and_then(|answer| served.read(answer))?;
        Ok((served, loaded))
    }

    /// Calls, and waits for the answer.
    pub fn ask(&mut self, op: Op, arguments: &[u64], cancel: Option<&Cancel>) -> Asked<Answer> {
        let words = self.turn(op, arguments, self.limit, cancel)?;
        self.answer(op, words)
    }

    /// The answer that begins with these words.
    fn answer(&mut self, op: Op, mut words: [u64; WORDS]) -> Asked<Answer> {
        let mut text = Vec::new();
        loop {
            match words[0] {
                answer::DONE => return Ok(Answer::Done),
                answer::NOTHING => return Ok(Answer::Nothing),
                answer::TEXT | answer::FAULT => {}
                _ => return Err(self.scribbled()),
            }
            let room = self.region.words();
            let len = usize::try_from(words[1]).ok().filter(|len| (1..=8 * room.len()).contains(len));
            let len = len.ok_or_else(|| self.scribbled())?;
            let room = &self.region.words()[..len.div_ceil(8)];
            text.extend(room.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).take(len));
            if words[2] == 0 {
                break;
            }
            if text.len() > MOST_TEXT {
                return Err(self.scribbled());
            }
            words = self.turn(Op::More, &[], self.limit, None)?;
        }
        if words[0] == answer::TEXT {
            return Ok(Answer::Text(text));
        }
        let fault: Fault = serde_json::from_slice(&text).map_err(|_| self.scribbled())?;
        Err(Trouble::Failed(fault.into_error(op, self.source.file())))
    }

    /// Reads an answer that is a text.
    pub fn read<T: serde::de::DeserializeOwned>(&mut self, answer: Answer) -> Asked<T> {
        let Answer::Text(text) = answer else { return Err(self.scribbled()) };
        serde_json::from_slice(&text).map_err(|_| self.scribbled())
    }

    /// Ends a process that has answered nonsense.
    pub fn scribbled(&mut self) -> Trouble {
        self.process.kill();
        Trouble::Lost("wrote over the memory that its process shares with the engine".into())
    }

    /// Closes the loss; how the process died of it, if it did.
    pub fn close(mut self) -> std::result::Result<(), String> {
        match self.turn(Op::Close, &[], SOON.min(self.limit), None) {
            Ok(_) | Err(Trouble::Failed(_)) => Ok(()),
            Err(Trouble::Lost(how)) => Err(how),
        }
    }

    /// Sends one turn and waits for its reply.
    fn turn(&mut self, op: Op, arguments: &[u64], limit: Duration, cancel: Option<&Cancel>) -> Asked<[u64; WORDS]> {
        let turn = self.turn.wrapping_add(1);
        self.turn = turn;
        let header = self.region.header().clone();
        header.cancel.store(0, Ordering::Release);
        let mut words = [0; WORDS];
        words[0] = op as u64;
        words[1..=arguments.len()].copy_from_slice(arguments);
        header.request.send(turn, words);
        let reply = &header.reply;
        if reply.spin(&mut self.patience, |now| now == turn) {
            return Ok(reply.words());
        }
        let (begun, mut look, mut cancelled) = (Instant::now(), Duration::from_millis(1), None);
        // A death shows at a look only: the first ones come soon, because most die at once.
        while !reply.sleep(|now| now == turn, look) {
            look = (2 * look).min(LOOK);
            if let Some(end) = self.process.ended() {
                // It may have answered before it died.
                if reply.turn() == turn {
                    break;
                }
                self.silence();
                return Err(Trouble::Lost(end.to_string()));
            }
            if begun.elapsed() > limit {
                self.silence();
                return Err(Trouble::Lost(format!("gave no answer within {} s", limit.as_secs_f64())));
            }
            if cancel.is_some_and(Cancel::fired) {
                header.cancel.store(1, Ordering::Release);
                if cancelled.get_or_insert_with(Instant::now).elapsed() > GRACE {
                    self.silence();
                    return Err(Trouble::Failed(Error::Cancelled));
                }
            }
        }
        Ok(reply.words())
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
