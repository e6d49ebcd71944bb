//! Nobody has wanted a signature for a while.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::signer::Signer;

/// Locks whenever nothing was signed for `limit`. Time that the machine sleeps does not count.
pub(super) async fn watch(signer: Rc<Signer>, limit: Duration) {
    loop {
        if signer.while_unlocked(idle_for(&signer, limit)).await.is_some() {
            super::lock(&signer, &format!("nothing was signed for {} s", limit.as_secs())).await;
        }
    }
}

/// Returns when the last use is as long ago. One wake-up for each `limit`, whatever is signed meanwhile.
async fn idle_for(signer: &Signer, limit: Duration) {
    while let Some(last_use) = signer.last_use() {
        let left = limit.saturating_sub(last_use.elapsed());
        if left.is_zero() {
            return;
        }
        sleep(left).await;
    }
}
