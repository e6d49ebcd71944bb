//! What is read from the wire's replies.

use std::time::Duration;

use strongroom_protocol::{self as wire, Reply, Response, decode};

use super::{
    AuditHead, Checkpoint, ClientEntry, Credential, Grants, Metrics, Page, Progress, Protection, Question,
    SignedRequest, Status, Token, WsLogin,
};
use crate::error::{End, Error, ProtocolError};
use crate::token::ClientToken;

/// A result that is read from one variant of [`Reply`].
pub(crate) trait FromReply: Sized {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error>;
}

impl FromReply for () {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Done => Ok(()),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for SignedRequest {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Signed(signed) => Ok(Self {
                method: signed.method.to_owned(),
                url: signed.url.to_owned(),
                headers: signed
                    .headers
                    .iter()
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                body: signed.body.to_vec(),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for WsLogin {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::WsLogin(login) => Ok(Self {
                name: login.name.to_owned(),
                url: login.url.map(str::to_owned),
                headers: login
                    .headers
                    .iter()
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                frame: match login.frame {
                    [] => None,
                    frame => Some(String::from_utf8(frame.to_vec()).map_err(|_| Error::wrong_reply())?),
                },
                whole: login.whole,
                signature: login.signature.to_owned(),
                expires_unix_ms: Some(login.expires_unix_ms).filter(|ms| *ms > 0),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Credential {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credential { credential, grants: _ } => Ok(Self::from(&credential)),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Grants {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credential { credential, grants } => {
                Ok(Self { revision: credential.revision, toml: grants.to_owned() })
            }
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Page {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credentials { page, more } => {
                Ok(Self { credentials: page.iter().map(Credential::from).collect(), more })
            }
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Status {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Status(status) => Ok(Self {
                version: status.version.to_owned(),
                pid: status.pid,
                locked: status.locked,
                reason: status.reason.to_owned(),
                since_unix: status.since_unix,
                credentials: status.credentials,
                ready: status.ready,
                keeper_pid: some_pid(status.keeper_pid),
                token_serial: status.token_serial.to_owned(),
                token_label: status.token_label.to_owned(),
                rung: status.rung.to_owned(),
                weaknesses: status.weaknesses.iter().map(|&weakness| weakness.to_owned()).collect(),
                protection: status.protection.iter().map(Protection::from).collect(),
                principal: status.principal.to_owned(),
                admins: status.admins.iter().map(|&admin| admin.to_owned()).collect(),
                checkpoint: (status.checkpoint > 0)
                    .then_some(Checkpoint { line: status.checkpoint, unix: status.checkpoint_unix }),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Vec<Question> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Pending(page) => Ok(page.iter().map(Question::from).collect()),
            other => Err(unwanted(&other)),
        }
    }
}

impl From<&wire::Question<'_>> for Question {
    fn from(question: &wire::Question<'_>) -> Self {
        Self {
            number: question.number,
            principal: question.principal.to_owned(),
            credential: question.credential.to_owned(),
            venue: question.venue.to_owned(),
            action: question.action.to_owned(),
            grant: question.grant.to_owned(),
            left: Duration::from_millis(question.left_ms),
            lines: question.lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }
}

impl From<&wire::Protection<'_>> for Protection {
    fn from(protection: &wire::Protection<'_>) -> Self {
        Self {
            process: protection.process.to_owned(),
            pid: some_pid(protection.pid),
            secret_memory: protection.secret_memory,
            guarded: protection.guarded,
            landlock: protection.landlock.to_owned(),
        }
    }
}

impl FromReply for Token {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Token(token) => Ok(Self {
                serial: token.serial.to_owned(),
                label: token.label.to_owned(),
                model: token.model.to_owned(),
                initialised: token.initialised,
                pad: token.pad,
                tries: token.tries.to_owned(),
                kept: token.kept,
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for ClientToken {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::ClientAdded { token } => Self::new(token.0),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Vec<ClientEntry> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Clients(clients) => Ok(clients.iter().map(ClientEntry::from).collect()),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for AuditHead {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::AuditHead { head, folder } => {
                Ok(Self { head: head.to_owned(), folder: folder.to_owned() })
            }
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Metrics {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Metrics { text } => Ok(Self { text: text.to_owned() }),
            other => Err(unwanted(&other)),
        }
    }
}

impl From<&wire::ClientEntry<'_>> for ClientEntry {
    fn from(client: &wire::ClientEntry<'_>) -> Self {
        Self {
            name: client.name.to_owned(),
            created_unix: client.created_unix,
            used_unix: (client.used_unix != 0).then_some(client.used_unix),
            connections: client.connections,
        }
    }
}

/// The wire has 0 for no process.
fn some_pid(pid: u32) -> Option<u32> {
    (pid != 0).then_some(pid)
}

impl From<&wire::Credential<'_>> for Credential {
    fn from(credential: &wire::Credential<'_>) -> Self {
        Self {
            name: credential.name.to_owned(),
            venue: credential.venue.to_owned(),
            key_id: credential.key_id.to_owned(),
            base_url: credential.base_url.to_owned(),
            algorithm: credential.algorithm.to_owned(),
            custody: credential.custody.to_owned(),
            rung: credential.rung.to_owned(),
            token_serial: credential.token_serial.to_owned(),
            enrolled_unix: credential.enrolled_unix,
            ready: credential.ready,
            fault: credential.fault.to_owned(),
            revision: credential.revision,
            grants: credential.grants,
            accept_unbound: credential
                .accept_unbound
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            honey: credential.honey,
            profile: credential.profile.to_owned(),
        }
    }
}

fn unwanted(reply: &Reply<'_>) -> Error {
    match reply {
        Reply::Error(refusal) => Error::from_refusal(refusal),
        _ => Error::wrong_reply(),
    }
}

/// How far an unlock has come, where the response in `frame` tells that and is no answer yet.
pub(crate) fn progress(frame: &[u8]) -> Option<Progress> {
    match decode::<Response<'_>>(frame) {
        Ok(Response { reply: Reply::Progress(wire::Progress { done, total }), .. }) => {
            Some(Progress { done, total })
        }
        _ => None,
    }
}

/// Reads the response in `frame`: an [`End`] where it is none, so that the connection is of no more use.
pub(crate) fn read<T: FromReply>(frame: &[u8]) -> Result<Result<T, Error>, End> {
    let response: Response<'_> = decode(frame)?;
    Ok(T::from_reply(response.reply))
}

/// Why the agent ends the connection, out of a response that is for no request.
pub(crate) fn of_all(frame: &[u8]) -> End {
    match decode::<Response<'_>>(frame) {
        Ok(Response { reply: Reply::Error(refusal), .. }) => End::from(&refusal),
        Ok(response) => End::Protocol(ProtocolError::UnknownId(response.id)),
        Err(error) => error.into(),
    }
}
