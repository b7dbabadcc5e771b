//! What a call that was not answered says: a status and a text.

#![forbid(unsafe_code)]

use super::region::{Fence, GuardedRegion};
use crate::check::verdict::{Outcome, fail};
use mountainpass_sdk::abi::{self, Status, status};

/// A call that was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// As it came back.
    pub status: Status,
    /// What the error says.
    pub text: ErrorText,
}

impl Refusal {
    /// Fails unless code and text are what the contract asks for; `what` was refused.
    pub fn sound(&self, what: &str) -> Outcome {
        let Refusal { status, text } = self;
        if !(status::ARGUMENT..=status::INTERNAL).contains(status) {
            return Err(fail(format!("a code of the contract for {what}"), format!("status {status}"))
                .rule("0 = ok; a code you do not know means MPASS_E_INTERNAL"));
        }
        let flaw = match text {
            ErrorText::Text(text) if !text.trim().is_empty() => return Ok(()),
            ErrorText::Unterminated(_) => "a text without its NUL".to_owned(),
            ErrorText::Foreign(_) => format!("a text that is no UTF-8: {:?}", text.shown()),
            ErrorText::Untouched | ErrorText::Text(_) => format!("status {status} and {}", text.shown()),
        };
        Err(fail(format!("a terminated UTF-8 text that says what is wrong with {what}"), flaw)
            .rule("All text is UTF-8 and NUL-terminated."))
    }
}

/// `mpass_error.text` as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorText {
    /// Nobody wrote to it.
    Untouched,
    /// No NUL within the field; what is there.
    Unterminated(String),
    /// Terminated, but no UTF-8.
    Foreign(String),
    /// As it should be; may be empty.
    Text(String),
}

impl ErrorText {
    /// No text begins with it: it is no UTF-8.
    const PRESET: u8 = 0xFE;

    /// The memory for a status and a text, as a plugin is given it.
    pub(super) fn room() -> Outcome<GuardedRegion> {
        let mut region = GuardedRegion::new(size_of::<abi::Error>(), 0, Fence::Room)?;
        region.bytes_mut().fill(ErrorText::PRESET);
        region.bytes_mut()[..4].fill(0);
        Ok(region)
    }

    /// What was written there.
    pub(super) fn of(region: &GuardedRegion) -> ErrorText {
        let text = &region.bytes()[4..];
        if text.iter().all(|&byte| byte == ErrorText::PRESET) {
            return ErrorText::Untouched;
        }
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match text.iter().position(|&byte| byte == 0) {
            None => ErrorText::Unterminated(shown(text)),
            Some(end) => match std::str::from_utf8(&text[..end]) {
                Ok(text) => ErrorText::Text(text.to_owned()),
                Err(_) => ErrorText::Foreign(shown(&text[..end])),
            },
        }
    }

    /// The text, however it was left, in one line for a message.
    pub fn shown(&self) -> String {
        match self {
            ErrorText::Untouched => "no text".into(),
            ErrorText::Text(text) if text.is_empty() => "an empty text".into(),
            ErrorText::Text(text) | ErrorText::Foreign(text) | ErrorText::Unterminated(text) => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                line.chars().take(200).collect()
            }
        }
    }

    /// True if there is something to read.
    pub fn says_something(&self) -> bool {
        match self {
            ErrorText::Untouched => false,
            ErrorText::Text(text) | ErrorText::Foreign(text) | ErrorText::Unterminated(text) => !text.trim().is_empty(),
        }
    }
}
