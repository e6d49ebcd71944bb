//! What the configuration allows, and whether the running agent goes by it.

use strongroom_client::Status;

use super::{Check, Installation};
use crate::config::Config;

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let config = match &installation.config {
        Ok(config) => config,
        Err(fault) => {
            return vec![Check::weak("configuration", fault.message.clone(), fault.hint.clone())];
        }
    };
    let read = format!("{} is read", installation.places.config.display());
    let mut checks = vec![Check::ok("configuration", read)];
    checks.extend(config.agent.weaknesses().into_iter().map(|setting| {
        Check::notice(
            "danger-setting",
            format!("{setting} is on: {}", meaning(setting)),
            "turn it off if nothing needs it",
        )
        .about(setting)
    }));
    checks.extend(installation.status().map(|status| in_force(config, status)));
    checks
}

fn meaning(setting: &str) -> &'static str {
    match setting {
        "danger_accept_any_caller_time" => "a bot can collect signatures for any time to come",
        "danger_allow_weak_memory" => "the agent unlocks also where root can read its secrets",
        _ => "it weakens the agent",
    }
}

/// Whether the running agent has read this configuration, or an older one.
fn in_force(config: &Config, status: &Status) -> Check {
    const ID: &str = "configuration-in-force";
    let more = status.weaknesses.iter().find(|on| !config.agent.weaknesses().contains(&on.as_str()));
    if let Some(setting) = more {
        let fact = format!("the running agent has {setting} on, and the configuration has not");
        return Check::weak(ID, fact, "restart the agent");
    }
    let token = &config.token;
    let same = token.serial == status.token_serial
        && token.label == status.token_label
        && token.rung.name() == status.rung
        && config.agent.weaknesses().len() == status.weaknesses.len();
    if same {
        Check::ok(ID, "the running agent goes by this configuration")
    } else {
        Check::notice(ID, "the configuration was changed after the agent was started", "restart the agent")
    }
}
