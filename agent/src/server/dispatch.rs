//! What each operation needs, and who does it: the one table.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use strongroom_protocol::{
    self as wire, Body, DecodeError, ErrorCode, Operation, Param, Reply, Request, Sign, decode,
};
use strongroom_venues as venues;

use super::connection::Connection;
use super::{Server, confirm, hello, progress, reply, report};
use crate::clients::file::Entry;
use crate::clients::{AddClient, ListClients, RemoveClient};
use crate::crew::token::Login;
use crate::fault::Fault;
use crate::identity::{ClientName, NoClientName, log_of};
use crate::policy::{Authorized, Needs, Sight};
use crate::signer::enroll::{Enrollment, Secrets};
use crate::signer::grants::SetGrants;
use crate::signer::metrics::Measure;
use crate::signer::repin::Repin;
use crate::signer::report::{AskHead, CredentialReport, Inspect};
use crate::signer::sign::SignOrder;
use crate::signer::{LockNow, Remove, Signer, Unlock};

/// What happens to the connection after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// It was told what there is: others have their turn before it asks again.
    Rest,
    /// The peer is not one that can be talked to.
    Close,
}

/// What each operation needs of whoever asks for it.
const fn needs(operation: &Operation<'_>) -> Needs {
    match operation {
        // Who is not let in says hello before anything is decided.
        Operation::Hello { .. }
        | Operation::List { .. }
        | Operation::Show { .. }
        | Operation::Sign(_)
        | Operation::Status
        | Operation::WsLogin(_) => Needs::Known,
        Operation::AddClient { .. }
        | Operation::AuditHead
        | Operation::Clients
        | Operation::Confirm { .. }
        | Operation::Enroll(_)
        | Operation::Lock
        | Operation::Metrics
        | Operation::Pending { .. }
        | Operation::Remove { .. }
        | Operation::RemoveClient { .. }
        | Operation::Repin(_)
        | Operation::SetGrants(_)
        | Operation::Token
        | Operation::Unlock(_) => Needs::Admin,
    }
}

/// What an operation is called in the audit log.
const fn name(operation: &Operation<'_>) -> &'static str {
    match operation {
        Operation::AddClient { .. } => "add-client",
        Operation::AuditHead => "audit-head",
        Operation::Clients => "clients",
        Operation::Confirm { .. } => "confirm",
        Operation::Enroll(_) => "enroll",
        Operation::Hello { .. } => "hello",
        Operation::List { .. } => "list",
        Operation::Lock => "lock",
        Operation::Metrics => "metrics",
        Operation::Pending { .. } => "pending",
        Operation::Remove { .. } => "remove",
        Operation::RemoveClient { .. } => "remove-client",
        Operation::Repin(_) => "repin",
        Operation::SetGrants(_) => "set-grants",
        Operation::Show { .. } => "show",
        Operation::Sign(_) => "sign",
        Operation::Status => "status",
        Operation::Token => "token",
        Operation::Unlock(_) => "unlock",
        Operation::WsLogin(_) => "ws-login",
    }
}

/// Acts on one frame. Takes from `descriptors` what the operation needs.
pub(super) fn act(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    frame: &[u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> Next {
    let request: Request<'_> = match decode(frame) {
        Ok(request) => request,
        Err(error) => {
            let fault = match error {
                DecodeError::Version(_) => Fault::new(
                    ErrorCode::Version,
                    error.to_string(),
                    "install the same version of client and agent",
                ),
                _ => {
                    Fault::new(ErrorCode::Malformed, error.to_string(), "is the client one of strongroom's?")
                }
            };
            connection.say(0, reply::error(&fault));
            return Next::Close;
        }
    };
    let id = request.id;
    if let Operation::Hello { token } = request.operation {
        return hello::hear(server, connection, id, token.0);
    }
    if let Err(fault) = hello::none(connection) {
        connection.say(id, reply::error(&fault));
        return Next::Close;
    }
    connection.begin();
    let reads = matches!(request.operation, Operation::Show { .. } | Operation::Status);
    if let Err(fault) = perform(server, connection, id, request.operation, frame, descriptors) {
        connection.answer(id, reply::error(&fault));
    }
    if reads { Next::Rest } else { Next::GoOn }
}

/// Decides about one operation, which came in `frame`, and has it done. On `Ok` it is answered, or will be.
fn perform(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    operation: Operation<'_>,
    frame: &[u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> Result<(), Fault> {
    let signer = &server.signer;
    let permit = server.permit(connection.principal(), needs(&operation), name(&operation))?;
    let inspect = Inspect { sight: permit.sight() };
    match operation {
        // Taken by whoever reads the first frame of a connection.
        Operation::Hello { .. } => {}
        Operation::Sign(request) => {
            if request.method == venues::LOGIN {
                let message = "a WebSocket login is no request";
                return Err(Fault::new(
                    ErrorCode::Invalid,
                    message,
                    "ask for it by `ws_login`, or `strongroom ws-login`",
                ));
            }
            if let Some(slot) = signer.slow_slot(request.credential) {
                connection.asks_slowly(slot);
            }
            sign(server, connection, id, permit.order(order(request, inspect.sight)), frame);
        }
        Operation::WsLogin(wanted) => {
            if let Some(slot) = signer.slow_slot(wanted.credential) {
                connection.asks_slowly(slot);
            }
            sign(server, connection, id, permit.order(login_order(wanted, inspect.sight)), frame);
        }
        Operation::Status => {
            let report = signer.status(permit.order(inspect));
            let (principal, admins) = (connection.principal().names(), server.policy.admins());
            let admins: Vec<_> = admins.collect();
            connection.answer(id, Reply::Status(report.wire(&principal, &admins)));
        }
        Operation::List { after } => {
            list(server, connection, id, permit.order(inspect), after.to_owned());
        }
        Operation::Show { credential } => {
            let report = signer.show(permit.order(inspect), credential)?;
            let (grants, unbound) = (report.grants(), report.accept_unbound());
            let credential = report.wire(&unbound);
            connection.answer(id, Reply::Credential { credential, grants: &grants });
        }
        Operation::Lock => {
            let order = permit.order(LockNow { reason: "a client locked it".to_owned() });
            spawn(server, connection, id, "lock", async |signer| signer.lock(order).await);
        }
        Operation::Unlock(wanted) => {
            let progress = progress::told_to(connection, id);
            let order = permit.order(Unlock { login: login(wanted, descriptors)?, progress });
            spawn(server, connection, id, "unlock", async |signer| signer.unlock(order).await);
        }
        Operation::Enroll(wanted) => {
            let secrets = Secrets {
                login: login(wanted.login, descriptors)?,
                secret: descriptor(descriptors, "secret")?,
                passphrase: wanted.passphrase.then(|| descriptor(descriptors, "passphrase")).transpose()?,
            };
            let order = permit.order(Enrollment::new(&wanted, secrets)?);
            spawn(server, connection, id, "enroll", async |signer| signer.enroll(order).await);
        }
        Operation::Remove { credential } => {
            let order = permit.order(Remove { credential: credential.to_owned() });
            spawn(server, connection, id, "remove", async |signer| signer.remove(order).await);
        }
        Operation::SetGrants(wanted) => {
            let login = login(wanted.login, descriptors)?;
            let order = permit.order(SetGrants::new(&wanted, login)?);
            spawn(server, connection, id, "set-grants", async |signer| signer.set_grants(order).await);
        }
        Operation::Repin(wanted) => {
            let login = login(wanted.login, descriptors)?;
            let order = permit.order(Repin::new(&wanted, login)?);
            spawn(server, connection, id, "repin", async |signer| signer.repin(order).await);
        }
        Operation::Token => {
            let order = permit.order(inspect);
            let (signer, connection) = (Rc::clone(signer), Rc::clone(connection));
            tokio::task::spawn_local(async move {
                match signer.token(order).await {
                    Ok(report) => connection.answer(id, Reply::Token(report.wire())),
                    Err(fault) => connection.answer(id, reply::error(&fault)),
                }
            });
        }
        Operation::AddClient { name } => {
            hello::add(server, connection, id, permit.order(AddClient { name: client_name(name)? }));
        }
        Operation::Clients => {
            let entries = server.clients.list(permit.order(ListClients))?;
            let connections = |entry: &Entry| server.live.connections(&entry.name);
            let clients = entries.iter().map(|entry| report::client(entry, connections(entry))).collect();
            connection.answer(id, Reply::Clients(clients));
        }
        Operation::Metrics => {
            let text = signer.metrics(permit.order(Measure { connections: server.connections.get() }));
            connection.answer(id, Reply::Metrics { text: &text });
        }
        Operation::AuditHead => {
            let (head, folder) = signer.audit_head(permit.order(AskHead));
            connection.answer(id, Reply::AuditHead { head: &head, folder: &folder });
        }
        Operation::RemoveClient { name } => {
            hello::remove(server, connection, id, permit.order(RemoveClient { name: client_name(name)? }));
        }
        Operation::Pending { after, wait } => {
            confirm::ask(server, connection, id, permit.order(confirm::Ask { after, wait }))?;
        }
        Operation::Confirm { number, yes } => {
            confirm::answer(server, connection, id, permit.order(confirm::Answer { number, yes }))?;
        }
    }
    Ok(())
}

/// Looks through the records beside all else that is asked, and answers then.
fn list(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    order: Authorized<Inspect>,
    after: String,
) {
    let (signer, connection) = (Rc::clone(&server.signer), Rc::clone(connection));
    tokio::task::spawn_local(async move {
        let (reports, more) = signer.list(order, after).await;
        let unbound: Vec<String> = reports.iter().map(CredentialReport::accept_unbound).collect();
        let page = reports.iter().zip(&unbound).map(|(report, unbound)| report.wire(unbound)).collect();
        connection.answer(id, Reply::Credentials { page, more });
    });
}

fn client_name(text: &str) -> Result<ClientName, Fault> {
    text.parse().map_err(|error: NoClientName| {
        Fault::new(ErrorCode::Invalid, error.to_string(), "for example grid-bot")
    })
}

/// Signs, or has a human asked about `frame` first.
fn sign(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    order: Authorized<SignOrder<'_>>,
    frame: &[u8],
) {
    let began = Instant::now();
    let to = Rc::clone(connection);
    let asks = server.signer.sign(order, began, move |outcome| {
        let (who, micros) = (to.principal(), began.elapsed().as_micros());
        match outcome {
            Ok(signed) => {
                let url = signed.url.split('?').next().unwrap_or_default();
                log_of!(debug, who, micros, url, "signed");
                to.answer(id, report::signed(&signed));
            }
            Err(error) => {
                let fault = Fault::from(error);
                log_of!(debug, who, micros, %fault, "refused");
                to.answer(id, reply::error(&fault));
            }
        }
    });
    if let Some(waiting) = asks {
        confirm::keep(server, connection, waiting, frame);
    }
}

/// Does something that takes time, and answers when it is done.
fn spawn(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    id: u64,
    operation: &'static str,
    work: impl AsyncFnOnce(Rc<Signer>) -> Result<(), Fault> + 'static,
) {
    let (signer, connection) = (Rc::clone(&server.signer), Rc::clone(connection));
    tokio::task::spawn_local(async move {
        let outcome = work(signer).await;
        let who = connection.principal();
        match outcome {
            Ok(()) => {
                log_of!(debug, who, operation, "done");
                connection.answer(id, Reply::Done);
            }
            Err(fault) => {
                log_of!(debug, who, operation, %fault, "refused");
                connection.answer(id, reply::error(&fault));
            }
        }
    });
}

/// Takes the PIN's descriptor, where one is announced.
fn login(wanted: wire::Login, descriptors: &mut VecDeque<OwnedFd>) -> Result<Login, Fault> {
    let pin = wanted.pin.then(|| descriptor(descriptors, "PIN")).transpose()?;
    Ok(Login { pin, final_try: wanted.final_try })
}

fn descriptor(queue: &mut VecDeque<OwnedFd>, what: &str) -> Result<OwnedFd, Fault> {
    queue.pop_front().ok_or_else(|| {
        let message = format!("the descriptor of the {what} is missing");
        Fault::new(ErrorCode::Malformed, message, "is the client one of strongroom's?")
    })
}

/// The order to sign what was asked for, if that is to be signed; no human has confirmed it.
pub(super) fn asked(operation: Operation<'_>, sight: Sight) -> Option<SignOrder<'_>> {
    match operation {
        Operation::Sign(sign) => Some(order(sign, sight)),
        Operation::WsLogin(wanted) => Some(login_order(wanted, sight)),
        _ => None,
    }
}

fn login_order(wanted: wire::WsLogin<'_>, sight: Sight) -> SignOrder<'_> {
    SignOrder {
        credential: wanted.credential,
        sight,
        confirmed: None,
        request: venues::Request {
            method: venues::LOGIN,
            path: wanted.name.unwrap_or_default(),
            query: wanted.params.into_iter().map(param).collect(),
            body: venues::Body::Empty,
        },
    }
}

const fn param<'a>((name, value): (&'a str, Param<'a>)) -> (&'a str, venues::Param<'a>) {
    match value {
        Param::Text(text) => (name, venues::Param::Text(text)),
        Param::Json(text) => (name, venues::Param::Json(text)),
    }
}

fn order(sign: Sign<'_>, sight: Sight) -> SignOrder<'_> {
    SignOrder {
        credential: sign.credential,
        sight,
        confirmed: None,
        request: venues::Request {
            method: sign.method,
            path: sign.path,
            query: sign.query.into_iter().map(param).collect(),
            body: match sign.body {
                Body::Empty => venues::Body::Empty,
                Body::Form(pairs) => venues::Body::Form(pairs.into_iter().map(param).collect()),
                Body::Json(bytes) => venues::Body::Json(bytes),
            },
        },
    }
}
