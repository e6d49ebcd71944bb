//! Lines of the audit log wait for their checkpoint.

use std::rc::Rc;

use tokio::time::sleep;

use crate::signer::Signer;

/// Has them signed soon, whoever has written them, for as long as the agent lives.
pub(super) async fn watch(signer: Rc<Signer>) {
    loop {
        let _ = signer.while_unlocked(tend(&signer)).await;
    }
}

async fn tend(signer: &Signer) {
    loop {
        sleep(signer.tend_log_in()).await;
        signer.tend_log().await;
    }
}
