//! The strict reader.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{MAX_DEPTH, Member, Value};

/// Why a text is not the JSON that the engine accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fact} at byte {offset}")]
pub struct JsonError {
    offset: usize,
    fact: Fact,
}

/// What the reader saw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fact {
    #[error("a control character in a string")]
    Control,
    #[error("nesting deeper than 32")]
    Depth,
    #[error("the name `{0}` for the second time")]
    Duplicate(String),
    #[error("an unknown escape")]
    Escape,
    #[error("something other than {0}")]
    Expected(&'static str),
    #[error("a malformed number")]
    Number,
    #[error("half of a surrogate pair")]
    Surrogate,
    #[error("text after the value")]
    Trailing,
    #[error("a byte that is not UTF-8")]
    Utf8,
}

/// Reads one JSON value that fills all of `text`.
///
/// # Errors
/// The first thing that is wrong, with its place in the text.
pub fn parse(text: &[u8]) -> Result<Value<'_>, JsonError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| JsonError { offset: error.valid_up_to(), fact: Fact::Utf8 })?;
    let mut reader = Reader { rest: text, whole: text.len() };
    let value = reader.value(0)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(reader.error(Fact::Trailing)) }
}

struct Reader<'a> {
    rest: &'a str,
    whole: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, fact: Fact) -> JsonError {
        JsonError { offset: self.whole.saturating_sub(self.rest.len()), fact }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.space();
        if depth > MAX_DEPTH {
            return Err(self.error(Fact::Depth));
        }
        match self.rest.as_bytes().first() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|text| Value::Number(Cow::Borrowed(text))),
            _ if self.take("true") => Ok(Value::Bool(true)),
            _ if self.take("false") => Ok(Value::Bool(false)),
            _ if self.take("null") => Ok(Value::Null),
            _ => Err(self.error(Fact::Expected("a value"))),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value<'a>>, JsonError> {
        self.skip(1);
        let mut values = Vec::new();
        self.space();
        if self.take("]") {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth.saturating_add(1))?);
            self.space();
            if self.take("]") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.error(Fact::Expected("`,` or `]`")));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member<'a>>, JsonError> {
        self.skip(1);
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = HashSet::new();
        self.space();
        if self.take("}") {
            return Ok(members);
        }
        loop {
            self.space();
            if !self.rest.starts_with('"') {
                return Err(self.error(Fact::Expected("a name in quotes")));
            }
            let name = self.string()?;
            if is_known(&name, &members, &mut names) {
                return Err(self.error(Fact::Duplicate(name.into_owned())));
            }
            self.space();
            if !self.take(":") {
                return Err(self.error(Fact::Expected("`:`")));
            }
            let value = self.value(depth.saturating_add(1))?;
            members.push((name, value));
            self.space();
            if self.take("}") {
                return Ok(members);
            }
            if !self.take(",") {
                return Err(self.error(Fact::Expected("`,` or `}`")));
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let bytes = self.rest.as_bytes();
        let length = number_length(bytes).ok_or_else(|| self.error(Fact::Number))?;
        let (number, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.error(Fact::Number))?;
        // `01`, `1.` and `1e` leave a tail that could pass for the start of the next token.
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-')) {
            return Err(self.error(Fact::Number));
        }
        self.rest = rest;
        Ok(number)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.skip(1);
        let plain = self.plain()?;
        if self.take("\"") {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::with_capacity(plain.len().saturating_mul(2));
        text.push_str(plain);
        loop {
            if self.take("\"") {
                return Ok(Cow::Owned(text));
            }
            if !self.take("\\") {
                return Err(self.error(Fact::Expected("the end of a string")));
            }
            text.push(self.escaped()?);
            text.push_str(self.plain()?);
        }
    }

    /// Everything up to the next quote or backslash.
    fn plain(&mut self) -> Result<&'a str, JsonError> {
        let end = self.rest.bytes().position(|b| b == b'"' || b == b'\\' || b < b' ');
        let (plain, rest) = end.and_then(|end| self.rest.split_at_checked(end)).unwrap_or((self.rest, ""));
        self.rest = rest;
        if rest.bytes().next().is_some_and(|b| b < b' ') {
            return Err(self.error(Fact::Control));
        }
        Ok(plain)
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        let kind = self.rest.bytes().next().unwrap_or_default();
        let plain = match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.skip(1);
                return self.unicode();
            }
            _ => return Err(self.error(Fact::Escape)),
        };
        self.skip(1);
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.take("\\u") {
                    return Err(self.error(Fact::Surrogate));
                }
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.error(Fact::Surrogate));
                }
                let high = first.wrapping_sub(0xD800).wrapping_shl(10);
                high.wrapping_add(second.wrapping_sub(0xDC00)).wrapping_add(0x1_0000)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| self.error(Fact::Surrogate))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.error(Fact::Escape))?;
        self.skip(4);
        Ok(code)
    }
}

/// Few names are compared one by one; many go through a set, so that an object of thousands of names
/// does not take millions of comparisons.
fn is_known(name: &str, members: &[Member<'_>], names: &mut HashSet<String>) -> bool {
    const FEW: usize = 24;
    if members.len() < FEW {
        return members.iter().any(|(known, _)| known == name);
    }
    if names.is_empty() {
        names.extend(members.iter().map(|(known, _)| known.to_string()));
    }
    !names.insert(name.to_owned())
}

/// Length of the number at the start of `bytes`, by the grammar of RFC 8259 section 6.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let rest = match rest.first()? {
        b'0' => rest.get(1..)?,
        b'1'..=b'9' => digits(rest)?,
        _ => return None,
    };
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => digits(fraction)?,
        None => rest,
    };
    let rest = match rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        Some(exponent) => {
            digits(exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent))?
        }
        None => rest,
    };
    Some(bytes.len().saturating_sub(rest.len()))
}

/// What follows one or more digits.
fn digits(bytes: &[u8]) -> Option<&[u8]> {
    let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 { None } else { bytes.get(count..) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_digits_and_escapes() {
        let value = parse(br#" {"b":[1.50,-0e+1,true,null],"a":"\u6f22\ud83d\ude00\"\\\/\n"} "#).unwrap();
        let Value::Object(members) = &value else { panic!("{value:?}") };
        assert_eq!(members[0].0, "b");
        assert_eq!(
            members[0].1,
            Value::Array(vec![
                Value::Number("1.50".into()),
                Value::Number("-0e+1".into()),
                Value::Bool(true),
                Value::Null
            ])
        );
        assert_eq!(value.get("a").and_then(Value::as_text), Some("漢😀\"\\/\n"));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = "[".repeat(MAX_DEPTH + 2);
        for (text, expected) in [
            (r#"{"a":1,"a":2}"#, "the name `a` for the second time at byte 10"),
            (r#"{"a":1,"\u0061":2}"#, "the name `a` for the second time at byte 15"),
            (r#"{"a":1} x"#, "text after the value at byte 8"),
            (r#"{"a":01}"#, "a malformed number at byte 5"),
            (r#"{"a":1.}"#, "a malformed number at byte 5"),
            (r#"{"a":+1}"#, "something other than a value at byte 5"),
            (r#"{"a":1,}"#, "something other than a name in quotes at byte 7"),
            ("[1,]", "something other than a value at byte 3"),
            ("[1 2]", "something other than `,` or `]` at byte 3"),
            (r#"{"a" 1}"#, "something other than `:` at byte 5"),
            (r#""\x""#, "an unknown escape at byte 2"),
            (r#""\ud800""#, "half of a surrogate pair at byte 7"),
            (r#""\udc00""#, "half of a surrogate pair at byte 7"),
            ("\"a\u{1}\"", "a control character in a string at byte 2"),
            ("\"a", "something other than the end of a string at byte 2"),
            ("NaN", "something other than a value at byte 0"),
            ("", "something other than a value at byte 0"),
            (&deep, "nesting deeper than 32 at byte 33"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().to_string(), "a byte that is not UTF-8 at byte 1");
    }

    #[test]
    fn refuses_a_duplicate_among_many_names() {
        let names: Vec<String> = (0..100).map(|n| format!("\"n{n}\":0")).collect();
        assert!(parse(format!("{{{}}}", names.join(",")).as_bytes()).is_ok());
        let text = format!("{{{},\"n3\":1}}", names.join(","));
        assert!(parse(text.as_bytes()).unwrap_err().to_string().starts_with("the name `n3`"));
    }
}
