//! `strongroom grant remove`.

use clap::Args;
use serde_json::json;
use strongroom_policy::Grants;

use super::{Desk, no_such_grant};
use crate::cli::pin::PinSource;
use crate::cli::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;

/// Take a grant back.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the credential
    credential: String,
    /// The grant's own name, as `grant list` shows it
    id: String,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Remove {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let desk = Desk::open(places, &self.credential)?;
        let held = desk.read()?;
        if held.grants.by_id(&self.id).is_none() {
            return Err(no_such_grant(&self.credential, &self.id).into());
        }
        let left = held.grants.iter().filter(|grant| grant.id.as_str() != self.id).cloned().collect();
        let left = Grants::new(left).map_err(Fault::from)?;
        desk.write(held.revision, &left, false, &self.pin)?;
        if self.json.json {
            output::json(&json!({ "removed": self.id, "credential": self.credential }));
        } else {
            output::data(&format!("removed grant {} of {}", self.id, self.credential));
        }
        Ok(())
    }
}
