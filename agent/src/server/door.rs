//! Who may begin to talk, and with what.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use strongroom_protocol::ErrorCode;

use super::{Server, stranger};
use crate::fault::Fault;
use crate::identity::Client;

/// How long a stranger has to say hello.
pub(super) const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// Most strangers who have not said hello yet: all of them, and those of one user.
const MOST: usize = 64;
const MOST_OF_ONE_USER: usize = 16;

/// The rule by which nobody is served whom a namespace hides.
const HIDDEN: &str = "hidden";

/// The users of those who have connected and have not said hello yet.
#[derive(Debug, Default)]
pub(super) struct Strangers(RefCell<Vec<u32>>);

/// One whom nothing names but a token that it has not shown yet.
#[derive(Debug)]
pub(super) struct Stranger {
    /// What it is told where it does not say hello.
    pub(super) otherwise: Fault,
    /// The rule by which it is nobody, for the audit log.
    pub(super) rule: &'static str,
    uid: u32,
    all: Rc<Strangers>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut all = self.all.0.borrow_mut();
        if let Some(place) = all.iter().position(|uid| *uid == self.uid) {
            all.swap_remove(place);
        }
    }
}

/// Lets one in who has connected: as whom the kernel says that it is, or as a stranger.
///
/// # Errors
/// What it is told before it is sent away: nobody is waited for where no client has a token.
pub(super) fn enter(server: &Server, client: &Client) -> Result<Option<Stranger>, Fault> {
    let doubt = client.doubt.as_ref().and_then(stranger::told);
    let who = &client.principal;
    let denied = server.policy.admit(who, || server.signer.names(who)).err();
    let (otherwise, rule) = match (doubt, denied) {
        (Some(doubt), _) => (doubt, HIDDEN),
        (None, Some(denied)) => {
            let rule = denied.rule();
            (Fault::from(denied), rule)
        }
        (None, None) => return Ok(None),
    };
    if !server.clients.are_any() {
        server.audit.turned_away(&client.principal, rule, &otherwise.message);
        return Err(otherwise);
    }
    let uid = client.principal.uid;
    let mut all = server.strangers.0.borrow_mut();
    if all.len() >= MOST || all.iter().filter(|other| **other == uid).count() >= MOST_OF_ONE_USER {
        let message = "too many have connected and not said hello";
        return Err(Fault::new(ErrorCode::Unavailable, message, "try again in some seconds"));
    }
    all.push(uid);
    Ok(Some(Stranger { otherwise, rule, uid, all: Rc::clone(&server.strangers) }))
}
