//! The socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Check, Installation, files};

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let Some(path) = &installation.places.socket else {
        return vec![Check::unknown(
            "socket",
            "nothing says where the agent's socket is: $XDG_RUNTIME_DIR is not set",
            "set $STRONGROOM_SOCKET, or use --socket",
        )];
    };
    let user = installation.user();
    let mut checks = Vec::new();
    if fs::symlink_metadata(path).is_ok() {
        checks.push(socket(path, user));
        checks.push(files::folders_above("socket-folder", path, user));
    }
    checks
}

fn socket(path: &Path, user: u32) -> Check {
    const ID: &str = "socket";
    let shown = path.display();
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Check::unknown(ID, format!("{shown} cannot be looked at"), "run doctor as the agent's user");
    };
    let mode = meta.permissions().mode() & 0o7777;
    if !meta.file_type().is_socket() {
        Check::weak(ID, format!("{shown} is no socket"), "remove it, and restart the agent")
    } else if meta.uid() != user && meta.uid() != 0 {
        Check::weak(ID, format!("{shown} belongs to user {}", meta.uid()), "restart the agent")
    } else if mode & 0o077 != 0 {
        let mend = "restart the agent; where systemd makes it, set SocketMode=0600";
        Check::weak(ID, format!("others can reach {shown} (mode {mode:04o})"), mend)
    } else {
        Check::ok(ID, format!("only its user can connect to {shown} (mode {mode:04o})"))
    }
}
