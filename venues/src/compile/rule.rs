//! One rule: the base of a profile, or the base with a case laid over it.

use strongroom_link::key::{Algorithm, PassphraseUse, SecretForm};

use super::document::{Entry, Fields, Item};
use super::{attach, by_host, encode, inject, sign};
use crate::body_path::BodyPath;
use crate::error::{Position, ProfileError};
use crate::request::Method;
use crate::rule::{Clock, Covers, IfGiven, Inject, NonceKind, Rule, Sign, Target};
use crate::template::{Beside, Names, ParamUse, Release, Slot, Stage, Template, Var, VarSet, View};

/// What a rule asks of its key.
pub(super) struct KeyUse {
    pub(super) key: Option<(Algorithm, SecretForm)>,
    pub(super) passphrase: PassphraseUse,
    /// Where the rule says that the secret itself is sent.
    pub(super) sends_secret: Option<ProfileError>,
}

/// A parameter of a login, before anything reads it.
pub(super) struct Told<'d> {
    pub(super) at: usize,
    pub(super) name: &'d str,
    pub(super) kind: ParamUse,
    pub(super) reads: VarSet,
}

pub(super) fn rule(fields: &Fields<'_, '_>) -> Result<(Rule, KeyUse), ProfileError> {
    told(fields, None).map(|(rule, used, _)| (rule, used))
}

/// The same for a login, whose templates may use these parameters; says where their values go.
pub(super) fn told(
    fields: &Fields<'_, '_>,
    params: Option<&[Told<'_>]>,
) -> Result<(Rule, KeyUse, Vec<Slot>), ProfileError> {
    let clock = encode::clock(fields)?;
    let encode = encode::encode(fields)?;
    let body_methods = match fields.texts("body_methods")? {
        None => vec![Method::Patch, Method::Post, Method::Put],
        Some(names) => methods(fields, "body_methods", &names)?,
    };
    let map = encode::map(fields)?;
    let by_host = by_host::by_host(fields)?;
    let mut names = Names::new(map.is_some(), clock.nonce != NonceKind::Absent, by_host.clone());
    if params.is_some() {
        names.keep_empty();
    }
    let params = params.unwrap_or_default().iter().map(|param| {
        let slot = names.param(param.name, param.kind, param.reads);
        slot.map_err(|message| fields.error(param.at, message))
    });
    let params = params.collect::<Result<Vec<Slot>, ProfileError>>()?;
    names.promise(fields.entries("let")?.iter().map(|entry| entry.name.to_string()));
    let inject = inject::inject(fields, &mut names, clock)?;
    let (lets, mut late) = lets(fields, &mut names)?;
    let signing = sign::sign(fields, &mut names, clock)?;
    let signs = !matches!(signing.sign, Sign::Absent);
    let attach = attach::attach(fields, &mut names, clock, signs, &mut late)?;
    let covers = fields.choice("covers", Covers::ALL)?;
    let reads = with_injected(signing.reads, &inject);
    let all = reads.contains_any(&Var::ALL_PARAMETERS);
    let beside = match &signing.sign {
        Sign::Text { message, .. } => {
            let nonce = if clock.nonce.rises() { VarSet::EMPTY.with(Var::Nonce) } else { VarSet::EMPTY };
            Beside::of(&lets, message, nonce.with(Var::Ts), &params)
        }
        _ => Beside::default(),
    };
    let seen = seen(&signing.sign, &lets);
    let members = members(&names, reads, &seen, &inject, clock);
    let views = names.views().iter().cloned();
    let views = views.map(|view| View { signed: seen.contains(&view.slot), ..view }).collect();
    let mut lets = lets;
    lets.retain(|(slot, template)| {
        seen.contains(slot) || !template.reads().contains_any(&[Var::Msgpack, Var::Param])
    });
    let rule = Rule {
        clock,
        encode,
        body_methods,
        one_endpoint: false,
        inject,
        map,
        lets,
        sign: signing.sign,
        attach,
        covers: if signs { covers.unwrap_or(Covers::Nothing) } else { Covers::Nothing },
        covers_at: Position::of(fields.text, fields.place("covers")),
        signs_method: reads.contains(Var::Method) || reads.contains(Var::Op),
        signs_query: all || reads.contains(Var::Query),
        signs_body: all || reads.contains_any(&[Var::Body, Var::Item, Var::Msgpack, Var::Param]),
        used: names.used(),
        kv: names.kv().to_vec(),
        beside,
        views,
        members,
        host_words: names.host_words().to_vec(),
        by_host,
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
    Ok((rule, KeyUse { key: signing.key, passphrase, sends_secret: signing.sends_secret }, params))
}

/// The members of the body that are signed, where not all of it is: those that templates see, and what the agent
/// sets itself.
fn members(
    names: &Names,
    reads: VarSet,
    seen: &[Slot],
    inject: &[Inject],
    clock: Clock,
) -> Option<Vec<BodyPath>> {
    let whole = reads.contains_any(&Var::ALL_PARAMETERS) || reads.contains_any(&[Var::Body, Var::Item]);
    if whole || !reads.contains_any(&[Var::Msgpack, Var::Param]) {
        return None;
    }
    let views = names.views().iter().filter(|view| seen.contains(&view.slot));
    let seen = views.map(|view| view.path.clone());
    let signed = |inject: &&Inject| {
        let nonce = inject.value.is_exactly(Var::Nonce) && clock.nonce.rises() && reads.contains(Var::Nonce);
        let time = inject.value.is_exactly(Var::Ts) && reads.contains(Var::Ts);
        // What goes into an object of the body must be one of its fields.
        inject.inside.is_none() && (nonce || time) || inject.given == IfGiven::Same
    };
    let set = inject.iter().filter(signed).filter_map(|inject| BodyPath::parse(&inject.name).ok());
    Some(seen.chain(set).collect())
}

/// Where the values are that the signed text is made of, also by way of `lets`.
fn seen(sign: &Sign, lets: &[(Slot, Template)]) -> Vec<Slot> {
    let mut seen = sign.slots();
    // A `let` uses only those before it.
    for (slot, template) in lets.iter().rev() {
        if seen.contains(slot) {
            seen.extend(template.slots());
        }
    }
    seen
}

/// What the signed text reads, also by way of parameters that are injected into what it reads.
fn with_injected(reads: VarSet, inject: &[Inject]) -> VarSet {
    let all = reads.contains_any(&[Var::Kv, Var::KvConcat, Var::KvQuery]);
    let (query, body) = (all || reads.contains(Var::Query), all || reads.contains(Var::Body));
    inject.iter().fold(reads, |set, inject| {
        let signed = match inject.to {
            Target::Body => body || (inject.inside.is_some() && reads.contains(Var::Param)),
            Target::Params => query && body,
            Target::Query => query,
        };
        if signed { set.union(inject.value.reads()) } else { set }
    })
}

/// Compiles the template at `node`, or says where it is wrong.
pub(super) fn template(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    at: usize,
    text: &str,
    stage: Stage,
) -> Result<Template, ProfileError> {
    names
        .template(text, stage)
        .map_err(|wrong| fields.error(fields.within(at, text, wrong.at), wrong.message))
}

pub(super) fn methods(
    fields: &Fields<'_, '_>,
    key: &str,
    names: &[&str],
) -> Result<Vec<Method>, ProfileError> {
    let names = names.iter().flat_map(|text| text.split('|').map(move |name| (text, name)));
    let methods = names.map(|(text, name)| {
        Method::parse(name).ok_or_else(|| {
            let message = format!("`{name}` is none of DELETE, GET, PATCH, POST, PUT");
            fields.error(fields.place_in(key, text), message)
        })
    });
    methods.collect()
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
pub(super) fn define(
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
