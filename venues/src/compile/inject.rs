//! `inject`: parameters that the agent adds.

use std::borrow::Cow;

use super::MAX_ENTRIES;
use super::document::{Fields, Item, Node};
use super::rule::template;
use crate::body_path::BodyPath;
use crate::error::ProfileError;
use crate::rule::{At, Clock, IfGiven, Inject, Target, TimeFormat};
use crate::template::{Kind, Names, Stage, Template, Var, VarSet};

pub(super) fn inject(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
) -> Result<Vec<Inject>, ProfileError> {
    let Some(node) = fields.get("inject") else { return Ok(Vec::new()) };
    let Item::List(list) = &node.item else {
        return Err(fields.error(node.at, "`inject` must be a list of tables"));
    };
    if list.len() > MAX_ENTRIES {
        return Err(fields.error(node.at, format!("`inject` has at most {MAX_ENTRIES} entries")));
    }
    let mut inject: Vec<Inject> = Vec::with_capacity(list.len());
    for node in list {
        let one = injected(fields, names, clock, node)?;
        if inject.iter().any(|known| known.name == one.name) {
            return Err(fields.error(node.at, format!("`{}` is injected twice", one.name)));
        }
        inject.push(one);
    }
    Ok(inject)
}

fn injected(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
    node: &Node<'_>,
) -> Result<Inject, ProfileError> {
    let Item::Table(entries) = &node.item else {
        return Err(fields.error(node.at, "an entry of `inject` is a table"));
    };
    let known = ["to", "at", "name", "value", "type", "unless_present"];
    let fields = Fields::of(fields.text, node.at, "an entry of `inject`", entries, &known)?;
    let name = fields.required_text("name")?;
    if name.is_empty() {
        return Err(fields.error(node.at, "an injected parameter needs a name"));
    }
    let (value, literal) = match fields.get("value").map(|node| &node.item) {
        Some(Item::Bool(value)) => (Cow::Owned(value.to_string()), true),
        Some(Item::Int(value)) => (Cow::Owned(value.to_string()), true),
        _ => (Cow::Borrowed(fields.required_text("value")?), false),
    };
    let template = template(&fields, names, fields.place("value"), &value, Stage::Inject)?;
    if template.kind() == Kind::Bytes {
        return Err(fields.error(fields.place("value"), "this would inject raw bytes; add `|hex` or `|b64`"));
    }
    let bare = fields.choice(
        "type",
        &[("text", false), ("str", false), ("string", false), ("int", true), ("bool", true), ("json", true)],
    )?;
    let bare = bare.unwrap_or(literal);
    if bare && !is_bare_json(&template, &value, clock) {
        let message = "a value that is written without quotes must be a JSON literal, or a `{ts}`, `{nonce}` \
                       or `{uid}` that is a number";
        return Err(fields.error(fields.place("value"), message));
    }
    let to = fields
        .choice("to", &[("query", Target::Query), ("body", Target::Body), ("params", Target::Params)])?;
    let to = to.unwrap_or(Target::Params);
    let inside = match to {
        Target::Body if name.contains('.') => {
            Some(BodyPath::parse(name).map_err(|message| fields.error(fields.place("name"), message))?)
        }
        Target::Body | Target::Params | Target::Query => None,
    };
    let at = at(&fields)?;
    if inside.is_some() && matches!(at, At::After(_)) {
        return Err(
            fields.error(fields.place("at"), "in an object a parameter goes to the `front` or the `back`")
        );
    }
    Ok(Inject { to, at, name: name.to_owned(), inside, value: template, bare, given: given(&fields)? })
}

/// `front`, `back`, or `after:NAME`.
fn at(fields: &Fields<'_, '_>) -> Result<At, ProfileError> {
    match fields.text("at")? {
        Some(text) if text.strip_prefix("after:").is_some_and(|name| !name.is_empty()) => {
            Ok(At::After(text.trim_start_matches("after:").to_owned()))
        }
        _ => {
            let front = fields.choice("at", &[("front", true), ("back", false)])?.unwrap_or(false);
            Ok(if front { At::Front } else { At::Back })
        }
    }
}

/// `unless_present`: `true`, `false` or `"same"`.
fn given(fields: &Fields<'_, '_>) -> Result<IfGiven, ProfileError> {
    match fields.get("unless_present").map(|node| &node.item) {
        Some(Item::Text(text)) if text == "same" => Ok(IfGiven::Same),
        Some(Item::Text(_)) => {
            let message = "`unless_present` must be true, false or `same`";
            Err(fields.error(fields.place("unless_present"), message))
        }
        _ => {
            Ok(if fields.flag("unless_present")?.unwrap_or(false) { IfGiven::Keep } else { IfGiven::Refuse })
        }
    }
}

/// Whether what `template` yields is JSON without quotes.
fn is_bare_json(template: &Template, text: &str, clock: Clock) -> bool {
    is_whole_number(template, clock)
        || (template.reads() == VarSet::EMPTY && crate::json::parse(text.as_bytes()).is_ok())
}

/// Whether `template` is one variable that is a whole number.
pub(super) fn is_whole_number(template: &Template, clock: Clock) -> bool {
    (template.is_exactly(Var::Ts) && !matches!(clock.ts, TimeFormat::IsoMs | TimeFormat::IsoS))
        || (template.is_exactly(Var::Nonce) && clock.nonce.rises())
        || template.is_exactly(Var::SigV)
        || template.is_exactly(Var::Uid)
}
