//! `[attach]`: where the signature and everything around it goes.

use super::document::{Entry, Fields, Item};
use super::rule::{define, template};
use super::{MAX_ENTRIES, sign};
use crate::error::ProfileError;
use crate::rule::{Attach, BodyJson, Clock, JsonTemplate};
use crate::template::{Kind, Names, Slot, Stage, Template, Var};

const KEYS: &[&str] = &[
    "headers",
    "headers_if_body",
    "drop_headers",
    "query",
    "query_if_no_body",
    "query_replace",
    "body_append",
    "body",
    "body_json",
    "body_json_after",
    "body_form_sorted",
    "late",
];

/// Compiles `[attach]` of `fields`. Where nothing is signed, everything that would carry the
/// signature is left out. `late` comes with the `let`s that wait for the passphrase.
pub(super) fn attach(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
    signs: bool,
    late: &mut Vec<(Slot, Template)>,
) -> Result<Attach, ProfileError> {
    let attach = fields.table("attach", "`attach`", KEYS)?;
    for entry in attach.entries("late")? {
        late.push(define(&attach, names, entry, Stage::Late)?);
    }
    let mut room = Room { fields: &attach, names, clock, signs, carries_sig: false, reserved: Vec::new() };
    let headers = room.headers("headers")?;
    let over = room.headers("headers_if_body")?;
    let (headers, headers_with_body) = room.lay_over(headers, over)?;
    let mut compiled = Attach {
        headers,
        headers_with_body,
        query: room.pairs("query")?,
        query_if_no_body: room.pairs("query_if_no_body")?,
        query_replace: room.pairs("query_replace")?,
        body: room.pairs("body")?,
        body_append: room.pairs("body_append")?,
        body_json: room.body_json()?,
        body_json_after: room.body_json_after()?,
        body_form_sorted: room.body_form_sorted()?,
        late: std::mem::take(late),
        reserved: Vec::new(),
    };
    compiled.reserved = room.reserved;
    if signs && !room.carries_sig {
        return Err(
            attach.error(attach.at, "the signature is attached nowhere: no template of `attach` has `{sig}`")
        );
    }
    Ok(compiled)
}

struct Room<'r, 'd, 't> {
    fields: &'r Fields<'d, 't>,
    names: &'r mut Names,
    clock: Clock,
    signs: bool,
    carries_sig: bool,
    reserved: Vec<String>,
}

impl Room<'_, '_, '_> {
    /// Compiles a template that must yield text; nothing where it needs a signature that is not made.
    fn compile(&mut self, at: usize, text: &str) -> Result<Option<Template>, ProfileError> {
        let template = template(self.fields, self.names, at, text, Stage::Late)?;
        if template.kind() == Kind::Bytes {
            return Err(self.fields.error(at, "this would send raw bytes; add `|hex` or `|b64`"));
        }
        let carries_sig = template.reads().contains_any(&Var::SIGNATURE);
        self.carries_sig |= carries_sig;
        Ok(Some(template).filter(|_| self.signs || !carries_sig))
    }

    fn one(&mut self, key: &str) -> Result<Option<Template>, ProfileError> {
        match self.fields.text(key)? {
            None => Ok(None),
            Some(text) => self.compile(self.fields.place(key), text),
        }
    }

    /// A template that adds parameters or writes all of them anew; their names are the agent's.
    fn pairs(&mut self, key: &str) -> Result<Option<Template>, ProfileError> {
        for pair in self.fields.text(key)?.unwrap_or_default().trim_start_matches('?').split('&') {
            if let Some((name, _)) = pair.split_once('=').filter(|(name, _)| !name.contains('{')) {
                self.reserved.push(name.to_owned());
            }
        }
        self.one(key)
    }

    fn headers(&mut self, key: &str) -> Result<Vec<(String, Template)>, ProfileError> {
        let entries = self.fields.entries(key)?;
        if entries.len() > MAX_ENTRIES {
            return Err(self.fields.error(self.fields.place(key), format!("at most {MAX_ENTRIES} headers")));
        }
        let mut headers: Vec<(String, Template)> = Vec::with_capacity(entries.len());
        for entry in entries {
            if !is_header_name(&entry.name) {
                return Err(self.fields.error(entry.at, format!("`{}` is no header name", entry.name)));
            }
            // A case may spell a header of the base differently; the later one holds.
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&entry.name));
            if let Some(template) = self.entry(entry)? {
                headers.push((entry.name.to_string(), template));
            }
        }
        Ok(headers)
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<Option<Template>, ProfileError> {
        match &entry.value.item {
            Item::Text(text) => self.compile(entry.value.at, text),
            Item::Int(number) => self.compile(entry.value.at, &number.to_string()),
            _ => Err(self.fields.error(entry.value.at, format!("`{}` must be text", entry.name))),
        }
    }

    /// The headers without and with a body. An empty template and `drop_headers` take a header away.
    #[expect(clippy::type_complexity, reason = "two lists of the same kind")]
    fn lay_over(
        &self,
        mut headers: Vec<(String, Template)>,
        over: Vec<(String, Template)>,
    ) -> Result<(Vec<(String, Template)>, Vec<(String, Template)>), ProfileError> {
        let mut with_body = headers.clone();
        for (name, template) in over {
            with_body.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            with_body.push((name, template));
        }
        let dropped = self.fields.texts("drop_headers")?.unwrap_or_default();
        for list in [&mut headers, &mut with_body] {
            list.retain(|(name, template)| {
                !template.is_empty() && !dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
            });
        }
        Ok((headers, with_body))
    }

    fn body_json(&mut self) -> Result<Option<BodyJson>, ProfileError> {
        if self.fields.get("body_json").is_none() {
            return Ok(None);
        }
        let entries = self.fields.entries("body_json")?;
        let mut members = sign::json_members(self.fields, self.names, self.clock, entries, Stage::Late)?;
        let carries_sig = |value: &JsonTemplate| value.reads().contains_any(&Var::SIGNATURE);
        self.carries_sig |= members.iter().any(|(_, value)| carries_sig(value));
        members.retain(|(_, value)| self.signs || !carries_sig(value));
        let envelope = members.iter().any(|(_, value)| holds_parameters(value));
        if !envelope {
            self.reserved.extend(members.iter().map(|(name, _)| name.clone()));
        }
        Ok(Some(BodyJson { members, envelope }))
    }

    fn body_json_after(&self) -> Result<Vec<String>, ProfileError> {
        let names = self.fields.texts("body_json_after")?.unwrap_or_default();
        if !names.is_empty() && self.fields.get("body_json").is_none() {
            let place = self.fields.place("body_json_after");
            return Err(self
                .fields
                .error(place, "`body_json_after` is where `body_json` goes, which is missing"));
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn body_form_sorted(&mut self) -> Result<Option<Vec<(String, Template)>>, ProfileError> {
        if self.fields.get("body_form_sorted").is_none() {
            return Ok(None);
        }
        let mut pairs = Vec::new();
        for entry in self.fields.entries("body_form_sorted")? {
            self.reserved.push(entry.name.to_string());
            if let Some(template) = self.entry(entry)? {
                pairs.push((entry.name.to_string(), template));
            }
        }
        Ok(Some(pairs))
    }
}

fn holds_parameters(value: &JsonTemplate) -> bool {
    let reads = value.reads();
    reads.contains(Var::ParamsJson) || reads.contains(Var::Body)
}

/// `token` of RFC 9110.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
