//! What a program asks for.

use std::borrow::Cow;
use std::fs::File;
use std::io::PipeReader;
use std::os::fd::OwnedFd;

use strongroom_protocol as wire;

/// A venue request that is to be signed.
///
/// Holds text by reference where it can: `SignRequest<'static>` owns all of it.
/// The agent adds time, nonce, key id and signature.
///
/// ```
/// use strongroom_client::SignRequest;
///
/// let order = SignRequest::new("binance-main", "POST", "/api/v3/order")
///     .query("symbol", "LTCBTC")
///     .query("side", "BUY")
///     .query("quantity", 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRequest<'a> {
    credential: Cow<'a, str>,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    query: Vec<(Cow<'a, str>, Value<'a>)>,
    body: Body<'a>,
}

/// A WebSocket login that is to be built and signed.
///
/// The name of a credential is one already: the first login of its venue, which is told nothing.
///
/// ```
/// use strongroom_client::WsLoginRequest;
///
/// let login = WsLoginRequest::new("futures")
///     .name("challenge")
///     .param("challenge", "226aee50-88fc-4618-a42a-34f7709570b2");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsLoginRequest<'a> {
    credential: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    params: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> WsLoginRequest<'a> {
    /// The first login of the credential's venue, told nothing.
    pub fn new(credential: impl Into<Cow<'a, str>>) -> Self {
        Self { credential: credential.into(), name: None, params: Vec::new() }
    }

    /// Another login of the venue: `strongroom venue show ID` lists them.
    #[must_use]
    pub fn name(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Tells it something that its profile asks for. In a login whose requests are signed one by one, every other
    /// parameter is one of the request, and their order is kept.
    #[must_use]
    pub fn param(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    pub(crate) fn to_wire(&self) -> wire::Operation<'_> {
        wire::Operation::WsLogin(wire::WsLogin {
            credential: &self.credential,
            name: self.name.as_deref(),
            params: self.params.iter().map(|(name, value)| (name.as_ref(), value.to_wire())).collect(),
        })
    }
}

impl<'a> From<&'a str> for WsLoginRequest<'a> {
    fn from(credential: &'a str) -> Self {
        Self::new(credential)
    }
}

/// The value of one parameter.
///
/// Numbers and truth values are JSON values; how the venue wants them written is the business of its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text, as it is.
    Text(Cow<'a, str>),
    /// One JSON value, ready made: a number, `true`, `false`, `null`, an array or an object.
    Json(Cow<'a, str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body<'a> {
    Empty,
    Form(Vec<(Cow<'a, str>, Value<'a>)>),
    Json(Cow<'a, [u8]>),
}

impl<'a> SignRequest<'a> {
    /// A request without query and body: `credential` by name, HTTP method in capitals, path without host.
    pub fn new(
        credential: impl Into<Cow<'a, str>>,
        method: impl Into<Cow<'a, str>>,
        path: impl Into<Cow<'a, str>>,
    ) -> Self {
        Self {
            credential: credential.into(),
            method: method.into(),
            path: path.into(),
            query: Vec::new(),
            body: Body::Empty,
        }
    }

    /// Appends a query parameter. The order is kept.
    #[must_use]
    pub fn query(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Appends a parameter to a form body, and drops a JSON body. The order is kept.
    #[must_use]
    pub fn form(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        let pair = (name.into(), value.into());
        match &mut self.body {
            Body::Form(pairs) => pairs.push(pair),
            Body::Empty | Body::Json(_) => self.body = Body::Form(vec![pair]),
        }
        self
    }

    /// Makes the body a form without parameters. [`form`](Self::form) adds to it.
    #[must_use]
    pub fn empty_form(mut self) -> Self {
        self.body = Body::Form(Vec::new());
        self
    }

    /// Makes the body this one JSON value, ready made, and drops a form body.
    #[must_use]
    pub fn json(mut self, value: impl Into<Cow<'a, [u8]>>) -> Self {
        self.body = Body::Json(value.into());
        self
    }

    /// Name of the credential.
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// HTTP method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path of the endpoint.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same, owning all of its text.
    #[must_use]
    pub fn into_owned(self) -> SignRequest<'static> {
        SignRequest {
            credential: self.credential.into_owned().into(),
            method: self.method.into_owned().into(),
            path: self.path.into_owned().into(),
            query: owned(self.query),
            body: match self.body {
                Body::Empty => Body::Empty,
                Body::Form(pairs) => Body::Form(owned(pairs)),
                Body::Json(json) => Body::Json(json.into_owned().into()),
            },
        }
    }

    /// Borrows it in the form that goes over the wire.
    pub(crate) fn to_wire(&self) -> wire::Operation<'_> {
        wire::Operation::Sign(wire::Sign {
            credential: &self.credential,
            method: &self.method,
            path: &self.path,
            query: pairs(&self.query),
            body: match &self.body {
                Body::Empty => wire::Body::Empty,
                Body::Form(form) => wire::Body::Form(pairs(form)),
                Body::Json(json) => wire::Body::Json(json),
            },
        })
    }
}

fn pairs<'a>(pairs: &'a [(Cow<'a, str>, Value<'a>)]) -> Vec<(&'a str, wire::Param<'a>)> {
    pairs.iter().map(|(name, value)| (name.as_ref(), value.to_wire())).collect()
}

fn owned(pairs: Vec<(Cow<'_, str>, Value<'_>)>) -> Vec<(Cow<'static, str>, Value<'static>)> {
    pairs.into_iter().map(|(name, value)| (name.into_owned().into(), value.into_owned())).collect()
}

impl Value<'_> {
    fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(text.into_owned().into()),
            Self::Json(json) => Value::Json(json.into_owned().into()),
        }
    }

    fn to_wire(&self) -> wire::Param<'_> {
        match self {
            Self::Text(text) => wire::Param::Text(text),
            Self::Json(json) => wire::Param::Json(json),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Json(if truth { "true" } else { "false" }.into())
    }
}

/// Each of these is written the same way in JSON and by `Display`. Floating point is left out on purpose:
/// a price belongs in text.
macro_rules! value_from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value<'_> {
            fn from(number: $integer) -> Self {
                Self::Json(number.to_string().into())
            }
        }
    )*};
}

value_from_integer!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);

/// A new credential. Its secret goes by descriptor, so that it is in no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    credential: String,
    venue: String,
    key_id: String,
    uid: Option<String>,
    base_url: Option<String>,
    replace: bool,
    grants: String,
    honey: bool,
}

impl Enrollment {
    /// A credential called `credential` for the venue with that profile id; `key_id` is the public half.
    pub fn new(credential: impl Into<String>, venue: impl Into<String>, key_id: impl Into<String>) -> Self {
        Self {
            credential: credential.into(),
            venue: venue.into(),
            key_id: key_id.into(),
            uid: None,
            base_url: None,
            replace: false,
            grants: String::new(),
            honey: false,
        }
    }

    /// Sets the account id, where the venue's requests carry one.
    #[must_use]
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// Chooses one of the hosts of the profile instead of its first.
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Says that an existing credential of that name is replaced.
    #[must_use]
    pub const fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Says who may do what with it, as TOML. Without it nobody may sign yet.
    #[must_use]
    pub fn grants(mut self, toml: impl Into<String>) -> Self {
        self.grants = toml.into();
        self
    }

    /// Makes it a trap: any use of it is denied, and raises an alarm.
    #[must_use]
    pub const fn honey(mut self) -> Self {
        self.honey = true;
        self
    }

    pub(crate) fn to_wire(&self, login: &Login, passphrase: bool) -> wire::Operation<'_> {
        wire::Operation::Enroll(wire::Enroll {
            credential: &self.credential,
            venue: &self.venue,
            key_id: &self.key_id,
            uid: self.uid.as_deref(),
            base_url: self.base_url.as_deref(),
            replace: self.replace,
            passphrase,
            grants: &self.grants,
            honey: self.honey,
            login: login.to_wire(),
        })
    }
}

/// Other grants of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrants {
    credential: String,
    revision: u64,
    toml: String,
    accept_older: bool,
}

impl NewGrants {
    /// Gives `credential` the grants in `toml`, and no others. `revision` is that of the [`Grants`](crate::Grants)
    /// that were changed: the agent refuses where its record has another one meanwhile.
    pub fn new(credential: impl Into<String>, revision: u64, toml: impl Into<String>) -> Self {
        Self { credential: credential.into(), revision, toml: toml.into(), accept_older: false }
    }

    /// Takes a record over that is older than one that was in force. Only a person who has read its grants can.
    #[must_use]
    pub const fn accept_older(mut self) -> Self {
        self.accept_older = true;
        self
    }

    pub(crate) fn to_wire(&self, login: &Login) -> wire::Operation<'_> {
        wire::Operation::SetGrants(wire::SetGrants {
            credential: &self.credential,
            revision: self.revision,
            grants: &self.toml,
            accept_older: self.accept_older,
            login: login.to_wire(),
        })
    }
}

/// To have a credential sign by the profile of its venue as that is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repin {
    credential: String,
    revision: u64,
    profile: String,
    base_url: Option<String>,
}

impl Repin {
    /// Moves `credential` on to the text with the SHA-256 `profile` (in hexadecimal; empty for a profile that ships).
    /// The agent refuses where its record has another `revision` meanwhile, or the venue another text.
    pub fn new(credential: impl Into<String>, revision: u64, profile: impl Into<String>) -> Self {
        Self { credential: credential.into(), revision, profile: profile.into(), base_url: None }
    }

    /// With another one of the profile's hosts.
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    pub(crate) fn to_wire(&self, login: &Login) -> wire::Operation<'_> {
        wire::Operation::Repin(wire::Repin {
            credential: &self.credential,
            revision: self.revision,
            profile: &self.profile,
            base_url: self.base_url.as_deref(),
            login: login.to_wire(),
        })
    }
}

/// How the agent is to log in to its token: with the PIN that a descriptor gives, or without one.
///
/// A descriptor is the read end of a pipe that holds the PIN and whose write end is closed; it can be given
/// as it is, in place of a `Login`.
#[derive(Debug)]
pub struct Login {
    pub(crate) pin: Option<OwnedFd>,
    final_try: bool,
}

impl Login {
    /// With the PIN that this descriptor gives.
    #[must_use]
    pub const fn with_pin(pin: OwnedFd) -> Self {
        Self { pin: Some(pin), final_try: false }
    }

    /// Without a PIN from here: a person enters it on the token's pad, or the agent has kept it.
    #[must_use]
    pub const fn without_pin() -> Self {
        Self { pin: None, final_try: false }
    }

    /// Says that the last try before the token locks may be spent. Only a person who was told so can.
    #[must_use]
    pub fn final_try(mut self) -> Self {
        self.final_try = true;
        self
    }

    pub(crate) const fn to_wire(&self) -> wire::Login {
        wire::Login { pin: self.pin.is_some(), final_try: self.final_try }
    }
}

impl From<OwnedFd> for Login {
    fn from(pin: OwnedFd) -> Self {
        Self::with_pin(pin)
    }
}

impl From<File> for Login {
    fn from(pin: File) -> Self {
        Self::with_pin(pin.into())
    }
}

impl From<PipeReader> for Login {
    fn from(pin: PipeReader) -> Self {
        Self::with_pin(pin.into())
    }
}
