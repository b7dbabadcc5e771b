//! Progress on stderr: on a terminal one line that is drawn over itself; otherwise a line a stage, and one now and then in a
//! stage that takes long.

use mountainpass::explore::{Doing, Notice, Progress};
use mountainpass::plain;
use mountainpass::report::progress;
use mountainpass::search::Stage;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The characters of the bar.
const WIDTH: usize = 24;
/// The line is drawn again after so long at the earliest.
const PAUSE: Duration = Duration::from_millis(50);
/// Work without stages is told of after so long, where a line is drawn.
const SECOND: Duration = Duration::from_secs(1);
/// Where none is drawn, a stage is told of again after so long at the earliest.
const LONG: Duration = Duration::from_secs(30);

/// Where the run is.
pub enum Teller {
    Bar { line: String, drawn: Option<Instant> },
    Lines(Lines),
}

impl Teller {
    /// A bar if stderr is a terminal, else lines.
    pub fn new() -> Teller {
        match std::io::stderr().is_terminal() {
            true => Teller::Bar { line: String::new(), drawn: None },
            false => Teller::Lines(Lines { last: None, pause: LONG }),
        }
    }

    /// Clears the bar, before results are printed.
    pub fn finish(&self) {
        if let Teller::Bar { drawn: Some(_), .. } = self {
            draw("");
        }
    }
}

impl Progress for Teller {
    fn at(&mut self, now: Stage, done: u64, total: u64, doing: Doing) {
        match self {
            Teller::Bar { line, drawn } => {
                let doing = plain::line(&progress::doing(doing));
                *line = format!("{now:>8} {} {done}/{total}  {doing}", bar(done, total));
                if drawn.is_none_or(|last| last.elapsed() >= PAUSE) {
                    draw(line);
                    *drawn = Some(Instant::now());
                }
            }
            Teller::Lines(lines) => lines.line(now, done, total, doing).into_iter().for_each(|line| tell!("{line}")),
        }
    }

    fn note(&mut self, notice: Notice<'_>) {
        let Some(text) = progress::notice(notice) else { return };
        match self {
            Teller::Bar { line, .. } => {
                draw("");
                tell!("{text}");
                draw(line);
            }
            Teller::Lines(_) => tell!("{text}"),
        }
    }
}

/// Lines below one another.
pub struct Lines {
    /// The stage that was told of last, and when.
    last: Option<(Stage, Instant)>,
    pause: Duration,
}

impl Lines {
    /// What is to be told now, if anything is.
    fn line(&mut self, now: Stage, done: u64, total: u64, doing: Doing) -> Option<String> {
        let line = match self.last {
            Some((stage, told)) if stage == now && told.elapsed() < self.pause => return None,
            Some((stage, _)) if stage == now => format!("{now} {done}/{total}  {}", progress::doing(doing)),
            _ => format!("{now}: {total}"),
        };
        self.last = Some((now, Instant::now()));
        Some(line.trim_end().to_owned())
    }
}

/// Does work that knows no stages, and tells meanwhile, if it takes long, what is being done and for how long.
pub fn waiting<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (line, start) = (|start: Instant| format!("{what}: {} s", start.elapsed().as_secs()), Instant::now());
    if std::io::stderr().is_terminal() {
        let result = meanwhile(SECOND, || draw(&plain::line(&line(start))), work);
        if start.elapsed() >= SECOND {
            draw("");
        }
        result
    } else {
        meanwhile(LONG, || tell!("{}", line(start)), work)
    }
}

/// Does work, and tells on another thread after every pause.
fn meanwhile<T>(pause: Duration, mut tell: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (going, gone) = mpsc::channel::<()>();
        scope.spawn(move || {
            while gone.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
        });
        let result = work();
        drop(going);
        result
    })
}

/// Draws a line over the one that is there; the terminal cuts off what does not fit.
fn draw(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // For a reader who may have gone away.
    let _ = write!(stderr, "\r\x1b[?7l{line}\x1b[K\x1b[?7h\r").and_then(|()| stderr.flush());
}

fn bar(done: u64, total: u64) -> String {
    let full = (done.min(total) as f64 / total.max(1) as f64 * WIDTH as f64) as usize;
    "█".repeat(full) + &"░".repeat(WIDTH - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_told_of_once_and_again_where_it_takes_long() {
        let told = |pause| {
            let mut lines = Lines { last: None, pause };
            let descents = Doing::Descents { gradient_norm: 0.25 };
            [
                (Stage::Minima, 0, descents),
                (Stage::Minima, 1, descents),
                (Stage::Paths, 0, Doing::Next),
                (Stage::Paths, 2, Doing::Next),
            ]
            .map(|(stage, done, doing)| lines.line(stage, done, 3, doing).unwrap_or_default())
        };
        assert_eq!(told(Duration::MAX), ["minima: 3", "", "paths: 3", ""]);
        let often = ["minima: 3", "minima 1/3  gradient norm 2.5e-1", "paths: 3", "paths 2/3"];
        assert_eq!(told(Duration::ZERO), often);
    }

    #[test]
    fn long_work_is_told_of_while_it_lasts() {
        let (told, heard) = mpsc::channel();
        let twice = || (0..2).map(|_| heard.recv().unwrap()).count();
        assert_eq!(meanwhile(Duration::ZERO, || told.send(()).unwrap_or_default(), twice), 2);
    }

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        let full = |done, total| bar(done, total).chars().filter(|c| *c == '█').count();
        assert_eq!([full(0, 8), full(1, 8), full(8, 8), full(9, 8), full(0, 0)], [0, 3, 24, 24, 0]);
        assert_eq!(bar(3, 7).chars().count(), WIDTH);
    }
}
