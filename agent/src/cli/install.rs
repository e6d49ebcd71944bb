//! `strongroom install`: systemd units.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{ArgGroup, Args};
use strongroom_protocol::ErrorCode;

use super::{Stop, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::store::atomic::{self, Existing};

/// Write systemd units.
///
/// A socket unit, so that bots can connect before the agent runs, and a service unit with the strictest
/// sandbox that starts. Units that were edited are replaced; put changes into drop-ins
/// (`systemctl edit`), which stay.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("manager").required(true))]
pub(super) struct Install {
    /// Units for this user's service manager
    #[arg(long, group = "manager")]
    user: bool,
    /// Templates for the system's service manager: strongroom@USER runs as that user
    #[arg(long, group = "manager")]
    system: bool,
    /// Also let the token's module write here, as a software token must [can be given more than once]
    #[arg(long, value_name = "FOLDER")]
    read_write: Vec<PathBuf>,
    /// Also give this user a socket of its own, at /run/strongroom/USER.sock [can be given more than once]
    #[arg(long, value_name = "USER", requires = "system")]
    bot: Vec<UserName>,
    /// The user whose agent the bots use
    #[arg(long, value_name = "USER", default_value = "strongroom", requires = "bot")]
    agent_user: UserName,
    /// Print the units instead of writing them
    #[arg(long)]
    print: bool,
}

/// What one service manager gets.
struct Units {
    service: (&'static str, &'static str),
    socket: (&'static str, &'static str),
    next: &'static str,
}

const FOR_A_USER: Units = Units {
    service: ("strongroom.service", include_str!("../../../systemd/strongroom.service")),
    socket: ("strongroom.socket", include_str!("../../../systemd/strongroom.socket")),
    next: "next: systemctl --user daemon-reload && systemctl --user enable --now strongroom.socket strongroom.service",
};

const FOR_THE_SYSTEM: Units = Units {
    service: ("strongroom@.service", include_str!("../../../systemd/strongroom@.service")),
    socket: ("strongroom@.socket", include_str!("../../../systemd/strongroom@.socket")),
    next: "next, for a user `bots`: systemctl daemon-reload && systemctl enable --now strongroom@bots.socket strongroom@bots.service",
};

const BOT_SOCKET: (&str, &str) =
    ("strongroom-bot@.socket", include_str!("../../../systemd/strongroom-bot@.socket"));

const BOTS: &str = "# Written by `strongroom install --system --bot`.\n[Service]\n";

/// The name of a user, as it stands in the name of a unit.
#[derive(Debug, Clone)]
struct UserName(String);

/// The text is no name of a user that a unit can have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a user's name has 1 to 31 of the characters a-z 0-9 _ - and begins with a letter or _")]
struct NoUserName;

impl FromStr for UserName {
    type Err = NoUserName;

    fn from_str(text: &str) -> Result<Self, NoUserName> {
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if begins && text.len() <= 31 && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoUserName)
        }
    }
}

/// Where the packager and the admin of a system put units.
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// Folders that the system unit's sandbox hides.
const HIDDEN_FROM_THE_SYSTEM_UNIT: [&str; 4] = ["/home", "/root", "/tmp", "/var/tmp"];

impl Install {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let programs = std::env::current_exe().map_err(Fault::defect)?;
        let programs = programs.parent().unwrap_or(Path::new("/"));
        if self.system {
            let hidden = HIDDEN_FROM_THE_SYSTEM_UNIT.iter().find(|hidden| programs.starts_with(hidden));
            if let Some(hidden) = hidden.filter(|_| !self.print) {
                let message =
                    format!("the system unit cannot start programs below {hidden}, which its sandbox hides");
                return Err(Fault::new(
                    ErrorCode::Invalid,
                    message,
                    "install them into /usr/local/bin first",
                )
                .into());
            }
        }
        let Units { service, socket, next } = if self.system { FOR_THE_SYSTEM } else { FOR_A_USER };
        let folder = escaped(programs);
        let mut files: Vec<(PathBuf, String)> = [service, socket]
            .map(|(name, unit)| (PathBuf::from(name), unit.replace("@BINDIR@", &folder)))
            .into();
        if !self.read_write.is_empty() {
            files.push((Path::new(&format!("{}.d", service.0)).join("read-write.conf"), self.drop_in()?));
        }
        if !self.bot.is_empty() {
            files.extend(self.bot_units());
        }
        if self.print {
            for (name, text) in files {
                output::data(&format!("# {}\n{text}", name.display()));
            }
            return Ok(());
        }
        let to = if self.system { PathBuf::from(SYSTEM_UNITS) } else { user_units()? };
        if self.user {
            // The sandbox lets the agent write in it, but not make it.
            atomic::make_folder(&places.data).map_err(Fault::from)?;
        }
        for (name, text) in files {
            let path = to.join(name);
            write(&path, &text)?;
            output::data(&path.display().to_string());
        }
        output::talk(&if self.bot.is_empty() { next.to_owned() } else { self.next_for_bots() });
        Ok(())
    }

    /// The template of a bot's socket, and what ties the sockets to the agent's service.
    fn bot_units(&self) -> [(PathBuf, String); 2] {
        let service = format!("strongroom@{}.service", self.agent_user.0);
        let socket = BOT_SOCKET.1.replace("@SERVICE@", &service);
        let mut drop_in = BOTS.to_owned();
        for bot in &self.bot {
            drop_in.push_str(&format!("Sockets=strongroom-bot@{}.socket\n", bot.0));
        }
        [(BOT_SOCKET.0.into(), socket), (Path::new(&format!("{service}.d")).join("bots.conf"), drop_in)]
    }

    fn next_for_bots(&self) -> String {
        let agent = &self.agent_user.0;
        let sockets: String =
            self.bot.iter().map(|bot| format!(" strongroom-bot@{}.socket", bot.0)).collect();
        format!(
            "next: systemctl daemon-reload && systemctl stop strongroom@{agent}.service && systemctl enable --now strongroom@{agent}.socket{sockets} strongroom@{agent}.service"
        )
    }

    /// A drop-in that opens folders to the module.
    fn drop_in(&self) -> Result<String, Fault> {
        let mut text = "# Written by `strongroom install --read-write`.\n[Service]\n".to_owned();
        for folder in &self.read_write {
            let folder = folder.canonicalize().map_err(|error| {
                let message = format!("{} cannot be opened to the module: {error}", folder.display());
                Fault::new(ErrorCode::Invalid, message, "make the folder first")
            })?;
            text.push_str(&format!("ReadWritePaths=\"{}\"\n", escaped(&folder)));
        }
        Ok(text)
    }
}

/// A path as unit files write it between double quotes.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}

fn write(path: &Path, text: &str) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|error| {
        let message = format!("{} cannot be made: {error}", folder.display());
        Fault::new(ErrorCode::Unavailable, message, "mend its permissions, or use --print")
    })?;
    atomic::write(path, text.as_bytes(), Existing::Replace).map_err(Fault::from)?;
    // Units hold no secret, and `systemctl cat` is for everybody.
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).map_err(Fault::defect)
}

fn user_units() -> Result<PathBuf, Fault> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let folder = config.filter(|path| path.is_absolute()).or(home).ok_or_else(|| {
        Fault::new(
            ErrorCode::Invalid,
            "nothing says where user units are: $HOME is not set",
            "set $HOME, or use --print",
        )
    })?;
    Ok(folder.join("systemd/user"))
}
