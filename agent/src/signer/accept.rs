//! Accepting a gap of the audit log: its owner has restored an older one, and says so with the token's own signature.

use std::borrow::Cow;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use strongroom_protocol::ErrorCode;

use super::account::done;
use super::checkpoint::now;
use super::login::{Keep, PinSource};
use super::{Signer, busy};
use crate::audit::accepted::{Gap, statement};
use crate::audit::chain::Head;
use crate::audit::line::{Event, Kind};
use crate::audit::vouch::{Fingerprint, holds};
use crate::crew::keeper::Keeper;
use crate::crew::token::{Login, TokenWorker};
use crate::fault::Fault;
use crate::identity::Principal;
use crate::policy::Authorized;

/// The order to accept what is missing in the audit log.
#[derive(Debug)]
pub(crate) struct AcceptCut {
    pub(crate) login: Login,
    pub(crate) gaps: Vec<Gap>,
    /// The last line of the log in which they were found.
    pub(crate) last: Head,
    /// The token's key.
    pub(crate) key: Fingerprint,
}

impl Signer {
    /// Writes down that these gaps are accepted, signed by the token. Gives the number of that line.
    ///
    /// # Errors
    /// Where the log has grown since, or token or disk refuse.
    pub(crate) async fn accept_cut(self: Rc<Self>, order: Authorized<AcceptCut>) -> Result<u64, Fault> {
        let by = order.decision();
        let AcceptCut { login, gaps, last, key } = order.spend();
        self.audit.check()?;
        if self.audit.written() != last {
            let message = "the audit log has another end than a moment ago";
            let hint = "run `strongroom audit verify`, then do it again";
            return Err(Fault::new(ErrorCode::Unavailable, message, hint));
        }
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let gaps: Vec<Cow<'static, str>> = gaps.iter().map(|gap| gap.to_string().into()).collect();
        let (covers, at) = (last.to_string(), now());
        let keeper = Keeper::start(self.config.agent.danger_allow_weak_memory, |_| {}).await?;
        let signed = async {
            let mut worker = self.log_in(&keeper, login, Keep::Never, PinSource::Person).await?;
            let statement = statement(&covers, &at, Principal::own().uid, &gaps);
            let signed = self.sign_by_token(&mut worker, key, &statement).await;
            worker.end().await;
            signed
        };
        let signed = signed.await;
        let _ = keeper.end().await;
        let (token_key, token_signature) = match signed {
            Ok(signed) => signed,
            Err(fault) => {
                self.audit.record(&done(Kind::AcceptCut, &by, None, Some(&fault)));
                return Err(fault);
            }
        };
        let failures = self.audit.failures();
        self.audit.record(&Event {
            gaps: Some(gaps),
            covers: Some(covers.into()),
            at: Some(at.into()),
            token_key: Some(token_key.into()),
            token_signature: Some(token_signature.into()),
            ..done(Kind::AcceptCut, &by, None, None)
        });
        if self.audit.failures() != failures {
            return Err(self.audit.stopped().into());
        }
        Ok(self.audit.written().seq)
    }

    /// Has the token sign with its own key; gives the key and the signature as they stand in a line.
    pub(super) async fn sign_by_token(
        &self,
        worker: &mut TokenWorker,
        demanded: Fingerprint,
        statement: &[u8],
    ) -> Result<(String, String), Fault> {
        let label = &self.config.token.kek_label;
        let key = worker.signing_key(label, false).await?;
        let Some(key) = key.filter(|key| Fingerprint::of(key) == demanded) else {
            let message = format!(
                "the token has not the signing key {demanded} any more, which the configuration names"
            );
            let hint = "run `strongroom init` again: it makes a key, and writes it into the configuration";
            return Err(Fault::new(ErrorCode::Unavailable, message, hint));
        };
        let signature = worker.sign(label, Sha256::digest(statement).into()).await?;
        if !holds(&key, statement, &signature) {
            let message = "the token's signature does not hold under its own key";
            return Err(Fault::new(ErrorCode::Unavailable, message, "check the token with its own tool"));
        }
        let hex = base16ct::lower::encode_string;
        Ok((hex(&key.to_spki()), hex(&signature)))
    }
}
