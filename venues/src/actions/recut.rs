//! Values that a signature cannot tell from two parameters.

use super::{Batch, Field};
use crate::codec::Escape;
use crate::json::{Member, Value};
use crate::plan::Plan;
use crate::template::Var;

impl Plan<'_> {
    /// The first parameter that could be cut anew: the venue signs it unescaped, and its name or value holds
    /// what separates parameters in the signed text. The venue tells the two requests apart, its
    /// signature does not; who restricts parameters must not allow this one.
    ///
    /// Where names and values are signed with nothing between them, every text that holds the name of
    /// a parameter which the action table knows is such a value.
    #[must_use]
    pub fn recut(&self) -> Option<&str> {
        let rule = self.rule();
        let (query, body) = (self.query.as_slice(), self.body.members());
        // What also goes out unescaped is refused where it would fall apart on the wire.
        if rule.signs_query && rule.encode.signed_query == Escape::Raw {
            if let Some(name) = query.iter().find_map(|member| separates(member, "&")) {
                return Some(name);
            }
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
        let holds = |text: &str| known.iter().any(|name| text.contains(name));
        let longer = |name: &str| known.iter().any(|known| name != *known && name.contains(known));
        let mut all = query.iter().chain(body);
        all.find(|(name, value)| longer(name) || any_text(value, &holds)).map(|(name, _)| name.as_ref())
    }

    /// The parameters that the action table speaks of.
    fn known_names(&self) -> Vec<&str> {
        let table = &self.compiled.actions;
        let needs = table.rules.iter().flat_map(|rule| &rule.needs).map(String::as_str);
        let fields = table.orders.iter().flat_map(|(_, table)| {
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
            let fields = lists.into_iter().flatten().filter_map(|field| match field {
                Field::Param { name, .. } => Some(name.as_str()),
                Field::Segment(_) => None,
            });
            fields.chain(table.batch.as_ref().and_then(Batch::first))
        });
        needs.chain(fields).collect()
    }
}

/// The name of a parameter that could be read as two between which `separator` stands.
fn separates<'m>((name, value): &'m Member<'_>, separator: &str) -> Option<&'m str> {
    let parts = |text: &str| text.contains(|c| separator.contains(c));
    (name.contains('=') || parts(name) || any_text(value, &parts)).then_some(name.as_ref())
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
