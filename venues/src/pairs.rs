//! Named parameters, and how they are written into a query, a form or a signed text.

use std::borrow::Cow;

use crate::codec::{Escape, escape};
use crate::error::{Place, RequestError};
use crate::json::{self, Value};
use crate::rule::Arrays;

/// One parameter: the caller's or an injected one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'m> {
    pub(crate) name: &'m str,
    pub(crate) value: Given<'m>,
}

/// A parameter's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'m> {
    /// Injected; JSON as it is.
    Bare(&'m str),
    /// Injected text.
    Text(&'m str),
    /// The caller's.
    Value(&'m Value<'m>),
}

/// How pairs are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'s> {
    pub(crate) escape: Escape,
    /// Characters that are not escaped besides.
    pub(crate) keep: &'s str,
    pub(crate) arrays: Arrays,
    pub(crate) ascii: bool,
    pub(crate) separator: &'s str,
    pub(crate) place: Place,
    /// This goes on the wire as it is, so unescaped values must not change its structure.
    pub(crate) wire: bool,
    pub(crate) venue: &'s str,
}

/// Appends `pairs` in the given style.
pub(crate) fn write(pairs: &[Pair<'_>], style: Style<'_>, out: &mut Vec<u8>) -> Result<(), RequestError> {
    let mut writer = Writer { style, out, first: true };
    pairs.iter().try_for_each(|pair| writer.pair(pair))
}

/// Appends `pairs` as a JSON object; says where in `out` the first `front` of them end.
pub(crate) fn write_json(pairs: &[Pair<'_>], front: usize, ascii: bool, out: &mut Vec<u8>) -> usize {
    out.push(b'{');
    let mut end = out.len();
    for (at, pair) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_string(pair.name, ascii, out);
        out.push(b':');
        match pair.value {
            Given::Bare(text) => out.extend_from_slice(text.as_bytes()),
            Given::Text(text) => json::write_string(text, ascii, out),
            Given::Value(value) => json::write(value, ascii, out),
        }
        if at.saturating_add(1) == front {
            end = out.len();
        }
    }
    out.push(b'}');
    end
}

/// Appends names and values without anything between them, names sorted, at every depth.
pub(crate) fn write_concatenated(pairs: &mut [Pair<'_>], out: &mut Vec<u8>) {
    pairs.sort_by_key(|pair| pair.name);
    for pair in pairs {
        out.extend_from_slice(pair.name.as_bytes());
        match pair.value {
            Given::Bare(text) | Given::Text(text) => out.extend_from_slice(text.as_bytes()),
            Given::Value(value) => concatenate(value, out),
        }
    }
}

fn concatenate(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| concatenate(value, out)),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, value) in sorted {
                out.extend_from_slice(name.as_bytes());
                concatenate(value, out);
            }
        }
        Value::Null => out.extend_from_slice(b"null"),
        scalar => out.extend_from_slice(scalar.scalar().unwrap_or_default().as_bytes()),
    }
}

struct Writer<'s, 'o> {
    style: Style<'s>,
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Writer<'_, '_> {
    fn pair(&mut self, pair: &Pair<'_>) -> Result<(), RequestError> {
        match pair.value {
            Given::Bare(text) | Given::Text(text) => self.put(pair.name, "", text),
            Given::Value(value) => self.value(pair.name, "", value),
        }
    }

    /// Writes `value` under `name`, to which the array style has appended `suffix`.
    fn value(&mut self, name: &str, suffix: &str, value: &Value<'_>) -> Result<(), RequestError> {
        if let Some(text) = value.scalar() {
            return self.put(name, suffix, text);
        }
        match (self.style.arrays, value) {
            (_, Value::Null) => Err(self.no_text_form(name, "null")),
            // Written element by element it would vanish, and what policy read would not be what is sent.
            (Arrays::Bracket | Arrays::Index | Arrays::Repeat, Value::Array(values)) if values.is_empty() => {
                Err(self.no_text_form(name, "an empty list"))
            }
            (Arrays::Index, Value::Object(members)) if members.is_empty() => {
                Err(self.no_text_form(name, "an empty object"))
            }
            (Arrays::Repeat, Value::Array(values)) => {
                values.iter().try_for_each(|value| self.leaf(name, suffix, value))
            }
            (Arrays::Bracket, Value::Array(values)) => {
                let suffix = format!("{suffix}[]");
                values.iter().try_for_each(|value| self.leaf(name, &suffix, value))
            }
            (Arrays::Index, Value::Array(values)) => values
                .iter()
                .enumerate()
                .try_for_each(|(at, value)| self.value(name, &format!("{suffix}[{at}]"), value)),
            (Arrays::Index, Value::Object(members)) => members
                .iter()
                .try_for_each(|(key, value)| self.value(name, &format!("{suffix}[{key}]"), value)),
            (Arrays::Tight, Value::Array(values)) => {
                let texts: Result<Vec<_>, _> = values.iter().map(|value| self.text(name, value)).collect();
                self.put(name, suffix, &format!("[{}]", texts?.join(",")))
            }
            (_, container) => self.leaf(name, suffix, container),
        }
    }

    /// Writes an element that is not taken apart any further.
    fn leaf(&mut self, name: &str, suffix: &str, value: &Value<'_>) -> Result<(), RequestError> {
        let text = self.text(name, value)?;
        self.put(name, suffix, &text)
    }

    /// A scalar as it is, a container as JSON.
    fn text<'v>(&self, name: &str, value: &'v Value<'_>) -> Result<Cow<'v, str>, RequestError> {
        if let Some(text) = value.scalar() {
            return Ok(Cow::Borrowed(text));
        }
        if matches!(value, Value::Null) {
            return Err(self.no_text_form(name, "null"));
        }
        let mut text = Vec::new();
        json::write(value, self.style.ascii, &mut text);
        String::from_utf8(text).map(Cow::Owned).map_err(|_| RequestError::Bug("JSON that is not UTF-8"))
    }

    /// Writes one pair. The suffix is the array style's own; the brackets in it are never escaped,
    /// but what stands between them is.
    fn put(&mut self, name: &str, suffix: &str, text: &str) -> Result<(), RequestError> {
        if self.style.escape == Escape::Raw && self.style.wire {
            self.check_raw(name, name, true)?;
            self.check_raw(name, suffix, true)?;
            self.check_raw(name, text, false)?;
        }
        if !self.first {
            self.out.extend_from_slice(self.style.separator.as_bytes());
        }
        self.first = false;
        let Style { escape: kind, keep, .. } = self.style;
        escape(kind, keep, name.as_bytes(), self.out);
        for part in suffix.split_inclusive(['[', ']']) {
            let (inside, bracket) = part.split_at_checked(part.len().saturating_sub(1)).unwrap_or((part, ""));
            escape(kind, keep, inside.as_bytes(), self.out);
            self.out.extend_from_slice(bracket.as_bytes());
        }
        self.out.push(b'=');
        escape(kind, keep, text.as_bytes(), self.out);
        Ok(())
    }

    /// Unescaped text on the wire must not start another parameter, end the query or end the line.
    fn check_raw(&self, name: &str, text: &str, is_name: bool) -> Result<(), RequestError> {
        let query = self.style.place == Place::Query;
        let breaks = |c: &char| match c {
            '&' => true,
            '=' => is_name,
            '#' | ' ' => query,
            c => c.is_control() || (query && !c.is_ascii()),
        };
        match text.chars().find(breaks) {
            None => Ok(()),
            Some(character) => Err(RequestError::Raw {
                name: name.to_owned(),
                character,
                place: self.style.place,
                venue: self.style.venue.to_owned(),
            }),
        }
    }

    fn no_text_form(&self, name: &str, kind: &'static str) -> RequestError {
        RequestError::NoTextForm {
            name: name.to_owned(),
            kind,
            place: self.style.place,
            venue: self.style.venue.to_owned(),
        }
    }
}
