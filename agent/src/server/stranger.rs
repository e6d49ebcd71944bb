//! What those are told who are not the client of a connection.

use strongroom_protocol::ErrorCode;

use crate::fault::Fault;
use crate::identity::{Impostor, Unidentified};
use crate::policy::Denied;

/// `None` for one that is not there any more, or will come again by itself.
pub(super) fn told(unidentified: &Unidentified) -> Option<Fault> {
    let (code, hint) = match unidentified {
        Unidentified::Early | Unidentified::Ended => return None,
        Unidentified::Hidden => {
            (ErrorCode::Denied, "run client and agent in one process namespace, or give the client a token")
        }
        Unidentified::Kernel(_) => (ErrorCode::Unavailable, "see the agent's log"),
        Unidentified::User { .. } => {
            (ErrorCode::Denied, "give the client a user that the agent's user namespace has, or a token")
        }
    };
    Some(Fault::new(code, unidentified.to_string(), hint))
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let hint = match &denied {
            Denied::NoAdmins { served, .. } => {
                format!(
                    "add `admins = [\"user:{served}\"]` below [agent] in strongroom.toml, and restart the agent"
                )
            }
            Denied::NotAdmin { .. } => "admins are named below [agent] in strongroom.toml".to_owned(),
            Denied::Stranger { .. } => {
                "give it a grant: strongroom grant add CREDENTIAL --to user:UID …; or a token: strongroom client add NAME".to_owned()
            }
        };
        Self::new(ErrorCode::Denied, denied.to_string(), hint)
    }
}

impl From<Impostor> for Fault {
    fn from(impostor: Impostor) -> Self {
        let hint = match impostor {
            Impostor::Ended | Impostor::Process { .. } => "connect anew in each process",
            Impostor::Program { .. } => "connect anew after execve, and let no descriptor outlive it",
            Impostor::User { .. } => "connect after the change of user",
        };
        Self::new(ErrorCode::Denied, impostor.to_string(), hint)
    }
}
