//! `strongroom agent`: the front process.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use sd_notify::NotifyState;
use strongroom_protocol::ErrorCode;
use tokio::signal::unix::{SignalKind, signal};

use super::{Stop, block_on, secret};
use crate::audit::line::{Event, Kind};
use crate::clients::Clients;
use crate::config::{Config, Places};
use crate::crew::token::Login;
use crate::fault::Fault;
use crate::identity::Kernel;
use crate::policy::Policy;
use crate::server::{self, Server};
use crate::signer::Signer;
use crate::signer::profiles::Profiles;
use crate::store::Store;
use crate::watch;

/// Serve bots until a signal ends it.
///
/// Starts locked. It is unlocked by `strongroom unlock`, or at once: on the token's pad where the
/// configuration says so (pad_at_start), by a credential named `strongroom-pin` that systemd hands over
/// (LoadCredentialEncrypted=), or by --pin-fd. A wrong PIN is not tried twice.
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Unlock with the PIN that this descriptor gives
    #[arg(long, value_name = "N")]
    pin_fd: Option<u32>,
}

/// Name of the credential in which systemd hands the PIN over.
const PIN_CREDENTIAL: &str = "strongroom-pin";

impl Agent {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        log();
        let config = Config::read(&places.config)?;
        let store = Store::open(&places.data)?;
        let unlock = self.unlock(&config)?;
        raise_descriptor_limit();
        block_on(serve(config, store, Profiles::new(places), unlock, || {
            places.socket().map(ToOwned::to_owned)
        }))?;
        Ok(())
    }

    /// How to unlock at the start, if at all: on the token's pad (no descriptor), by the credential of the
    /// service manager, by the descriptor of the command line. Nothing is read from a descriptor here.
    fn unlock(&self, config: &Config) -> Result<Option<Login>, Fault> {
        if config.agent.pad_at_start {
            return Ok(Some(Login { pin: None, final_try: false }));
        }
        let refused = |what: &str, hint: &str, error: io::Error| {
            Fault::new(ErrorCode::Invalid, format!("{what} cannot be opened: {error}"), hint)
        };
        let credential =
            std::env::var_os("CREDENTIALS_DIRECTORY").map_or(Ok(None), |folder| {
                match File::open(PathBuf::from(folder).join(PIN_CREDENTIAL)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    opened => opened.map(|file| Some(OwnedFd::from(file))),
                }
            });
        let credential = credential.map_err(|error| {
            refused("the PIN's credential", "see LoadCredentialEncrypted= of the unit", error)
        })?;
        let given = match (credential, self.pin_fd) {
            (None, Some(number)) => {
                let opened = secret::descriptor(number);
                Some(opened.map_err(|error| refused("the PIN's descriptor", "check --pin-fd", error))?)
            }
            (credential, _) => credential,
        };
        Ok(given.map(|pin| Login { pin: Some(pin), final_try: false }))
    }
}

async fn serve(
    config: Config,
    store: Store,
    profiles: Profiles,
    unlock: Option<Login>,
    socket: impl FnOnce() -> Result<PathBuf, Fault>,
) -> Result<(), Fault> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(Fault::defect)?,
        signal(SignalKind::interrupt()).map_err(Fault::defect)?,
    );
    for weakness in config.weaknesses() {
        tracing::warn!(weakness, "a setting weakens this agent");
    }
    let confirm_within = config.agent.confirm_s.into();
    let (clients, policy) = (Clients::open(store.clients_path()), Policy::own(config.agent.admins.clone()));
    let signer = Signer::new(config, store, profiles)?;
    let listening = server::listen(socket)?;
    let own = std::process::id();
    let life = |kind| Event {
        uid: Some(rustix::process::geteuid().as_raw()),
        pid: i32::try_from(own).ok(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        ..Event::of(kind)
    };
    signer.audit().record(&life(Kind::Start));
    let kernel = Kernel::look();
    tracing::info!(by = kernel.means(), unit_by = kernel.means_of_units(), "clients are known");
    let server = Server::new(Rc::clone(&signer), policy, clients, kernel, confirm_within);
    tracing::info!(socket = listening.place(), pid = std::process::id(), "serving");
    if let Some(login) = unlock {
        if login.pin.is_none() {
            tracing::warn!("enter the PIN on the token's pad");
        }
        let signer = Rc::clone(&signer);
        tokio::task::spawn_local(async move {
            if let Err(fault) = signer.unlock_by_itself(login).await {
                tracing::error!(%fault, hint = fault.hint, "the agent stays locked");
            }
        });
    }
    watch::start(&signer);
    tokio::task::spawn_local(watchdog());
    notify(&[NotifyState::Ready]);
    tokio::select! {
        () = server.accept(&listening) => {}
        _ = terminate.recv() => tracing::info!("asked to end"),
        _ = interrupt.recv() => tracing::info!("interrupted"),
    }
    notify(&[NotifyState::Stopping]);
    // Before the lock, so that the last checkpoint covers it.
    signer.audit().record(&life(Kind::Stop));
    let locked = signer.lock_for("the agent ends").await;
    signer.token_at_rest().await;
    signer.audit().close();
    locked
}

/// Tells the service manager that this thread still turns, where it asks.
async fn watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    // Twice in each interval, as sd_watchdog_enabled(3) advises.
    let mut ticks = tokio::time::interval(interval.div_f32(2.0));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Each client needs a descriptor; the usual soft limit is below the number of clients served.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Logs to standard error; the journal brings its own time.
fn log() {
    use tracing_subscriber::EnvFilter;
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = io::stderr().is_terminal() && !unwanted;
    let filter = EnvFilter::try_from_env("STRONGROOM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(io::stderr)
        .with_ansi(coloured);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().init();
    } else {
        builder.init();
    }
}
