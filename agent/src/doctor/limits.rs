//! How much memory the keeper may lock.

use strongroom_link::keeper::LOCKED_BYTES;

use super::process::Process;
use super::{Check, Installation};

const ID: &str = "lock-limit";
const ADVICE: &str = "raise it: `ulimit -l 8192`, memlock in /etc/security/limits.conf, or LimitMEMLOCK=8M in the unit (for a user unit: of user@.service)";

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let own = || Process::read(std::process::id());
    let (whose, process) = match &installation.front {
        Some(front) => ("the agent", Some(front.clone())),
        None => ("a program of this shell", own()),
    };
    let Some((process, (soft, hard))) =
        process.and_then(|process| Some((process.clone(), process.lock_limits()?)))
    else {
        return vec![Check::unknown(
            ID,
            format!("how much memory {whose} may lock cannot be read"),
            "run doctor as the agent's user",
        )];
    };
    let needed = u64::try_from(LOCKED_BYTES).unwrap_or(u64::MAX);
    let (need, limits) = (kib(Some(needed)), format!("{} (it may raise that to {})", kib(soft), kib(hard)));
    vec![if process.may_lock_without_limit() {
        Check::ok(ID, format!("{whose} may lock memory without limit, and the keeper needs {need}"))
    } else if soft.is_none_or(|soft| soft >= needed) {
        Check::ok(ID, format!("{whose} may lock {limits}, and the keeper needs {need}"))
    } else {
        Check::weak(
            ID,
            format!("{whose} may lock {limits}, and the keeper needs {need}: no unlock will work"),
            ADVICE,
        )
    }]
}

fn kib(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "any amount".to_owned(), |bytes| format!("{} KiB", bytes / 1024))
}
