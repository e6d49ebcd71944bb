//! `strongroom grant add`.

use clap::Args;
use serde_json::json;
use strongroom_policy::Grants;

use super::Desk;
use super::limits::{Limits, free_id};
use crate::cli::pin::PinSource;
use crate::cli::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;

/// Give one more grant.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: strongroom grant add kraken-main --to client:grid-bot --allow read,trade,cancel \\\n  \
                        --symbols XBTUSD,ETH* --max-notional 500 --max-notional-day 5000"
)]
pub(super) struct Add {
    /// Name of the credential
    credential: String,
    /// The grant's own name; after its subject if not given
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Add {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let desk = Desk::open(places, &self.credential)?;
        let held = desk.read()?;
        let id = self.id.unwrap_or_else(|| free_id(&self.limits.to, &held.grants));
        let mut grants: Vec<_> = held.grants.into();
        grants.push(self.limits.grant(&id)?);
        let grants = Grants::new(grants).map_err(Fault::from)?;
        desk.write(held.revision, &grants, false, &self.pin)?;
        if self.json.json {
            output::json(&json!({ "added": id, "credential": self.credential }));
        } else {
            output::data(&format!("added grant {id} to {}", self.credential));
        }
        if let Some(client) = self.limits.to.strip_prefix("client:")
            && desk.has_client(client) == Some(false)
        {
            output::talk(&format!(
                "there is no client `{client}` yet: `strongroom client add {client}` makes it"
            ));
        }
        Ok(())
    }
}
