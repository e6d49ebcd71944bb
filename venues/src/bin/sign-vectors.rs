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
//! types that the agent and the keeper use. A row that cannot be signed gives a line with `error`. A row of kind `ws`
//! is a WebSocket login: its line has the frame as `ws_frame`, and `headers` and `url` where the login has them.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use strongroom_venues::json::{self, Value};
use strongroom_venues::{Profile, SignedRequest, builtin, rows};

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
    let venue = rows::exchange(row)?;
    rows::is_login(row)?;
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
    rows::sign(profile, row).map(|signed| signed.request)
}
