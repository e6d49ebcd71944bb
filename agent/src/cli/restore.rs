//! `strongroom accept-restore`.

use std::rc::Rc;

use clap::Args;
use serde_json::json;

use super::pin::{Facts, PinSource};
use super::{Json, Stop, block_on, demand_no_agent, output};
use crate::config::{Config, Places};
use crate::crew::token;
use crate::policy::Permit;
use crate::signer::Signer;
use crate::signer::profiles::Profiles;
use crate::signer::restore::{AcceptRestored, Restored};
use crate::store::Store;

/// Take over a data folder that was restored from a backup.
///
/// The token remembers the newest state of the data folder, so that nobody brings an older one back unseen: the
/// agent does not unlock with it. Where the older one is all that is left, look at what it grants with
/// `strongroom grant list`, and take it over with this command and the PIN. No agent may run meanwhile. What was
/// changed since the backup is lost, and its records do not open any more.
#[derive(Debug, Args)]
pub(super) struct AcceptRestore {
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl AcceptRestore {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        demand_no_agent(places)?;
        let config = Config::read(&places.config)?;
        let facts = || block_on(async { Ok(Facts::from(&token::look(&config).await?)) });
        let login = self.pin.road(config.agent.pinentry.as_deref(), facts)?.login()?;
        let store = Store::open(&places.data)?;
        let Restored { revision, accepted, left } = block_on(async {
            let signer = Signer::new(config, store, Profiles::new(places))?;
            let order = Permit::of_the_owner().order(AcceptRestored { login });
            let restored = Rc::clone(&signer).accept_restored(order).await;
            signer.audit().close();
            restored
        })?;
        if self.json.json {
            let left: Vec<_> =
                left.iter().map(|(name, fault)| json!({ "name": name.as_str(), "fault": fault })).collect();
            let accepted: Vec<_> = accepted.iter().map(|name| name.as_str()).collect();
            output::json(&json!({ "revision": revision, "accepted": accepted, "left": left }));
            return Ok(());
        }
        for name in accepted {
            output::data(&format!("accepted {name}, as revision {revision}"));
        }
        for (name, fault) in left {
            output::talk(&format!("{name} was left as it is: {fault}"));
        }
        Ok(())
    }
}
