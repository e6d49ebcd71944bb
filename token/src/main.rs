//! `strongroom-token`: started by the agent, serves it on standard input until that closes.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use strongroom_link::child;
use strongroom_link::token::{ALLOW_WEAK_MEMORY, TokenRefusal};
use strongroom_locked::guard;
use strongroom_locked::memory::{self, WeakMemory};
use strongroom_malloc::Whole;
use strongroom_token::protect;

/// Everything that this program allocates, and everything that the module does.
#[global_allocator]
static ALLOCATOR: Whole = Whole;

/// The front broke the wire, or the kernel the socket.
const EXIT_BROKEN: u8 = 1;
/// Not started by a front.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Only the place of a panic is told: its message may quote what must stay here.
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => say(format_args!("stopped by a bug at {}:{}", place.file(), place.line())),
        None => say("stopped by a bug"),
    }));

    let mut arguments = std::env::args_os().skip(1);
    let (mut weak, mut is_guard) = (WeakMemory::Refused, false);
    match (arguments.next(), arguments.next()) {
        (None, None) => {}
        (Some(only), None) if only == ALLOW_WEAK_MEMORY => weak = WeakMemory::Allowed,
        (Some(only), None) if only == guard::GUARD => is_guard = true,
        (Some(only), None) if only == "--version" => {
            let line = concat!("strongroom-token ", env!("CARGO_PKG_VERSION"));
            return match writeln!(std::io::stdout(), "{line}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(EXIT_BROKEN),
            };
        }
        _ => {
            say("takes no arguments but --version; `strongroom` starts this program, people do not");
            return ExitCode::from(EXIT_USAGE);
        }
    }

    // While nothing is there to guard yet, and before a guard of the same user would be kept off.
    let guarded = !is_guard && guard::start("strongroom-token");
    let began = if is_guard { child::begin() } else { child::begin_with_grace() };
    let socket = match began {
        Ok(socket) => socket,
        Err(error) => {
            say(chain(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let served: Result<(), Box<dyn Error>> = if is_guard {
        guard::guard(socket, c"token-guard").map_err(Into::into)
    } else {
        run(&socket, weak, guarded)
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(chain(&*error));
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

/// Gets the memory, gives up what no module needs, and serves. Where that fails the front is told first.
fn run(socket: &UnixStream, weak: WeakMemory, guarded: bool) -> Result<(), Box<dyn Error>> {
    let refused = |refusal: TokenRefusal| {
        let said = refusal.to_string();
        protect::refuse(socket, refusal);
        Box::<dyn Error>::from(said)
    };
    if !guarded && guard::is_traced() {
        return Err(refused(TokenRefusal::Traced));
    }
    let memory = protect::memory(weak).map_err(refused)?;
    memory::no_alternate_stack();
    protect::refuse_system_calls().map_err(refused)?;
    Ok(strongroom_token::serve(socket, memory, guarded)?)
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// One line on standard error. Where that is closed, nobody listens.
fn say(line: impl Display) {
    drop(writeln!(std::io::stderr(), "strongroom-token: {line}"));
}
