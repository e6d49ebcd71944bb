//! What protects the worker before it loads a module: memory, a filter, and how the front hears of it.

use std::os::unix::net::UnixStream;

use rustix::process::{Resource, getrlimit};
use strongroom_link::frame;
use strongroom_link::seed::PAGE_BYTES;
use strongroom_link::token::{FromToken, GREETING_JOB, TokenRefusal};
use strongroom_locked::SharedPage;
use strongroom_locked::confine;
use strongroom_locked::memory::{Memory, MemoryError, Sizes, WeakMemory, whole};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// SoftHSM with OpenSSL runs on it, and behind it lies a guard page.
const STACK_BYTES: usize = 512 * KIB;
/// The worker must be able to lock so much, the page of seeds included. SoftHSM with OpenSSL runs in it, and it
/// is below the 8 MiB that an ordinary user may lock.
const LEAST_BYTES: usize = 7 * MIB;
const MOST_BYTES: usize = 32 * MIB;
/// What is left of the limit, for the page of the seeds.
const BESIDE_BYTES: usize = MIB;

/// Maps the arena, as large as the limit allows, and has the whole process use it.
///
/// # Errors
/// What the front is told.
pub fn memory(weak: WeakMemory) -> Result<Memory, TokenRefusal> {
    let all = arena_bytes();
    let heap = all.saturating_sub(STACK_BYTES);
    let sizes = Sizes { stack: STACK_BYTES, shallow: STACK_BYTES, aside: 0, heap };
    let memory = Memory::map_for_all(sizes, weak).map_err(|error| memory_refusal(&error))?;
    // A limit that leaves no room for the page of seeds is found now, not at the first unlock.
    drop(SharedPage::make(weak).map_err(|error| memory_refusal(&error))?);
    Ok(memory)
}

/// What the front is told where there is no secret memory.
pub(crate) fn memory_refusal(error: &MemoryError) -> TokenRefusal {
    match error {
        MemoryError::Absent(_) => TokenRefusal::SecretMemoryAbsent,
        MemoryError::LockLimit { limit, .. } => TokenRefusal::LockLimit {
            needed: (LEAST_BYTES / KIB).to_string(),
            kib: (limit / 1024).to_string(),
        },
        _ => TokenRefusal::SecretMemoryFailed,
    }
}

fn arena_bytes() -> usize {
    let limit = getrlimit(Resource::Memlock).current.and_then(|limit| usize::try_from(limit).ok());
    limit
        .map_or(MOST_BYTES, |limit| limit.saturating_sub(BESIDE_BYTES))
        .clamp(LEAST_BYTES - PAGE_BYTES, MOST_BYTES)
}

/// The refusal where a call has failed because the arena is full, instead of what the module makes of it.
pub(crate) fn full_instead(refusal: TokenRefusal) -> TokenRefusal {
    match refusal {
        TokenRefusal::ModuleCall { function, code } if whole::was_full() => TokenRefusal::MemoryFull {
            call: format!("{function}: {code}"),
            kib: (arena_bytes() / KIB).to_string(),
        },
        TokenRefusal::ModuleLoad { reason, .. } | TokenRefusal::ModuleStart { reason, .. }
            if whole::was_full() =>
        {
            TokenRefusal::MemoryFull { call: reason, kib: (arena_bytes() / KIB).to_string() }
        }
        other => other,
    }
}

/// Has the kernel refuse what no module needs and an attacker in one would want: other programs, other
/// processes' memory, the kernel's own interfaces.
///
/// # Errors
/// What the front is told.
pub fn refuse_system_calls() -> Result<(), TokenRefusal> {
    confine::refuse(confine::NEVER_NEEDED).map_err(|_| TokenRefusal::Confinement)
}

/// Tells a front why there will be no worker. One that has gone need not know.
pub fn refuse(socket: &UnixStream, refusal: TokenRefusal) {
    let mut answer = Vec::new();
    FromToken::Refused { job: GREETING_JOB, refusal }.encode(&mut answer);
    let _unheard = frame::send_all(socket, &answer, &[]);
}
