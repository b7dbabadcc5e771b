//! A process of our own that runs foreign code: in a process group of its own, ended with everything it has started,
//! and its end in words.

use crate::error::{Error, Result};
use crate::machine::memory::{self, Resident};
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child as Process, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Whether this process was started with a signal ignored, as `nohup` does: it is to stay so.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: a record of numbers and addresses, for which zero is a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call only fills the record.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}

/// A running child; dropping it kills its group.
pub struct Child {
    process: Process,
    end: Option<End>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with a status.
    Exit(i32),
    /// A signal killed it.
    Signal(i32),
    /// Nobody knows: this program has told the system not to keep the ends of its children, or waits for all of them.
    Unseen,
}

impl Child {
    /// Starts a command as the leader of a process group, so that a terminal's Ctrl-C does not reach it.
    pub fn spawn(command: &mut Command) -> Result<Child> {
        let process = command.process_group(0).spawn().map_err(|e| Error::io(command.get_program(), e))?;
        Ok(Child { process, end: None })
    }

    /// The process itself, for its pipes.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The memory of the process, where the system says.
    pub fn memory(&self) -> Option<Resident> {
        memory::resident(self.process.id())
    }

    /// How it ended, if it has. It stays a zombie until it is killed or dropped: as long as it is one, its number names
    /// no other process or group.
    pub fn ended(&self) -> Option<End> {
        if self.end.is_some() {
            return self.end;
        }
        let (id, peek) = (self.process.id(), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
        // SAFETY: a record of numbers and addresses, for which zero is a value.
        let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: fills the record or leaves it zero, and takes nothing away.
        let asked = unsafe { libc::waitid(libc::P_PID, id, &raw mut found, peek) };
        // SAFETY: both fields are those of a child that ended, or zero.
        let (ended, how) = (unsafe { found.si_pid() }, unsafe { found.si_status() });
        match (asked, ended, found.si_code) {
            (0, 1.., libc::CLD_EXITED) => Some(End::Exit(how)),
            (0, 1.., _) => Some(End::Signal(how)),
            (0, ..) => None,
            _ => Some(End::Unseen), // There is no such child.
        }
    }

    /// Waits until it ends or the time comes.
    pub fn wait_until(&self, time: Instant) -> Option<End> {
        let mut pause = Duration::from_micros(200);
        loop {
            let end = self.ended();
            let left = time.saturating_duration_since(Instant::now());
            if end.is_some() || left.is_zero() {
                return end;
            }
            std::thread::sleep(pause.min(left));
            pause = (2 * pause).min(Duration::from_millis(10));
        }
    }

    /// Kills it with everything it started, and says how it ended: by its own doing, if it already had.
    pub fn kill(&mut self) -> End {
        // Once its end was taken by others its number may name a process of theirs.
        if let Some(end) = self.end.or_else(|| self.ended().filter(|end| *end == End::Unseen)) {
            return *self.end.insert(end);
        }
        let number = self.process.id() as i32;
        // SAFETY: a signal to the group that `spawn` made, whose number is still its own.
        unsafe { libc::killpg(number, libc::SIGKILL) };
        // SAFETY: a signal to the process itself, which may have gone over to another group.
        unsafe { libc::kill(number, libc::SIGKILL) };
        *self.end.insert(self.process.wait().map_or(End::Unseen, End::of))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

impl End {
    fn of(status: ExitStatus) -> End {
        status.signal().map_or_else(|| End::Exit(status.code().unwrap_or(-1)), End::Signal)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            End::Exit(status) => return write!(f, "exited with status {status}"),
            End::Unseen => return f.write_str("ended"),
            End::Signal(libc::SIGSEGV) => "SIGSEGV, an access to memory that is not its own",
            End::Signal(libc::SIGBUS) => "SIGBUS, an access to memory that is not there",
            End::Signal(libc::SIGFPE) => "SIGFPE, an integer division by zero",
            End::Signal(libc::SIGILL) => "SIGILL, an instruction this machine does not have",
            End::Signal(libc::SIGABRT) => "SIGABRT, abort",
            End::Signal(libc::SIGKILL) => "SIGKILL, from outside: out of memory?",
            End::Signal(libc::SIGTERM) => "SIGTERM",
            End::Signal(signal) => return write!(f, "was killed by signal {signal}"),
        };
        write!(f, "was killed by {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Child::spawn(Command::new("sh").args(["-c", script])).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(shell("exit 3").wait_until(soon()).unwrap().to_string(), "exited with status 3");
        let aborted = shell("kill -ABRT $$").wait_until(soon()).unwrap();
        assert_eq!(aborted.to_string(), "was killed by SIGABRT, abort");
        assert!(Child::spawn(&mut Command::new("./no such program")).is_err());
    }

    #[test]
    fn what_a_child_started_ends_with_it() {
        let mut child = Child::spawn(
            Command::new("sh").args(["-c", "sleep 600 & echo $!; wait"]).stdout(std::process::Stdio::piped()),
        )
        .unwrap();
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(child.process().stdout.take().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert_eq!(child.wait_until(Instant::now()), None);
        assert_eq!(child.kill(), End::Signal(libc::SIGKILL));
        // The pipe's last writer is gone: the grandchild held it too.
        assert_eq!(std::io::Read::read(&mut reader, &mut [0; 8]).unwrap(), 0);
    }
}
