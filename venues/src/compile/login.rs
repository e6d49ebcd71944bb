//! `[[ws]]`: WebSocket logins.
//!
//! A login inherits the venue's key, its clock and how a signature is written, and nothing else of the base: its text,
//! its parameters and what comes out are its own.

use regex::bytes::{Regex, RegexBuilder};

use super::document::{Entry, Fields, Item, Node, merge};
use super::rule::{KeyUse, Told, told};
use super::{MAX_ENTRIES, case};
use crate::actions::Action;
use crate::error::ProfileError;
use crate::login::{Like, Login, LoginParam};
use crate::login::{PARAMS, REQUEST, TEXT};
use crate::request::{self, Method};
use crate::rule::{Clock, Rule, Sign, TimeFormat};
use crate::template::{ParamUse, Pattern, Slot, Var, VarSet};

const KEYS: &[&str] = &[
    "name",
    "docs",
    "about",
    "url",
    "params",
    "requests",
    "by",
    "rest",
    "also",
    "free",
    "push_only",
    "whole",
    "valid_s",
    "frame",
    "headers",
    "covers",
    "clock",
    "encode",
    "inject",
    "let",
    "sign",
];
const PARAM_KEYS: &[&str] = &["pattern", "json", "default", "optional"];
/// What of a login is a rule like that of a case.
const RULE_KEYS: &[&str] = &["covers", "clock", "encode", "inject", "let", "sign"];
/// What a login takes over from `[sign]` of the base.
const SIGN_KEYS: &[&str] = &["alg", "jwt_alg", "jwt_header", "decode", "out"];

/// Compiles all of them; `check` is told what each asks of the key.
pub(super) fn logins<'t>(
    fields: &Fields<'_, 't>,
    base: &[Entry<'t>],
    check: &mut dyn FnMut(KeyUse) -> Result<(), ProfileError>,
) -> Result<Vec<Login>, ProfileError> {
    let Some(node) = fields.get("ws") else { return Ok(Vec::new()) };
    let Item::List(list) = &node.item else {
        return Err(fields.error(node.at, "WebSocket logins are written as `[[ws]]`"));
    };
    if list.len() > MAX_ENTRIES {
        return Err(fields.error(node.at, format!("a profile has at most {MAX_ENTRIES} WebSocket logins")));
    }
    let base = inherited(base);
    let mut logins: Vec<Login> = Vec::with_capacity(list.len());
    for node in list {
        let Item::Table(entries) = &node.item else {
            return Err(fields.error(node.at, "a WebSocket login is a table"));
        };
        let own = Fields::of(fields.text, node.at, "a WebSocket login", entries, KEYS)?;
        let login = login(&own, entries, &base, check)?;
        if logins.iter().any(|known| known.name == login.name) {
            return Err(own.error(own.place("name"), format!("there are two logins called `{}`", login.name)));
        }
        logins.push(login);
    }
    Ok(logins)
}

fn inherited<'t>(base: &[Entry<'t>]) -> Vec<Entry<'t>> {
    let taken = base.iter().filter(|entry| entry.name == "clock" || entry.name == "sign").cloned();
    taken
        .map(|mut entry| {
            if let (true, Item::Table(sign)) = (entry.name == "sign", &mut entry.value.item) {
                sign.retain(|entry| SIGN_KEYS.contains(&entry.name.as_ref()));
            }
            entry
        })
        .collect()
}

fn login<'t>(
    own: &Fields<'_, 't>,
    entries: &[Entry<'t>],
    base: &[Entry<'t>],
    check: &mut dyn FnMut(KeyUse) -> Result<(), ProfileError>,
) -> Result<Login, ProfileError> {
    let name = own.required_text("name")?;
    if name.is_empty() || name.len() > MAX_ENTRIES || !name.bytes().all(is_name_byte) {
        return Err(own.error(own.place("name"), "a login is called with lower-case letters, digits and `-`"));
    }
    let by = own.text("by")?;
    if by.is_none() && own.get("sign").is_none() {
        return Err(own.error(own.at, "a login needs `sign` with a text of its own, or `by`"));
    }
    let ours: Vec<Entry<'t>> = match by {
        Some(_) => Vec::new(),
        None => entries.iter().filter(|entry| RULE_KEYS.contains(&entry.name.as_ref())).cloned().collect(),
    };
    if let Some(by) = by {
        endpoint(own, "by", by)?;
        if let Some(key) =
            ["params", "requests", "frame", "headers", "sign"].iter().find(|key| own.get(key).is_some())
        {
            return Err(own
                .error(own.place(key), format!("`{key}` has no place beside `by`: nothing is signed here")));
        }
    }
    let mut over = ours;
    over.push(attach(own, entries, by.is_some()));
    if by.is_some() {
        over.push(none(own.at));
    }
    let merged = merge(base, &over);
    let known: Vec<&str> = RULE_KEYS.iter().chain(&["attach"]).copied().collect();
    let fields = Fields::of(own.text, own.at, "a WebSocket login", &merged, &known)?;
    let sources = sources(own)?;
    let asked: Vec<Told<'_>> = sources.iter().map(Source::told).collect();
    let (rule, used, slots) = told(&fields, Some(&asked))?;
    check(used)?;
    if by.is_none() && matches!(rule.sign, Sign::Absent) {
        return Err(own.error(own.at, "a login is signed, or `by` names the REST request that is"));
    }
    let params: Vec<LoginParam> =
        sources.into_iter().zip(slots).map(|(source, slot)| source.param(slot)).collect();
    let requests = requests(own)?;
    let text = if by.is_some() { None } else { text(&rule, &params) };
    let rest = match own.get("rest") {
        None => None,
        Some(_) => Some(case::conditions(own, "rest", "`rest`")?),
    };
    let valid_s = own.number("valid_s", 1, 86_400)?.unwrap_or(rule.clock.plus_s);
    Ok(Login {
        name: name.to_owned(),
        docs: own.text("docs")?.unwrap_or_default().to_owned(),
        about: own.text("about")?.unwrap_or_default().to_owned(),
        rule_id: format!("ws-{name}"),
        urls: urls(own)?,
        by: by.map(str::to_owned),
        also: also(own)?,
        free: own.texts("free")?.unwrap_or_default().into_iter().map(str::to_owned).collect(),
        push_only: own.flag("push_only")?.unwrap_or(false),
        whole: own.flag("whole")?.unwrap_or(true),
        rule,
        params,
        requests,
        rest,
        valid_s,
        text,
    })
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// `frame` and `headers` as the section that puts a signature where it belongs.
fn attach<'t>(own: &Fields<'_, 't>, entries: &[Entry<'t>], by: bool) -> Entry<'t> {
    let named = |from: &str, to: &'static str| {
        let entry = entries.iter().find(|entry| entry.name == from && !by)?;
        Some(Entry { name: to.into(), ..entry.clone() })
    };
    let members = [named("headers", "headers"), named("frame", "body_json")].into_iter().flatten();
    let value = Node { at: own.at, item: Item::Table(members.collect()) };
    Entry { name: "attach".into(), at: own.at, value }
}

/// `sign = { alg = "none" }`
fn none<'t>(at: usize) -> Entry<'t> {
    let alg = Entry { name: "alg".into(), at, value: Node { at, item: Item::Text("none".into()) } };
    Entry { name: "sign".into(), at, value: Node { at, item: Item::Table(vec![alg]) } }
}

/// One of `params`, as it is written.
struct Source<'d> {
    at: usize,
    name: &'d str,
    pattern: Option<Pattern>,
    shape: String,
    default: Option<String>,
    optional: bool,
}

impl<'d> Source<'d> {
    fn told(&self) -> Told<'d> {
        let reads = if self.name == REQUEST { VarSet::EMPTY.with(Var::Op) } else { VarSet::EMPTY };
        let kind = ParamUse { json: self.pattern.is_none(), optional: self.optional };
        Told { at: self.at, name: self.name, kind, reads }
    }

    fn param(self, slot: Slot) -> LoginParam {
        let Self { name, pattern, shape, default, optional, .. } = self;
        LoginParam { name: name.to_owned(), slot, pattern, shape, default, optional }
    }
}

fn sources<'d>(own: &Fields<'d, '_>) -> Result<Vec<Source<'d>>, ProfileError> {
    let entries = own.entries("params")?;
    if entries.len() > MAX_ENTRIES {
        return Err(own.error(own.place("params"), format!("a login has at most {MAX_ENTRIES} parameters")));
    }
    let mut sources = Vec::with_capacity(entries.len());
    for entry in entries {
        let Item::Table(keys) = &entry.value.item else {
            return Err(own.error(entry.at, "a parameter is a table with `pattern`, or with `json = true`"));
        };
        let fields = Fields::of(own.text, entry.at, "a parameter", keys, PARAM_KEYS)?;
        if entry.name == TEXT || entry.name == REQUEST {
            return Err(
                fields.error(entry.at, format!("`{}` is a parameter of the engine's own", entry.name))
            );
        }
        let json = fields.flag("json")?.unwrap_or(false);
        let default = fields.text("default")?.map(str::to_owned);
        let (pattern, shape) = match (fields.text("pattern")?, json) {
            (Some(text), false) => {
                let whole = format!("^(?:{text})$");
                let place = fields.place("pattern");
                let pattern = Pattern::compile(&whole).map_err(|message| fields.error(place, message))?;
                if pattern.is_match(b"") {
                    return Err(
                        fields.error(place, "a parameter is never empty, and this pattern lets it be")
                    );
                }
                (Some(pattern), text.to_owned())
            }
            (None, true) => (None, "JSON".to_owned()),
            _ => {
                return Err(
                    fields.error(entry.at, "a parameter has a `pattern`, or `json = true`, and not both")
                );
            }
        };
        if let (Some(default), Some(pattern)) = (&default, &pattern)
            && !pattern.is_match(default.as_bytes())
        {
            return Err(fields.error(fields.place("default"), "`default` does not fit `pattern`"));
        }
        if default.is_some() && json {
            return Err(fields.error(fields.place("default"), "a JSON value has no default"));
        }
        let optional = fields.flag("optional")?.unwrap_or(false);
        sources.push(Source { at: entry.at, name: &entry.name, pattern, shape, default, optional });
    }
    if own.get("requests").is_some() {
        let (name, shape) = (REQUEST, "the word of a request".to_owned());
        let pattern = Pattern::compile("^[!-~]{1,64}$").map_err(|message| own.error(own.at, message))?;
        let pattern = Some(pattern);
        sources.push(Source { at: own.at, name, pattern, shape, default: None, optional: false });
    }
    Ok(sources)
}

fn requests(own: &Fields<'_, '_>) -> Result<Option<Vec<(String, Like)>>, ProfileError> {
    if own.get("requests").is_none() {
        return Ok(None);
    }
    let mut requests = Vec::new();
    for entry in own.entries("requests")? {
        let Item::Text(text) = &entry.value.item else {
            return Err(own.error(entry.value.at, "a request is like `METHOD /path`, or `session`"));
        };
        let like = if text == Action::Session.name() {
            Like::Session
        } else {
            let (method, path) = endpoint(own, "requests", text)?;
            Like::Endpoint(method, path)
        };
        requests.push((entry.name.to_string(), like));
    }
    Ok(Some(requests))
}

/// `METHOD /path`
fn endpoint(own: &Fields<'_, '_>, key: &str, text: &str) -> Result<(Method, String), ProfileError> {
    let parts = text.split_once(' ').and_then(|(method, path)| Some((Method::parse(method)?, path)));
    let parts = parts.filter(|(_, path)| request::check_path(path).is_ok());
    let (method, path) =
        parts.ok_or_else(|| own.error(own.place(key), format!("`{text}` must look like `POST /path`")))?;
    Ok((method, path.to_owned()))
}

fn urls(own: &Fields<'_, '_>) -> Result<Vec<(String, String)>, ProfileError> {
    let Some(node) = own.get("url") else { return Ok(Vec::new()) };
    let pairs: Vec<(String, String)> = match &node.item {
        Item::Text(url) => vec![("*".to_owned(), url.to_string())],
        Item::Table(entries) => {
            let urls = entries.iter().map(|entry| match &entry.value.item {
                Item::Text(url) => Ok((entry.name.to_string(), url.to_string())),
                _ => Err(own.error(entry.at, "a URL must be text")),
            });
            urls.collect::<Result<_, _>>()?
        }
        _ => return Err(own.error(node.at, "`url` must be text, or a table from host to URL")),
    };
    for (_, url) in &pairs {
        let rest = url.strip_prefix("wss://").unwrap_or_default();
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?=&%".contains(&b)) {
            return Err(own.error(node.at, format!("`{url}` must look like `wss://ws.example.com/private`")));
        }
    }
    Ok(pairs)
}

fn also(own: &Fields<'_, '_>) -> Result<Vec<Action>, ProfileError> {
    let mut also = Vec::new();
    for name in own.texts("also")?.unwrap_or_default() {
        let action = name.parse::<Action>();
        also.push(action.map_err(|error| own.error(own.place_in("also", name), error.to_string()))?);
    }
    also.sort_unstable();
    also.dedup();
    Ok(also)
}

/// A pattern for the signed text, with a group for each thing in it that differs from login to login.
fn text(rule: &Rule, params: &[LoginParam]) -> Option<Regex> {
    let Sign::Text { each: None, message, .. } = &rule.sign else { return None };
    if !rule.inject.is_empty() || !rule.lets.is_empty() {
        return None;
    }
    let mut seen: Vec<String> = Vec::new();
    let mut group = |name: &str, shape: &str| {
        if seen.iter().any(|known| known == name) {
            return format!("(?:{shape})");
        }
        seen.push(name.to_owned());
        format!("(?P<{name}>{shape})")
    };
    let digits = |clock: Clock| match clock.ts {
        TimeFormat::Ms => Some("[0-9]{13}"),
        TimeFormat::S => Some("[0-9]{10}"),
        TimeFormat::Us => Some("[0-9]{16}"),
        TimeFormat::Ns => Some("[0-9]{19}"),
        // A caller's own time is never read from these.
        TimeFormat::IsoMs | TimeFormat::IsoS => None,
    };
    let pattern = message.pattern(|slot| {
        if let Some(param) = params.iter().find(|param| param.slot == slot) {
            return param.pattern.as_ref().map(|_| group(&param.name, &param.shape_pattern()));
        }
        match Var::ALL.iter().find(|var| var.slot() == slot)? {
            Var::Ts => Some(group("ts", digits(rule.clock)?)),
            Var::Nonce => Some(group("nonce", "[0-9]{10,19}")),
            Var::Key => Some("[!-~]+?".to_owned()),
            Var::ParamsJson => Some(group(PARAMS, r"\{.*\}")),
            _ => None,
        }
    })?;
    RegexBuilder::new(&format!("^{pattern}$")).unicode(false).build().ok()
}
