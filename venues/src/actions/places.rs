//! Where values are in a request, and what is there, if there is one way to read it.

use std::borrow::Cow;

use super::Unreadable;
use super::words::Words;
use crate::json::{Member, Value};

/// Parameters and the values that they must have; none means that the parameter is absent.
pub(crate) type Condition = Vec<(Field, Option<Words>)>;

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// A parameter, and the way into its value.
    Param { name: String, steps: Vec<Step> },
    /// A segment of the path, counted from 1.
    Segment(usize),
}

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the member with this name.
    Member(String),
    /// To the only member, whatever its name.
    Only,
    /// The name of the only member is the value.
    OnlyName,
}

impl Field {
    /// The parameter that has it.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Param { name, .. } => Some(name),
            Self::Segment(_) => None,
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Segment(at) => write!(f, "/{at}"),
            Self::Param { name, steps } => {
                f.write_str(name)?;
                steps.iter().try_for_each(|step| match step {
                    Step::Member(name) => write!(f, ".{name}"),
                    Step::Only | Step::OnlyName => f.write_str(".*"),
                })
            }
        }
    }
}

/// Conditions for people: `action.type = order|modify`, with ` or ` between two.
pub(super) fn written(conditions: &[Condition]) -> String {
    let one = |(field, words): &(Field, Option<Words>)| match words {
        Some(words) => format!("{field} = {words}"),
        None => format!("no {field}"),
    };
    let all: Vec<String> =
        conditions.iter().map(|tests| tests.iter().map(one).collect::<Vec<_>>().join(", ")).collect();
    all.join(" or ")
}

const AMBIGUOUS: &str = "is ambiguous: some servers take it for the name of another parameter";
pub(super) const BOTH: &str = "has a second value under another name or in another place";
const NOT_PLAIN: &str = "is not a number in plain digits";
const NOT_SCALAR: &str = "is neither text nor a number";
const NOT_TEXT: &str = "is not text";
const SEVERAL: &str = "has not exactly one member";
const IN_QUERY: &str = "is in the query, where the venue does not look for an order";

pub(super) fn unreadable(field: impl Into<String>, why: &'static str) -> Unreadable {
    Unreadable { field: field.into(), why }
}

/// The lists of named values in which an order's fields may be.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'p> {
    pub(super) lists: [&'s [Member<'p>]; 3],
    /// What the venue does not read, so that nothing of an order may be there.
    pub(super) ignored: &'s [Member<'p>],
    pub(super) path: &'p str,
}

impl<'s, 'p> Scope<'s, 'p> {
    /// The parameter called `name`, if there is one and only one.
    pub(super) fn find(&self, name: &str) -> Result<Option<&'s Value<'p>>, Unreadable> {
        if self.ignored.iter().any(|(known, _)| is_like(known, name)) {
            return Err(unreadable(name, IN_QUERY));
        }
        let mut found = None;
        for (known, value) in self.lists.into_iter().flatten() {
            if known != name {
                if is_like(known, name) {
                    return Err(unreadable(known.escape_default().to_string(), AMBIGUOUS));
                }
                continue;
            }
            if found.replace(value).is_some() {
                return Err(unreadable(name, BOTH));
            }
        }
        Ok(found)
    }

    /// The value of `field`.
    pub(super) fn value(&self, field: &Field) -> Result<Option<Found<'s, 'p>>, Unreadable> {
        let (name, steps) = match field {
            Field::Segment(at) => {
                let segment = self.path.split('/').nth(*at).filter(|segment| !segment.is_empty());
                return Ok(segment.map(|text| Found::Text(Cow::Borrowed(text))));
            }
            Field::Param { name, steps } => (name, steps),
        };
        let Some(mut value) = self.find(name)? else { return Ok(None) };
        for step in steps {
            let Value::Object(members) = value else { return Err(unreadable(name, SEVERAL)) };
            let only = || match members.as_slice() {
                [only] => Ok(only),
                _ => Err(unreadable(name, SEVERAL)),
            };
            match step {
                Step::Only => value = &only()?.1,
                Step::OnlyName => return Ok(Some(Found::Text(only()?.0.clone()))),
                Step::Member(wanted) => {
                    let lists: [&[Member<'p>]; 3] = [members, &[], &[]];
                    match (Scope { lists, ignored: &[], path: self.path }).find(wanted)? {
                        Some(inner) => value = inner,
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(Found::Value(value)))
    }

    /// The one of `fields` that is there, and its value.
    pub(super) fn one<'f>(
        &self,
        fields: &'f [Field],
    ) -> Result<Option<(&'f Field, Found<'s, 'p>)>, Unreadable> {
        let mut found = None;
        for field in fields {
            if let Some(value) = self.value(field)?
                && found.replace((field, value)).is_some()
            {
                return Err(unreadable(field.to_string(), BOTH));
            }
        }
        Ok(found)
    }

    pub(super) fn text(&self, fields: &[Field], numbered: bool) -> Result<Option<Cow<'p, str>>, Unreadable> {
        match self.one(fields)? {
            None => Ok(None),
            Some((field, Found::Value(Value::Number(_)))) if !numbered => {
                Err(unreadable(field.to_string(), NOT_TEXT))
            }
            Some((field, found)) => found.scalar(field).map(Some),
        }
    }

    /// Text, or a number as it stands.
    pub(super) fn word<'f>(
        &self,
        fields: &'f [Field],
    ) -> Result<Option<(&'f Field, Cow<'p, str>)>, Unreadable> {
        let Some((field, found)) = self.one(fields)? else { return Ok(None) };
        Ok(Some((field, found.scalar(field)?)))
    }

    /// Plain digits with at most one point; with a minus in front only if `signed`.
    pub(super) fn number(&self, fields: &[Field], signed: bool) -> Result<Option<Cow<'p, str>>, Unreadable> {
        let Some((field, text)) = self.word(fields)? else { return Ok(None) };
        let digits = if signed { text.strip_prefix('-').unwrap_or(&text) } else { &text };
        if is_plain(digits) { Ok(Some(text)) } else { Err(unreadable(field.to_string(), NOT_PLAIN)) }
    }

    /// Whether one of `conditions` holds.
    pub(super) fn holds(&self, conditions: &[Condition]) -> Result<bool, Unreadable> {
        for condition in conditions {
            let mut holds = true;
            for (field, pattern) in condition {
                let value = self.value(field)?;
                let text = match &value {
                    None => None,
                    Some(Found::Text(text)) => Some(text.as_ref()),
                    Some(Found::Value(value)) => {
                        let text = value.scalar();
                        Some(text.ok_or_else(|| unreadable(field.to_string(), NOT_SCALAR))?)
                    }
                };
                holds &= match (text, pattern) {
                    (None, None) => true,
                    (Some(text), Some(pattern)) => pattern.fit(text),
                    _ => false,
                };
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether some server could read `given` as the parameter that is called `name`. Programs in Go compare the names of
/// JSON in any case of any alphabet, so that `\u{17f}ize` is `size`; those in PHP cut a name off at `[` and at a zero byte,
/// and write `_` for what no variable's name can hold; others take spaces away.
fn is_like(given: &str, name: &str) -> bool {
    // Folding makes nothing longer, and most names differ in their first letter.
    let first = |text: &str| text.bytes().next().unwrap_or_default().to_ascii_lowercase();
    if given.len() < name.len() || (first(given).is_ascii_alphanumeric() && first(given) != first(name)) {
        return false;
    }
    let plain = |c: char| if matches!(c, '-' | '.' | ' ' | '[' | ']') { '_' } else { c };
    let is_name = |given: &str| {
        let given = given.chars().take_while(|c| !c.is_control()).flat_map(char::to_uppercase);
        let folded = given.flat_map(char::to_lowercase).filter(char::is_ascii).map(plain);
        folded.eq(name.chars().map(|c| plain(c.to_ascii_lowercase())))
    };
    let given = given.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    // What stands in brackets is a place in a list, unless the name has one itself.
    is_name(given) || (!name.contains('[') && given.split('[').next().is_some_and(is_name))
}

/// A value that was found.
pub(super) enum Found<'s, 'p> {
    /// A segment of the path, or the name of a member.
    Text(Cow<'p, str>),
    Value(&'s Value<'p>),
}

impl<'p> Found<'_, 'p> {
    /// Text, or the digits of a number. What is not escaped in the request is not copied.
    pub(super) fn scalar(self, field: &Field) -> Result<Cow<'p, str>, Unreadable> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Value(Value::Text(text) | Value::Number(text)) => Ok(text.clone()),
            Self::Value(_) => Err(unreadable(field.to_string(), NOT_SCALAR)),
        }
    }
}

/// Whether `text` is a number that everyone reads alike: no sign, no exponent, no zero in front of
/// other digits, digits on both sides of a point.
fn is_plain(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}
