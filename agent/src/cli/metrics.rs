//! `strongroom metrics`: what the agent has counted.

use clap::Args;

use super::{Stop, client, output};
use crate::config::Places;

/// Print what the agent has counted, in the text format of Prometheus.
///
/// For node_exporter's textfile collector: docs/reference/metrics.md. Only admins may.
#[derive(Debug, Args)]
pub(super) struct Metrics {}

impl Metrics {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let metrics = client(places)?.metrics()?;
        output::raw(&metrics.text);
        Ok(())
    }
}
