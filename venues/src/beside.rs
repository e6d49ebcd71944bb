//! Requests whose signed text has a digit of the caller's right beside a number.

use crate::codec::Escape;
use crate::error::RequestError;
use crate::json::{Member, Value};
use crate::plan::Plan;
use crate::request::Parsed;
use crate::rule::{BodyForm, Rule};
use crate::template::{Clash, Values, Var};

impl Plan<'_> {
    /// The parameter right before a number of the signed text, if its value ends in a digit: it could be sent with
    /// fewer digits, and the number with more. At a venue that signs until when a request holds, that is for ever.
    ///
    /// To refuse it would refuse ordinary requests. The endpoint stays what it is, and so do all other
    /// parameters; what limits read of this one is not what is bound.
    #[must_use]
    pub fn open_end(&self) -> Option<&str> {
        let rule = self.rule();
        for var in rule.beside.before() {
            let (members, escape, sorted) = match var {
                Var::Query => (self.sent_query(), rule.encode.signed_query, rule.encode.sort_query),
                Var::Body if self.body_is_form(rule) => {
                    (self.body.members(), rule.encode.body_escape, rule.encode.sort_body)
                }
                Var::Body if matches!(self.body, Parsed::None) && !self.has_empty_body(rule) => continue,
                // JSON ends in a bracket.
                Var::Body | Var::ParamsJson | Var::Each | Var::Item => return None,
                _ => {
                    let mut all = self.sent_query().iter().chain(self.body.members());
                    return all
                        .find(|(_, value)| ends_in_digit(value, Escape::Raw))
                        .map(|(name, _)| name.as_ref());
                }
            };
            let last =
                if sorted { members.iter().max_by(|one, other| one.0.cmp(&other.0)) } else { members.last() };
            if let Some((name, value)) = last {
                return ends_in_digit(value, escape).then_some(name.as_ref());
            }
        }
        None
    }

    fn body_is_form(&self, rule: &Rule) -> bool {
        rule.encode.body == BodyForm::Form && !self.body.members().is_empty()
    }

    fn has_empty_body(&self, rule: &Rule) -> bool {
        self.takes_body() && !rule.encode.empty_body.is_empty()
    }

    /// Refuses what would make a number of the signed text longer.
    pub(crate) fn check_beside(&self, values: &Values) -> Result<(), RequestError> {
        let what = match self.rule().beside.clash(values) {
            None => return Ok(()),
            Some(Clash::Zeros(count)) if self.stays_without(count) => return Ok(()),
            Some(Clash::Zeros(_) | Clash::Endpoint) => "the path ends",
            Some(Clash::Params) => "the name of a parameter begins",
        };
        Err(RequestError::BesideNumber { what, venue: self.venue() })
    }

    /// Whether the endpoint does the same without some of the zeros at its end.
    fn stays_without(&self, count: usize) -> bool {
        let table = &self.compiled.actions;
        let ids = |path| table.fitting(self.method, path).map(|rule| &rule.id);
        let mut path = self.path;
        (0..count).all(|_| {
            path = path.strip_suffix('0').unwrap_or(path);
            ids(path).eq(ids(self.path))
        })
    }
}

/// Whether what is signed of `value` could end in a digit.
fn ends_in_digit(value: &Value<'_>, escape: Escape) -> bool {
    let text = |text: &str| {
        text.bytes().last().is_some_and(|byte| match byte {
            b'0'..=b'9' => true,
            // What is escaped ends in the lower half of the byte.
            byte => escape != Escape::Raw && !is_kept(byte) && byte & 15 < 10,
        })
    };
    match value {
        Value::Text(value) => text(value),
        Value::Number(_) => value.scalar().is_some_and(text),
        Value::Array(values) => values.iter().any(|value| ends_in_digit(value, escape)),
        Value::Object(members) => members.iter().any(|(_, value): &Member<'_>| ends_in_digit(value, escape)),
        Value::Bool(_) | Value::Null => false,
    }
}

const fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
