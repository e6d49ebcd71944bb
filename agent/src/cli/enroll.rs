//! `strongroom enroll`: wrap a secret and keep it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use serde_json::{Map, json};
use strongroom_client::{Client, Enrollment as ClientEnrollment};
use strongroom_link::key::PassphraseUse;
use strongroom_policy::{Grants, Part, Subject, scope};
use strongroom_protocol::{Enroll as Wire, ErrorCode, Login};
use strongroom_venues::Profile;

use super::grant::{Accepted, by_stdin, free_id, made, text_of, word_list};
use super::pin::{Facts, PinSource};
use super::secret;
use super::{Json, Stop, block_on, output, running};
use crate::config::{Config, Places};
use crate::crew::token;
use crate::fault::Fault;
use crate::policy::Permit;
use crate::signer::Signer;
use crate::signer::enroll::{self, Enrollment, Secrets};
use crate::signer::grants::read;
use crate::signer::profiles::{Chosen, Profiles};
use crate::store::{self, Store};

/// Wrap an exchange secret and keep it under a name.
///
/// The secret is typed without echo, or read from a descriptor; never from the command line or the
/// environment. It is checked against the venue's rules before anything is stored. Where an agent runs,
/// the agent does it and can sign at once; else this command does it by itself.
#[derive(Debug, Args)]
pub(super) struct Enroll {
    /// Name that bots will use, for example binance-main
    name: String,
    /// The venue, for example binance
    #[arg(long)]
    venue: String,
    /// The key's public half, which the venue shows beside the secret
    #[arg(long, value_name = "KEY")]
    key_id: String,
    /// Account id, where the venue's requests carry one
    #[arg(long)]
    uid: Option<String>,
    /// One of the venue's hosts, where it has several
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Replace the credential of that name, if there is one
    #[arg(long)]
    replace: bool,
    /// Make it a trap: whoever has it used is denied, and the agent raises an alarm
    #[arg(long)]
    honey: bool,
    /// Read the secret from standard input
    #[arg(long, conflicts_with_all = ["secret_fd", "pin_stdin"])]
    secret_stdin: bool,
    /// Read the secret from this descriptor
    #[arg(long, value_name = "N")]
    secret_fd: Option<u32>,
    /// Read the passphrase from this descriptor
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// What you may do with it: read, trade, cancel, transfer, config, session, admin, unknown; or '*' for everything.
    /// Without it nobody may sign before `strongroom grant add`
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',')]
    allow: Vec<String>,
    #[command(flatten)]
    accepted: Accepted,
    /// Who may do what with it: a TOML file of grants
    #[arg(long, value_name = "FILE", conflicts_with_all = ["allow", "accept_unbound"])]
    grants: Option<PathBuf>,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Enroll {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        secret::apart(&[
            ("grants", self.grants.as_deref().and_then(by_stdin)),
            ("secret", if self.secret_stdin { Some(0) } else { self.secret_fd }),
            ("passphrase", self.passphrase_fd),
            ("PIN", self.pin.descriptor()),
        ])?;
        let config = Config::read(&places.config)?;
        // What can be found wrong is found before a person has typed a secret.
        let Chosen { profile, own } = Profiles::new(places).offered(&self.venue)?;
        let spec = profile.key_spec();
        let has_passphrase = spec.passphrase != PassphraseUse::Absent;
        if !has_passphrase && self.passphrase_fd.is_some() {
            let message = format!("keys of {} have no passphrase", self.venue);
            return Err(Fault::new(ErrorCode::Invalid, message, "leave --passphrase-fd out").into());
        }
        let login = Login { pin: false, final_try: false };
        let grants = self.granted()?;
        let wanted = self.wire(&grants, has_passphrase, login);
        Enrollment::check(&wanted, &profile)?;
        let agent = running(places)?;
        if !self.replace && self.exists(agent.as_ref(), places) {
            return Err(enroll::exists_already(&self.name).into());
        }

        let road = self.pin.road(config.agent.pinentry.as_deref(), || match &agent {
            Some(agent) => Ok(Facts::try_from(agent.token()?)?),
            None => block_on(async { Ok(Facts::from(&token::look(&config).await?)) }),
        })?;
        let secret = secret::secret(self.secret_stdin, self.secret_fd, spec.form, &self.name, &self.key_id)?;
        let passphrase = has_passphrase
            .then(|| secret::passphrase(self.passphrase_fd, &self.name, &self.venue))
            .transpose()?;
        let secrets = Secrets { login: road.login()?, secret, passphrase };
        match agent {
            Some(client) => {
                let Secrets { login, secret, passphrase } = secrets;
                client.enroll(&self.for_agent(&grants), login, secret, passphrase)?;
            }
            None => self.alone(places, config, &grants, secrets)?,
        }
        if self.json.json {
            output::json(&json!({ "enrolled": self.name, "venue": self.venue }));
        } else {
            output::data(&format!("enrolled {} at {}", self.name, profile.name()));
            if let Some(own) = own {
                output::talk(&format!(
                    "it signs by {} as it is now, whatever becomes of the file; `strongroom venue repin {}` moves it on",
                    own.path.display(),
                    self.name
                ));
            }
            if grants.is_empty() {
                output::talk(&how_on(&self.name, &profile)?);
            }
        }
        Ok(())
    }

    /// The grants that it gets, as TOML.
    fn granted(&self) -> Result<String, Fault> {
        if let Some(file) = &self.grants {
            return Ok(read(&text_of(file)?)?.to_toml());
        }
        match (self.allow.is_empty(), self.accepted.accept_unbound.is_empty()) {
            (true, true) => return Ok(String::new()),
            (true, false) => {
                let message = "--accept-unbound accepts what --allow restricts";
                return Err(Fault::new(ErrorCode::Invalid, message, "name the actions with --allow"));
            }
            (false, _) => {}
        }
        let to = Subject::User(own_uid()).to_string();
        let mut fields = Map::from_iter([
            ("id".to_owned(), free_id(&to, &Grants::NONE).into()),
            ("to".to_owned(), to.into()),
            ("allow".to_owned(), word_list(&self.allow)),
        ]);
        if !self.accepted.accept_unbound.is_empty() {
            fields.insert("accept_unbound".to_owned(), word_list(&self.accepted.accept_unbound));
        }
        Ok(Grants::new(vec![made(fields)?]).map_err(Fault::from)?.to_toml())
    }

    fn for_agent(&self, grants: &str) -> ClientEnrollment {
        let mut wanted = ClientEnrollment::new(&self.name, &self.venue, &self.key_id).grants(grants);
        if self.replace {
            wanted = wanted.replace();
        }
        if self.honey {
            wanted = wanted.honey();
        }
        if let Some(uid) = &self.uid {
            wanted = wanted.uid(uid);
        }
        if let Some(base_url) = &self.base_url {
            wanted = wanted.base_url(base_url);
        }
        wanted
    }

    fn wire<'a>(&'a self, grants: &'a str, passphrase: bool, login: Login) -> Wire<'a> {
        Wire {
            credential: &self.name,
            venue: &self.venue,
            key_id: &self.key_id,
            uid: self.uid.as_deref(),
            base_url: self.base_url.as_deref(),
            replace: self.replace,
            passphrase,
            grants,
            honey: self.honey,
            login,
        }
    }

    /// Whether there is a credential of that name. Only a courtesy to the person who is about to type a
    /// secret: who writes the record finds out for good.
    fn exists(&self, agent: Option<&Client>, places: &Places) -> bool {
        match agent {
            Some(agent) => agent.show(&self.name).is_ok(),
            None => self.name.parse().is_ok_and(|name| store::read_record(&places.data, &name).is_ok()),
        }
    }

    /// Enrols without an agent, by the same code and under the same lock.
    fn alone(&self, places: &Places, config: Config, grants: &str, secrets: Secrets) -> Result<(), Fault> {
        let Secrets { login, passphrase, .. } = &secrets;
        let login = Login { pin: login.pin.is_some(), final_try: login.final_try };
        let wanted = self.wire(grants, passphrase.is_some(), login);
        let enrollment = Enrollment::new(&wanted, secrets)?;
        let order = Permit::of_the_owner().order(enrollment);
        let store = Store::open(&places.data)?;
        block_on(async {
            let signer = Signer::new(config, store, Profiles::new(places))?;
            let enrolled = Rc::clone(&signer).enroll(order).await;
            signer.audit().close();
            enrolled
        })
    }
}

/// What to do where nobody may sign yet, in a form that this venue takes.
fn how_on(name: &str, profile: &Profile) -> Result<String, Fault> {
    let to = Subject::User(own_uid());
    let fields = Map::from_iter([
        ("id".to_owned(), free_id(&to.to_string(), &Grants::NONE).into()),
        ("to".to_owned(), to.to_string().into()),
        ("allow".to_owned(), word_list(&["read", "trade", "cancel"].map(str::to_owned))),
    ]);
    let grants = Grants::new(vec![made(fields)?]).map_err(Fault::from)?;
    let findings = scope::check(profile, &grants);
    let parts: BTreeSet<Part> = findings.iter().flat_map(|finding| finding.accept.iter().copied()).collect();
    let parts: Vec<&str> = parts.into_iter().map(Part::name).collect();
    let add = format!("strongroom grant add {name} --to {to} --allow read,trade,cancel");
    let on = format!("nobody may sign with {name} yet; you may after");
    if parts.is_empty() {
        return Ok(format!("{on} `{add}`"));
    }
    Ok(format!(
        "{on} `{add} --accept-unbound {}`\n(a signature of {} does not bind {}, so whoever gets one can use it for more \
         than that; with --params it can be kept: docs/reference/grants.md)",
        parts.join(","),
        profile.name(),
        parts.join(" and "),
    ))
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
