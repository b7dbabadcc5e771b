//! Progress on stderr: one bar on a terminal, a line a stage otherwise.

use indicatif::{ProgressBar, ProgressStyle};
use mountainpass::explore::{Doing, Notice, Progress};
use mountainpass::plain;
use mountainpass::report::progress;
use std::io::IsTerminal;

/// Where the run is.
pub enum Teller {
    Bar { bar: ProgressBar, stage: &'static str },
    Lines { stage: &'static str },
}

impl Teller {
    /// A bar if stderr is a terminal, else lines.
    pub fn new() -> Teller {
        if !std::io::stderr().is_terminal() {
            return Teller::Lines { stage: "" };
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{prefix:>8} {bar:24} {pos}/{len}  {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Teller::Bar { bar, stage: "" }
    }

    /// Clears the bar, before results are printed.
    pub fn finish(&self) {
        if let Teller::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Teller {
    fn at(&mut self, now: &'static str, done: u64, total: u64, doing: Doing) {
        match self {
            Teller::Bar { bar, stage } => {
                if *stage != now {
                    bar.set_prefix(now);
                    *stage = now;
                }
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(progress::doing(doing));
            }
            Teller::Lines { stage } if *stage != now => {
                tell!("{now}: {total}");
                *stage = now;
            }
            Teller::Lines { .. } => {}
        }
    }

    fn note(&mut self, notice: Notice<'_>) {
        let Some(text) = progress::notice(notice) else { return };
        match self {
            Teller::Bar { bar, .. } => bar.println(plain::line(&text)),
            Teller::Lines { .. } => tell!("{text}"),
        }
    }
}
