//! Whether secrets lie where root cannot read them: what a keeper has measured about itself.

use strongroom_client::Protection;
use strongroom_link::keeper::Refusal;

use super::{Check, Installation};
use crate::crew::CrewError;
use crate::crew::keeper::Keeper;
use crate::fault::Fault;

const ID: &str = "secret-memory";

/// Looks at what runs, or starts a keeper for a moment to see what it gets.
pub(super) async fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let allowed = installation.config.as_ref().is_ok_and(|config| config.agent.danger_allow_weak_memory);
    let running = installation.status().map_or(&[][..], |status| &status.protection);
    let mut checks: Vec<Check> = running.iter().map(|process| measured(process, allowed)).collect();
    if !running.iter().any(|process| process.process == "keeper") {
        checks.insert(0, trial(allowed).await.about("keeper"));
    }
    checks
}

fn measured(process: &Protection, allowed: bool) -> Check {
    let name = &process.process;
    let check = if process.secret_memory {
        Check::ok(ID, format!("secrets in the {name} lie in memory that root cannot read (memfd_secret)"))
    } else {
        absent(allowed, format!("root can read every secret in the {name}: its memory is not secret memory"))
    };
    check.about(name.clone())
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
