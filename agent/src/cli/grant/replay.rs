//! Requests that are looked at again, from the audit log or from the command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use serde_json::value::RawValue;
use strongroom_client::Value;
use strongroom_policy::{Caller, Subject};
use strongroom_protocol::ErrorCode;
use strongroom_venues::{Body, Param, Plan, Profile, Request};

use crate::audit::chain::Verifier;
use crate::audit::line::{Event, Kind, Line};
use crate::audit::reader;
use crate::cli::{Stop, audit, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::signer::credential_name;
use crate::signer::profiles::Profiles;
use crate::store::{self, record::Meta};

/// What the record on the disk says of a credential, and the profile of its venue.
pub(super) fn credential(places: &Places, name: &str) -> Result<(Rc<Meta>, Rc<Profile>), Stop> {
    let meta = store::read_record(&places.data, &credential_name(name)?)?.meta;
    let profile = Profiles::new(places).of(&meta)?;
    Ok((meta, profile))
}

/// Shows each line about signing with this credential.
pub(super) fn lines(places: &Places, credential: &str, mut each: impl FnMut(Line)) -> Result<(), Stop> {
    about(places, credential, |line| {
        if line.event.kind == Kind::Sign {
            each(line);
        }
    })
}

/// Shows each line about this credential. Says so where the log has been tampered with.
pub(super) fn about(places: &Places, credential: &str, mut each: impl FnMut(Line)) -> Result<(), Stop> {
    let folder: &Path = &store::audit_folder(&places.data);
    let read = reader::read(folder, Verifier::new(true), &audit::known(places)?, |line| {
        if line.event.credential.as_deref() == Some(credential) {
            each(line);
        }
    })
    .map_err(Fault::from)?;
    if !read.verified.findings.is_empty() {
        output::talk("the audit log is not as it was written; `strongroom audit verify` says where");
    }
    Ok(())
}

/// The method, path and parameters of a request.
pub(super) struct Replay<'a> {
    method: &'a str,
    path: &'a str,
    query: Vec<(&'a str, Given<'a>)>,
    body: GivenBody<'a>,
}

enum Given<'a> {
    Text(&'a str),
    Json(&'a str),
}

enum GivenBody<'a> {
    Form(Vec<(&'a str, Given<'a>)>),
    Json(&'a [u8]),
    None,
}

impl<'a> Replay<'a> {
    /// What was asked for by hand.
    pub(super) fn by_hand(
        method: &'a str,
        path: &'a str,
        query: &'a [(&'a str, Value<'a>)],
        form: &'a [(&'a str, Value<'a>)],
        json: Option<&'a [u8]>,
    ) -> Self {
        fn given<'a>(list: &'a [(&'a str, Value<'a>)]) -> Vec<(&'a str, Given<'a>)> {
            let one = |value: &'a Value<'a>| match value {
                Value::Text(text) => Given::Text(text),
                Value::Json(text) => Given::Json(text),
            };
            list.iter().map(|(name, value)| (*name, one(value))).collect()
        }
        let body = match json {
            Some(json) => GivenBody::Json(json),
            None if form.is_empty() => GivenBody::None,
            None => GivenBody::Form(given(form)),
        };
        Self { method, path, query: given(query), body }
    }

    /// What a line tells; nothing if it tells of no request. What is not in the line, because it is secret or too
    /// long, is text that no limit can read.
    pub(super) fn of_line(event: &'a Event<'_>) -> Option<Self> {
        let query: BTreeMap<&'a str, &'a RawValue> = match &event.query {
            Some(query) => serde_json::from_str(query.get()).ok()?,
            None => BTreeMap::new(),
        };
        Some(Self {
            method: event.method.as_deref()?,
            path: event.path.as_deref()?,
            query: query.into_iter().map(|(name, value)| (name, Given::Json(value.get()))).collect(),
            body: event.body.as_ref().map_or(GivenBody::None, |body| GivenBody::Json(body.get().as_bytes())),
        })
    }

    /// Plans the request as the agent does, and shows the plan.
    pub(super) fn planned<T>(
        &self,
        profile: &Profile,
        show: impl FnOnce(&Plan<'_>) -> T,
    ) -> Result<T, Fault> {
        let list = |list: &[(&'a str, Given<'a>)]| {
            let one = |given: &Given<'a>| match given {
                Given::Text(text) => Param::Text(text),
                Given::Json(text) => Param::Json(text),
            };
            list.iter().map(|(name, given)| (*name, one(given))).collect()
        };
        let body = match &self.body {
            GivenBody::Form(form) => Body::Form(list(form)),
            GivenBody::Json(text) => Body::Json(text),
            GivenBody::None => Body::Empty,
        };
        let request = Request { method: self.method, path: self.path, query: list(&self.query), body };
        let plan = profile.plan(&request).map_err(|error| {
            Fault::new(
                ErrorCode::Invalid,
                error.to_string(),
                "no grant is asked about a request that is not signed",
            )
        })?;
        Ok(show(&plan))
    }
}

/// Who has sent the request of a line.
pub(super) fn caller<'a>(event: &'a Event<'_>) -> Option<Caller<'a>> {
    match &event.client {
        Some(client) => Some(Caller::Client(client)),
        None => event.uid.map(|uid| Caller::Process { uid, unit: event.unit.as_deref() }),
    }
}

/// A subject as one who asks. Of a unit it is not known which user it runs as, so grants to users are not looked at.
pub(super) fn as_caller(subject: &Subject) -> Caller<'_> {
    match subject {
        Subject::Client(name) => Caller::Client(name),
        Subject::Unit(unit) => Caller::Process { uid: Caller::NO_USER, unit: Some(unit) },
        Subject::User(uid) => Caller::Process { uid: *uid, unit: None },
    }
}
