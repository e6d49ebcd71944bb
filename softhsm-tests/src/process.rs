//! What the kernel tells about a process, for tests that look at the programs from outside.

#![expect(clippy::panic, reason = "this is test support: what cannot be read fails the test")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whether the test may look at everything of every process. Where it may not, that is said and counted:
/// `./x test` adds up the lines with `skipped`, and continuous integration fails for one.
#[must_use]
pub fn is_root_or_skip(what: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    // Not by a macro: those are captured where the test passes.
    let _ = writeln!(std::io::stderr(), "1 skipped: {what} needs root");
    false
}

/// The environment that a process was started with: `NAME=VALUE` each.
///
/// # Panics
/// Where the kernel does not tell.
#[must_use]
pub fn environment(pid: u32) -> Vec<String> {
    let path = format!("/proc/{pid}/environ");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect()
}

/// The open descriptors of a process: number, and what it is (`socket:[…]`, `pipe:[…]`, a path).
///
/// # Panics
/// Where the kernel does not tell.
#[must_use]
pub fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let path = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, std::fs::read_link(entry.path()).ok()?.display().to_string()))
        })
        .collect();
    found.sort();
    found
}

/// The working folder of a process.
///
/// # Panics
/// Where the kernel does not tell.
#[must_use]
pub fn folder(pid: u32) -> PathBuf {
    let path = format!("/proc/{pid}/cwd");
    std::fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether a process runs: it is there and has not ended.
#[must_use]
pub fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The state of a process, as proc(5) writes it; nothing where it is not there.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    state_in(&Path::new("/proc").join(pid.to_string()))
}

/// Whether a process does nothing before it is let go on: each of its threads is stopped, or held by its tracer.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    all_threads(pid, |state| matches!(state, Some('T' | 't')))
}

/// Whether each thread of a process sleeps until something comes.
#[must_use]
pub fn sleeps(pid: u32) -> bool {
    all_threads(pid, |state| state == Some('S'))
}

fn all_threads(pid: u32, are: impl Fn(Option<char>) -> bool) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| are(state_in(&thread.path())))
}

/// Whether a process waits until something can be read, and not from its standard input alone.
#[must_use]
pub fn waits_for_more_than_input(pid: u32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    // The number of the call and its arguments. In others, such as one that sets up a terminal, it waits for something
    // else.
    const READ: &str = "0";
    const POLL_SELECT_AND_THEIR_LIKE: [&str; 5] = ["7", "23", "219", "270", "271"];
    let mut fields = call.split_whitespace();
    match (fields.next(), fields.next()) {
        (Some(READ), descriptor) => descriptor != Some("0x0"),
        (Some(call), _) => POLL_SELECT_AND_THEIR_LIKE.contains(&call),
        (None, _) => false,
    }
}

fn state_in(folder: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// How long a test waits for what must come. So long that no test fails for a busy machine: whoever waits this long
/// has found a hang.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until `fact` holds.
///
/// # Panics
/// Where it does not within `patience`.
pub fn wait_until(what: &str, patience: Duration, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        if began.elapsed() > patience {
            panic!("not within {patience:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes a program of a test's. Another process does: what this one has open for writing, a child that another thread
/// has begun to start has for a moment too, and the kernel starts no program that somebody has open for writing.
///
/// # Panics
/// Where it cannot be written.
pub fn write_script(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let written = shell.spawn().and_then(|mut child| {
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(text.as_bytes())?;
        }
        child.wait()
    });
    assert!(written.is_ok_and(|status| status.success()), "{} cannot be written", path.display());
}

/// Which of these byte strings stand anywhere in the memory of a process.
///
/// # Panics
/// Where the memory cannot be read, or nothing of it could be.
#[must_use]
pub fn memory_has(pid: u32, wanted: &[&[u8]]) -> Vec<bool> {
    let mut found = vec![false; wanted.len()];
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let path = format!("/proc/{pid}/mem");
    let memory = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut bytes_read = 0_usize;
    for line in maps.lines() {
        let Some((from, to)) = readable_range(line) else { continue };
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or_default();
        let mut bytes = vec![0; length];
        // Some mappings of the kernel say that they can be read and cannot.
        let Ok(read) = memory.read_at(&mut bytes, from) else { continue };
        bytes.truncate(read);
        bytes_read = bytes_read.saturating_add(read);
        for (found, wanted) in found.iter_mut().zip(wanted) {
            *found = *found || contains(&bytes, wanted);
        }
    }
    assert!(bytes_read > 0, "nothing of the memory of {pid} could be read");
    found
}

fn readable_range(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    if !fields.next()?.starts_with('r') || line.ends_with("[vvar]") {
        return None;
    }
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}

/// Whether `part` stands in `whole`.
#[must_use]
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else { return true };
    let mut rest = whole;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(part) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
