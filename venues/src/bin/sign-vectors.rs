//! Signs vector files: one JSON line on standard output for each row, in the order of the rows.
//!
//! ```text
//! sign-vectors [--profiles DIR] FILE.jsonl…
//! sign-vectors --actions FILE
//! ```
//!
//! With `--actions`, each line of the file is `PROFILE METHOD PATH`, and the answer is the name of the rule
//! that the endpoint falls under.
//!
//! Each row is signed with its own credentials and its own frozen clock, by the engine and the key
//! types that the agent and the keeper use. A row that cannot be signed gives a line with `error`. A row of kind `ws` is
//! a WebSocket login: its line has the frame as `ws_frame`, and `headers` and `url` where the login has them.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use strongroom_keeper::key::SigningKey;
use strongroom_link::key::{KeySpec, MAX_SECRET_BYTES, PassphraseUse};
use strongroom_venues::json::{self, Value};
use strongroom_venues::{Account, Body, Moment, Param, Profile, Request, SignedRequest};
use strongroom_venues::{NonceKind, TimeNeeds, builtin};

const USAGE: &str = "usage: sign-vectors [--profiles DIR] FILE.jsonl… | --actions FILE";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    if let [option, file] = std::env::args_os().skip(1).collect::<Vec<_>>().as_slice()
        && option == "--actions"
    {
        return actions(Path::new(file));
    }
    let (folder, files) = arguments()?;
    let mut profiles = profiles(folder.as_deref())?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for file in files {
        let shown = file.display().to_string();
        let reader = std::fs::File::open(&file).map_err(|error| format!("{shown}: {error}"))?;
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.map_err(|error| format!("{shown}: {error}"))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let written = out.write_all(&answer(&mut profiles, &line)).and_then(|()| out.write_all(b"\n"));
            written.map_err(|error| format!("standard output: {error}"))?;
        }
    }
    out.flush().map_err(|error| format!("standard output: {error}"))
}

/// Prints the rule of each endpoint in `file`.
fn actions(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut profiles: HashMap<&str, Profile> = HashMap::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(id), Some(method), Some(path)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{line}` is not PROFILE METHOD PATH"));
        };
        let profile = match profiles.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match builtin(id) {
                Some(Ok(profile)) => place.insert(profile),
                Some(Err(error)) => return Err(format!("{id}: {error}")),
                None => return Err(format!("no profile is called `{id}`")),
            },
        };
        let (_, rule) = profile.actions().classify(method, path);
        writeln!(out, "{rule}").map_err(|error| format!("standard output: {error}"))?;
    }
    out.flush().map_err(|error| format!("standard output: {error}"))
}

fn arguments() -> Result<(Option<PathBuf>, Vec<PathBuf>), String> {
    let (mut folder, mut files) = (None, Vec::new());
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--profiles") => {
                folder = Some(PathBuf::from(arguments.next().ok_or("`--profiles` needs a folder")?));
            }
            Some(option) if option.starts_with('-') => {
                return Err(format!("`{option}` is no option; {USAGE}"));
            }
            _ => files.push(PathBuf::from(argument)),
        }
    }
    if files.is_empty() { Err(USAGE.to_owned()) } else { Ok((folder, files)) }
}

/// A profile, or why it does not compile.
type Compiled = Result<Profile, String>;

/// The profiles of `folder`. They come before the shipped ones, which join them as they are needed.
fn profiles(folder: Option<&Path>) -> Result<HashMap<String, Compiled>, String> {
    let mut profiles: HashMap<String, Compiled> = HashMap::new();
    let Some(folder) = folder else { return Ok(profiles) };
    let shown = |error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(shown)? {
        let path = entry.map_err(shown)?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let compiled = std::fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Profile::compile(&text).map_err(|error| error.to_string()));
        match compiled {
            Ok(profile) => profiles.insert(profile.id().to_owned(), Ok(profile)),
            // Rows of the venue get the reason; the rest of the folder still works.
            Err(error) => {
                let error = format!("{}: {error}", path.display());
                let _ = writeln!(std::io::stderr(), "warning: {error}");
                profiles.insert(stem, Err(error))
            }
        };
    }
    Ok(profiles)
}

/// The line for one row.
fn answer(profiles: &mut HashMap<String, Compiled>, line: &[u8]) -> Vec<u8> {
    let (id, signed) = match json::parse(line) {
        Ok(row) => {
            let id = row.get("id").and_then(Value::as_text).unwrap_or_default().to_owned();
            let signed = sign(profiles, &row);
            (id, signed)
        }
        Err(error) => (String::new(), Err(format!("the row is not valid JSON: {error}"))),
    };
    let text = |text: String| Value::Text(text.into());
    let mut members = vec![("id".into(), text(id))];
    match signed {
        Err(error) => members.push(("error".into(), text(error))),
        Ok(SignedRequest { login: Some(login), headers, body, .. }) => {
            let headers = headers.into_iter().map(|(name, value)| (name.into(), text(value))).collect();
            members.push(("ws_frame".into(), json::parse(&body).unwrap_or(Value::Null)));
            members.push(("headers".into(), Value::Object(headers)));
            members.extend(login.url.map(|url| ("url".into(), text(url))));
            let mut out = Vec::new();
            json::write(&Value::Object(members), false, &mut out);
            return out;
        }
        Ok(signed) => {
            let headers =
                signed.headers.into_iter().map(|(name, value)| (name.into(), text(value))).collect();
            let body = String::from_utf8_lossy(&signed.body).into_owned();
            members.push(("url".into(), text(signed.url)));
            members.push(("method".into(), text(signed.method)));
            members.push(("headers".into(), Value::Object(headers)));
            members.push(("body".into(), if body.is_empty() { Value::Null } else { text(body) }));
        }
    }
    let mut out = Vec::new();
    json::write(&Value::Object(members), false, &mut out);
    out
}

fn sign(profiles: &mut HashMap<String, Compiled>, row: &Value<'_>) -> Result<SignedRequest, String> {
    let venue = row.get("exchange").and_then(Value::as_text).ok_or("the row names no `exchange`")?;
    let expects_url = row.get("expected").and_then(|expected| expected.get("url")).is_some();
    let is_login = row.get("api").and_then(Value::as_text) == Some("ws");
    if !expects_url && !is_login {
        return Err("only requests and logins are signed, and this row has no `expected.url`".to_owned());
    }
    if !profiles.contains_key(venue)
        && let Some(compiled) = builtin(venue)
    {
        profiles.insert(venue.to_owned(), compiled.map_err(|error| error.to_string()));
    }
    let profile = match profiles.get(venue) {
        Some(Ok(profile)) => profile,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(format!("there is no profile for `{venue}`")),
    };
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
    canonical.finish(&signature, key.released_passphrase()).map_err(|error| error.to_string())
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
    let ms: u64 = match frozen.get("time_ms") {
        Some(Value::Number(digits)) => digits.parse().map_err(|_| "`frozen.time_ms` is no whole number")?,
        _ => return Err("the row has no `frozen.time_ms`".to_owned()),
    };
    let unix_ns = ms.checked_mul(1_000_000).ok_or("`frozen.time_ms` is too large")?;
    let nonce = match needs.nonce {
        NonceKind::S => ms / 1000,
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

/// 16 bytes in hexadecimal, with or without hyphens; zeros where the row has none.
fn bytes16(frozen: &Value<'_>, name: &str) -> Result<[u8; 16], String> {
    let Some(text) = frozen.get(name).and_then(Value::as_text) else { return Ok([0; 16]) };
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16)
        .map(u128::to_be_bytes)
        .map_err(|_| format!("`frozen.{name}` is no 16 bytes in hexadecimal"))
}
