//! The token, as far as it shows itself to somebody who has not logged in.

use std::path::Path;

use strongroom_link::token::{PinState, Protection, Tries};

use super::{Check, Installation, files, memory, processes};
use crate::config::{Config, TokenConfig};
use crate::crew::CrewError;
use crate::crew::token;
use crate::fault::{Fault, chain};
use crate::store;

pub(super) async fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let Ok(config) = &installation.config else { return Vec::new() };
    let mut checks = match foreign(&installation.places.config) {
        Some(check) => vec![check],
        None => present(installation, config).await,
    };
    checks.push(kek(installation));
    checks.push(audit_key(&config.token));
    checks.push(latch(&installation.places.data, &config.token));
    checks
}

/// A module is code. One that another user has chosen is not run with the rights of root.
fn foreign(config: &Path) -> Option<Check> {
    let owner = files::owner(config).filter(|owner| *owner != 0)?;
    rustix::process::geteuid().is_root().then(|| {
        Check::unknown(
            "token",
            format!("refusing to load, as root, the module that user {owner} has configured"),
            "run doctor as that user",
        )
    })
}

/// Starts a worker for a moment: what it has measured about itself, and what the token says to it.
async fn present(installation: &Installation<'_>, config: &Config) -> Vec<Check> {
    const ID: &str = "token";
    let absent = |error: CrewError| {
        let fault = Fault::from(error);
        Check::weak(ID, fault.message, fault.hint)
    };
    let mut worker = match token::start_configured(config).await {
        Ok(worker) => worker,
        Err(error) => return vec![absent(error)],
    };
    let mut checks = Vec::new();
    if installation.protection(memory::TOKEN_WORKER).is_none() {
        let Protection { secret_memory, guarded } = worker.protection();
        let allowed = config.agent.danger_allow_weak_memory;
        checks.push(memory::measured(memory::TOKEN_WORKER, secret_memory, allowed));
        checks.push(processes::worker_guard(guarded));
    }
    match worker.describe(&config.token).await {
        Ok(token) => {
            worker.end().await;
            checks.push(Check::ok(ID, format!("{token} is there")));
            checks.extend([pin_count(token.pin), pin_pad(token.pin)]);
        }
        Err(error) => checks.push(absent(error)),
    }
    checks
}

/// What the token says about the counter of wrong PINs. Asking costs no try.
fn pin_count(pin: PinState) -> Check {
    const ID: &str = "pin-count";
    if !pin.initialised {
        return Check::weak(ID, "the token has no PIN set", "set one with the token's own tool");
    }
    match pin.tries {
        Tries::Unremarkable => Check::ok(ID, "the token tells of no wrong PIN"),
        Tries::CountLow => Check::notice(
            ID,
            "a wrong PIN was entered since the last right one",
            "if it was not you, somebody has the token; the right PIN makes the count full again",
        ),
        Tries::Final => Check::weak(
            ID,
            "one more wrong PIN locks the token, so the agent tries none by itself",
            "log in once with the token's own tool, which makes its counter full again",
        ),
        Tries::Locked => Check::weak(
            ID,
            "the token has locked its PIN",
            "unblock the PIN with the token's own tool (SO PIN or PUK)",
        ),
    }
}

fn pin_pad(pin: PinState) -> Check {
    const ID: &str = "pin-pad";
    if pin.pad {
        Check::ok(ID, "the PIN is entered on a pad of the token, and this machine never sees it")
    } else {
        Check::ok(ID, "the token has no PIN pad: the PIN passes through this machine")
    }
}

/// The KEK is a private object: only who has logged in sees it.
fn kek(installation: &Installation<'_>) -> Check {
    const ID: &str = "kek";
    if installation.status().is_some_and(|status| !status.locked) {
        return Check::ok(ID, "its attributes were read back when the agent was unlocked");
    }
    Check::unknown(
        ID,
        "the KEK cannot be looked at without a login",
        "`strongroom unlock` reads its attributes back, and so does `strongroom init`",
    )
}

/// Whether the token itself signs for the audit log. What it has signed is for `audit verify` to say.
fn audit_key(config: &TokenConfig) -> Check {
    const ID: &str = "audit-token-key";
    match config.audit_key {
        Some(key) => {
            Check::ok(ID, format!("the token signs for the audit log at each unlock, with key {key}"))
        }
        None => Check::notice(
            ID,
            "the token does not sign for the audit log: its checkpoints are signed by the keeper alone",
            "run `strongroom init` again, which makes a key in the token where that has such",
        ),
    }
}

fn latch(data: &Path, config: &TokenConfig) -> Check {
    const ID: &str = "pin-latch";
    match store::pin_latch(data).latched(&config.serial) {
        Ok(None) => Check::ok(ID, "no PIN is remembered that was not right"),
        Ok(Some(latched)) => Check::notice(
            ID,
            format!(
                "a PIN that came by itself {latched}: none of that kind is tried until a person has unlocked"
            ),
            "correct it, and run `strongroom unlock` once",
        ),
        Err(error) => Check::notice(ID, chain(&error), "run `strongroom unlock` once, or delete the file"),
    }
}
