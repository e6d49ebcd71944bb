//! Who may read and change what lies on the disk.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Check, Installation};

/// The user to whom a file belongs.
pub(super) fn owner(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|meta| meta.uid())
}

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let user = installation.user();
    let mut checks = Vec::new();
    checks.extend(configuration(&installation.places.config, user));
    checks.extend(data(&installation.places.data, user));
    checks.extend(programs(installation, user));
    checks
}

fn mode(meta: &Metadata) -> u32 {
    meta.permissions().mode() & 0o7777
}

/// Who else can change a file or a folder; empty where nobody can.
fn changed_by(meta: &Metadata, user: u32) -> &'static str {
    // In a folder with the sticky bit others cannot replace what is not theirs.
    let open = if meta.is_dir() && mode(meta) & 0o1000 != 0 { 0 } else { mode(meta) };
    if meta.uid() != user && meta.uid() != 0 {
        "the user that it belongs to"
    } else if open & 0o002 != 0 {
        "every user"
    } else if open & 0o020 != 0 {
        "its group"
    } else {
        ""
    }
}

fn configuration(path: &Path, user: u32) -> Option<Check> {
    const ID: &str = "configuration-mode";
    let meta = fs::metadata(path).ok()?;
    let (shown, mode) = (path.display(), mode(&meta));
    let mend = format!("chmod 600 {shown}, and chown it to the agent's user");
    Some(match changed_by(&meta, user) {
        "" if mode & 0o077 != 0 => Check::notice(
            ID,
            format!(
                "others can read {shown} (mode {mode:04o}): no secret is in it, but it tells of the token"
            ),
            mend,
        ),
        "" => Check::ok(ID, format!("only its user can read and change {shown}")),
        who => Check::weak(
            ID,
            format!("{who} can change {shown} (mode {mode:04o}), and so the agent's settings"),
            mend,
        ),
    })
}

/// The data folder and all in it, which only its user has any business with.
fn data(folder: &Path, user: u32) -> Vec<Check> {
    const ID: &str = "data-mode";
    let mut looked_at = 0_usize;
    let mut checks = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        looked_at = looked_at.saturating_add(1);
        checks.extend(closed(&path, &meta, user));
        if !meta.is_dir() {
            continue;
        }
        match fs::read_dir(&path) {
            Ok(entries) => waiting.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) => {
                let fact = format!("{} cannot be read: {error}", path.display());
                let unread = Check::unknown(ID, fact, "run doctor as the agent's user");
                checks.push(unread.about(path.display().to_string()));
            }
        }
    }
    if looked_at == 0 {
        return Vec::new();
    }
    if checks.is_empty() {
        let fact = format!(
            "only its user can read and change {} and the {looked_at} files and folders there",
            folder.display()
        );
        checks.push(Check::ok(ID, fact));
    }
    checks
}

/// A fault where others can read or change it.
fn closed(path: &Path, meta: &Metadata, user: u32) -> Option<Check> {
    let (shown, mode) = (path.display(), mode(meta));
    let right = if meta.is_dir() { "700" } else { "600" };
    let fact = match changed_by(meta, user) {
        "" if meta.is_symlink() || mode & 0o077 == 0 => return None,
        "" => format!("others can read {shown} (mode {mode:04o})"),
        who => format!("{who} can change {shown} (mode {mode:04o})"),
    };
    let mend = format!("chmod {right} {shown}, and chown it to the agent's user");
    Some(Check::weak("data-mode", fact, mend).about(shown.to_string()))
}

/// What runs with the secrets: our programs and the token's module.
fn programs(installation: &Installation<'_>, user: u32) -> Vec<Check> {
    const ID: &str = "program-mode";
    let own = std::env::current_exe().unwrap_or_default();
    let beside = |name: &str| own.with_file_name(name);
    let mut files: Vec<PathBuf> = vec![own.clone(), beside("strongroom-keeper"), beside("strongroom-token")];
    files.extend(installation.config.as_ref().map(|config| config.token.module.clone()));
    let mut checks = Vec::new();
    for path in &files {
        // A module is often a link to its version.
        let Ok(meta) = fs::metadata(path) else { continue };
        let (shown, mend) =
            (path.display(), format!("chmod go-w {}, and have it belong to root", path.display()));
        let check = match changed_by(&meta, user) {
            "" => continue,
            who @ "its group" => {
                Check::notice(ID, format!("{who} can change {shown}, which runs with the secrets"), mend)
            }
            who => Check::weak(ID, format!("{who} can change {shown}, which runs with the secrets"), mend),
        };
        checks.push(check.about(shown.to_string()));
    }
    if checks.is_empty() {
        checks.push(Check::ok(ID, "nobody else can change the programs and the token's module"));
    }
    checks
}

/// Faults of the folders above `path`: whoever can change one can put another file into its place.
pub(super) fn folders_above(id: &'static str, path: &Path, user: u32) -> Check {
    let Ok(path) = fs::canonicalize(path) else {
        return Check::unknown(
            id,
            format!("{} cannot be looked at", path.display()),
            "run doctor as the agent's user",
        );
    };
    for folder in path.ancestors().skip(1) {
        let Ok(meta) = fs::metadata(folder) else { continue };
        let who = changed_by(&meta, user);
        if !who.is_empty() {
            let fact = format!(
                "{who} can change {}, and so put something else into the place of {}",
                folder.display(),
                path.display()
            );
            let mend = format!("chmod go-w {}", folder.display());
            return if who == "its group" {
                Check::notice(id, fact, mend)
            } else {
                Check::weak(id, fact, mend)
            };
        }
    }
    Check::ok(id, "nobody else can change the folders that it lies in")
}
