//! `strongroom venue repin`: a credential that was enrolled by an older text of a profile is moved on.

use clap::Args;
use serde_json::{Value, json};
use strongroom_client::{Client, Repin as ClientRepin};
use strongroom_protocol::{self as wire, ErrorCode, Login};
use strongroom_venues::Profile;

use crate::cli::pin::{Facts, PinSource};
use crate::cli::{Json, Stop, block_on, output, running};
use crate::config::{Config, Places};
use crate::crew::token;
use crate::fault::Fault;
use crate::policy::Permit;
use crate::signer::profiles::{Chosen, Profiles};
use crate::signer::repin::{Repin as Order, moved};
use crate::signer::{Signer, credential_name};
use crate::store::profiles::ProfileHash;
use crate::store::{self, Store};

/// Have a credential sign by your profile as it is now.
///
/// A credential of a profile of yours signs by the text with which it was enrolled, whatever becomes of the file. This
/// shows what has changed since, and after the PIN the credential signs by the new text.
#[derive(Debug, Args)]
pub(super) struct Repin {
    /// Name of the credential
    name: String,
    /// Another one of the profile's hosts
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

/// What is known of the credential before it is moved.
struct Held {
    venue: String,
    revision: u64,
    base_url: String,
    profile: Option<ProfileHash>,
}

impl Repin {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let config = Config::read(&places.config)?;
        let profiles = Profiles::new(places);
        let agent = running(places)?;
        let held = self.held(places, agent.as_ref())?;
        let chosen = profiles.offered(&held.venue)?;
        if held.profile.is_none() && chosen.own.is_none() && self.base_url.is_none() {
            let message = format!("{} signs by a profile that ships; repin is for your own", self.name);
            let hint =
                "nothing is to be done: such a credential signs by the profile of the release that runs";
            return Err(Fault::new(ErrorCode::Invalid, message, hint).into());
        }
        let old = profiles.pinned(&held.venue, held.profile);
        if chosen.hash() == held.profile && old.is_ok() && self.base_url.is_none() {
            return self.say(&held, &chosen, &[], "nothing was changed: it signs by that text already");
        }
        let changes = match &old {
            Ok(old) => {
                let mut changes = changes(old, &chosen.profile, &held.base_url, self.base_url.as_deref());
                changes.extend(profiles.changed_lines(held.profile, &chosen));
                changes
            }
            Err(fault) => vec![format!("what it signs by now cannot be shown: {}", fault.message)],
        };
        // What the agent would refuse is found before a person has typed a PIN, where the record can be read.
        if let Ok(record) = store::read_record(&places.data, &credential_name(&self.name)?) {
            moved(&record.meta, &chosen, self.base_url.as_deref())?;
        }
        if self.dry_run {
            return self.say(&held, &chosen, &changes, "nothing was changed");
        }
        if !self.json.json {
            print(&changes);
        }
        self.send(places, config, agent, &held, &chosen)?;
        let done = format!("{} signs by {} now", self.name, from(&chosen));
        if self.json.json {
            return self.say(&held, &chosen, &changes, "");
        }
        output::data(&done);
        Ok(())
    }

    fn held(&self, places: &Places, agent: Option<&Client>) -> Result<Held, Stop> {
        if let Some(agent) = agent {
            let told = agent.show(&self.name)?;
            if told.revision == 0 {
                let hint = "restore the record from a backup";
                return Err(Fault::new(ErrorCode::Unavailable, told.fault, hint).into());
            }
            let profile = told.profile.parse().ok();
            return Ok(Held { venue: told.venue, revision: told.revision, base_url: told.base_url, profile });
        }
        let meta = store::read_record(&places.data, &credential_name(&self.name)?)?.meta;
        let (revision, profile) = (meta.revision, meta.profile);
        Ok(Held { venue: meta.venue.clone(), revision, base_url: meta.base_url.clone(), profile })
    }

    fn send(
        &self,
        places: &Places,
        config: Config,
        agent: Option<Client>,
        held: &Held,
        chosen: &Chosen,
    ) -> Result<(), Stop> {
        let road = self.pin.road(config.agent.pinentry.as_deref(), || match &agent {
            Some(agent) => Ok(Facts::try_from(agent.token()?)?),
            None => block_on(async { Ok(Facts::from(&token::look(&config).await?)) }),
        })?;
        let login = road.login()?;
        let hash = chosen.hash().map(|hash| hash.to_string()).unwrap_or_default();
        if let Some(agent) = &agent {
            let wanted = ClientRepin::new(&self.name, held.revision, hash);
            let wanted = match &self.base_url {
                Some(base_url) => wanted.base_url(base_url),
                None => wanted,
            };
            return Ok(agent.repin(&wanted, login)?);
        }
        let wanted = wire::Repin {
            credential: &self.name,
            revision: held.revision,
            profile: &hash,
            base_url: self.base_url.as_deref(),
            login: Login { pin: login.pin.is_some(), final_try: login.final_try },
        };
        let order = Permit::of_the_owner().order(Order::new(&wanted, login)?);
        let store = Store::open(&places.data)?;
        block_on(async {
            let signer = Signer::new(config, store, Profiles::new(places))?;
            let done = std::rc::Rc::clone(&signer).repin(order).await;
            signer.audit().close();
            done
        })?;
        Ok(())
    }

    /// Prints what came of it, and what has changed.
    fn say(&self, held: &Held, chosen: &Chosen, changes: &[String], talk: &str) -> Result<(), Stop> {
        if self.json.json {
            let hash = |hash: Option<ProfileHash>| hash.map_or(Value::Null, |hash| hash.to_string().into());
            output::json(&json!({
                "credential": self.name,
                "changed": talk.is_empty(),
                "from": hash(held.profile),
                "to": hash(chosen.hash()),
                "changes": changes,
            }));
        } else {
            print(changes);
        }
        if !talk.is_empty() {
            output::talk(talk);
        }
        Ok(())
    }
}

fn from(chosen: &Chosen) -> String {
    chosen
        .own
        .as_ref()
        .map_or_else(|| "the profile that ships".to_owned(), |own| own.path.display().to_string())
}

fn print(changes: &[String]) {
    for change in changes {
        output::data(change);
    }
}

/// What is another than before, of what a person has to know.
fn changes(old: &Profile, new: &Profile, host: &str, wanted: Option<&str>) -> Vec<String> {
    let mut changes = Vec::new();
    let mut tell = |what: &str, old: String, new: String| {
        if old != new {
            changes.push(format!("{what}: {old} -> {new}"));
        }
    };
    tell("hosts", old.hosts().join(" "), new.hosts().join(" "));
    tell("its host", host.to_owned(), wanted.unwrap_or(host).to_owned());
    let key = |profile: &Profile| {
        let spec = profile.key_spec();
        format!("{}, {}, {} to {} bytes", spec.algorithm, spec.form, spec.min_bytes, spec.max_bytes)
    };
    tell("algorithm and secret", key(old), key(new));
    let covers = |profile: &Profile| {
        let rules = profile.probe().into_iter().map(|finding| finding.claimed.name());
        rules.collect::<Vec<_>>().join(", ")
    };
    tell("covers (the base, then each case)", covers(old), covers(new));
    let actions = |profile: &Profile| {
        let rules = profile.actions().rules().iter();
        let rules = rules.map(|rule| format!("{} {} {}", rule.id(), rule.methods(), rule.path()));
        rules.collect::<Vec<_>>().join("; ")
    };
    tell("actions", actions(old), actions(new));
    if changes.is_empty() {
        changes.push(
            "hosts, algorithm, covers and actions are as they were; how requests are written has changed"
                .to_owned(),
        );
    }
    changes
}
