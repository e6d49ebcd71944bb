//! From a plan to the exact bytes that the venue will check: inject, sort, encode, `let`, message.

use std::sync::Arc;

use crate::clock::{self, Moment};
use crate::error::{Place, RequestError};
use crate::injected::Injected;
use crate::json::{self, Member, Value};
use crate::login::LoginFacts;
use crate::pairs::{self, Given, Pair, Style};
use crate::plan::Plan;
use crate::profile::{Compiled, RuleAt};
use crate::request::Parsed;
use crate::rule::{BodyForm, Rule, Sign};
use crate::signed;
use crate::template::{Slot, Template, Values, Var};
use crate::views;

/// Whose request it is. The agent takes all of this from the credential's record, nothing from the
/// caller.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The public half of the credential: what venues call the API key.
    pub key_id: &'a str,
    /// The user id, where the venue wants one.
    pub uid: Option<&'a str>,
    /// Scheme and host, such as `https://api.binance.com`, without a slash at the end.
    pub base_url: &'a str,
}

/// A request in its signed form. It owns everything that it needs, because it waits while the keeper
/// signs.
#[derive(Debug)]
pub struct CanonicalRequest {
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) at: RuleAt,
    pub(crate) values: Values,
    pub(crate) message: Vec<u8>,
    pub(crate) secret_at: Option<u32>,
    /// For `attach.body_json_after`: where in the body its members go.
    pub(crate) insert_at: usize,
    /// For `attach.body_json`: the caller's members as JSON, with neither brace.
    pub(crate) members_json: Vec<u8>,
    /// For `attach.body_form_sorted`: the caller's pairs, each with its name.
    pub(crate) form: Vec<(String, Vec<u8>)>,
    pub(crate) login: Option<LoginFacts>,
}

impl CanonicalRequest {
    /// The bytes to sign.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Where in the message the secret belongs; only for [`HashSha256`].
    ///
    /// [`HashSha256`]: strongroom_link::key::Algorithm::HashSha256
    #[must_use]
    pub const fn secret_at(&self) -> Option<u32> {
        self.secret_at
    }

    /// Whether the request is signed at all; a few endpoints take the key id alone.
    #[must_use]
    pub fn needs_signature(&self) -> bool {
        !matches!(self.rule().sign, Sign::Absent)
    }

    pub(crate) fn rule(&self) -> &Rule {
        self.compiled.rule(self.at)
    }

    /// The slot of the query as it is sent.
    pub(crate) fn sent_query(&self) -> Slot {
        self.rule().slots
    }
}

/// Carries out `plan`.
pub(crate) fn canonicalise(
    plan: &Plan<'_>,
    account: &Account<'_>,
    moment: &Moment,
) -> Result<CanonicalRequest, RequestError> {
    let rule = plan.rule();
    let sent_query = rule.slots;
    let mut values = Values::with_room(1024);
    values.put_var(Var::Method, plan.request.method.as_bytes());
    values.put_var(Var::Path, plan.request.path.as_bytes());
    put_account(plan, account, &mut values)?;
    plan.put_login(account, &mut values)?;
    put_word(plan, rule, &mut values)?;
    clock::put(moment, rule.clock, rule.used, &mut values);
    for (word, slot) in &rule.host_words {
        let word = rule.by_host.word(account.base_url, word)?;
        values.put_text(*slot, word);
    }

    let injected = Injected::render(plan, rule, &values)?;
    let query = injected.pairs(plan, rule, Place::Query);
    let body = injected.pairs(plan, rule, Place::Body);
    put_query(plan, rule, &query, sent_query, &mut values)?;
    let mut insert_at = 0;
    values.put(Var::Body.slot(), |out| {
        let start = out.len();
        insert_at = write_body(plan, rule, &body, out)?.saturating_sub(start);
        Ok(())
    })?;
    let members = injected.members(plan);
    views::put(rule, &body, &plan.compiled.id, &mut values)?;
    put_parameters(plan, rule, &query, &body, &mut values)?;
    for (slot, template) in &rule.lets {
        values.put_template(*slot, template)?;
    }
    put_each(plan, rule, &mut values)?;
    plan.check_beside(&values)?;
    let (message, secret_at) = message(plan, rule, members, &values)?;
    let mut request = CanonicalRequest {
        compiled: Arc::clone(plan.compiled),
        at: plan.at,
        values,
        message,
        secret_at,
        insert_at,
        members_json: Vec::new(),
        form: Vec::new(),
        login: plan.login_facts(account, moment),
    };
    keep_members(plan, rule, &mut request)?;
    Ok(request)
}

fn put_account(plan: &Plan<'_>, account: &Account<'_>, values: &mut Values) -> Result<(), RequestError> {
    const SCHEMES: [&str; 2] = ["https://", "http://"];
    let refuse = |field, fact| Err(RequestError::Account { field, fact });
    let base = account.base_url;
    let Some(scheme) = SCHEMES.iter().find(|scheme| base.starts_with(**scheme)) else {
        return refuse("base URL", "must start with `https://`");
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-:/_[]".contains(&b);
    let rest = base.get(scheme.len()..).unwrap_or_default();
    let host = rest.find('/').unwrap_or(rest.len());
    if host == 0 || rest.ends_with('/') || !rest.bytes().all(fits) {
        return refuse("base URL", "must be a scheme and a host, without a slash at the end");
    }
    values.put_var(Var::Base, base.as_bytes());
    values.put_cut(Var::Host, Var::Base, scheme.len()..scheme.len().saturating_add(host));
    if !is_plain(account.key_id) {
        return refuse("key id", "must be visible ASCII without quotes and backslashes");
    }
    values.put_var(Var::Key, account.key_id.as_bytes());
    if plan.rule().used.contains(Var::Uid) {
        let Some(uid) = account.uid else { return Err(RequestError::UidMissing(plan.compiled.id.clone())) };
        // BitMart signs a memo here, which its owner words.
        let words = uid.split(' ').all(is_plain);
        if !words {
            return refuse("uid", "must be words of visible ASCII without quotes and backslashes");
        }
        values.put_var(Var::Uid, uid.as_bytes());
    }
    Ok(())
}

/// Text that stays itself in a header, in a URL's query after escaping, and in JSON.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

fn put_word(plan: &Plan<'_>, rule: &Rule, values: &mut Values) -> Result<(), RequestError> {
    let Some(map) = rule.map.as_ref().filter(|_| rule.used.contains(Var::Op)) else { return Ok(()) };
    let endpoint = format!("{} {}", plan.request.method, plan.request.path);
    match map.get(&endpoint) {
        Some(word) => {
            values.put_var(Var::Op, word.as_bytes());
            Ok(())
        }
        None => Err(RequestError::NotMapped { endpoint, venue: plan.compiled.id.clone() }),
    }
}

fn style<'s>(plan: &'s Plan<'_>, rule: &'s Rule, place: Place, wire: bool) -> Style<'s> {
    Style {
        escape: match place {
            Place::Query => rule.encode.query,
            Place::Body => rule.encode.body_escape,
        },
        keep: match place {
            Place::Query => &rule.encode.query_keep,
            Place::Body => "",
        },
        arrays: rule.encode.arrays,
        ascii: rule.encode.json_ascii,
        separator: "&",
        place,
        wire,
        venue: &plan.compiled.id,
    }
}

/// Writes the query as it is signed, and as it is sent where that differs.
fn put_query(
    plan: &Plan<'_>,
    rule: &Rule,
    pairs: &[Pair<'_>],
    sent: Slot,
    values: &mut Values,
) -> Result<(), RequestError> {
    let wire = style(plan, rule, Place::Query, true);
    let same = rule.encode.signed_query == rule.encode.query && !rule.encode.query_as_given;
    // A profile may send the signed form too.
    let sends_signed =
        |template: &Option<Template>| template.as_ref().is_some_and(|t| t.reads().contains(Var::Query));
    let on_wire = same || sends_signed(&rule.attach.query_replace);
    let signed = Style { escape: rule.encode.signed_query, wire: on_wire, ..wire };
    values.put(Var::Query.slot(), |out| pairs::write(pairs, signed, out))?;
    if same {
        values.alias(sent, Var::Query.slot());
        return Ok(());
    }
    if !rule.encode.query_as_given {
        return values.put(sent, |out| pairs::write(pairs, wire, out));
    }
    let kept: Vec<Pair<'_>> =
        plan.sent_query().iter().map(|(name, value)| Pair { name, value: Given::Value(value) }).collect();
    values.put(sent, |out| pairs::write(&kept, wire, out))
}

/// Writes the body; says where in `out` more members could go.
fn write_body(
    plan: &Plan<'_>,
    rule: &Rule,
    pairs: &[Pair<'_>],
    out: &mut Vec<u8>,
) -> Result<usize, RequestError> {
    let ascii = rule.encode.json_ascii;
    let given = match (&plan.body, rule.encode.body) {
        (Parsed::Array(values), _) => {
            json::write_array(values, ascii, out);
            return Ok(out.len());
        }
        (Parsed::Members(_), BodyForm::Json) => true,
        _ => !pairs.is_empty(),
    };
    match rule.encode.body {
        _ if !given => {
            if plan.takes_body() {
                out.extend_from_slice(rule.encode.empty_body.as_bytes());
            }
        }
        BodyForm::Json => {
            let after = |pair: &Pair<'_>| rule.attach.body_json_after.iter().any(|name| name == pair.name);
            let front = pairs.iter().rposition(after).map_or(0, |last| last.saturating_add(1));
            return Ok(pairs::write_json(pairs, front, ascii, out));
        }
        BodyForm::Form => pairs::write(pairs, style(plan, rule, Place::Body, true), out)?,
    }
    Ok(out.len())
}

/// The views on all parameters together that some signed texts are made of.
fn put_parameters(
    plan: &Plan<'_>,
    rule: &Rule,
    query: &[Pair<'_>],
    body: &[Pair<'_>],
    values: &mut Values,
) -> Result<(), RequestError> {
    if !rule.kv.is_empty() || rule.used.contains(Var::KvConcat) {
        let mut all = [query, body].concat();
        for form in &rule.kv {
            let style = if form.escaped {
                style(plan, rule, Place::Query, false)
            } else {
                Style { escape: crate::codec::Escape::Raw, ..style(plan, rule, Place::Body, false) }
            };
            let style = Style { separator: &form.separator, ..style };
            values.put(form.slot, |out| pairs::write(&all, style, out))?;
        }
        if rule.used.contains(Var::KvConcat) {
            values.put_with(Var::KvConcat, |out| pairs::write_concatenated(&mut all, out));
        }
    }
    if rule.used.contains(Var::ParamsJson) {
        let ascii = rule.encode.json_ascii;
        values.put_with(Var::ParamsJson, |out| match &plan.body {
            Parsed::Array(list) => json::write_array(list, ascii, out),
            body => {
                let members = plan.sent_query().iter().chain(body.members());
                let members = members.map(|(name, value)| (name.as_ref(), value));
                json::write_members(members, ascii, out, json::write);
            }
        });
    }
    Ok(())
}

/// Renders `sign.each` once for each element of the body, one behind the other.
fn put_each(plan: &Plan<'_>, rule: &Rule, values: &mut Values) -> Result<(), RequestError> {
    let Sign::Text { each: Some(each), .. } = &rule.sign else { return Ok(()) };
    let refuse = || RequestError::ListBody(plan.compiled.id.clone());
    let Parsed::Array(list) = &plan.body else { return Err(refuse()) };
    if list.is_empty() {
        return Err(refuse());
    }
    let mut text = Vec::new();
    for element in list {
        let Value::Object(members) = element else { return Err(refuse()) };
        let mut pairs: Vec<Pair<'_>> =
            members.iter().map(|(name, value)| Pair { name, value: Given::Value(value) }).collect();
        if rule.encode.sort_body {
            pairs.sort_by_key(|pair| pair.name);
        }
        let style = style(plan, rule, Place::Query, false);
        values.put(Var::Item.slot(), |out| pairs::write(&pairs, style, out))?;
        each.render(values, &mut text)?;
    }
    values.put_var(Var::Each, &text);
    Ok(())
}

fn message(
    plan: &Plan<'_>,
    rule: &Rule,
    body: &[Member<'_>],
    values: &Values,
) -> Result<(Vec<u8>, Option<u32>), RequestError> {
    // Nearly every message is a choice of the values.
    let size = match rule.sign {
        Sign::Absent => return Ok((Vec::new(), None)),
        Sign::Eip712 { .. } => 0,
        Sign::Jwt { .. } | Sign::Text { .. } => values.size(),
    };
    let mut message = Vec::with_capacity(size);
    match &rule.sign {
        Sign::Absent => Ok((message, None)),
        Sign::Eip712 { data, .. } => {
            data.write(body, values, &plan.compiled.id, &mut message)?;
            Ok((message, None))
        }
        Sign::Jwt { header, claims } => {
            let mut json = Vec::with_capacity(512);
            signed::render_json(header, values, &mut json)?;
            crate::codec::base64url(&json, &mut message);
            message.push(b'.');
            json.clear();
            signed::render_json(claims, values, &mut json)?;
            crate::codec::base64url(&json, &mut message);
            Ok((message, None))
        }
        Sign::Text { message: template, hash, .. } => {
            let secret_at = template.render(values, &mut message)?;
            if !hash {
                return Ok((message, None));
            }
            // A hash without a word for the secret has it at the end.
            let at = u32::try_from(secret_at.unwrap_or(message.len()))
                .map_err(|_| RequestError::Bug("a message longer than four GiB"))?;
            Ok((message, Some(at)))
        }
    }
}

/// Keeps what `attach.body_json` and `attach.body_form_sorted` write again with the signature in it.
fn keep_members(plan: &Plan<'_>, rule: &Rule, request: &mut CanonicalRequest) -> Result<(), RequestError> {
    let inserted = !rule.attach.body_json_after.is_empty();
    if rule.attach.body_json.as_ref().is_some_and(|body| !body.envelope && !inserted) {
        for (name, value) in plan.body.members() {
            let out = &mut request.members_json;
            if !out.is_empty() {
                out.push(b',');
            }
            json::write_string(name, rule.encode.json_ascii, out);
            out.push(b':');
            json::write(value, rule.encode.json_ascii, out);
        }
    }
    if rule.attach.body_form_sorted.is_some() {
        for (name, value) in plan.body.members() {
            let mut text = Vec::new();
            let pair = Pair { name, value: Given::Value(value) };
            pairs::write(&[pair], style(plan, rule, Place::Body, true), &mut text)?;
            request.form.push((name.to_string(), text));
        }
    }
    Ok(())
}
