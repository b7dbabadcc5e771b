//! JSON that a person can read: indented, but for lists of numbers, which stand on one line.

use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// The text of a value, with a line end.
pub fn to_string(value: &impl Serialize) -> Result<String> {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Compact::default()));
    bytes.push(b'\n');
    let text = written.map_err(|e| e.to_string()).and_then(|()| String::from_utf8(bytes).map_err(|e| e.to_string()));
    text.map_err(|e| Error::Internal(format!("JSON: {e}")))
}

#[derive(Default)]
struct Compact {
    pretty: PrettyFormatter<'static>,
    /// Of the lists that are open, whether something stands on a line of its own in them.
    lists: Vec<bool>,
    /// A value of a list is next, and whether it is the first.
    next: Option<bool>,
}

impl Compact {
    /// Before a number, or nothing.
    fn beside<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        match self.next.take() {
            Some(false) => to.write_all(b", "),
            _ => Ok(()),
        }
    }

    /// Before anything else.
    fn below<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        let Some(is_first) = self.next.take() else { return Ok(()) };
        self.lists.last_mut().into_iter().for_each(|is_long| *is_long = true);
        self.pretty.begin_array_value(to, is_first)
    }
}

macro_rules! numbers {
    ($($name:ident: $kind:ty),+) => { $(
        fn $name<W: ?Sized + Write>(&mut self, to: &mut W, value: $kind) -> io::Result<()> {
            self.beside(to)?;
            self.pretty.$name(to, value)
        }
    )+ };
}

impl Formatter for Compact {
    numbers!(write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128);
    numbers!(write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128);
    numbers!(write_f32: f32, write_f64: f64);

    fn write_null<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.beside(to)?;
        self.pretty.write_null(to)
    }

    fn write_bool<W: ?Sized + Write>(&mut self, to: &mut W, value: bool) -> io::Result<()> {
        self.below(to)?;
        self.pretty.write_bool(to, value)
    }

    fn begin_string<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.below(to)?;
        self.pretty.begin_string(to)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.below(to)?;
        self.lists.push(false);
        self.pretty.begin_array(to)
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        // It then indents the bracket.
        if self.lists.pop() == Some(true) {
            self.pretty.end_array_value(to)?;
        }
        self.pretty.end_array(to)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.next = Some(first);
        Ok(())
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.below(to)?;
        self.pretty.begin_object(to)
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.pretty.end_object(to)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(to)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_of_numbers_is_a_line_and_all_else_is_indented() {
        let value = json!({
            "a": [1, 2.5, null], "b": [], "c": ["x", "y"], "d": [{ "e": [1], "f": {} }, { "e": [[1, 2], []] }], "g": [true, 1],
        });
        let text = to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(
            text.starts_with("{\n  \"a\": [1, 2.5, null],\n  \"b\": [],\n  \"c\": [\n    \"x\",\n    \"y\"\n  ],\n")
        );
        assert!(text.contains("    {\n      \"e\": [1],\n      \"f\": {}\n    },\n"), "{text}");
        // Where every list is of objects and texts it is as it always was.
        let plain = json!({ "c": ["x", "y"], "d": [{ "e": {} }] });
        assert_eq!(to_string(&plain).unwrap(), serde_json::to_string_pretty(&plain).unwrap() + "\n");
    }
}
