//! What the configuration allows, and whether the running agent goes by it.

use strongroom_client::Status;

use super::{Check, Installation};
use crate::config::Config;
use crate::signer::TokenSight;

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
        Check::notice(
            "danger-setting",
            format!("{setting} is on: {}", meaning(setting)),
            "turn it off if nothing needs it",
        )
        .about(setting)
    }));
    checks.extend(installation.status().map(|status| in_force(config, status)));
    checks.extend(installation.status().and_then(token_watch));
    checks
}

fn meaning(setting: &str) -> &'static str {
    match setting {
        "danger_accept_any_caller_time" => "a bot can collect signatures for any time to come",
        "danger_allow_weak_memory" => "the agent unlocks also where root can read its secrets",
        "keys_outlive_token" => {
            "secrets stay in memory when the token is removed (on_token_removed = \"keep\")"
        }
        "no_lock_on_suspend" => "secrets stay in memory when the machine sleeps (lock_on_suspend = false)",
        _ => "it weakens the agent",
    }
}

/// Whether the running agent has read this configuration, or an older one.
fn in_force(config: &Config, status: &Status) -> Check {
    const ID: &str = "configuration-in-force";
    let named: Vec<&str> = status
        .weaknesses
        .iter()
        .map(String::as_str)
        .filter(|name| TokenSight::named(name).is_none())
        .collect();
    let configured = config.weaknesses();
    if let Some(setting) = named.iter().find(|on| !configured.contains(on)) {
        let fact = format!("the running agent has {setting} on, and the configuration has not");
        return Check::weak(ID, fact, "restart the agent");
    }
    let token = &config.token;
    let same = token.serial == status.token_serial
        && token.label == status.token_label
        && token.rung.name() == status.rung
        && configured.len() == named.len();
    if same {
        Check::ok(ID, "the running agent goes by this configuration")
    } else {
        Check::notice(ID, "the configuration was changed after the agent was started", "restart the agent")
    }
}

/// What the running agent sees of its token, where that is not well.
fn token_watch(status: &Status) -> Option<Check> {
    const ID: &str = "token-watch";
    let sight = status.weaknesses.iter().find_map(|name| TokenSight::named(name))?;
    match sight {
        TokenSight::Present => None,
        TokenSight::Gone => Some(Check::weak(
            ID,
            "the token is gone, and secrets have stayed in memory",
            "plug it in, or run `strongroom lock`",
        )),
        TokenSight::Unknown => Some(Check::weak(
            ID,
            "the agent cannot see whether the token is removed",
            "the agent's log says why",
        )),
    }
}
