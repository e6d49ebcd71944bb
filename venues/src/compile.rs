//! From a profile's text to a compiled profile.
//!
//! Everything that can be wrong is found here, with line and column: unknown keys, templates that
//! read what does not exist yet, a digest in a header, a `covers` that the signed text does not keep.
//! A case is compiled as the base with the case laid over it, so that signing a request picks one
//! complete [`Rule`] and merges nothing.

mod actions;
mod attach;
mod by_host;
mod case;
mod document;
mod eip712;
mod encode;
mod inject;
mod key_id;
mod login;
pub(crate) mod near;
mod rule;
mod sign;

use std::sync::Arc;

use strongroom_link::key::{Algorithm, Domains, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};

use self::document::{Entry, Fields, Item, merge};
use crate::error::ProfileError;
use crate::profile::Compiled;
use crate::request::{Method, check_path};
use crate::rule::{Covers, Rule, Sign, When};
use crate::send_only::SendOnly;
use crate::template::Var;

/// The keys that only the base has.
const BASE_KEYS: &[&str] = &[
    "profile",
    "schema",
    "name",
    "docs",
    "checked",
    "hosts",
    "secret",
    "key_id",
    "by_host",
    "actions",
    "order",
    "case",
    "ws",
    "front_unsigned",
    "query_unsigned",
    "endpoint",
];
/// The keys that a case may lay over the base.
const RULE_KEYS: &[&str] =
    &["covers", "clock", "encode", "body_methods", "inject", "let", "sign", "attach", "map"];

/// Most entries of a list or a table that the author counts: cases, hosts, headers, injections.
pub(crate) const MAX_ENTRIES: usize = 64;
/// Shortest secret that is accepted where the profile says nothing.
const MIN_SECRET_BYTES: u16 = 8;

/// What a profile's text can be.
pub(crate) enum Text {
    /// A venue whose requests are signed.
    Signed(Arc<Compiled>),
    /// One whose secret goes out with every request, and where the text says so.
    SendOnly(SendOnly, ProfileError),
}

/// Compiles `text`.
pub(crate) fn compile(text: &str) -> Result<Text, ProfileError> {
    let root = document::read(text)?;
    let Item::Table(entries) = &root.item else {
        return Err(ProfileError::at(text, 0, "a profile is a table"));
    };
    let fields = whole(text, root.at, entries)?;
    fields.number("schema", 1_u16, 1)?;
    let id = id(&fields)?;
    let name = fields.text("name")?.unwrap_or(id).to_owned();
    let hosts = hosts(&fields)?;
    let (min_bytes, max_bytes) = secret_length(&fields)?;
    let key_id = key_id::key_id(&fields)?;
    let docs = fields.text("docs")?.unwrap_or_default().to_owned();
    let checked = fields.text("checked")?.unwrap_or_default().to_owned();
    let front_unsigned = fields.flag("front_unsigned")?.unwrap_or_default();
    let query_unsigned = fields.flag("query_unsigned")?.unwrap_or_default();

    let endpoint = endpoint(&fields)?;

    let mut sources = vec![(When::default(), entries.clone())];
    sources.extend(cases(&fields, entries)?);
    let mut key = None;
    let mut passphrase = PassphraseUse::Absent;
    let mut needs_uid = false;
    let mut refusal = None;
    let mut rules = Vec::with_capacity(sources.len());
    let of_base = fields.get("covers").map(|covers| covers.at);
    for (when, entries) in &sources {
        let fields = whole(text, root.at, entries)?;
        let (mut rule, used) = rule::rule(&fields)?;
        let claims = fields.choice("covers", Covers::ALL)?.is_some_and(|covers| covers != Covers::Nothing);
        let own = fields.get("covers").map(|covers| covers.at) != of_base;
        if claims && own && matches!(rule.sign, Sign::Absent) {
            let message = "this case signs nothing, so that it covers nothing";
            return Err(fields.error(fields.place("covers"), message));
        }
        rule.one_endpoint = endpoint.is_some();
        // By these the rule was picked, so that it is known what they are.
        rule.members
            .iter_mut()
            .for_each(|members| members.extend(when.param.iter().map(|(path, _)| path.clone())));
        check_key(&fields, &mut key, used.key)?;
        refusal = refusal.or(used.sends_secret);
        passphrase = check_passphrase(&fields, passphrase, used.passphrase)?;
        needs_uid |= rule.used.contains(Var::Uid);
        rules.push((when.clone(), rule));
    }
    let logins = login::logins(&fields, entries, &mut |used| {
        check_key(&fields, &mut key, used.key)?;
        passphrase = check_passphrase(&fields, passphrase, used.passphrase)?;
        Ok(())
    })?;
    if let Some(refusal) = refusal {
        if let Some((algorithm, _)) = key {
            let message = format!(
                "a credential has one key: either it is sent (`static`), or it signs (`{algorithm}`)"
            );
            return Err(fields.error(fields.place("sign"), message));
        }
        let venue = SendOnly { id: id.to_owned(), name, docs, checked, hosts };
        return Ok(Text::SendOnly(venue, refusal));
    }
    let (algorithm, form) =
        key.ok_or_else(|| fields.error(root.at, "the profile never signs: `sign.alg` is `none` everywhere"))?;
    let signed = rules.iter().map(|(_, rule)| rule).chain(logins.iter().map(|login| &login.rule));
    let domains = Domains::new(signed.flat_map(|rule| rule.sign.separators().iter().copied()))
        .map_err(|error| fields.error(fields.place("sign"), error.to_string()))?;
    let key_spec = KeySpec { algorithm, form, passphrase, min_bytes, max_bytes, domains };
    let mut rules = rules.into_iter();
    let base = rules.next().ok_or_else(|| fields.error(root.at, "the profile has no rule"))?.1;
    let (id, cases): (String, Vec<(When, Rule)>) = (id.to_owned(), rules.collect());
    let actions = actions::actions(&fields, &id, &base, &cases)?;
    let compiled = Compiled {
        id,
        name,
        docs,
        checked,
        hosts,
        key_spec,
        key_id,
        needs_uid,
        front_unsigned,
        query_unsigned,
        endpoint,
        actions,
        base,
        cases,
        logins,
    };
    Ok(Text::Signed(Arc::new(compiled)))
}

/// The fields of a whole profile.
fn whole<'d, 't>(text: &'d str, at: usize, entries: &'d [Entry<'t>]) -> Result<Fields<'d, 't>, ProfileError> {
    let known: Vec<&str> = BASE_KEYS.iter().chain(RULE_KEYS).copied().collect();
    Fields::of(text, at, "a profile", entries, &known)
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

/// The one endpoint that takes the venue's signatures, where there is but one.
fn endpoint(fields: &Fields<'_, '_>) -> Result<Option<(Method, String)>, ProfileError> {
    let Some(text) = fields.text("endpoint")? else { return Ok(None) };
    let parts = text.split_once(' ').and_then(|(method, path)| Some((Method::parse(method)?, path)));
    match parts.filter(|(_, path)| check_path(path).is_ok()) {
        Some((method, path)) => Ok(Some((method, path.to_owned()))),
        None => {
            let message = format!("`{text}` is no endpoint: it looks like `POST /exchange`");
            Err(fields.error(fields.place("endpoint"), message))
        }
    }
}

fn hosts(fields: &Fields<'_, '_>) -> Result<Vec<String>, ProfileError> {
    let hosts = fields.texts("hosts")?.unwrap_or_default();
    if hosts.len() > MAX_ENTRIES {
        return Err(fields.error(fields.place("hosts"), format!("a profile has at most {MAX_ENTRIES} hosts")));
    }
    for host in &hosts {
        if !is_base_url(host) {
            let message = format!("`{host}` must look like `https://api.example.com`: no path, lower case");
            return Err(fields.error(fields.place_in("hosts", host), message));
        }
    }
    if let Some(twice) =
        hosts.iter().enumerate().find(|(at, host)| hosts.iter().take(*at).any(|h| h == *host))
    {
        let place = fields.place_in("hosts", twice.1);
        return Err(fields.error(place, format!("`{}` stands in the list twice", twice.1)));
    }
    Ok(hosts.into_iter().map(str::to_owned).collect())
}

/// Whether `text` is a scheme, the full name of a host and perhaps a port, in the one way to write them.
fn is_base_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let (name, port) = rest.split_once(':').map_or((rest, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| {
        port.parse::<u16>().is_ok_and(|number| number > 0 && number != 443 && number.to_string() == port)
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label) && port.is_none_or(is_port)
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
