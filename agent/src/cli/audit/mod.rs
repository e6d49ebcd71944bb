//! `strongroom audit`: what was decided, and whether what stands there is what was written.

mod agent;
mod filter;
mod html;
mod report;

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_protocol::ErrorCode;

use self::agent::Agent;
pub(super) use self::filter::Age;
use self::filter::Filter;
use self::report::Report;
use super::{Json, Stop, output};
use crate::audit::chain::{Head, Verified, Verifier};
use crate::audit::checkpoint::PublicKey;
use crate::audit::known::Known;
use crate::audit::line::{Clock, Event, Line};
use crate::audit::reader::{self, Read};
use crate::audit::vouch::{Fingerprint, Vouched};
use crate::config::{Config, Places};
use crate::fault::Fault;
use crate::store::{self, atomic};

/// Read the audit log: what was decided, for whom, on which credential.
///
/// Reads the files of the data folder; no agent is needed, and one that runs is not disturbed.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find lines that were edited, removed, moved or cut off, and say where
    Verify(Verify),
    /// Print lines
    Show(Show),
    /// Who has used which credential for what, in tables or as a page
    Report(ReportOptions),
}

/// Compares them too with head.toml beside them, which tells how far the log goes, and with the last line of the agent
/// where one runs.
///
/// Exit code 0 where every line follows from the one before, 3 where one does not or none is left, 4 where there is no
/// log.
#[derive(Debug, Args)]
struct Verify {
    /// Demand that this line is there, as an earlier run has printed it [can be given more than once]
    #[arg(long, value_name = "NUMBER:HASH")]
    noted: Vec<Head>,
    /// Demand that every checkpoint is of this key
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    key: Option<PublicKey>,
    /// Demand that the token has signed with this key, as `init` has printed it [default: what the configuration says]
    #[arg(long, value_name = "HEX")]
    token_key: Option<Fingerprint>,
    /// The beginning of the log is elsewhere: do not demand that it starts with line 1
    #[arg(long)]
    part: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct ReportOptions {
    #[command(flatten)]
    filter: Filter,
    /// Write one self-contained page instead of printing tables; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    #[command(flatten)]
    json: Json,
}

impl Audit {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        match self.command {
            Command::Verify(command) => command.run(places),
            Command::Show(command) => command.run(places),
            Command::Report(command) => command.run(places),
        }
    }
}

impl Verify {
    fn run(self, places: &Places) -> Result<(), Stop> {
        let (folder, config) = (&*store::audit_folder(&places.data), &places.config);
        let mut verifier = Verifier::new(!self.part);
        for noted in self.noted {
            verifier.expect(noted);
        }
        if let Some(key) = self.key {
            verifier.demand_key(key);
        }
        let configured = config.exists().then(|| Config::read(config)).transpose()?;
        let token_key =
            self.token_key.or_else(|| configured.as_ref().and_then(|config| config.token.audit_key));
        if configured.is_some_and(|config| config.audit.keep_files > 0) {
            verifier.take_carried();
        }
        if let Some(key) = token_key {
            verifier.demand_token(key);
        }
        // Before the lines, which may become more meanwhile.
        let (known, agent) = (known(places)?, Agent::ask(places, folder));
        if let Agent::Compared(head) = agent {
            verifier.expect(head);
        }
        let (mut first, mut last) = (None, None);
        let read = reader::read(folder, verifier, &known, |line| {
            first.get_or_insert(line.time);
            last = Some(line.time);
        })
        .map_err(Fault::from)?;
        if read.is_nothing() {
            return Err(no_log(folder).into());
        }
        let Read { files, verified } = read;
        let told = told(&verified, &files, folder);
        let time =
            |time: Option<_>| time.map(|time| Clock::default().text(time).to_owned()).unwrap_or_default();
        let keys: Vec<_> = verified.keys.iter().map(|key| base16ct::lower::encode_string(key)).collect();
        let signed = match verified.signed {
            0 => "no line is covered by a checkpoint".to_owned(),
            line => format!("up to line {line}"),
        };
        let vouched = match &verified.vouched {
            Vouched { first: 0, .. } => "it has signed no checkpoint".to_owned(),
            Vouched { first, last, .. } => {
                format!("up to line {last}; its first signature is in line {first}")
            }
        };
        let token_keys: Vec<_> = verified.vouched.keys.iter().map(ToString::to_string).collect();
        let pruned = match verified.pruned {
            0 => String::new(),
            line => format!("up to line {line}, by the agent (keep_files)"),
        };
        if self.json.json {
            output::json(&json!({
                "ok": told.is_empty(),
                "lines": verified.lines,
                "files": files,
                "first": time(first),
                "last": time(last),
                "head": verified.head.to_string(),
                "signed": verified.signed,
                "token_first": verified.vouched.first,
                "token_signed": verified.vouched.last,
                "token_keys": token_keys,
                "pruned": verified.pruned,
                "keys": keys,
                "agent": agent.json(),
                "findings": told.iter().map(|(what, file, line)| json!({ "what": what, "file": file, "line": line })).collect::<Vec<_>>(),
            }));
        } else {
            output::data(&output::facts(&[
                ("lines", &format!("{} in {} files", verified.lines, files.len())),
                ("from", &time(first)),
                ("to", &time(last)),
                ("last", &verified.head.to_string()),
                ("signed", &signed),
                ("deleted", &pruned),
                ("key", &keys.join(", ")),
                ("token", &vouched),
                ("token key", &token_keys.join(", ")),
                ("agent", &agent.to_string()),
            ]));
            for (what, file, line) in &told {
                let line = if *line == 0 { String::new() } else { format!(", line {line}") };
                output::data(&format!("{what} ({}{line})", file.display()));
            }
            if told.is_empty() {
                output::data("the log is as it was written, as far as its files tell");
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let count = if let [_] = told.as_slice() {
            "1 finding".to_owned()
        } else {
            format!("{} findings", told.len())
        };
        let message = format!("the audit log is not as it was written: {count}");
        Err(Fault::new(
            ErrorCode::Invalid,
            message,
            "compare it with a backup; docs/reference/audit.md says what each means",
        )
        .into())
    }
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let bytes = base16ct::lower::decode_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a key has 64 hexadecimal digits".to_owned())
}

fn no_log(folder: &Path) -> Fault {
    let message = format!("there is no audit log in {}", folder.display());
    Fault::new(
        ErrorCode::NotFound,
        message,
        "give its data folder with --data; an agent writes one from its start on",
    )
}

/// Each finding, and where it was seen.
fn told<'f>(verified: &Verified, files: &'f [PathBuf], folder: &'f Path) -> Vec<(String, &'f Path, u64)> {
    let place = |at: usize| files.get(at).map_or(folder, PathBuf::as_path);
    let findings = verified.findings.iter();
    findings
        .map(|finding| (finding.fault.to_string(), place(finding.place.file), finding.place.line))
        .collect()
}

/// What else knows of lines of the log.
pub(super) fn known(places: &Places) -> Result<Known, Fault> {
    Ok(Known::of(&store::audit_folder(&places.data), store::has_floors(&places.data))?)
}

/// Shows the lines that `filter` takes to `each`. Gives what does not hold in the log, and warns of it.
fn read(places: &Places, filter: &Filter, mut each: impl FnMut(&Line)) -> Result<Vec<String>, Fault> {
    let folder = &store::audit_folder(&places.data);
    let read = reader::read(folder, Verifier::new(true), &known(places)?, |line| {
        if filter.takes(&line) {
            each(&line);
        }
    })?;
    if read.is_nothing() {
        return Err(no_log(folder));
    }
    if !read.verified.findings.is_empty() {
        output::talk("warning: the audit log is not as it was written; run `strongroom audit verify`");
    }
    Ok(read.verified.findings.iter().map(|finding| finding.fault.to_string()).collect())
}

impl Show {
    fn run(self, places: &Places) -> Result<(), Stop> {
        let mut to = io::BufWriter::new(io::stdout().lock());
        let mut shown: u64 = 0;
        read(places, &self.filter, |line| {
            let separator = if shown == 0 { "[\n" } else { ",\n" };
            shown = shown.saturating_add(1);
            output::written(if self.json.json {
                write!(to, "{separator}{}", as_json(line))
            } else {
                writeln!(to, "{}", as_text(line))
            });
        })?;
        let none = shown == 0;
        if self.json.json {
            output::written(writeln!(to, "{}", if none { "[]" } else { "\n]" }));
        } else if none {
            output::talk("no line is such");
        }
        output::written(to.flush());
        Ok(())
    }
}

impl ReportOptions {
    fn run(self, places: &Places) -> Result<(), Stop> {
        let mut report = Report::default();
        report.findings = read(places, &self.filter, |line| report.add(line))?;
        if let Some(path) = &self.html {
            let page = html::page(&report);
            if path == Path::new("-") {
                output::raw(&page);
            } else {
                atomic::write_named(path, page.as_bytes()).map_err(Fault::from)?;
                output::data(&path.display().to_string());
            }
        } else if self.json.json {
            output::json(&report.json());
        } else {
            output::data(&report.text());
        }
        Ok(())
    }
}

/// The line as it stands in the file.
fn as_json(line: &Line) -> String {
    let mut out = Vec::new();
    line.write(&mut out);
    String::from_utf8_lossy(out.trim_ascii_end()).into_owned()
}

/// The line for a person: its number first, by which `grant explain --line` finds it.
fn as_text(line: &Line) -> String {
    let event = &line.event;
    let verdict = event.verdict.map_or("-", |verdict| verdict.name());
    let credential = event.credential.as_deref().map_or(Cow::Borrowed("-"), plain);
    let time = Clock::default().text(line.time).to_owned();
    let or_none = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| plain(text).into_owned());
    let text = format!(
        "{:>6}  {time}  {:<7}  {:<10}  {:<8}  {:<14}  {:<14}  {credential}  {}",
        line.seq,
        verdict,
        event.kind.name(),
        or_none(event.action.as_deref()),
        or_none(event.rule.as_deref()),
        who(event),
        what(event)
    );
    text.trim_end().to_owned()
}

/// Who it was, as far as it is known.
fn who(event: &Event<'_>) -> String {
    if let Some(name) = event.client.as_deref().or(event.unit.as_deref()) {
        return plain(name).into_owned();
    }
    event.uid.map_or_else(|| "-".to_owned(), |uid| format!("uid {uid}"))
}

/// What was asked for, and why it was not done.
fn what(event: &Event<'_>) -> String {
    let texts = [
        event.method.as_deref(),
        event.path.as_deref(),
        event.query.as_deref().map(|raw| raw.get()),
        event.body.as_deref().map(|raw| raw.get()),
    ];
    let mut parts: Vec<_> = texts.into_iter().flatten().map(|text| plain(text).into_owned()).collect();
    parts.extend(event.revision.map(|revision| format!("revision {revision}")));
    for (name, list) in [("grants", &event.grants), ("accept_unbound", &event.accept_unbound)] {
        if let Some(list) = list {
            let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
            parts.push(format!("{name}: {}", plain(&list)));
        }
    }
    parts.extend(event.accept_older.map(|_| "accept_older".to_owned()));
    if let Some(lost) = &event.lost {
        let each = lost.iter().map(|(kind, count)| format!("{count} {kind}"));
        parts.push(format!("lost: {}", each.collect::<Vec<_>>().join(", ")));
    }
    if let Some(covers) = &event.covers {
        let line = covers.split(':').next().unwrap_or_default();
        parts.push(format!("up to line {}", plain(line)));
    }
    if let Some(file) = &event.file {
        parts.push(format!("in {file}"));
    }
    if let Some(times) = event.times.filter(|times| *times > 1) {
        parts.push(format!("{times} times"));
    }
    parts.extend(event.cause.as_deref().map(|cause| format!("({})", plain(cause))));
    parts.join(" ")
}

/// A text that means nothing to a terminal.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let one = |c: char| {
        let escaped = (c != ' ' && !c.is_ascii_graphic()).then(|| c.escape_unicode());
        escaped.map_or_else(|| c.to_string(), |escaped| escaped.to_string())
    };
    Cow::Owned(text.chars().map(one).collect())
}
