//! `strongroom doctor`: what protects this installation and what does not.

use clap::Args;

use super::{Json, Stop, block_on, output};
use crate::config::Places;
use crate::doctor::{self, Style};
use crate::fault::Fault;

/// Tell what protects this installation and what does not.
///
/// Looks at the kernel, the limits, every process, the socket, the files, the token without logging in,
/// each credential and the clock, and changes nothing. It needs no agent and no PIN. `ok` protects as it
/// should; `notice` is a fact to know; `weak` is weaker than the configuration promises, and makes the
/// exit code 10; `unknown` could not be looked at.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    json: Json,
}

impl Doctor {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let report = block_on(async { Ok::<_, Fault>(doctor::examine(places).await) })?;
        if self.json.json {
            output::json(&report.json());
        } else {
            output::data(&report.text(Style::of_stdout()));
        }
        if report.is_weak() { Err(Stop::Weak) } else { Ok(()) }
    }
}
