//! The machine goes to sleep: what is in memory then is in the hands of whoever has the machine.
//!
//! logind tells everybody before it happens, and waits for those who hold a delay inhibitor, for five
//! seconds if it is not configured otherwise. So the agent holds one, locks when it is told, lets go, and
//! takes another when the machine is awake.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use zbus::export::ordered_stream::OrderedStreamExt as _;
use zbus::{Connection, OwnedFd};

use crate::fault::chain;
use crate::signer::Signer;

/// How soon the bus is tried again when it has gone, at first and at last.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    #[zbus(signal)]
    fn prepare_for_sleep(&self, start: bool) -> zbus::Result<()>;
}

/// Why nobody tells that the machine goes to sleep.
#[derive(Debug, thiserror::Error)]
enum SleepError {
    #[error("the system bus does not answer")]
    Bus(#[from] zbus::Error),
    #[error("the system bus has closed the connection")]
    Closed,
}

/// Locks whenever the machine goes to sleep. Where there is no bus it is tried again, more and more rarely.
pub(super) async fn watch(signer: Rc<Signer>) {
    let mut pause = PAUSE;
    let mut told = false;
    loop {
        let mut listened = false;
        if let Err(error) = listen(&signer, &mut listened).await
            && (listened || !told)
        {
            tracing::warn!(error = %chain(&error), "the agent is not told when the machine goes to sleep");
            told = true;
        }
        pause = if listened { PAUSE } else { pause.saturating_mul(2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}

/// Serves one connection to the bus, until it ends.
async fn listen(signer: &Signer, listened: &mut bool) -> Result<(), SleepError> {
    let bus = Connection::system().await?;
    let logind = ManagerProxy::new(&bus).await?;
    let mut sleeps = logind.receive_prepare_for_sleep().await?;
    let mut owners = logind.inner().receive_owner_changed().await?;
    let mut held = hold(&logind).await;
    *listened = true;
    loop {
        tokio::select! {
            signal = sleeps.next() => {
                let signal = signal.ok_or(SleepError::Closed)?;
                if signal.args()?.start {
                    super::lock(signer, "the machine goes to sleep").await;
                    drop(held.take());
                } else {
                    held = hold(&logind).await;
                }
            }
            owner = owners.next() => {
                // A logind that was started again knows nothing of what its predecessor gave.
                if owner.ok_or(SleepError::Closed)?.is_some() {
                    held = hold(&logind).await;
                }
            }
        }
    }
}

/// Has logind wait before the machine sleeps. Without it the agent still locks, but maybe too late.
async fn hold(logind: &ManagerProxy<'_>) -> Option<OwnedFd> {
    let why = "forgets all secrets first";
    match logind.inhibit("sleep", "Strongroom", why, "delay").await {
        Ok(inhibitor) => {
            tracing::info!("logind waits for the agent to lock before the machine sleeps");
            Some(inhibitor)
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "logind does not wait for the agent before the machine sleeps");
            None
        }
    }
}
