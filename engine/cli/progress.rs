//! Progress on stderr: on a terminal one line that is drawn over itself, a line a stage otherwise.

use mountainpass::explore::{Doing, Notice, Progress};
use mountainpass::plain;
use mountainpass::report::progress;
use mountainpass::search::Stage;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The characters of the bar.
const WIDTH: usize = 24;
/// The line is drawn again after so long at the earliest.
const PAUSE: Duration = Duration::from_millis(50);

/// Where the run is.
pub enum Teller {
    Bar { line: String, drawn: Option<Instant> },
    Lines { stage: Option<Stage> },
}

impl Teller {
    /// A bar if stderr is a terminal, else lines.
    pub fn new() -> Teller {
        match std::io::stderr().is_terminal() {
            true => Teller::Bar { line: String::new(), drawn: None },
            false => Teller::Lines { stage: None },
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
            Teller::Lines { stage } if *stage != Some(now) => {
                tell!("{now}: {total}");
                *stage = Some(now);
            }
            Teller::Lines { .. } => {}
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
            Teller::Lines { .. } => tell!("{text}"),
        }
    }
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
    fn a_bar_is_as_long_as_what_is_done() {
        let full = |done, total| bar(done, total).chars().filter(|c| *c == '█').count();
        assert_eq!([full(0, 8), full(1, 8), full(8, 8), full(9, 8), full(0, 0)], [0, 3, 24, 24, 0]);
        assert_eq!(bar(3, 7).chars().count(), WIDTH);
    }
}
