//! `sign.eip712`: the domain, the type, and where its values come from.

use sha3::{Digest as _, Keccak256};
use strongroom_link::key::Separator;

use super::MAX_ENTRIES;
use super::document::{Entry, Fields, Item, Node};
use super::rule::template;
use crate::body_path::BodyPath;
use crate::eip712::{Domain, Field, FieldType, Source, Struct, TypedData};
use crate::error::{ProfileError, RequestError};
use crate::template::{Kind, Names, Stage, Var, VarSet};

const KEYS: &[&str] = &["domain", "type", "types", "type_by", "message", "values"];
/// The fields that a domain may have, in their order (EIP-712, "Definition of domainSeparator").
const DOMAIN: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];
/// Most fields of a struct.
const MAX_FIELDS: usize = 32;

/// Compiles `sign.eip712`; says what the message reads.
pub(super) fn eip712(sign: &Fields<'_, '_>, names: &mut Names) -> Result<(TypedData, VarSet), ProfileError> {
    if sign.get("eip712").is_none() {
        return Err(sign.error(sign.at, "`alg = \"secp256k1\"` needs `eip712`: it signs nothing else"));
    }
    let fields = sign.table("eip712", "`eip712`", KEYS)?;
    let mut reads = VarSet::EMPTY;
    let (domain, separators) = domain(&fields, names, &mut reads)?;
    let path = |key: &str| match fields.text(key)? {
        None => Ok(None),
        Some(text) => {
            BodyPath::parse(text).map(Some).map_err(|message| fields.error(fields.place(key), message))
        }
    };
    let (of, by) = (path("message")?, path("type_by")?);
    let texts: Vec<(String, usize, &str)> = match (fields.text("type")?, &by) {
        (Some(text), None) => vec![(String::new(), fields.place("type"), text)],
        (None, Some(_)) => {
            let entries = fields.entries("types")?.iter();
            entries
                .map(|entry| Ok((entry.name.to_string(), entry.at, text(&fields, entry)?)))
                .collect::<Result<_, _>>()?
        }
        _ => return Err(fields.error(fields.at, "`eip712` needs either `type`, or `type_by` and `types`")),
    };
    if texts.is_empty() || texts.len() > MAX_ENTRIES {
        return Err(fields.error(fields.place("types"), format!("1 to {MAX_ENTRIES} types")));
    }
    let values = fields.entries("values")?;
    // A member that only one of several types reads would pass for signed in all of them.
    if by.is_some() && !values.is_empty() {
        return Err(fields.error(fields.place("values"), "`values` goes with one `type`, not with `types`"));
    }
    let mut types = Vec::with_capacity(texts.len());
    for (name, at, text) in texts {
        types.push((name, structure(&fields, names, (at, text), of.is_some(), values, &mut reads)?));
    }
    let known = |entry: &&Entry<'_>| {
        types.iter().any(|(_, structure)| structure.fields.iter().any(|field| field.name == entry.name))
    };
    if let Some(entry) = values.iter().find(|entry| !known(entry)) {
        return Err(fields.error(entry.at, format!("no type has a field `{}`", entry.name)));
    }
    let members = types.iter().flat_map(|(_, structure)| &structure.fields);
    if members.clone().any(|field| matches!(field.source, Source::Member)) || by.is_some() {
        reads = reads.with(Var::Param);
    }
    Ok((TypedData { domain, separators, by, types, of }, reads))
}

/// The domain, and its separators. A key is enrolled for these and signs in no other, so nothing of a request is in
/// them.
fn domain(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    reads: &mut VarSet,
) -> Result<(Domain, Vec<Separator>), ProfileError> {
    let known = DOMAIN.map(|(name, _)| name);
    let domain = fields.table("domain", "a domain", &known)?;
    let given = DOMAIN.iter().filter(|(name, _)| domain.get(name).is_some());
    let types: Vec<String> = given.map(|(name, kind)| format!("{kind} {name}")).collect();
    if types.is_empty() {
        return Err(fields.error(fields.at, "`eip712` needs a `domain`"));
    }
    let text = format!("EIP712Domain({})", types.join(","));
    let values = fields.entries("domain")?;
    let structure = structure(fields, names, (domain.at, &text), false, values, reads)?;
    if let Some(separator) = structure.constant() {
        return Ok((Domain::Fixed(separator), vec![separator]));
    }
    for (field, entry) in structure
        .fields
        .iter()
        .filter_map(|field| values.iter().find(|entry| entry.name == field.name).map(|entry| (field, entry)))
    {
        let Source::Template(template) = &field.source else { continue };
        if template.slots().any(|slot| !names.host_words().iter().any(|(_, word)| *word == slot)) {
            let message = format!(
                "a key signs only in the domains for which it was enrolled, so `{}` is a constant, or has `{{by_host:…}}` \
                 in it and nothing of the request",
                field.name
            );
            return Err(fields.error(entry.value.at, message));
        }
    }
    let separators = names.of_each_host().map(|words| structure.hash(None, &words, ""));
    let separators = separators.collect::<Result<_, _>>().map_err(|error| {
        let message = match error {
            RequestError::Typed { name, expected, .. } => {
                format!("a host's word makes `{name}` something else than {expected}")
            }
            other => other.to_string(),
        };
        fields.error(domain.at, message)
    })?;
    Ok((Domain::ByHost(structure), separators))
}

/// Compiles a type, which is written as EIP-712 hashes it: `Name(type field,type field)`.
fn structure(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    (at, text): (usize, &str),
    has_object: bool,
    values: &[Entry<'_>],
    reads: &mut VarSet,
) -> Result<Struct, ProfileError> {
    let wrong = || {
        let message = format!(
            "`{text}` is no type: it looks like `Name(string one,uint64 two)`, with fields of the types address, \
             bool, bytes, bytes1 to bytes32, string, and uint8 to uint256"
        );
        fields.error(at, message)
    };
    let is_name = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (name, list) = text
        .split_once('(')
        .and_then(|(name, list)| Some((name, list.strip_suffix(')')?)))
        .ok_or_else(wrong)?;
    if !name.split(':').all(is_name) {
        return Err(wrong());
    }
    let mut compiled: Vec<Field> = Vec::new();
    for declared in list.split(',') {
        let (kind, name) = declared.split_once(' ').ok_or_else(wrong)?;
        let kind = FieldType::parse(kind).ok_or_else(wrong)?;
        if !is_name(name) || compiled.iter().any(|field| field.name == name) || compiled.len() >= MAX_FIELDS {
            return Err(wrong());
        }
        let source = match values.iter().find(|entry| entry.name == name) {
            Some(entry) => value(fields, names, &entry.value, kind, reads)?,
            None if has_object => Source::Member,
            None => {
                let message = format!("`{name}` has no value: neither in `values` nor by `message`");
                return Err(fields.error(at, message));
            }
        };
        compiled.push(Field { name: name.to_owned(), kind, source });
    }
    Ok(Struct { type_hash: Keccak256::digest(text).into(), fields: compiled })
}

fn value(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    node: &Node<'_>,
    kind: FieldType,
    reads: &mut VarSet,
) -> Result<Source, ProfileError> {
    let text = match &node.item {
        Item::Text(text) => text.to_string(),
        Item::Int(value) => value.to_string(),
        Item::Bool(value) => value.to_string(),
        Item::List(_) | Item::Table(_) => {
            return Err(fields.error(node.at, "a value is text, a number, true or false"));
        }
    };
    let template = template(fields, names, node.at, &text, Stage::Signed { hash: false })?;
    *reads = reads.union(template.reads());
    if template.reads() == VarSet::EMPTY {
        // Bytes are written in hexadecimal, as in JSON.
        let word = if kind.is_raw() {
            kind.read(&crate::json::Value::Text(text.as_str().into()))
        } else {
            kind.encode(text.as_bytes())
        };
        return word.map(Source::Constant).ok_or_else(|| {
            fields.error(node.at, format!("`{text}` does not fit: it must be {}", kind.expected()))
        });
    }
    match (kind.is_raw(), template.kind()) {
        (true, Kind::Bytes) | (false, Kind::Text) => Ok(Source::Template(template)),
        (true, Kind::Text) => Err(fields.error(node.at, "this field needs raw bytes, such as a digest")),
        (false, Kind::Bytes) => Err(fields.error(node.at, "this field needs text, but gets raw bytes")),
    }
}

fn text<'d>(fields: &Fields<'_, '_>, entry: &'d Entry<'_>) -> Result<&'d str, ProfileError> {
    match &entry.value.item {
        Item::Text(text) => Ok(text),
        _ => Err(fields.error(entry.value.at, format!("`{}` must be text", entry.name))),
    }
}
