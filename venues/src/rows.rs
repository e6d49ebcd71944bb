//! Signs and compares rows of vector files (`vectors/README.md` has their form), with their own frozen clock and with
//! credentials that are nobody's.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use strongroom_keeper::key::SigningKey;
use strongroom_link::key::{KeySpec, MAX_SECRET_BYTES, PassphraseUse};

use crate::json::{self, Member, Value};
use crate::{Account, Body, Moment, NonceKind, Param, Profile, Request, SignedRequest, TimeNeeds};

/// A row's request, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What would be sent.
    pub request: SignedRequest,
    /// The text that was signed; nothing where the endpoint takes no signature.
    pub message: Option<Vec<u8>>,
}

/// How a row's request came out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// In these places it is not what the row expects.
    Differs {
        /// At least one.
        differences: Vec<Difference>,
        /// What was signed.
        signed: Box<Signed>,
    },
    /// The row is a signature alone, and neither a request nor a login.
    OtherKind,
    /// The engine refuses the request, or the row says too little.
    Refused(String),
    /// It is what the row expects.
    Same,
}

/// One place in which two requests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which: `url`, `method`, `body`, `frame` of a login, or a header.
    pub place: String,
    /// What the row expects; nothing where it expects none.
    pub expected: Option<String>,
    /// What came out; nothing where there is none.
    pub found: Option<String>,
}

/// The id of the profile that a row is for.
///
/// # Errors
/// Where it names none.
pub fn exchange<'r>(row: &'r Value<'_>) -> Result<&'r str, String> {
    row.get("exchange").and_then(Value::as_text).ok_or_else(|| "the row names no `exchange`".to_owned())
}

/// Whether a row only informs: it expects an artefact of the program that made it.
#[must_use]
pub fn informs(row: &Value<'_>) -> bool {
    match row.get("quirk") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

fn is_request(row: &Value<'_>) -> bool {
    let expects_url = row.get("expected").and_then(|expected| expected.get("url")).is_some();
    expects_url && row.get("api").and_then(Value::as_text) != Some("ws")
}

/// Whether a row is a WebSocket login, and no request.
///
/// # Errors
/// Where it is neither.
pub fn is_login(row: &Value<'_>) -> Result<bool, String> {
    let is_login = row.get("api").and_then(Value::as_text) == Some("ws");
    if is_login || is_request(row) {
        return Ok(is_login);
    }
    Err("only requests and logins are signed, and this row has no `expected.url`".to_owned())
}

/// Signs a row's request or login by `profile` and compares it with what the row expects.
#[must_use]
pub fn compare(profile: &Profile, row: &Value<'_>) -> Outcome {
    if is_login(row).is_err() {
        return Outcome::OtherKind;
    }
    let Some(expected) = row.get("expected") else { return Outcome::OtherKind };
    if let Some(why) = foreign_host(profile, row) {
        return Outcome::Refused(why);
    }
    let signed = match sign(profile, row) {
        Ok(signed) => signed,
        Err(why) => return Outcome::Refused(why),
    };
    let differences = differences(row, expected, &signed.request);
    if differences.is_empty() {
        Outcome::Same
    } else {
        Outcome::Differs { differences, signed: Box::new(signed) }
    }
}

/// A credential is enrolled for a host of its profile, so that a request for another is never signed.
fn foreign_host(profile: &Profile, row: &Value<'_>) -> Option<String> {
    let base_url = row.get("request")?.get("base_url").and_then(Value::as_text)?;
    let is_foreign = !profile.hosts().is_empty() && profile.hosts().iter().all(|host| host != base_url);
    is_foreign.then(|| format!("`{base_url}` is no host of this profile: {}", profile.hosts().join(", ")))
}

/// What is wrong with a row itself, whatever its profile makes of it: it would be left out, or not compared as it says.
///
/// # Errors
/// The reason.
pub fn check(row: &Value<'_>) -> Result<(), String> {
    const KNOWN: [&str; 4] = ["exact", "jwt", "signature", "ws"];
    let compare = match row.get("compare") {
        None => "exact",
        Some(value) => value.as_text().unwrap_or_default(),
    };
    if !KNOWN.contains(&compare) {
        return Err(format!("`compare` is one of {}", KNOWN.join(", ")));
    }
    if compare == "signature" {
        return Ok(());
    }
    let is_login = is_login(row)?;
    frozen_ms(row)?;
    if is_login {
        return Ok(());
    }
    for (of, names) in
        [("request", ["method", "base_url", "path"].as_slice()), ("credentials", &["apiKey", "secret"])]
    {
        let object = row.get(of).ok_or_else(|| format!("the row has no `{of}`"))?;
        names.iter().try_for_each(|name| text_of(object, name).map(drop))?;
    }
    row.get("request").map_or(Ok(()), |source| Texts::of(source).map(drop))
}

fn differences(row: &Value<'_>, expected: &Value<'_>, found: &SignedRequest) -> Vec<Difference> {
    let text = |name: &str| expected.get(name).and_then(Value::as_text).map(str::to_owned);
    let body = String::from_utf8_lossy(&found.body).into_owned();
    let body = Some(body).filter(|body| !body.is_empty());
    let mut pairs = match &found.login {
        None => vec![
            ("url".to_owned(), text("url"), Some(found.url.clone())),
            ("body".to_owned(), text("body").filter(|body| !body.is_empty()), body),
        ],
        Some(login) => frame(expected, login.url.as_deref(), body),
    };
    if let Some(method) = text("method") {
        pairs.push(("method".to_owned(), Some(method), Some(found.method.clone())));
    }
    let optional = texts_in(row.get("optional_headers"));
    let is_optional = |name: &str| optional.iter().any(|known| known.eq_ignore_ascii_case(name));
    let wanted = headers_in(expected.get("headers"));
    for (name, value) in &wanted {
        if is_optional(name) {
            continue;
        }
        let sent = found.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let same = sent.is_some_and(|(_, sent)| is_same_value(row, name, value, sent));
        if !same {
            let sent = sent.map(|(_, value)| value.clone());
            pairs.push((format!("header {name}"), Some(value.clone()), sent));
        }
    }
    for (name, value) in &found.headers {
        let known = wanted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !known && !is_optional(name) {
            pairs.push((format!("header {name}"), None, Some(value.clone())));
        }
    }
    pairs.retain(|(_, expected, found)| expected != found);
    pairs.into_iter().map(|(place, expected, found)| Difference { place, expected, found }).collect()
}

/// The frame of a login. The order of its members means nothing to a venue, and some rows have the socket in it.
fn frame(
    expected: &Value<'_>,
    socket: Option<&str>,
    found: Option<String>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let frame = match expected.get("ws_frame") {
        None | Some(Value::Null) => None,
        Some(Value::Object(members)) => {
            let is_socket = |(name, value): &&Member<'_>| name == "url" && value.as_text() == socket;
            Some(Value::Object(members.iter().filter(|member| !is_socket(member)).cloned().collect()))
        }
        Some(frame) => Some(frame.clone()),
    };
    let sent = found.as_deref().and_then(|found| json::parse(found.as_bytes()).ok());
    let same = frame.as_ref().map(sorted) == sent.as_ref().map(sorted);
    let expected = if same { found.clone() } else { frame.and_then(|frame| text(&frame).ok()) };
    vec![("frame".to_owned(), expected, found)]
}

/// The value with the members of its objects in the order of their names.
fn sorted<'v>(value: &Value<'v>) -> Value<'v> {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<Member<'v>> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members)
        }
        other => other.clone(),
    }
}

/// Whether two values of a header mean the same. A signature of ES256 is another one each time: there the text of the
/// token must be the same, and the signature must hold.
fn is_same_value(row: &Value<'_>, header: &str, expected: &str, found: &str) -> bool {
    if expected == found {
        return true;
    }
    let jwt = row.get("jwt");
    let alg = jwt.and_then(|jwt| jwt.get("header")).and_then(|header| header.get("alg"));
    let is_es256 = alg.and_then(Value::as_text) == Some("ES256")
        && row.get("compare").and_then(Value::as_text) == Some("jwt")
        && header.eq_ignore_ascii_case("authorization");
    let key = jwt.and_then(|jwt| jwt.get("public_key_pem")).and_then(Value::as_text);
    let token = |header: &'_ str| Some(header.strip_prefix("Bearer ")?.rsplit_once('.')?.0.to_owned());
    let signature = found.rsplit_once('.').map_or("", |(_, signature)| signature);
    match (key, token(expected), token(found)) {
        (Some(key), Some(expected), Some(found)) if is_es256 && expected == found => {
            es256_holds(key, found.as_bytes(), signature)
        }
        _ => false,
    }
}

fn es256_holds(key: &str, text: &[u8], signature: &str) -> bool {
    let key = VerifyingKey::from_public_key_pem(key);
    let signature = Base64UrlUnpadded::decode_vec(signature).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    matches!((key, signature), (Ok(key), Some(signature)) if key.verify(text, &signature).is_ok())
}

fn headers_in(value: Option<&Value<'_>>) -> Vec<(String, String)> {
    let Some(Value::Object(members)) = value else { return Vec::new() };
    let header = |(name, value): &Member<'_>| Some((name.to_string(), value.as_text()?.to_owned()));
    members.iter().filter_map(header).collect()
}

fn texts_in(value: Option<&Value<'_>>) -> Vec<String> {
    let Some(Value::Array(values)) = value else { return Vec::new() };
    values.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// Signs a row's request by `profile`.
///
/// # Errors
/// Why the engine refuses it, or what the row does not say.
pub fn sign(profile: &Profile, row: &Value<'_>) -> Result<Signed, String> {
    let is_login = is_login(row)?;
    let source = row.get("request").ok_or("the row has no `request`")?;
    let texts = if is_login { Texts::of_login(source)? } else { Texts::of(source)? };
    let request = if is_login { texts.login(source) } else { texts.request(source)? };
    let credentials = row.get("credentials").ok_or("the row has no `credentials`")?;
    let default = profile.hosts().first().map_or("https://api.example.com", String::as_str);
    let base_url = source.get("base_url").and_then(Value::as_text).filter(|_| is_login).unwrap_or(default);
    let account = Account {
        key_id: text_of(credentials, "apiKey")?,
        uid: credentials.get("uid").and_then(Value::as_text),
        base_url: if is_login { base_url } else { text_of(source, "base_url")? },
    };

    let plan = profile.plan(&request).map_err(|error| error.to_string())?;
    let moment = moment(row, plan.time())?;
    let canonical = plan.canonicalise(&account, &moment).map_err(|error| error.to_string())?;
    // Rows carry made-up secrets, of any length; everything else about them is checked.
    let spec = KeySpec { min_bytes: 1, max_bytes: MAX_SECRET_BYTES, ..profile.key_spec() };
    let passphrase = match spec.passphrase {
        PassphraseUse::Absent => None,
        PassphraseUse::Mac | PassphraseUse::Plain => Some(text_of(credentials, "password")?.as_bytes()),
    };
    let key = SigningKey::parse(&spec, text_of(credentials, "secret")?.as_bytes(), passphrase)
        .map_err(|refusal| refusal.to_string())?;
    let mut signature = Vec::new();
    if canonical.needs_signature() {
        key.sign(canonical.message(), canonical.secret_at(), &mut signature)
            .map_err(|refusal| refusal.to_string())?;
    }
    let message = canonical.needs_signature().then(|| canonical.message().to_vec());
    let request =
        canonical.finish(&signature, key.released_passphrase()).map_err(|error| error.to_string())?;
    Ok(Signed { request, message })
}

fn text_of<'r>(object: &'r Value<'_>, name: &str) -> Result<&'r str, String> {
    object.get(name).and_then(Value::as_text).ok_or_else(|| format!("the row has no text `{name}`"))
}

/// The parameters of a row's request as the JSON texts that a client would send.
struct Texts {
    query: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Texts {
    fn of(source: &Value<'_>) -> Result<Self, String> {
        let mut query = Vec::new();
        match source.get("query") {
            None | Some(Value::Null) => {}
            Some(Value::Array(pairs)) => {
                for pair in pairs {
                    let Value::Array(pair) = pair else {
                        return Err("`query` is not a list of pairs".to_owned());
                    };
                    let [Value::Text(name), value] = pair.as_slice() else {
                        return Err("`query` is not a list of pairs".to_owned());
                    };
                    query.push((name.to_string(), text(value)?));
                }
            }
            Some(_) => return Err("`query` is not a list of pairs".to_owned()),
        }
        let body = match source.get("body") {
            None | Some(Value::Null) => None,
            Some(value) => Some(text(value)?.into_bytes()),
        };
        Ok(Self { query, body })
    }

    /// What a login is told: the row's `params`, an object.
    fn of_login(source: &Value<'_>) -> Result<Self, String> {
        let mut query = Vec::new();
        if let Some(Value::Object(params)) = source.get("params") {
            for (name, value) in params {
                query.push((name.to_string(), text(value)?));
            }
        }
        Ok(Self { query, body: None })
    }

    /// The login that the row names, or the first of the profile.
    fn login<'t>(&'t self, source: &'t Value<'_>) -> Request<'t> {
        Request {
            method: "WS",
            path: source.get("login").and_then(Value::as_text).unwrap_or_default(),
            query: self.query.iter().map(|(name, value)| (name.as_str(), Param::Json(value))).collect(),
            body: Body::Empty,
        }
    }

    fn request<'t>(&'t self, source: &'t Value<'_>) -> Result<Request<'t>, String> {
        Ok(Request {
            method: text_of(source, "method")?,
            path: text_of(source, "path")?,
            query: self.query.iter().map(|(name, value)| (name.as_str(), Param::Json(value))).collect(),
            body: self.body.as_deref().map_or(Body::Empty, Body::Json),
        })
    }
}

fn text(value: &Value<'_>) -> Result<String, String> {
    let mut out = Vec::new();
    json::write(value, false, &mut out);
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// The row's frozen clock, and what the caller itself set where it did.
fn moment(row: &Value<'_>, needs: TimeNeeds) -> Result<Moment, String> {
    let frozen = row.get("frozen").ok_or("the row has no `frozen`")?;
    let ms = frozen_ms(row)?;
    let unix_ns = ms.checked_mul(1_000_000).ok_or("`frozen.time_ms` is too large")?;
    let nonce = match needs.nonce {
        NonceKind::S => ms / 1000,
        NonceKind::Us => unix_ns / 1_000,
        NonceKind::Ns => unix_ns,
        _ => ms,
    };
    Ok(Moment {
        unix_ns: needs.caller_timestamp.map_or(unix_ns, |time| time.unix_ns),
        nonce: needs.caller_nonce.unwrap_or(nonce),
        uuid: bytes16(frozen, "uuid")?,
        random16: bytes16(frozen, "random_hex16")?,
    })
}

/// The time at which the row was signed.
fn frozen_ms(row: &Value<'_>) -> Result<u64, String> {
    let frozen = row.get("frozen").ok_or("the row has no `frozen`")?;
    let time = frozen.get("time_ms").ok_or("the row has no `frozen.time_ms`")?;
    let ms = if let Value::Number(digits) = time { digits.parse().ok() } else { None };
    ms.ok_or_else(|| "`frozen.time_ms` is no whole number of milliseconds".to_owned())
}

/// 16 bytes in hexadecimal, with or without hyphens; zeros where the row has none.
fn bytes16(frozen: &Value<'_>, name: &str) -> Result<[u8; 16], String> {
    let Some(text) = frozen.get(name).and_then(Value::as_text) else { return Ok([0; 16]) };
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| format!("`frozen.{name}` is no 16 bytes in hexadecimal"))
}
