//! Standard output is data, standard error is talk.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use serde_json::{Value, json};
use strongroom_client::{Protection, Status};
use strongroom_protocol::ErrorCode;

use crate::fault::Fault;
use crate::signer::grants::unbound_meaning;
use crate::signer::{ANCHOR_BEHIND, AUDIT_UNSIGNED};

/// Why data could not be written, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Prints data. Whether it was written, [`finish`] says when the command ends.
pub(super) fn data(text: &str) {
    written(writeln!(io::stdout().lock(), "{text}"));
}

/// Prints data as it is, without a line break after it.
pub(super) fn raw(text: &str) {
    written(io::stdout().lock().write_all(text.as_bytes()));
}

/// Takes note of what came of writing to standard output. A reader that has gone away is no error of ours.
pub(super) fn written(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // Only the first one tells: what comes after it is written behind a hole.
        let _ = UNWRITTEN.set(error);
    }
}

/// Writes out what is left of the data.
///
/// # Errors
/// Where any of the data was not written.
pub(super) fn finish() -> Result<(), Fault> {
    written(io::stdout().lock().flush());
    UNWRITTEN.get().map_or(Ok(()), |error| {
        let message = format!("standard output cannot be written: {error}");
        let hint = "what the command was to do is done, and what it had to say is lost: look at it again, or undo it";
        Err(Fault::new(ErrorCode::Unavailable, message, hint))
    })
}

/// Prints talk.
pub(super) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what went wrong and what to do. Names that others chose may be in it: none of them moves a cursor.
pub(super) fn fault(fault: &Fault) {
    talk(&harmless(&format!("error: {}", fault.message)));
    if !fault.hint.is_empty() {
        talk(&harmless(&format!("hint: {}", fault.hint)));
    }
}

/// The text with its control characters escaped, but for the ends of lines.
fn harmless(text: &str) -> String {
    let one = |c: char| match c {
        '\n' => vec![c],
        c if c.is_control() => c.escape_unicode().collect(),
        c => vec![c],
    };
    text.chars().flat_map(one).collect()
}

/// Prints JSON, indented, keys in alphabetical order.
pub(super) fn json(value: &Value) {
    data(&format!("{value:#}"));
}

pub(super) fn status_json(status: &Status) -> Value {
    json!({
        "version": status.version,
        "pid": status.pid,
        "locked": status.locked,
        "reason": status.reason,
        "since": when(status.since_unix),
        "credentials": status.credentials,
        "ready": status.ready,
        "keeper_pid": status.keeper_pid,
        "token_serial": status.token_serial,
        "token_label": status.token_label,
        "rung": status.rung,
        "weaknesses": status.weaknesses,
        "principal": status.principal,
        "admins": status.admins,
        "checkpoint": status.checkpoint.map(|checkpoint| json!({
            "line": checkpoint.line,
            "time": when(checkpoint.unix),
        })),
        "protection": status.protection.iter().map(protection_json).collect::<Vec<_>>(),
    })
}

fn protection_json(protection: &Protection) -> Value {
    json!({
        "process": protection.process,
        "pid": protection.pid,
        "secret_memory": protection.secret_memory,
        "guarded": protection.guarded,
        "landlock": protection.landlock,
    })
}

/// What the name of a weakness means.
pub(super) fn weakness(name: &str) -> String {
    match name {
        "anchor_absent" => {
            "the token keeps no data objects, so a data folder that is rolled back as a whole is not found out"
                .to_owned()
        }
        ANCHOR_BEHIND => {
            "the token has not been told of a removal yet, so an older copy of the whole data folder would open; \
             `strongroom unlock` tells it"
                .to_owned()
        }
        "audit_cut" => {
            "lines of the audit log were cut off or written anew; `strongroom audit verify` says which".to_owned()
        }
        "audit_stopped" => "nothing is signed: the audit log cannot be written".to_owned(),
        AUDIT_UNSIGNED => "the audit log gets no checkpoints; the agent's log says why".to_owned(),
        "keys_outlive_token" => "keys stay loaded when the token is removed (on_token_removed)".to_owned(),
        "no_lock_on_suspend" => "keys stay loaded when the machine sleeps (lock_on_suspend)".to_owned(),
        "token_gone" => "the token is gone, and the keys have stayed".to_owned(),
        "token_unwatched" => "nobody sees whether the token is removed; the agent's log says why".to_owned(),
        name => unbound_meaning(name).unwrap_or_else(|| format!("{name} is on")),
    }
}

/// Seconds since 1970 as a date that people read, in UTC.
pub(super) fn when(unix: u64) -> String {
    i64::try_from(unix)
        .ok()
        .and_then(|unix| jiff::Timestamp::from_second(unix).ok())
        .map_or_else(String::new, |time| time.to_string())
}

/// A table with a heading and aligned columns; the last column is not padded.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|cell| cell.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut heading.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// Lines of `name: value`, values aligned; empty values are left out.
pub(super) fn facts(facts: &[(&str, &str)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default().saturating_add(1);
    let lines = facts.iter().filter(|(_, value)| !value.is_empty());
    lines
        .map(|(name, value)| format!("{:<width$} {value}", format!("{name}:")))
        .collect::<Vec<_>>()
        .join("\n")
}
