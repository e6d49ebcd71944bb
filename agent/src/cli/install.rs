//! `strongroom install`: systemd units.

use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_protocol::ErrorCode;

use super::{Stop, output};
use crate::fault::Fault;
use crate::store::atomic::{self, Existing};

/// Write systemd units for this user.
///
/// A socket unit, so that bots can connect before the agent runs, and a service unit with the sandbox
/// that works in user units. Units that were edited are replaced; put changes into drop-ins
/// (`systemctl --user edit strongroom`).
#[derive(Debug, Args)]
pub(super) struct Install {
    /// Units for this user's service manager
    #[arg(long, required = true)]
    user: bool,
    /// Print the units instead of writing them
    #[arg(long)]
    print: bool,
}

const UNITS: &[(&str, &str)] = &[
    ("strongroom.service", include_str!("../../../systemd/strongroom.service")),
    ("strongroom.socket", include_str!("../../../systemd/strongroom.socket")),
];

impl Install {
    pub(super) fn run(self) -> Result<(), Stop> {
        let programs = std::env::current_exe().map_err(Fault::defect)?;
        let folder = programs.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        let text = |unit: &str| unit.replace("@BINDIR@", &folder.replace('%', "%%"));
        if self.print {
            for (name, unit) in UNITS {
                output::data(&format!("# {name}\n{}", text(unit)));
            }
            return Ok(());
        }
        let to = unit_folder()?;
        std::fs::create_dir_all(&to).map_err(|error| {
            let message = format!("{} cannot be made: {error}", to.display());
            Fault::new(ErrorCode::Unavailable, message, "mend its permissions")
        })?;
        for (name, unit) in UNITS {
            let path = to.join(name);
            atomic::write(&path, text(unit).as_bytes(), Existing::Replace).map_err(Fault::from)?;
            output::data(&path.display().to_string());
        }
        output::talk(
            "next: systemctl --user daemon-reload && systemctl --user enable --now strongroom.socket strongroom.service",
        );
        Ok(())
    }
}

fn unit_folder() -> Result<PathBuf, Fault> {
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
