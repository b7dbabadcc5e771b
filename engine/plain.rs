//! Foreign text as it may be shown: a title, a name in a file of somebody else's, what a backend says. Nothing in it can
//! move a terminal's cursor, change its colours or hide what follows.

#![forbid(unsafe_code)]

/// One line: control characters and those that turn the direction of writing are spelled out.
pub fn line(text: &str) -> String {
    spelled(text, |c| is_hidden(c).then(|| c.escape_unicode().to_string()), true)
}

/// A text of several lines with whatever would disturb a terminal spelled out; line ends stay.
pub fn lines(text: &str) -> String {
    spelled(text, |c| (is_hidden(c) && c != '\n').then(|| c.escape_unicode().to_string()), false)
}

/// A text that is JSON with whatever would disturb a terminal escaped; it stays the same JSON.
pub fn json(text: &str) -> String {
    spelled(text, |c| (is_hidden(c) && c != '\n').then(|| format!("\\u{:04x}", c as u32)), false)
}

fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn spelled(text: &str, spell: impl Fn(char) -> Option<String>, short: bool) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match spell(c) {
            None => plain.push(c),
            Some(_) if short && matches!(c, '\n' | '\r' | '\t') => plain.extend(c.escape_default()),
            Some(spelled) => plain.push_str(&spelled),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let foreign = "a\u{1b}[31m\u{9b}2J\u{7f}\r\nä\u{202e}";
        assert_eq!(line(foreign), "a\\u{1b}[31m\\u{9b}2J\\u{7f}\\r\\nä\\u{202e}");
        assert_eq!(lines("a\u{7}\nb\n"), "a\\u{7}\nb\n");
        let written = serde_json::to_string(foreign).unwrap();
        let plain = json(&written);
        assert!(!plain.chars().any(is_hidden));
        assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), foreign);
    }
}
