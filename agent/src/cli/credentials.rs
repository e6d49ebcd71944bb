//! Commands about what there is, and about the lock.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use strongroom_protocol::ErrorCode;

use super::bar::Bar;
use super::pin::{Facts, PinSource};
use super::shown::Shown;
use super::{Json, Stop, client, output, running};
use crate::audit::line::{Event, Kind, Verdict, clip};
use crate::audit::log::{AuditLog, MAX_CAUSE_BYTES};
use crate::config::{AuditConfig, Config, Places};
use crate::fault::{Fault, chain};
use crate::identity::Principal;
use crate::signer::profiles::Profiles;
use crate::signer::{ANCHOR_BEHIND, credential_name, report};
use crate::store::Store;
use crate::store::record::CredentialName;

/// Log in to the token with its PIN and load all secrets into the keeper.
///
/// One PIN is one try: a wrong one is never repeated.
#[derive(Debug, Args)]
pub(super) struct Unlock {
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Unlock {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let agent = client(places)?;
        let status = agent.status()?;
        // Where all can sign already, and the token knows all that it should, it is left alone.
        let is_behind = status.weaknesses.iter().any(|weakness| weakness == ANCHOR_BEHIND);
        if status.locked || status.ready < status.credentials || is_behind {
            // The agent has read its own; this one only says how a person is asked.
            let config = places.config.exists().then(|| Config::read(&places.config)).transpose()?;
            let pinentry = config.as_ref().and_then(|config| config.agent.pinentry.as_deref());
            let road = self.pin.road(pinentry, || Ok(Facts::try_from(agent.token()?)?))?;
            let login = road.login()?;
            let mut bar = Bar::default();
            agent.unlock_with(login, |progress| bar.show(progress))?;
        }
        let credentials = agent.list()?;
        let ready = credentials.iter().filter(|credential| credential.ready).count();
        if self.json.json {
            output::json(&json!({ "locked": false, "ready": ready, "credentials": credentials.len() }));
        } else {
            output::data(&format!("unlocked: {ready} of {} credentials can sign", credentials.len()));
            for broken in credentials.iter().filter(|credential| !credential.ready) {
                output::talk(&format!("warning: {}: {}", broken.name, broken.fault));
            }
        }
        Ok(())
    }
}

/// Forget all secrets until the next unlock.
#[derive(Debug, Args)]
pub(super) struct Lock {
    #[command(flatten)]
    json: Json,
}

/// How long a lock may take: a keeper that hangs is given five seconds before it is ended, and whoever locks is to hear
/// of that.
const LOCK_DEADLINE: Duration = Duration::from_secs(30);

impl Lock {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        client(places)?.with_deadline(LOCK_DEADLINE).lock()?;
        if self.json.json {
            output::json(&json!({ "locked": true }));
        } else {
            output::data("locked: no secret is in memory");
        }
        Ok(())
    }
}

/// Tell how the agent is. The exit code is 0 where it answers, locked or not.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    json: Json,
}

impl Status {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let status = client(places)?.status()?;
        if self.json.json {
            output::json(&output::status_json(&status));
            return Ok(());
        }
        let state = if status.locked { format!("locked: {}", status.reason) } else { "unlocked".to_owned() };
        let keeper = status.keeper_pid.map_or_else(|| "none runs".to_owned(), |pid| format!("process {pid}"));
        let checkpoint = status.checkpoint.map_or_else(String::new, |checkpoint| {
            format!("line {} of the audit log, at {}", checkpoint.line, output::when(checkpoint.unix))
        });
        output::data(&output::facts(&[
            ("agent", &format!("{} (process {})", status.version, status.pid)),
            ("state", &state),
            ("since", &output::when(status.since_unix)),
            ("credentials", &format!("{}, of which {} can sign", status.credentials, status.ready)),
            ("keeper", &keeper),
            ("token", &format!("{} (serial {})", status.token_label, status.token_serial)),
            ("rung", &status.rung),
            ("protection", &protection(&status)),
            ("checkpoint", &checkpoint),
            ("admins", &status.admins.join(", ")),
            ("you are", &status.principal),
        ]));
        if status.admins.is_empty() {
            output::talk("warning: nobody can lock, unlock or enrol: the configuration names no admins");
        }
        for process in status.protection.iter().filter(|process| !process.secret_memory) {
            output::talk(&format!(
                "warning: root can read every secret: the {}'s memory is not secret memory",
                process.process
            ));
        }
        for weakness in &status.weaknesses {
            output::talk(&format!("warning: {}", output::weakness(weakness)));
        }
        Ok(())
    }
}

/// What protects each process that holds secrets, in a few words.
fn protection(status: &strongroom_client::Status) -> String {
    let each = |process: &strongroom_client::Protection| {
        let memory = if process.secret_memory { "secret memory" } else { "no secret memory" };
        let guard = if process.guarded { "guarded" } else { "not guarded" };
        format!("{}: {memory}, {guard}, Landlock {}", process.process, process.landlock)
    };
    status.protection.iter().map(each).collect::<Vec<_>>().join("; ")
}

/// List all credentials. Where no agent runs, those on the disk.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    json: Json,
}

impl List {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let credentials = all(places)?;
        if self.json.json {
            output::json(&Value::Array(credentials.iter().map(Shown::json).collect()));
        } else if credentials.is_empty() {
            output::talk("there are no credentials; `strongroom enroll` makes one");
        } else {
            let row = |shown: &Shown| {
                vec![shown.name.clone(), shown.venue.clone(), shown.key_id.clone(), shown.state().to_owned()]
            };
            let rows: Vec<_> = credentials.iter().map(row).collect();
            output::data(&output::table(&["NAME", "VENUE", "KEY", "STATE"], &rows));
        }
        Ok(())
    }
}

/// Show one credential; never its secret.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the credential
    name: String,
    #[command(flatten)]
    json: Json,
}

impl Show {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let credential = match running(places)? {
            Some(agent) => Shown::from(agent.show(&self.name)?),
            None => named(places, &self.name)?,
        };
        if self.json.json {
            output::json(&credential.json());
        } else {
            output::data(&credential.facts(&Profiles::new(places)));
        }
        Ok(())
    }
}

/// Delete a credential. The key stays valid at the venue until it is revoked there.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the credential
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    json: Json,
}

/// Deletes a record without an agent, and writes it down as one would.
fn alone(places: &Places, name: &CredentialName) -> Result<(), Fault> {
    let config =
        if places.config.exists() { Config::read(&places.config)?.audit } else { AuditConfig::default() };
    let store = Store::open(&places.data)?;
    let audit = AuditLog::open(&store.audit_folder(), config, store.has_floors())?;
    let own = Principal::own();
    let removed = store.removing(name)().and_then(|()| store.noting_removed(name)?());
    audit.record(&Event {
        credential: Some(name.as_str().into()),
        verdict: Some(if removed.is_ok() { Verdict::Allowed } else { Verdict::Refused }),
        rule: Some("own-user".into()),
        cause: removed.as_ref().err().map(|error| clip(&chain(error), MAX_CAUSE_BYTES).into_owned().into()),
        ..Event::by(Kind::Remove, &own)
    });
    audit.close();
    Ok(removed?)
}

impl Remove {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        if !self.yes {
            confirm(&self.name)?;
        }
        match running(places)? {
            Some(agent) => agent.remove(&self.name)?,
            None => {
                let name = credential_name(&self.name)?;
                alone(places, &name)?;
            }
        }
        if self.json.json {
            output::json(&json!({ "removed": self.name }));
        } else {
            output::data(&format!("removed {}; revoke its key at the venue too", self.name));
        }
        Ok(())
    }
}

fn confirm(name: &str) -> Result<(), Fault> {
    let refused =
        |message: &str| Fault::new(ErrorCode::Invalid, message, "use --yes where nobody can be asked");
    if !io::stdin().is_terminal() {
        return Err(refused("refusing to delete without having been confirmed"));
    }
    output::talk(&format!(
        "The secret of {name} is gone then, if there is no backup. Type the name to delete it:"
    ));
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed).map_err(Fault::defect)?;
    if typed.trim() == name { Ok(()) } else { Err(refused("nothing was deleted: that was not the name")) }
}

/// What the disk says of one credential where no agent runs.
fn named(places: &Places, name: &str) -> Result<Shown, Fault> {
    let name = credential_name(name)?;
    offline(places)?.into_iter().find(|shown| shown.name == name.as_str()).ok_or_else(|| {
        let message = format!("there is no credential `{name}`");
        Fault::new(ErrorCode::NotFound, message, "`strongroom list` shows what there is")
    })
}

/// What the disk says where no agent runs.
fn offline(places: &Places) -> Result<Vec<Shown>, Fault> {
    Ok(report::offline(&places.data)?.into_iter().map(Shown::from).collect())
}

fn all(places: &Places) -> Result<Vec<Shown>, Stop> {
    match running(places)? {
        Some(agent) => Ok(agent.list()?.into_iter().map(Shown::from).collect()),
        None => Ok(offline(places)?),
    }
}
