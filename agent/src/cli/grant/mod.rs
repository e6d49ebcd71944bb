//! `strongroom grant`: who may do what with a credential.

mod add;
mod edit;
mod explain;
mod learn;
mod limits;
mod list;
mod remove;
mod replay;

use std::rc::Rc;

use clap::{Args, Subcommand};
use strongroom_client::{Client, NewGrants};
use strongroom_policy::Grants;
use strongroom_protocol::{self as wire, ErrorCode, Login};
use strongroom_venues::Profile;

use super::pin::{Facts, PinSource};
use super::{Stop, block_on, running};
use crate::config::{Config, Places};
use crate::crew::token;
use crate::fault::Fault;
use crate::policy::Permit;
use crate::signer::grants::{SetGrants, check, read};
use crate::signer::profiles::Profiles;
use crate::signer::{Signer, credential_name};
use crate::store::{self, Store};

pub(super) use self::edit::{by_stdin, text_of};
pub(super) use self::limits::{Accepted, free_id, made, word_list};

/// Say who may do what with a credential.
///
/// What no grant allows is denied. Grants lie in the credential's record; changing them takes the token's PIN, and is
/// in force at once.
#[derive(Debug, Args)]
pub(super) struct Grant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give one more grant
    Add(Box<add::Add>),
    /// Change the grants of a credential in an editor, or take them from a file
    Edit(edit::Edit),
    /// Say which grant decides about a request, and why
    Explain(explain::Explain),
    /// Print the least grant that allows what was done
    Learn(learn::Learn),
    /// List grants
    List(list::List),
    /// Take a grant back
    Remove(remove::Remove),
}

impl Grant {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        match self.command {
            Command::Add(command) => command.run(places),
            Command::Edit(command) => command.run(places),
            Command::Explain(command) => command.run(places),
            Command::Learn(command) => command.run(places),
            Command::List(command) => command.run(places),
            Command::Remove(command) => command.run(places),
        }
    }
}

/// The grants of one credential where they are: told and changed by the agent, or where none runs by this command.
struct Desk<'a> {
    places: &'a Places,
    agent: Option<Client>,
    credential: &'a str,
}

/// Grants as they were read.
struct Held {
    /// Of the record that holds them.
    revision: u64,
    grants: Grants,
}

impl<'a> Desk<'a> {
    fn open(places: &'a Places, credential: &'a str) -> Result<Self, Stop> {
        Ok(Self { places, agent: running(places)?, credential })
    }

    fn read(&self) -> Result<Held, Stop> {
        match &self.agent {
            Some(agent) => held_by(agent, self.credential),
            None => {
                let meta = store::read_record(&self.places.data, &credential_name(self.credential)?)?.meta;
                Ok(Held { revision: meta.revision, grants: meta.grants.clone() })
            }
        }
    }

    /// The profile by which the credential signs, as far as it can be read here: an agent of another user has a data
    /// folder of its own, and looks itself.
    fn profile(&self) -> Result<Option<Rc<Profile>>, Stop> {
        let profiles = Profiles::new(self.places);
        let Some(agent) = &self.agent else {
            let meta = store::read_record(&self.places.data, &credential_name(self.credential)?)?.meta;
            return Ok(Some(profiles.of(&meta)?));
        };
        let told = agent.show(self.credential)?;
        Ok(profiles.pinned(&told.venue, told.profile.parse().ok()).ok())
    }

    /// Puts other grants in the place of those of `revision`.
    fn write(&self, revision: u64, grants: &Grants, accept_older: bool, pin: &PinSource) -> Result<(), Stop> {
        let config = Config::read(&self.places.config)?;
        let text = grants.to_toml();
        // What the agent would refuse is found before a person has typed a PIN.
        if let Some(profile) = self.profile()? {
            check(&profile, &read(&text)?)?;
        }
        let road = pin.road(config.agent.pinentry.as_deref(), || match &self.agent {
            Some(agent) => Ok(Facts::try_from(agent.token()?)?),
            None => block_on(async { Ok(Facts::from(&token::look(&config).await?)) }),
        })?;
        let login = road.login()?;
        if let Some(agent) = &self.agent {
            let new = NewGrants::new(self.credential, revision, text);
            agent.set_grants(&if accept_older { new.accept_older() } else { new }, login)?;
            return Ok(());
        }
        let wanted = wire::SetGrants {
            credential: self.credential,
            revision,
            grants: &text,
            accept_older,
            login: Login { pin: login.pin.is_some(), final_try: login.final_try },
        };
        let order = SetGrants::new(&wanted, login)?;
        let order = Permit::of_the_owner().order(order);
        let store = Store::open(&self.places.data)?;
        block_on(async {
            let signer = Signer::new(config, store, Profiles::new(self.places))?;
            let set = Rc::clone(&signer).set_grants(order).await;
            signer.audit().close();
            set
        })?;
        Ok(())
    }
}

impl Desk<'_> {
    /// Whether there is a client of this name, where an agent can be asked.
    fn has_client(&self, name: &str) -> Option<bool> {
        let clients = self.agent.as_ref()?.clients().ok()?;
        Some(clients.iter().any(|client| client.name == name))
    }
}

fn held_by(agent: &Client, credential: &str) -> Result<Held, Stop> {
    let told = agent.grants(credential)?;
    let grants = Grants::parse(&told.toml).map_err(|error| {
        let message = format!("the agent tells of grants that this program cannot read: {error}");
        Fault::new(ErrorCode::Version, message, "install the same version of client and agent")
    })?;
    Ok(Held { revision: told.revision, grants })
}

fn no_such_grant(credential: &str, id: &str) -> Fault {
    let message = format!("{credential} has no grant `{id}`");
    let hint = format!("`strongroom grant list {credential}` shows what there is");
    Fault::new(ErrorCode::NotFound, message, hint)
}
