//! What confines each process, as the kernel tells it.

use super::kernel::yama_scope;
use super::process::Process;
use super::{Check, Installation, memory};

const CONFINED: &str = "confinement";
const GUARD: &str = "keeper-guard";
const REPORT: &str = "restart the agent; if it stays so, please report it";

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let Some(front) = &installation.front else {
        return match installation.agent {
            super::Agent::Absent => Vec::new(),
            _ => vec![
                Check::unknown(
                    CONFINED,
                    "the agent's process cannot be seen from here",
                    "run doctor where the agent runs, and as its user",
                )
                .about("front"),
            ],
        };
    };
    let mut checks = vec![self::front(front)];
    let children = front.children();
    if let Some(keeper) = children.iter().find(|child| child.is("strongroom-keeper")) {
        checks.extend(self::keeper(keeper));
        let landlock = installation.protection(memory::KEEPER);
        checks.extend(landlock.map(|protection| self::landlock(&protection.landlock)));
    }
    checks.extend(
        children
            .iter()
            .filter(|child| child.is("strongroom-token"))
            .map(|worker| helper("token worker", worker, true)),
    );
    checks
}

fn front(front: &Process) -> Check {
    let yes = |held: bool| if held { "yes" } else { "no" };
    let fact = format!(
        "the front runs as user {}; capabilities: {}; no new privileges: {}; system call filter: {}",
        front.uid,
        yes(front.capabilities != 0),
        yes(front.no_new_privileges),
        yes(front.filtered),
    );
    let check = if front.uid == 0 || front.capabilities != 0 {
        Check::notice(CONFINED, fact, "run it as a user of its own without capabilities: it needs none")
    } else if !front.no_new_privileges || !front.filtered {
        Check::notice(
            CONFINED,
            fact,
            "run it by its systemd unit (`strongroom install --user`), which confines it",
        )
    } else {
        Check::ok(CONFINED, fact)
    };
    check.about("front")
}

fn keeper(keeper: &Process) -> Vec<Check> {
    let guard = Process::read(keeper.tracer)
        .filter(|tracer| tracer.is("keeper-guard") && tracer.parent == keeper.pid);
    let mut checks = vec![helper("keeper", keeper, true)];
    checks.push(match &guard {
        Some(guard) => {
            Check::ok(GUARD, format!("process {} guards the keeper: nobody else can trace it", guard.pid))
        }
        None if keeper.tracer != 0 => Check::weak(
            GUARD,
            format!("process {} traces the keeper, and is not its guard", keeper.tracer),
            "end that process, and lock the agent",
        ),
        None => unguarded(GUARD, "keeper", keeper.may_trace()),
    });
    checks.extend(guard.map(|guard| helper("guard", &guard, true)));
    checks
}

/// Whether a token worker had a guard when it started.
pub(super) fn worker_guard(guarded: bool) -> Check {
    const ID: &str = "token-worker-guard";
    if guarded {
        return Check::ok(ID, "a guard holds the token worker while it runs: nobody else can trace it");
    }
    let own = Process::read(std::process::id());
    unguarded(ID, "token worker", own.is_some_and(|own| own.may_trace()))
}

fn unguarded(id: &'static str, whose: &str, may_trace: bool) -> Check {
    if yama_scope().is_some_and(|scope| scope == 3 || (scope == 2 && !may_trace)) {
        let fact =
            format!("the {whose} has no guard, because Yama forbids it; nobody else can trace it either");
        return Check::notice(id, fact, "");
    }
    Check::weak(
        id,
        format!("the {whose} has no guard, so root can read its registers"),
        "let the agent call ptrace: its unit or its container has a filter that forbids it",
    )
}

/// A process that must have given up its privileges, and where `filtered`, most system calls.
fn helper(name: &str, process: &Process, filtered: bool) -> Check {
    let mut lacks = Vec::new();
    if !process.no_new_privileges {
        lacks.push("it can gain privileges");
    }
    if filtered && !process.filtered {
        lacks.push("no system call filter is in force");
    }
    if process.is_dumpable() == Some(true) {
        lacks.push("its own user can read its memory");
    }
    let check = if lacks.is_empty() {
        let filter = if process.filtered { "a system call filter" } else { "no system call filter" };
        let dumps =
            if process.is_dumpable() == Some(false) { ", and not readable for its own user" } else { "" };
        Check::ok(
            CONFINED,
            format!("the {name} (process {}) has {filter}, gains no privileges{dumps}", process.pid),
        )
    } else {
        Check::weak(
            CONFINED,
            format!("the {name} (process {}) is not confined: {}", process.pid, lacks.join(", ")),
            REPORT,
        )
    };
    check.about(name)
}

fn landlock(how: &str) -> Check {
    const ID: &str = "landlock";
    let check = match how {
        "full" => Check::ok(ID, "the keeper has given up files and network (Landlock)"),
        how => Check::notice(
            ID,
            format!("Landlock is {how} in this kernel; the keeper's system call filter holds"),
            "use a newer kernel, with Landlock",
        ),
    };
    check.about("keeper")
}
