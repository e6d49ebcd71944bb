//! A user's own profiles: files in the folder `venues` beside the configuration.
//!
//! Whoever can write such a file says what a key is going to sign, so it is held to what the configuration is held to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use strongroom_protocol::ErrorCode;
use strongroom_venues::{Profile, SendOnly};

use crate::fault::Fault;
use crate::store::profiles::ProfileHash;

/// A user's own profile as it was read.
#[derive(Debug, Clone)]
pub(crate) struct OwnFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) hash: ProfileHash,
}

/// A profile has at most so many bytes; the compiler says so.
const MAX_BYTES: u64 = 64 * 1024 + 1;

/// The profiles in a folder, sorted by name. No folder means none.
///
/// # Errors
/// Where it is there and cannot be read.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let unread = |error: io::Error| {
        let message = format!("the folder {} cannot be read: {error}", folder.display());
        Fault::new(ErrorCode::Unavailable, message, "make it readable for this user")
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unread)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a profile that only its user, root, or whoever owns the configuration can change.
///
/// # Errors
/// Where it cannot be read, or others can change it or the folder that it lies in.
pub(super) fn read(path: &Path, config: &Path) -> Result<OwnFile, Fault> {
    let shown = path.display();
    let unread = |error: io::Error| {
        let message = format!("the profile {shown} cannot be read: {error}");
        Fault::new(ErrorCode::Unavailable, message, "make it readable for this user")
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut owners = vec![0, rustix::process::geteuid().as_raw()];
    owners.extend(std::fs::metadata(config).map(|meta| meta.uid()));
    closed(folder, &std::fs::metadata(folder).map_err(unread)?, &owners)?;
    // Not blocking, so that a pipe of that name does not hold the agent up.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unread)?;
    let meta = file.metadata().map_err(unread)?;
    if !meta.is_file() {
        return Err(Fault::new(
            ErrorCode::Invalid,
            format!("{shown} is no file"),
            "a profile is a file of TOML",
        ));
    }
    closed(path, &meta, &owners)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(unread)?;
    Ok(OwnFile { path: path.to_owned(), hash: ProfileHash::of(&text), text })
}

/// Refuses what others can change.
fn closed(path: &Path, meta: &std::fs::Metadata, owners: &[u32]) -> Result<(), Fault> {
    let (shown, mode) = (path.display(), meta.mode() & 0o7777);
    let who = if !owners.contains(&meta.uid()) {
        format!("it belongs to user {}", meta.uid())
    } else if mode & 0o002 != 0 {
        format!("every user can change it (mode {mode:04o})")
    } else if mode & 0o020 != 0 {
        format!("its group can change it (mode {mode:04o})")
    } else {
        return Ok(());
    };
    let message = format!("refusing {shown}: {who}, and a profile says what keys sign");
    Err(Fault::new(
        ErrorCode::Invalid,
        message,
        format!("chmod go-w {shown}, and chown it to the agent's user or root"),
    ))
}

/// Compiles the text of a file, or says where in it the mistake is.
///
/// # Errors
/// Line and column of the mistake.
pub(crate) fn compiled_from(path: &Path, text: &str) -> Result<Profile, Fault> {
    if let Ok(Some(venue)) = SendOnly::compile(text) {
        return Err(super::send_only_fault(&venue));
    }
    Profile::compile(text).map_err(|error| {
        let message = format!("{}:{}:{}: {}", path.display(), error.line(), error.column(), error.message());
        let hint = "docs/reference/profiles.md has the grammar; `strongroom venue show ID --toml` an example";
        Fault::new(ErrorCode::Invalid, message, hint)
    })
}

/// Refuses a file that is not named after its profile, so that no two can have one name.
pub(super) fn named_after(path: &Path, profile: &Profile) -> Result<(), Fault> {
    if path.file_stem().is_some_and(|stem| stem == profile.id()) {
        return Ok(());
    }
    let id = profile.id();
    Err(Fault::new(
        ErrorCode::Invalid,
        format!("{} holds the profile `{id}`", path.display()),
        format!("call the file {id}.toml"),
    ))
}

/// Refuses a profile that compiles and yet must not be signed by.
///
/// # Errors
/// Where it names no host, or claims to bind what its signature does not.
pub(super) fn check(profile: &Profile, path: &Path) -> Result<(), Fault> {
    if profile.hosts().is_empty() {
        return Err(Fault::new(
            ErrorCode::Invalid,
            format!("{} names no host, so nobody can say where its requests go", path.display()),
            "add `hosts = [\"https://…\"]`",
        ));
    }
    if let Some(finding) = profile.check_logins().iter().find(|one| one.undeclared || one.unguarded) {
        return Err(Fault::new(
            ErrorCode::Invalid,
            format!(
                "{} has a WebSocket login `{}` that is signed like `{}`, and does not say so",
                path.display(),
                finding.login,
                finding.request
            ),
            format!("`strongroom venue check {}` says more", path.display()),
        ));
    }
    match profile.probe().iter().find_map(|finding| Some((finding.claimed_at, finding.unseen.as_ref()?))) {
        None => Ok(()),
        Some((at, unseen)) => Err(Fault::new(
            ErrorCode::Invalid,
            format!("{}:{at} claims to bind more than it signs: {unseen}", path.display()),
            format!("`strongroom venue check {}` says more", path.display()),
        )),
    }
}
