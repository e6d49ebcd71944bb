//! `strongroom metrics`: what the agent has counted.

use std::io::{self, Write as _};

use clap::Args;

use super::{Stop, client};
use crate::config::Places;

/// Print what the agent has counted, in the text format of Prometheus.
///
/// For node_exporter's textfile collector: docs/reference/metrics.md. Only admins may.
#[derive(Debug, Args)]
pub(super) struct Metrics {}

impl Metrics {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let metrics = client(places)?.metrics()?;
        // A reader that has gone away is no error of ours.
        let _ = io::stdout().lock().write_all(metrics.text.as_bytes());
        Ok(())
    }
}
