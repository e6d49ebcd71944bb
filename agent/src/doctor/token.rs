//! The token, as far as it shows itself to somebody who has not logged in.

use std::path::Path;

use strongroom_link::token::{PinState, TokenDescription, Tries};

use super::{Check, Installation, files};
use crate::config::TokenConfig;
use crate::crew::token::TokenWorker;
use crate::fault::{Fault, chain};
use crate::store;

pub(super) async fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let Ok(config) = &installation.config else { return Vec::new() };
    let mut checks = match foreign(&installation.places.config) {
        Some(check) => vec![check],
        None => present(&config.token).await,
    };
    checks.push(kek(installation));
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

async fn present(config: &TokenConfig) -> Vec<Check> {
    const ID: &str = "token";
    let module = config.module.to_string_lossy();
    let tokens = match TokenWorker::start(&config.environment, config.patience_s) {
        Ok(mut worker) => {
            let tokens = worker.tokens(&module).await;
            worker.end().await;
            tokens
        }
        Err(error) => Err(error),
    };
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(error) => {
            let fault = Fault::from(error);
            return vec![Check::weak(ID, fault.message, fault.hint)];
        }
    };
    let wanted = |token: &&TokenDescription| token.serial == config.serial && token.label == config.label;
    match tokens.iter().find(wanted) {
        Some(token) => {
            vec![Check::ok(ID, format!("{token} is there")), pin_count(token.pin), pin_pad(token.pin)]
        }
        None => {
            let fact = format!("`{}` (serial {}) is in no slot of {module}", config.label, config.serial);
            vec![Check::weak(ID, fact, "plug the token in")]
        }
    }
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
            "one more wrong PIN locks the token, so the agent tries none",
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

fn latch(data: &Path, config: &TokenConfig) -> Check {
    const ID: &str = "pin-latch";
    match store::pin_latch(data).set_since(&config.serial) {
        Ok(None) => Check::ok(ID, "no wrong PIN is remembered"),
        Ok(Some(since)) => Check::notice(
            ID,
            format!(
                "a PIN that came by itself was wrong on {since}: none of that kind is tried until a person has unlocked"
            ),
            "correct it, and run `strongroom unlock` once",
        ),
        Err(error) => Check::notice(ID, chain(&error), "run `strongroom unlock` once, or delete the file"),
    }
}
