//! `strongroom-keeper`: started by `strongroom agent`, with the socket of the front as standard input.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use strongroom_keeper::serve::serve;
use strongroom_link::child::{self, NotAChild};

/// Started by hand.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--version") {
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
    let socket = match child::begin() {
        Ok(socket) => socket,
        Err(error) => {
            say(&with_causes(&error));
            return if matches!(error, NotAChild::NoSocket) { USAGE.into() } else { ExitCode::FAILURE };
        }
    };
    match serve(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&with_causes(&error));
            ExitCode::FAILURE
        }
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
