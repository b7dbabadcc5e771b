//! What the command says: results on standard output, everything else on standard error.

use mountainpass::{Error, Result, plain};
use serde::Serialize;
use std::io::{BufWriter, Write};

/// `eprintln!` of one line, whatever the names in it hold, for a reader who may have gone away (`2>&1 | head`): that is
/// no reason to stop.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{}", mountainpass::plain::line(&format!($($text)*)));
    }};
}

/// Prints a result as lines of plain text.
pub fn print(text: &str) -> Result<()> {
    write(|out| out.write_all(plain::lines(text).as_bytes()))
}

/// Prints a result that is JSON.
pub fn print_json(text: &str) -> Result<()> {
    write(|out| out.write_all(plain::json(text).as_bytes()))
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
pub fn write(body: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match body(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
        _ => Ok(()),
    }
}

/// A value as JSON on lines of its own.
pub fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(format!("JSON: {e}")))?;
    Ok(text + "\n")
}
