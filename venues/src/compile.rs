//! From a profile's text to a compiled profile.
//!
//! Everything that can be wrong is found here, with line and column: unknown keys, templates that
//! read what does not exist yet, a digest in a header, a `covers` that the signed text does not keep.
//! A case is compiled as the base with the case laid over it, so that signing a request picks one
//! complete [`Rule`] and merges nothing.

mod attach;
mod case;
mod document;
mod sign;

use std::collections::HashMap;

use strongroom_link::key::{Algorithm, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};

use self::document::{Entry, Fields, Item, Node, merge};
use crate::codec::Escape;
use crate::error::ProfileError;
use crate::profile::Compiled;
use crate::request::Method;
use crate::rule::{
    Arrays, BodyForm, Clock, Covers, Encode, Inject, NonceKind, Rule, Sign, Target, TimeFormat, When,
};
use crate::template::{Names, Release, Slot, Stage, Template, Var, VarSet};

/// The keys that only the base has.
const BASE_KEYS: &[&str] = &["profile", "schema", "name", "docs", "hosts", "secret", "actions", "case"];
/// The keys that a case may lay over the base.
const RULE_KEYS: &[&str] =
    &["covers", "clock", "encode", "body_methods", "inject", "let", "sign", "attach", "map"];

/// Most entries of a list or a table that the author counts: cases, hosts, headers, injections.
const MAX_ENTRIES: usize = 64;
/// Most words of a `map`.
const MAX_WORDS: usize = 512;
/// Shortest secret that is accepted where the profile says nothing.
const MIN_SECRET_BYTES: u16 = 8;

/// Compiles `text`.
pub(crate) fn compile(text: &str) -> Result<Compiled, ProfileError> {
    let root = document::read(text)?;
    let Item::Table(entries) = &root.item else {
        return Err(ProfileError::at(text, 0, "a profile is a table"));
    };
    let known: Vec<&str> = BASE_KEYS.iter().chain(RULE_KEYS).copied().collect();
    let fields = Fields::of(text, root.at, "a profile", entries, &known)?;
    fields.number("schema", 1_u16, 1)?;
    let id = id(&fields)?;
    let name = fields.text("name")?.unwrap_or(id).to_owned();
    let hosts = hosts(&fields)?;
    let (min_bytes, max_bytes) = secret_length(&fields)?;
    // Read by the policy engine; to this one it is only a table.
    fields.entries("actions")?;
    fields.text("docs")?;

    let mut sources = vec![(When::default(), entries.clone())];
    sources.extend(cases(&fields, entries)?);
    let mut key = None;
    let mut passphrase = PassphraseUse::Absent;
    let mut needs_uid = false;
    let mut rules = Vec::with_capacity(sources.len());
    for (when, entries) in &sources {
        let fields = Fields::of(text, root.at, "a profile", entries, &known)?;
        let (rule, used) = rule(&fields)?;
        check_key(&fields, &mut key, used.key)?;
        passphrase = check_passphrase(&fields, passphrase, used.passphrase)?;
        needs_uid |= rule.used.contains(Var::Uid);
        rules.push((when.clone(), rule));
    }
    let (algorithm, form) =
        key.ok_or_else(|| fields.error(root.at, "the profile never signs: `sign.alg` is `none` everywhere"))?;
    let key_spec = KeySpec { algorithm, form, passphrase, min_bytes, max_bytes };
    let mut rules = rules.into_iter();
    let base = rules.next().ok_or_else(|| fields.error(root.at, "the profile has no rule"))?.1;
    Ok(Compiled { id: id.to_owned(), name, hosts, key_spec, needs_uid, base, cases: rules.collect() })
}

fn id<'d>(fields: &Fields<'d, '_>) -> Result<&'d str, ProfileError> {
    let id = fields.required_text("profile")?;
    let fits = id.len() <= MAX_ENTRIES
        && id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        Ok(id)
    } else {
        let message =
            format!("`{id}` is no profile id: lower-case letters, digits, `-`, `_` and `.`, at most 64");
        Err(fields.error(fields.place("profile"), message))
    }
}

fn hosts(fields: &Fields<'_, '_>) -> Result<Vec<String>, ProfileError> {
    let hosts = fields.texts("hosts")?.unwrap_or_default();
    let place = fields.place("hosts");
    if hosts.len() > MAX_ENTRIES {
        return Err(fields.error(place, format!("a profile has at most {MAX_ENTRIES} hosts")));
    }
    for host in &hosts {
        let name = host.strip_prefix("https://").unwrap_or_default();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':');
        if name.is_empty() || !name.bytes().all(fits) {
            let message = format!("`{host}` must look like `https://api.example.com`: no path, lower case");
            return Err(fields.error(place, message));
        }
    }
    Ok(hosts.into_iter().map(str::to_owned).collect())
}

fn secret_length(fields: &Fields<'_, '_>) -> Result<(u16, u16), ProfileError> {
    let secret = fields.table("secret", "`secret`", &["min_bytes", "max_bytes"])?;
    let min = secret.number("min_bytes", 1, MAX_SECRET_BYTES)?.unwrap_or(MIN_SECRET_BYTES);
    let max = secret.number("max_bytes", 1, MAX_SECRET_BYTES)?.unwrap_or(MAX_SECRET_BYTES);
    if min > max {
        return Err(fields.error(secret.at, "`min_bytes` is larger than `max_bytes`"));
    }
    Ok((min, max))
}

/// Each case with the base under it.
fn cases<'t>(
    fields: &Fields<'_, 't>,
    base: &[Entry<'t>],
) -> Result<Vec<(When, Vec<Entry<'t>>)>, ProfileError> {
    let Some(node) = fields.get("case") else { return Ok(Vec::new()) };
    let Item::List(list) = &node.item else {
        return Err(fields.error(node.at, "cases are written as `[[case]]`"));
    };
    if list.len() > MAX_ENTRIES {
        return Err(fields.error(node.at, format!("a profile has at most {MAX_ENTRIES} cases")));
    }
    let known: Vec<&str> = RULE_KEYS.iter().chain(&["when"]).copied().collect();
    let mut cases = Vec::with_capacity(list.len());
    for node in list {
        let Item::Table(entries) = &node.item else {
            return Err(fields.error(node.at, "a case is a table"));
        };
        let case = Fields::of(fields.text, node.at, "a case", entries, &known)?;
        if case.get("when").is_none() {
            return Err(fields.error(node.at, "a case needs the key `when`"));
        }
        let when = case::when(&case)?;
        let over: Vec<Entry<'t>> = entries.iter().filter(|entry| entry.name != "when").cloned().collect();
        cases.push((when, merge(base, &over)));
    }
    Ok(cases)
}

/// What a rule asks of its key.
struct KeyUse {
    key: Option<(Algorithm, SecretForm)>,
    passphrase: PassphraseUse,
}

fn check_key(
    fields: &Fields<'_, '_>,
    known: &mut Option<(Algorithm, SecretForm)>,
    new: Option<(Algorithm, SecretForm)>,
) -> Result<(), ProfileError> {
    match (*known, new) {
        (Some(known), Some(new)) if known != new => {
            let message = "a credential has one key, so a case may set `alg = \"none\"` but no other algorithm and no other `decode`";
            Err(fields.error(fields.place("sign"), message))
        }
        (None, Some(new)) => {
            *known = Some(new);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_passphrase(
    fields: &Fields<'_, '_>,
    known: PassphraseUse,
    new: PassphraseUse,
) -> Result<PassphraseUse, ProfileError> {
    match (known, new) {
        (PassphraseUse::Absent, other) | (other, PassphraseUse::Absent) => Ok(other),
        (known, new) if known == new => Ok(new),
        _ => Err(fields.error(fields.at, "a profile uses either the passphrase or its MAC, not both")),
    }
}

fn rule(fields: &Fields<'_, '_>) -> Result<(Rule, KeyUse), ProfileError> {
    let clock = clock(fields)?;
    let encode = encode(fields)?;
    let body_methods = match fields.texts("body_methods")? {
        None => vec![Method::Patch, Method::Post, Method::Put],
        Some(names) => methods(fields, "body_methods", &names)?,
    };
    let map = map(fields)?;
    let mut names = Names::new(map.is_some());
    let inject = inject(fields, &mut names, clock)?;
    let (lets, mut late) = lets(fields, &mut names)?;
    let signing = sign::sign(fields, &mut names, clock)?;
    let signs = !matches!(signing.sign, Sign::Absent);
    let attach = attach::attach(fields, &mut names, clock, signs, &mut late)?;
    if names.used().contains(Var::Nonce) && clock.nonce == NonceKind::Absent {
        return Err(
            fields.error(fields.place("clock"), "a template uses `{nonce}`, but `clock` has no `nonce`")
        );
    }
    let covers = fields.choice("covers", Covers::ALL)?;
    let reads = with_injected(signing.reads, &inject);
    let all = reads.contains(Var::Kv) || reads.contains(Var::KvConcat) || reads.contains(Var::ParamsJson);
    let rule = Rule {
        clock,
        encode,
        body_methods,
        inject,
        map,
        lets,
        sign: signing.sign,
        attach,
        covers: if signs { covers.unwrap_or(Covers::Nothing) } else { Covers::Nothing },
        signs_query: all || reads.contains(Var::Query),
        signs_body: all || reads.contains(Var::Body),
        used: names.used(),
        kv: names.kv().to_vec(),
        slots: names.end(),
    };
    if let (true, Some(covers)) = (signs, covers) {
        let method = reads.contains(Var::Method) || reads.contains(Var::Op);
        let path = reads.contains(Var::Path) || reads.contains(Var::Op);
        let missing = match covers {
            Covers::Full if !method => Some("the method"),
            Covers::Full | Covers::PathAndParams | Covers::Path if !path => Some("the path"),
            covers if covers.params() && !rule.signs_query && !rule.signs_body => Some("the parameters"),
            _ => None,
        };
        if let Some(missing) = missing {
            let message =
                format!("`covers = \"{}\"`, but the signed text does not read {missing}", covers.name());
            return Err(fields.error(fields.place("covers"), message));
        }
    }
    let passphrase = match names.passphrase() {
        None => PassphraseUse::Absent,
        Some(Release::Mac) => PassphraseUse::Mac,
        Some(Release::Plain) => PassphraseUse::Plain,
    };
    Ok((rule, KeyUse { key: signing.key, passphrase }))
}

/// What the signed text reads, also by way of parameters that are injected into what it reads.
fn with_injected(reads: VarSet, inject: &[Inject]) -> VarSet {
    let all = [Var::Kv, Var::KvConcat].iter().any(|var| reads.contains(*var));
    let (query, body) = (all || reads.contains(Var::Query), all || reads.contains(Var::Body));
    inject.iter().fold(reads, |set, inject| {
        let signed = match inject.to {
            Target::Body => body,
            Target::Params => query && body,
            Target::Query => query,
        };
        if signed { set.union(inject.value.reads()) } else { set }
    })
}

/// Compiles the template at `node`, or says where it is wrong.
fn template(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    at: usize,
    text: &str,
    stage: Stage,
) -> Result<Template, ProfileError> {
    names.template(text, stage).map_err(|message| fields.error(at, message))
}

fn methods(fields: &Fields<'_, '_>, key: &str, names: &[&str]) -> Result<Vec<Method>, ProfileError> {
    let names = names.iter().flat_map(|name| name.split('|'));
    let methods = names.map(|name| {
        Method::parse(name).ok_or_else(|| {
            let message = format!("`{name}` is none of DELETE, GET, PATCH, POST, PUT");
            fields.error(fields.place(key), message)
        })
    });
    methods.collect()
}

fn clock(fields: &Fields<'_, '_>) -> Result<Clock, ProfileError> {
    let clock = fields.table("clock", "`clock`", &["ts", "plus_s", "nonce", "skew_ms"])?;
    let ts = clock.choice(
        "ts",
        &[
            ("ms", TimeFormat::Ms),
            ("s", TimeFormat::S),
            ("ns", TimeFormat::Ns),
            ("iso-ms", TimeFormat::IsoMs),
            ("iso-s", TimeFormat::IsoS),
        ],
    )?;
    let nonce = clock.choice(
        "nonce",
        &[
            ("none", NonceKind::Absent),
            ("ms", NonceKind::Ms),
            ("s", NonceKind::S),
            ("ns", NonceKind::Ns),
            ("uuid", NonceKind::Uuid),
            ("uuid16", NonceKind::Uuid16),
            ("uuid22", NonceKind::Uuid22),
            ("hex16", NonceKind::Hex16),
        ],
    )?;
    Ok(Clock {
        ts: ts.unwrap_or(TimeFormat::Ms),
        plus_s: clock.number("plus_s", 0, 3600)?.unwrap_or(0),
        nonce: nonce.unwrap_or(NonceKind::Absent),
        skew_ms: clock.number("skew_ms", 0, 60_000)?.unwrap_or(5_000),
    })
}

fn encode(fields: &Fields<'_, '_>) -> Result<Encode, ProfileError> {
    const ESCAPES: &[(&str, Escape)] =
        &[("pct", Escape::Pct), ("raw", Escape::Raw), ("js", Escape::Js), ("form", Escape::Form)];
    let known = [
        "query",
        "signed_query",
        "body",
        "body_enc",
        "arrays",
        "sort",
        "empty_body",
        "query_keep",
        "json_ascii",
    ];
    let encode = fields.table("encode", "`encode`", &known)?;
    let query = encode.choice("query", ESCAPES)?.unwrap_or(Escape::Pct);
    let body = encode.choice("body", &[("json", BodyForm::Json), ("form", BodyForm::Form)])?;
    let arrays = encode.choice(
        "arrays",
        &[
            ("json", Arrays::Json),
            ("repeat", Arrays::Repeat),
            ("bracket", Arrays::Bracket),
            ("index", Arrays::Index),
            ("tight", Arrays::Tight),
        ],
    )?;
    let sort =
        [("none", (false, false)), ("key", (true, true)), ("query", (true, false)), ("body", (false, true))];
    let (sort_query, sort_body) = encode.choice("sort", &sort)?.unwrap_or_default();
    Ok(Encode {
        query,
        signed_query: encode.choice("signed_query", ESCAPES)?.unwrap_or(query),
        body: body.unwrap_or(BodyForm::Json),
        body_escape: encode.choice("body_enc", ESCAPES)?.unwrap_or(Escape::Pct),
        arrays: arrays.unwrap_or(Arrays::Json),
        sort_query,
        sort_body,
        empty_body: encode.text("empty_body")?.unwrap_or_default().to_owned(),
        query_keep: encode.flag("query_keep")?.unwrap_or(false),
        json_ascii: encode.flag("json_ascii")?.unwrap_or(false),
    })
}

fn map(fields: &Fields<'_, '_>) -> Result<Option<HashMap<String, String>>, ProfileError> {
    if fields.get("map").is_none() {
        return Ok(None);
    }
    let entries = fields.entries("map")?;
    if entries.len() > MAX_WORDS {
        return Err(fields.error(fields.place("map"), format!("a map has at most {MAX_WORDS} words")));
    }
    let words = entries.iter().map(|entry| {
        let endpoint = entry.name.split_once(' ');
        let fits =
            endpoint.is_some_and(|(method, path)| Method::parse(method).is_some() && path.starts_with('/'));
        if !fits {
            let message = format!("`{}` must look like `POST /path`", entry.name);
            return Err(fields.error(entry.at, message));
        }
        match &entry.value.item {
            Item::Text(word) => Ok((entry.name.to_string(), word.to_string())),
            _ => Err(fields.error(entry.value.at, "a word of the map must be text")),
        }
    });
    words.collect::<Result<_, _>>().map(Some)
}

/// The `let`s, and among them those that have to wait for the passphrase.
type Lets = (Vec<(Slot, Template)>, Vec<(Slot, Template)>);

fn lets(fields: &Fields<'_, '_>, names: &mut Names) -> Result<Lets, ProfileError> {
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for entry in fields.entries("let")? {
        let (slot, template) = define(fields, names, entry, Stage::Let)?;
        let waits = template.reads().contains(Var::Passphrase);
        if waits { &mut late } else { &mut early }.push((slot, template));
    }
    Ok((early, late))
}

/// Compiles one named template.
fn define(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    entry: &Entry<'_>,
    stage: Stage,
) -> Result<(Slot, Template), ProfileError> {
    let Item::Text(text) = &entry.value.item else {
        return Err(fields.error(entry.value.at, format!("`{}` must be text", entry.name)));
    };
    let template = template(fields, names, entry.value.at, text, stage)?;
    let slot = names.define(&entry.name, &template).map_err(|message| fields.error(entry.at, message))?;
    Ok((slot, template))
}

fn inject(fields: &Fields<'_, '_>, names: &mut Names, clock: Clock) -> Result<Vec<Inject>, ProfileError> {
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
    let value = fields.required_text("value")?;
    let template = template(&fields, names, fields.place("value"), value, Stage::Inject)?;
    let bare = fields.choice(
        "type",
        &[("text", false), ("string", false), ("str", false), ("int", true), ("bool", true), ("json", true)],
    )?;
    let bare = bare.unwrap_or(false);
    if bare && !is_bare_json(&template, value, clock) {
        let message = "a value that is written without quotes must be a JSON literal, or a `{ts}`, `{nonce}` or `{uid}` that is a number";
        return Err(fields.error(fields.place("value"), message));
    }
    let to = fields
        .choice("to", &[("query", Target::Query), ("body", Target::Body), ("params", Target::Params)])?;
    Ok(Inject {
        to: to.unwrap_or(Target::Params),
        front: fields.choice("at", &[("front", true), ("back", false)])?.unwrap_or(false),
        name: name.to_owned(),
        value: template,
        bare,
        unless_present: fields.flag("unless_present")?.unwrap_or(false),
    })
}

/// Whether what `template` yields is JSON without quotes.
fn is_bare_json(template: &Template, text: &str, clock: Clock) -> bool {
    is_whole_number(template, clock)
        || (template.reads() == VarSet::EMPTY && crate::json::parse(text.as_bytes()).is_ok())
}

/// Whether `template` is one variable that is a whole number.
fn is_whole_number(template: &Template, clock: Clock) -> bool {
    (template.is_exactly(Var::Ts) && !matches!(clock.ts, TimeFormat::IsoMs | TimeFormat::IsoS))
        || (template.is_exactly(Var::Nonce) && clock.nonce.rises())
        || template.is_exactly(Var::Uid)
}
