//! What locks the agent without being asked: the token is pulled out, the machine goes to sleep, nobody
//! wants a signature. (The end of the keeper does so too; `signer` sees that itself.) And what has the audit log signed.

mod idle;
mod log;
mod sleep;
mod token;
mod uevent;

use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::spawn_local;

use crate::signer::Signer;

/// Watches over a signer, by tasks of this thread that end with it.
pub(crate) fn start(signer: &Rc<Signer>) {
    let device_gone = Rc::new(Notify::new());
    spawn_local(uevent::listen(Rc::clone(&device_gone)));
    spawn_local(token::watch(Rc::clone(signer), device_gone));
    spawn_local(log::watch(Rc::clone(signer)));
    if let Some(limit) = signer.config().agent.lock_after_idle_s {
        spawn_local(idle::watch(Rc::clone(signer), limit.into()));
    }
    if signer.config().agent.lock_on_suspend {
        spawn_local(sleep::watch(Rc::clone(signer)));
    }
}

/// Locks, and says in the log where the keeper did not do its part; it is killed then.
async fn lock(signer: &Signer, reason: &str) {
    if let Err(fault) = signer.lock_for(reason).await {
        tracing::error!(%fault, "the keeper did not say that it has forgotten, and was killed");
    }
}
