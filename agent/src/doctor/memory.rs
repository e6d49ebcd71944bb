//! Whether secrets lie where root cannot read them: what a keeper has measured about itself.

use strongroom_link::keeper::Refusal;

use super::{Check, Installation, processes};
use crate::crew::CrewError;
use crate::crew::keeper::Keeper;
use crate::fault::Fault;

const ID: &str = "secret-memory";

/// Names of the processes that hold secrets, as `status` has them.
pub(super) const KEEPER: &str = "keeper";
pub(super) const TOKEN_WORKER: &str = "token-worker";

/// Looks at what runs, or starts a keeper for a moment to see what it gets.
pub(super) async fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let allowed = installation.config.as_ref().is_ok_and(|config| config.agent.danger_allow_weak_memory);
    let mut checks = vec![match installation.protection(KEEPER) {
        Some(keeper) => measured(KEEPER, keeper.secret_memory, allowed),
        None => trial(allowed).await.about(KEEPER),
    }];
    if let Some(worker) = installation.protection(TOKEN_WORKER) {
        checks.push(measured(TOKEN_WORKER, worker.secret_memory, allowed));
        checks.push(processes::worker_guard(worker.guarded));
    }
    checks
}

pub(super) fn measured(process: &str, secret_memory: bool, allowed: bool) -> Check {
    let check = if secret_memory {
        Check::ok(ID, format!("secrets in the {process} lie in memory that root cannot read (memfd_secret)"))
    } else {
        let fact = format!("root can read every secret in the {process}: its memory is not secret memory");
        absent(allowed, fact)
    };
    check.about(process)
}

async fn trial(allowed: bool) -> Check {
    match Keeper::start(allowed, |_| {}).await {
        Ok(keeper) => {
            let protection = keeper.protection();
            // It holds nothing, so that how it ends changes nothing.
            let _ = keeper.end().await;
            if protection.secret_memory {
                Check::ok(
                    ID,
                    "a keeper that was started for a moment got memory that root cannot read (memfd_secret)",
                )
            } else {
                absent(
                    allowed,
                    "root can read every secret of a keeper that is started here: it gets no secret memory",
                )
            }
        }
        Err(error) => {
            let fact = format!("no keeper can be started here: {error}");
            let is_measured = matches!(
                error,
                CrewError::Keeper(Refusal::SecretMemoryAbsent | Refusal::LockLimit { .. } | Refusal::Traced)
            );
            let hint = Fault::from(error).hint;
            if is_measured { Check::weak(ID, fact, hint) } else { Check::unknown(ID, fact, hint) }
        }
    }
}

fn absent(allowed: bool, fact: impl Into<String>) -> Check {
    const ADVICE: &str = "use Linux 6.5 or newer, or boot an older one with secretmem.enable=1";
    if allowed { Check::notice(ID, fact, ADVICE) } else { Check::weak(ID, fact, ADVICE) }
}
