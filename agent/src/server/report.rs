//! What the agent reports, in the form of the wire.

use jiff::Timestamp;
use strongroom_link::{keeper, token};
use strongroom_protocol::{self as wire, Credential, LoggedIn, Protection, Reply, Signed, Status};
use strongroom_venues as venues;

use crate::clients::file::Entry;
use crate::signer::login::TokenReport;
use crate::signer::report::{CUSTODY, CredentialReport, StatusReport};

pub(super) fn signed(signed: &venues::SignedRequest) -> Reply<'_> {
    let headers = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match &signed.login {
        None => {
            Reply::Signed(Signed { method: &signed.method, url: &signed.url, headers, body: &signed.body })
        }
        Some(login) => Reply::WsLogin(LoggedIn {
            name: &login.name,
            url: login.url.as_deref(),
            headers,
            frame: &signed.body,
            whole: login.whole,
            signature: &login.signature,
            expires_unix_ms: login.expires_unix_ms.unwrap_or_default(),
        }),
    }
}

impl StatusReport {
    pub(super) fn wire<'a>(&'a self, principal: &'a str, admins: &'a [String]) -> Status<'a> {
        Status {
            principal,
            admins: admins.iter().map(String::as_str).collect(),
            checkpoint: self.checkpoint.map_or(0, |checkpoint| checkpoint.line),
            checkpoint_unix: self
                .checkpoint
                .and_then(|checkpoint| u64::try_from(checkpoint.at.as_second()).ok())
                .unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            locked: self.locked.is_some(),
            reason: self.locked.as_deref().unwrap_or_default(),
            since_unix: u64::try_from(self.since.as_second()).unwrap_or_default(),
            credentials: self.credentials,
            ready: self.ready,
            keeper_pid: self.keeper_pid,
            token_serial: &self.token.serial,
            token_label: &self.token.label,
            rung: self.token.rung.name(),
            weaknesses: self.weaknesses.iter().map(String::as_str).collect(),
            protection: self
                .keeper
                .map(|keeper| keeper_wire(self.keeper_pid, keeper))
                .into_iter()
                .chain(self.worker.map(worker_wire))
                .collect(),
        }
    }
}

fn keeper_wire(pid: u32, keeper: keeper::Protection) -> Protection<'static> {
    let keeper::Protection { secret_memory, landlock, guarded } = keeper;
    Protection { process: "keeper", pid, secret_memory, guarded, landlock: landlock.name() }
}

/// One that has logged in has ended by then. Its module needs files, so there is no Landlock.
fn worker_wire(worker: token::Protection) -> Protection<'static> {
    let token::Protection { secret_memory, guarded } = worker;
    Protection { process: "token-worker", pid: 0, secret_memory, guarded, landlock: "absent" }
}

impl TokenReport {
    pub(super) fn wire(&self) -> wire::Token<'_> {
        let Self { token, kept } = self;
        wire::Token {
            serial: &token.serial,
            label: &token.label,
            model: &token.model,
            initialised: token.pin.initialised,
            pad: token.pin.pad,
            tries: token.pin.tries.name(),
            kept: *kept,
        }
    }
}

impl CredentialReport {
    pub(super) fn wire<'a>(&'a self, accept_unbound: &'a str) -> Credential<'a> {
        let unread = Credential {
            name: self.name.as_str(),
            venue: "",
            key_id: "",
            base_url: "",
            algorithm: "",
            custody: CUSTODY,
            rung: "",
            token_serial: "",
            enrolled_unix: 0,
            ready: self.ready,
            fault: &self.fault,
            revision: 0,
            grants: 0,
            accept_unbound,
            honey: false,
            profile: &self.profile,
        };
        let Some(meta) = &self.meta else { return unread };
        Credential {
            venue: &meta.venue,
            key_id: &meta.key_id,
            base_url: &meta.base_url,
            algorithm: meta.algorithm.name(),
            rung: meta.rung.name(),
            token_serial: &meta.token_serial,
            enrolled_unix: u64::try_from(meta.enrolled.as_second()).unwrap_or_default(),
            revision: meta.revision,
            honey: meta.honey,
            grants: u32::try_from(meta.grants.len()).unwrap_or(u32::MAX),
            ..unread
        }
    }
}

pub(super) fn client(entry: &Entry, connections: u32) -> wire::ClientEntry<'_> {
    let unix = |time: Timestamp| u64::try_from(time.as_second()).unwrap_or_default();
    wire::ClientEntry {
        name: entry.name.as_str(),
        created_unix: unix(entry.created),
        used_unix: entry.used.map_or(0, unix),
        connections,
    }
}
