//! A source file as words: comments go, strings stay whole, and what only tests compile is left out.

/// A word of a source file.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// A name, a keyword or a number.
    Name(String),
    /// The text of a string.
    Text(String),
    /// `::`.
    Path,
    /// Any other sign.
    Sign(char),
}

impl Word {
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Word::Name(own) if own == name)
    }
    pub fn name(&self) -> Option<&str> {
        if let Word::Name(name) = self { Some(name) } else { None }
    }
}

/// The words of a source, without those that only tests compile.
pub fn words(source: &str) -> Vec<Word> {
    without_tests(&split(source))
}

fn split(source: &str) -> Vec<Word> {
    let (mut rest, mut words) = (source, Vec::new());
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some((text, length)) = string(rest) {
            words.push(Word::Text(text.to_owned()));
            length
        } else if first == '\'' {
            letter(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push(Word::Name(rest[..length].to_owned()));
            length
        } else if rest.starts_with("::") {
            words.push(Word::Path);
            2
        } else {
            if !first.is_whitespace() {
                words.push(Word::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

/// The length of a comment in signs, which may hold others.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        (depth, at) = (depth + step.0, at + step.1);
        if depth == 0 {
            break;
        }
    }
    at
}

/// A string that starts here, plain or raw, and how long it is with its marks.
fn string(rest: &str) -> Option<(&str, usize)> {
    let marks = rest.find(['"', '#']).filter(|&at| matches!(&rest[..at], "" | "b" | "c" | "r" | "br" | "cr"))?;
    let raw = rest[..marks].ends_with('r');
    let hashes = rest[marks..].bytes().take_while(|byte| *byte == b'#').count();
    let start = marks + hashes + 1;
    if rest.as_bytes().get(start - 1) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    let end = if raw {
        rest[start..].find(&format!("\"{}", "#".repeat(hashes)))?
    } else {
        let mut escaped = false;
        rest[start..].bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?
    };
    Some((&rest[start..start + end], start + end + 1 + hashes))
}

/// The length of a letter in quotes, or of the quote of a lifetime.
fn letter(rest: &str) -> usize {
    let mut letters = rest[1..].chars();
    match (letters.next(), letters.next()) {
        (Some('\\'), Some(_)) => 3 + rest[3..].find('\'').unwrap_or(0) + 1,
        (Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 1,
    }
}

fn without_tests(words: &[Word]) -> Vec<Word> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let attribute = words[at] == Word::Sign('#') && words.get(at + 1) == Some(&Word::Sign('['));
        let end = if attribute { closed(words, at + 1, '[', ']') } else { at + 1 };
        let own = &words[at..end];
        let names = |name: &str| own.iter().any(|word| word.is(name));
        if attribute && names("cfg") && names("test") && !names("not") && !names("any") {
            at = item(words, end);
        } else {
            kept.extend_from_slice(own);
            at = end;
        }
    }
    kept
}

/// Behind the mark that closes the one at `at`.
fn closed(words: &[Word], at: usize, open: char, close: char) -> usize {
    let mut depth = 0;
    for (i, word) in words.iter().enumerate().skip(at) {
        depth += i32::from(*word == Word::Sign(open)) - i32::from(*word == Word::Sign(close));
        if depth == 0 {
            return i + 1;
        }
    }
    words.len()
}

/// Behind the item that starts at `at`: its semicolon, or the brace that closes its body.
fn item(words: &[Word], at: usize) -> usize {
    let mut head = words[at..].iter().take_while(|word| **word != Word::Sign('{'));
    let is_import = head.any(|word| word.is("use"));
    for (i, word) in words.iter().enumerate().skip(at) {
        match word {
            Word::Sign(';') => return i + 1,
            Word::Sign('{') if !is_import => return closed(words, i, '{', '}'),
            _ => {}
        }
    }
    words.len()
}

#[test]
fn words_are_names_texts_and_signs() {
    let source = r##"a::b /* c /* d */ */ "e\"f" 'g' 'h r#"i"j"# // k
        #[cfg(test)] mod tests { use x; } #[cfg(not(test))] '\'' l"##;
    let shown: Vec<String> = words(source)
        .into_iter()
        .map(|word| match word {
            Word::Name(name) => name,
            Word::Text(text) => format!("<{text}>"),
            Word::Path => "::".into(),
            Word::Sign(sign) => sign.into(),
        })
        .collect();
    assert_eq!(shown.join(" "), r#"a :: b <e\"f> h <i"j> # [ cfg ( not ( test ) ) ] l"#);
}
