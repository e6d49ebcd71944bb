//! `strongroom-keeper`: started by `strongroom agent`, with the socket of the front as standard input.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use strongroom_keeper::confine;
use strongroom_keeper::serve::{self, Keeper, KeeperError, SIZES};
use strongroom_link::child::{self, NotAChild};
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, Protection, Refusal};
use strongroom_locked::guard;
use strongroom_locked::memory::{self, Memory, MemoryError, Routed, WeakMemory};

#[global_allocator]
static ALLOCATOR: Routed = Routed;

/// Started by hand.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1).unwrap_or_default();
    if argument == "--version" {
        let written = writeln!(io::stdout(), "strongroom-keeper {}", env!("CARGO_PKG_VERSION"));
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    std::panic::set_hook(Box::new(|panic| {
        // Where it was and nothing else: a panic's message may quote what it choked on.
        match panic.location() {
            Some(place) => say(&format!("bug at {}:{}; please report it", place.file(), place.line())),
            None => say("bug; please report it"),
        }
    }));
    let is_guard = argument == guard::GUARD;
    let guarded = !is_guard && guard::start("strongroom-keeper");
    let socket = match child::begin() {
        Ok(socket) => socket,
        Err(error) => {
            say(&with_causes(&error));
            return if matches!(error, NotAChild::NoSocket) { USAGE.into() } else { ExitCode::FAILURE };
        }
    };
    memory::block_signals();
    let weak = if argument == ALLOW_WEAK_MEMORY { WeakMemory::Allowed } else { WeakMemory::Refused };
    let served = if is_guard {
        guard::guard(socket, c"keeper-guard").map_err(Into::into)
    } else {
        // Two threads use it until the process ends.
        run(Box::leak(Box::new(socket)), weak, guarded)
    };
    if let Err(error) = &served {
        say(&with_causes(&**error));
    }
    memory::leave(served.is_ok())
}

/// Gets the memory, gives up everything else, and serves. Where that fails the front is told first.
fn run(socket: &'static UnixStream, weak: WeakMemory, guarded: bool) -> Result<(), Box<dyn Error>> {
    if !guarded && guard::is_traced() {
        serve::refuse(socket, Refusal::Traced);
        return Err("another process traces the keeper".into());
    }
    let memory = Memory::map(SIZES, weak).inspect_err(|error| serve::refuse(socket, no_memory(error)))?;
    let secret_memory = memory.is_secret();
    let mut keeper = Keeper::new(socket, memory).inspect_err(|error| {
        if let KeeperError::SeedPage(error) = error {
            serve::refuse(socket, no_memory(error));
        }
    })?;
    let landlock = confine::landlock();
    keeper.confine().inspect_err(|_| serve::refuse(socket, Refusal::Confinement))?;
    Ok(keeper.serve(Protection { secret_memory, landlock, guarded })?)
}

fn no_memory(error: &MemoryError) -> Refusal {
    match error {
        MemoryError::Absent(_) => Refusal::SecretMemoryAbsent,
        MemoryError::LockLimit { limit, .. } => {
            Refusal::LockLimit { kib: u32::try_from(limit / 1024).unwrap_or(u32::MAX) }
        }
        _ => Refusal::SecretMemoryFailed,
    }
}

/// One line for the front's log. Where even that cannot be written there is nobody to tell.
fn say(line: &str) {
    let _unheard = writeln!(io::stderr(), "strongroom-keeper: {line}");
}

fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
