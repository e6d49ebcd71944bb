//! `[sign]`: what is signed, with which key, and how the signature is written.

use strongroom_link::key::{Algorithm, SecretForm};

use super::document::{Entry, Fields, Item, Node};
use super::eip712::eip712;
use super::inject::is_whole_number;
use super::rule::template;
use crate::error::ProfileError;
use crate::json;
use crate::rule::{Clock, JsonTemplate, Output, Sign};
use crate::template::{Kind, Names, Stage, Template, Var, VarSet};

/// A compiled `[sign]`.
pub(super) struct Signing {
    pub(super) sign: Sign,
    pub(super) key: Option<(Algorithm, SecretForm)>,
    /// What the signed text reads.
    pub(super) reads: VarSet,
    /// Where it says that the secret itself is sent, and why that is not done.
    pub(super) sends_secret: Option<ProfileError>,
}

const KEYS: &[&str] =
    &["alg", "jwt_alg", "decode", "each", "message", "out", "jwt_header", "claims", "eip712"];

/// Values of `alg` besides the key algorithms themselves.
#[derive(Clone, Copy)]
enum Alg {
    Jwt,
    Key(Algorithm),
    None,
    Static,
}

const ALGS: &[(&str, Alg)] = &[
    ("hmac-sha256", Alg::Key(Algorithm::HmacSha256)),
    ("hmac-sha384", Alg::Key(Algorithm::HmacSha384)),
    ("hmac-sha512", Alg::Key(Algorithm::HmacSha512)),
    ("ed25519", Alg::Key(Algorithm::Ed25519)),
    ("hash-sha256", Alg::Key(Algorithm::HashSha256)),
    ("rsa-sha256", Alg::Key(Algorithm::RsaSha256)),
    ("jwt", Alg::Jwt),
    ("none", Alg::None),
    ("secp256k1", Alg::Key(Algorithm::Secp256k1)),
    ("static", Alg::Static),
];

/// Why a venue of static keys is not signed for.
const STATIC: &str = "`static` sends the secret itself with every request, so a bot would have to be given it; that needs \
                      send mode, which this version does not have";

/// Compiles `[sign]` of `fields`.
pub(super) fn sign(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
) -> Result<Signing, ProfileError> {
    let sign = fields.table("sign", "`sign`", KEYS)?;
    if sign.text("alg")? == Some("hash-md5") {
        let why = "`hash-md5` puts a secret under a broken hash, which gives it away to who may choose the text; \
                   the keeper does not compute it";
        return Err(sign.error(sign.place("alg"), why));
    }
    let Some(alg) = sign.choice("alg", ALGS)? else {
        return Err(sign.error(sign.at, "a profile needs `sign.alg`"));
    };
    match alg {
        Alg::None => Ok(Signing { sign: Sign::Absent, key: None, reads: VarSet::EMPTY, sends_secret: None }),
        Alg::Static => {
            names.allow_secret();
            let sends_secret = Some(sign.error(sign.place("alg"), STATIC));
            Ok(Signing { sign: Sign::Absent, key: None, reads: VarSet::EMPTY, sends_secret })
        }
        Alg::Key(Algorithm::Secp256k1) => {
            if let Some(key) = ["message", "each"].into_iter().find(|key| sign.get(key).is_some()) {
                let message =
                    format!("`{key}` is for other algorithms: `secp256k1` signs what `eip712` says");
                return Err(sign.error(sign.place(key), message));
            }
            let key = (Algorithm::Secp256k1, form(&sign, Algorithm::Secp256k1)?);
            let (data, reads) = eip712(&sign, names)?;
            let out = output(&sign, Algorithm::Secp256k1)?;
            Ok(Signing { sign: Sign::Eip712 { data, out }, key: Some(key), reads, sends_secret: None })
        }
        Alg::Key(algorithm) => {
            let key = (algorithm, form(&sign, algorithm)?);
            let hash = algorithm == Algorithm::HashSha256;
            let text = sign.required_text("message")?;
            let each = each(&sign, names)?;
            let message = template(&sign, names, sign.place("message"), text, Stage::Signed { hash })?;
            let out = output(&sign, algorithm)?;
            let mut reads = message.reads();
            if let Some(each) = &each {
                if !reads.contains(Var::Each) {
                    return Err(sign.error(sign.place("each"), "`message` does not use `{each}`"));
                }
                reads = reads.union(each.reads());
            }
            Ok(Signing {
                sign: Sign::Text { each, message, out, hash },
                key: Some(key),
                reads,
                sends_secret: None,
            })
        }
        Alg::Jwt => jwt(&sign, names, clock),
    }
}

/// `sign.each`, which a case takes away by making it empty.
fn each(sign: &Fields<'_, '_>, names: &mut Names) -> Result<Option<Template>, ProfileError> {
    let Some(text) = sign.text("each")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let each = template(sign, names, sign.place("each"), text, Stage::Each)?;
    names.allow_each();
    Ok(Some(each))
}

fn jwt(sign: &Fields<'_, '_>, names: &mut Names, clock: Clock) -> Result<Signing, ProfileError> {
    let choices = [
        ("HS256", (Algorithm::HmacSha256, "HS256")),
        ("HS512", (Algorithm::HmacSha512, "HS512")),
        ("ES256", (Algorithm::Es256, "ES256")),
        ("EdDSA", (Algorithm::Ed25519, "EdDSA")),
    ];
    let (algorithm, name) = sign.choice("jwt_alg", &choices)?.unwrap_or((Algorithm::HmacSha256, "HS256"));
    let key = (algorithm, form(sign, algorithm)?);
    let stage = Stage::Signed { hash: false };
    let header = match sign.get("jwt_header") {
        None => JsonTemplate::Literal(format!(r#"{{"alg":"{name}","typ":"JWT"}}"#)),
        Some(node) => json_template(sign, names, clock, node, stage)?,
    };
    let Some(claims) = sign.get("claims") else {
        return Err(sign.error(sign.at, "`alg = \"jwt\"` needs `claims`"));
    };
    let claims = json_template(sign, names, clock, claims, stage)?;
    let reads = header.reads().union(claims.reads());
    Ok(Signing { sign: Sign::Jwt { header, claims }, key: Some(key), reads, sends_secret: None })
}

/// How the secret is written, as far as it fits the algorithm.
fn form(sign: &Fields<'_, '_>, algorithm: Algorithm) -> Result<SecretForm, ProfileError> {
    let decode = sign.choice(
        "decode",
        &[
            ("utf8", SecretForm::Utf8),
            ("base64", SecretForm::Base64),
            ("base64-seed32", SecretForm::Base64Seed32),
            ("base64-seed", SecretForm::Base64Seed32),
            ("hex32", SecretForm::Hex32),
            ("pem", SecretForm::Pem),
        ],
    )?;
    let form = match (algorithm, decode) {
        (Algorithm::Ed25519 | Algorithm::Es256 | Algorithm::RsaSha256, None) => SecretForm::Pem,
        (Algorithm::Secp256k1, None) => SecretForm::Hex32,
        // A seed in plain base64 is the same as the first 32 bytes of one.
        (Algorithm::Ed25519, Some(SecretForm::Base64)) => SecretForm::Base64Seed32,
        (_, None) => SecretForm::Utf8,
        (_, Some(form)) => form,
    };
    let fits = match algorithm {
        Algorithm::Ed25519 => matches!(form, SecretForm::Pem | SecretForm::Base64Seed32),
        Algorithm::Es256 => form == SecretForm::Pem,
        Algorithm::RsaSha256 => matches!(form, SecretForm::Pem | SecretForm::Base64),
        Algorithm::HashSha256 => form == SecretForm::Utf8,
        Algorithm::HmacSha256 | Algorithm::HmacSha384 | Algorithm::HmacSha512 => {
            matches!(form, SecretForm::Utf8 | SecretForm::Base64)
        }
        Algorithm::Secp256k1 => form == SecretForm::Hex32,
    };
    if fits {
        Ok(form)
    } else {
        let message = format!("a secret for {algorithm} is never written as `{form}`");
        Err(sign.error(sign.place("decode"), message))
    }
}

fn output(sign: &Fields<'_, '_>, algorithm: Algorithm) -> Result<Output, ProfileError> {
    let out = sign.choice(
        "out",
        &[
            ("hex", Output::Hex),
            ("HEX", Output::HexUpper),
            ("base64", Output::Base64),
            ("base64url", Output::Base64Url),
            ("hex-base64", Output::HexBase64),
        ],
    )?;
    let is_base64 = matches!(algorithm, Algorithm::Ed25519 | Algorithm::RsaSha256);
    Ok(out.unwrap_or(if is_base64 { Output::Base64 } else { Output::Hex }))
}

/// Compiles a JSON value with templates in it. `{ int = "{ts}", plus = 120 }` is a number.
pub(super) fn json_template(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
    node: &Node<'_>,
    stage: Stage,
) -> Result<JsonTemplate, ProfileError> {
    Ok(match &node.item {
        Item::Bool(value) => JsonTemplate::Literal(value.to_string()),
        Item::Int(value) => JsonTemplate::Literal(value.to_string()),
        Item::Text(text) => {
            let template = template(fields, names, node.at, text, stage)?;
            if template.kind() == Kind::Bytes {
                return Err(fields.error(node.at, "this would put raw bytes into JSON; add `|hex` or `|b64`"));
            }
            let param = names.param_in(&template);
            let raw = text == "{params_json}" || param.is_some_and(|param| param.json);
            let value = if raw { JsonTemplate::Raw(template) } else { JsonTemplate::Text(template) };
            match param {
                Some(param) if param.optional => JsonTemplate::Optional(Box::new(value)),
                _ => value,
            }
        }
        Item::List(list) => {
            let values = list.iter().map(|node| json_template(fields, names, clock, node, stage));
            JsonTemplate::Array(values.collect::<Result<_, _>>()?)
        }
        Item::Table(entries) => match entries.first() {
            Some(first) if first.name == "int" || first.name == "plus" => {
                int(fields, names, clock, node.at, entries, stage)?
            }
            _ => JsonTemplate::Object(json_members(fields, names, clock, entries, stage)?),
        },
    })
}

/// Compiles the members of a JSON object. A member whose template is empty is left out, so that a
/// case can take one away.
pub(super) fn json_members(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
    entries: &[Entry<'_>],
    stage: Stage,
) -> Result<Vec<(String, JsonTemplate)>, ProfileError> {
    let mut members = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = json_template(fields, names, clock, &entry.value, stage)?;
        if names.keeps_empty() || !matches!(&value, JsonTemplate::Text(template) if template.is_empty()) {
            members.push((entry.name.to_string(), value));
        }
    }
    Ok(members)
}

fn int(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    clock: Clock,
    at: usize,
    entries: &[Entry<'_>],
    stage: Stage,
) -> Result<JsonTemplate, ProfileError> {
    const DAY: i64 = 86_400_000;
    let fields = Fields::of(fields.text, at, "a number", entries, &["int", "plus"])?;
    let text = fields.required_text("int")?;
    let template = template(&fields, names, fields.place("int"), text, stage)?;
    if !is_whole_number(&template, clock) && json::parse(text.as_bytes()).is_err() {
        let message = "`int` must be `{ts}`, `{nonce}`, `{sig_v}` or `{uid}`, and the clock must count in whole numbers";
        return Err(fields.error(fields.place("int"), message));
    }
    let plus = fields.number("plus", -DAY, DAY)?.unwrap_or(0);
    Ok(JsonTemplate::Int { template, plus })
}

impl JsonTemplate {
    /// The variables that it reads.
    pub(crate) fn reads(&self) -> VarSet {
        match self {
            Self::Literal(_) => VarSet::EMPTY,
            Self::Optional(value) => value.reads(),
            Self::Int { template, .. } | Self::Raw(template) | Self::Text(template) => template.reads(),
            Self::Array(values) => values.iter().fold(VarSet::EMPTY, |set, value| set.union(value.reads())),
            Self::Object(members) => {
                members.iter().fold(VarSet::EMPTY, |set, (_, value)| set.union(value.reads()))
            }
        }
    }
}
