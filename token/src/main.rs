//! `strongroom-token`: started by the agent, serves it on standard input until that closes.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use strongroom_link::child;
use strongroom_locked::memory::WeakMemory;

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
    match (arguments.next(), arguments.next()) {
        (None, None) => {}
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

    let socket = match child::begin_with_grace() {
        Ok(socket) => socket,
        Err(error) => {
            say(chain(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match strongroom_token::serve(&socket, WeakMemory::Refused) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(chain(&error));
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
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
