//! What the configuration allows, and whether the running agent goes by it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use strongroom_client::Status;

use super::{Check, Installation};
use crate::config::Config;
use crate::signer::grants::unbound_meaning;
use crate::signer::{ANCHOR_BEHIND, AUDIT_UNSIGNED};

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let config = match &installation.config {
        Ok(config) => config,
        Err(fault) => {
            return vec![Check::weak("configuration", fault.message.clone(), fault.hint.clone())];
        }
    };
    let read = format!("{} is read", installation.places.config.display());
    let mut checks = vec![Check::ok("configuration", read)];
    checks.extend(config.weaknesses().into_iter().map(|setting| {
        Check::notice("danger-setting", meaning(setting), "set it back if nothing needs it").about(setting)
    }));
    checks.extend(alert(config));
    if let Some(status) = installation.status() {
        checks.push(in_force(config, status));
        let seen = status.weaknesses.iter().filter_map(|weakness| of_the_moment(weakness));
        checks.extend(seen.map(|(id, fact)| Check::notice(id, fact, ADVICE)));
    }
    checks
}

/// Whether the command that tells a person of a trap can be run.
fn alert(config: &Config) -> Option<Check> {
    const ID: &str = "alert-command";
    let program = config.alert.command.0.first()?;
    let advice =
        "mend `command` in [alert] of the configuration, or the file; until then only the audit log tells";
    let check = match std::fs::metadata(program) {
        Ok(meta) if !meta.is_file() => Check::weak(ID, format!("{program} is no file"), advice),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            Check::weak(ID, format!("{program} is not executable, so nobody is told of a trap"), advice)
        }
        Ok(_) => Check::ok(ID, format!("{program} can be run")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Check::unknown(ID, format!("{program} cannot be looked at"), "run doctor as the agent's user")
        }
        Err(error) => {
            Check::weak(ID, format!("{program} cannot be run, so nobody is told of a trap: {error}"), advice)
        }
    };
    Some(check)
}

fn meaning(setting: &str) -> &'static str {
    match setting {
        "danger_accept_any_caller_time" => "a bot can collect signatures for any time to come",
        "danger_allow_weak_memory" => "the agent unlocks also where root can read its secrets",
        "no_lock_on_suspend" => "keys stay in memory while the machine sleeps (lock_on_suspend is false)",
        "keys_outlive_token" => "keys stay in memory when the token is removed (on_token_removed is keep)",
        _ => "it weakens the agent",
    }
}

/// What the running agent has seen, and no setting says.
fn of_the_moment(weakness: &str) -> Option<(&'static str, &'static str)> {
    match weakness {
        "anchor_absent" => Some((
            "anchor",
            "the token keeps no data objects, so a data folder that is rolled back as a whole is not found out",
        )),
        ANCHOR_BEHIND => Some((
            "anchor",
            "the token has not been told of a removal yet, so an older copy of the whole data folder would open; \
             `strongroom unlock` tells it",
        )),
        "audit_cut" => Some((
            "audit-state",
            "lines of the audit log were cut off or written anew: run `strongroom audit verify`",
        )),
        "audit_stopped" => Some(("audit-state", "nothing is signed: the audit log cannot be written")),
        AUDIT_UNSIGNED => Some((
            "audit-state",
            "the audit log gets no checkpoints: their key was not loaded, or the disk does not take what is written before them",
        )),
        "token_gone" => Some(("token-watch", "the token is gone, and the keys are still in memory")),
        "token_unwatched" => {
            Some(("token-watch", "nobody can tell whether the token is still there: looking for it fails"))
        }
        _ => None,
    }
}

const ADVICE: &str = "see the agent's log, and whether token and disk are where they should be";

/// Whether the running agent has read this configuration, or an older one.
fn in_force(config: &Config, status: &Status) -> Check {
    const ID: &str = "configuration-in-force";
    let promised = config.weaknesses();
    let is_setting =
        |weakness: &&String| of_the_moment(weakness).is_none() && unbound_meaning(weakness).is_none();
    let mut on = status.weaknesses.iter().filter(is_setting);
    let settings = on.clone().count();
    if let Some(setting) = on.find(|on| !promised.contains(&on.as_str())) {
        let fact = format!("the running agent has {setting} on, and the configuration has not");
        return Check::weak(ID, fact, "restart the agent");
    }
    let token = &config.token;
    let same = token.serial == status.token_serial
        && token.label == status.token_label
        && token.rung.name() == status.rung
        && promised.len() == settings
        && config.agent.admins.iter().map(ToString::to_string).eq(status.admins.iter().cloned());
    if same {
        Check::ok(ID, "the running agent goes by this configuration")
    } else {
        Check::notice(ID, "the configuration was changed after the agent was started", "restart the agent")
    }
}
