//! Who may ask: admins, clients with a token, and what separates one bot from another.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::{Check, Installation};
use crate::clients::file;
use crate::fault::Fault;
use crate::policy::Admin;
use crate::store::{self, StoreError};

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let user = installation.user();
    if let Ok(config) = &installation.config {
        checks.push(admins(&config.agent.admins, user));
    }
    checks.push(tokens(&installation.places.data));
    checks.push(separation(installation.places.socket.as_deref(), user));
    checks
}

fn admins(admins: &[Admin], user: u32) -> Check {
    const ID: &str = "admins";
    if admins.is_empty() {
        let mend = format!(
            "add `admins = [\"user:{user}\"]` below [agent] in strongroom.toml, and restart the agent"
        );
        return Check::notice(
            ID,
            "nobody is an admin, so nobody can unlock, lock, enrol or make clients",
            mend,
        );
    }
    let named: Vec<_> = admins.iter().map(ToString::to_string).collect();
    let named = named.join(", ");
    if admins.iter().any(|admin| admin.uid() == user) {
        let fact = format!(
            "{named} may administer; user {user} is one of them and the agent's own user, so every program that runs as it can, bots too"
        );
        return Check::notice(
            ID,
            fact,
            "run bots as users of their own: strongroom install --system --bot USER",
        );
    }
    Check::ok(ID, format!("{named} may administer, and the agent's own user {user} may not"))
}

fn tokens(data: &Path) -> Check {
    const ID: &str = "client-tokens";
    match file::read(&store::clients_path(data)) {
        Ok(clients) if clients.is_empty() => Check::ok(ID, "no client has a token"),
        Ok(clients) if clients.len() == 1 => Check::ok(ID, "1 client has a token"),
        Ok(clients) => Check::ok(ID, format!("{} clients have a token", clients.len())),
        Err(error @ StoreError::Io { .. }) => {
            Check::unknown(ID, Fault::from(error).message, "run doctor as the agent's user")
        }
        Err(error) => {
            let fact = format!("no client gets in by a token: {}", Fault::from(error).message);
            Check::weak(
                ID,
                fact,
                "restore the file, or remove it and make the clients anew; then restart the agent",
            )
        }
    }
}

/// What keeps one bot from asking in the name of another.
fn separation(socket: Option<&Path>, user: u32) -> Check {
    const ID: &str = "separation";
    let bots = socket.map(|socket| sockets_of_others(socket, user)).unwrap_or_default();
    if bots.is_empty() {
        let fact = format!(
            "user {user} is all that can be told of bots here: two that run as it, in units or not, can take each other's place"
        );
        let mend =
            "run bots as users of their own with a socket each: strongroom install --system --bot USER";
        return Check::notice(ID, fact, mend);
    }
    let fact =
        format!("their users keep these bots apart, each with a socket of its own: {}", bots.join(", "));
    Check::ok(ID, fact)
}

/// The sockets that `strongroom install --system --bot` sets up, by the names of their users.
fn sockets_of_others(socket: &Path, user: u32) -> Vec<String> {
    // /run/strongroom, which root alone can write to; another folder proves nothing.
    let is_systems = |folder: &&Path| {
        folder.ends_with("strongroom") && fs::metadata(folder).is_ok_and(|found| found.uid() == 0)
    };
    let folder = socket.ancestors().nth(2).filter(is_systems);
    let Some(entries) = folder.and_then(|folder| fs::read_dir(folder).ok()) else { return Vec::new() };
    let of_another = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket() && found.uid() != user)
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let sockets = paths.filter(|path| path.extension().is_some_and(|end| end == "sock") && of_another(path));
    let mut names: Vec<_> =
        sockets.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}
