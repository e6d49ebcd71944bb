//! Values that a signature cannot tell from two parameters.

use super::{Batch, Field};
use crate::codec::Escape;
use crate::json::{Member, Value};
use crate::plan::Plan;
use crate::request::Parsed;
use crate::rule::{BodyForm, Sign};
use crate::template::Var;

impl Plan<'_> {
    /// The first parameter that could be cut anew, because it stays unescaped: in the signed text its name or
    /// value holds what separates parameters, or on the wire it holds what the venue takes for an escape.
    /// Policy has read it as one value, and the venue could read another, or a thief could send another;
    /// who restricts parameters must not allow this one.
    ///
    /// Where names and values are signed with nothing between them, every text that holds the name of
    /// a parameter which the action table knows is such a value.
    #[must_use]
    pub fn recut(&self) -> Option<&str> {
        if self.recuts.get() == Some(&false) {
            return None;
        }
        let found = self.find_recut();
        let _known = self.recuts.set(found.is_some());
        found
    }

    fn find_recut(&self) -> Option<&str> {
        let rule = self.rule();
        let (query, body) = (self.sent_query(), self.body.members());
        // What also goes out unescaped is refused where it would fall apart on the wire.
        if rule.signs_query
            && rule.encode.signed_query == Escape::Raw
            && let Some(name) = query.iter().find_map(|member| separates(member, "&"))
        {
            return Some(name);
        }
        let raw_query = if rule.encode.query == Escape::Raw { query } else { &[] };
        let raw_form = rule.encode.body == BodyForm::Form && rule.encode.body_escape == Escape::Raw;
        let raw_body = if raw_form { body } else { &[] };
        let escaped = |(name, value): &&Member<'_>| has_escape(name) || any_text(value, &has_escape);
        if let Some((name, _)) = raw_query.iter().chain(raw_body).find(escaped) {
            return Some(name);
        }
        if let Some(name) = self.form_in_body().or_else(|| self.body_in_query()) {
            return Some(name);
        }
        for form in rule.kv.iter().filter(|form| !form.escaped) {
            let mut all = query.iter().chain(body);
            if let Some(name) = all.find_map(|member| separates(member, &form.separator)) {
                return Some(name);
            }
        }
        if !rule.used.contains(Var::KvConcat) {
            return None;
        }
        let known = self.known_names();
        let mut all: Vec<&Member<'_>> = query.iter().chain(body).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        let next = all.iter().skip(1).map(|(name, _)| Some(name.as_ref())).chain([None]);
        all.iter()
            .zip(next)
            .find(|((name, value), next)| hides(name, value, *next, &known))
            .map(|((name, _), _)| name.as_ref())
    }

    /// Where JSON goes unescaped into a field of a form: the parameter that a reader of forms would not leave
    /// as it is.
    fn form_in_body(&self) -> Option<&str> {
        let rule = self.rule();
        let template = rule.attach.body.as_ref().filter(|body| body.reads().contains(Var::Body));
        if rule.encode.body != BodyForm::Json || template.is_none_or(|body| body.is_exactly(Var::Body)) {
            return None;
        }
        let parts = |text: &str| text.contains('&') || has_escape(text);
        match &self.body {
            Parsed::None => None,
            Parsed::Array(values) => values.iter().any(|value| any_text(value, &parts)).then_some("body"),
            Parsed::Members(members) => {
                let found = members.iter().find(|(name, value)| parts(name) || any_text(value, &parts));
                found.map(|(name, _)| name.as_ref())
            }
        }
    }

    /// Where a body of JSON is signed right behind a query that is not escaped: the parameter of the query in
    /// which such a body could begin.
    fn body_in_query(&self) -> Option<&str> {
        let rule = self.rule();
        let Sign::Text { message, .. } = &rule.sign else { return None };
        let mut templates = rule.lets.iter().map(|(_, template)| template).chain([message]);
        let raw = rule.encode.signed_query == Escape::Raw && rule.encode.body == BodyForm::Json;
        if !raw || !templates.any(|template| template.adjoins(Var::Query, Var::Body)) {
            return None;
        }
        let begins = |text: &str| text.contains(['{', '[']);
        let found = self.sent_query().iter().find(|(name, value)| {
            begins(name) || matches!(value, Value::Array(_) | Value::Object(_)) || any_text(value, &begins)
        });
        found.map(|(name, _)| name.as_ref())
    }

    /// The parameters that the action table speaks of.
    fn known_names(&self) -> Vec<&str> {
        let table = &self.compiled.actions;
        let needs = table.rules.iter().flat_map(|rule| rule.needs()).map(String::as_str);
        let fields = table.orders.iter().flat_map(|table| {
            let lists = [
                &table.symbol,
                &table.side,
                &table.kind,
                &table.quantity,
                &table.quote_quantity,
                &table.price,
                &table.stop,
                &table.unread,
            ];
            let fields = lists.into_iter().flatten().filter_map(Field::name);
            fields.chain(table.batch.as_ref().and_then(Batch::first))
        });
        needs.chain(fields).collect()
    }
}

/// Whether a parameter, signed as name and value with nothing between them, could be read as two, of which
/// the second has a known name. Names are signed in their order, so it must come before `next`.
fn hides(name: &str, value: &Value<'_>, next: Option<&str>, known: &[&str]) -> bool {
    let fits = |known: &&&str| next.is_none_or(|next| **known < next);
    let holds = |text: &str| known.iter().filter(fits).any(|known| text != *known && text.contains(known));
    holds(name) || any_text(value, &holds)
}

/// The name of a parameter that could be read as two between which `separator` stands.
fn separates<'m>((name, value): &'m Member<'_>, separator: &str) -> Option<&'m str> {
    let parts = |text: &str| text.contains(|c| separator.contains(c));
    (name.contains('=') || parts(name) || any_text(value, &parts)).then_some(name.as_ref())
}

/// Whether a reader of URLs would take something in `text` for an escape: `%41`, or `+` for a space.
fn has_escape(text: &str) -> bool {
    let digits = |tail: &str| tail.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
    text.contains('+') || text.split('%').skip(1).any(digits)
}

/// Whether a text at any depth, or the name of a member, is one that `parts` means.
fn any_text(value: &Value<'_>, parts: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Text(text) => parts(text),
        Value::Array(values) => values.iter().any(|value| any_text(value, parts)),
        Value::Object(members) => members.iter().any(|(name, value)| parts(name) || any_text(value, parts)),
        Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}
