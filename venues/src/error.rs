//! What can be wrong with a profile, and what with a request.

/// A profile that does not compile: where, and why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ProfileError {
    line: usize,
    column: usize,
    message: String,
}

/// A place in a profile's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Position {
    /// Where byte `offset` of `text` is.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self { line, column: last.chars().count().saturating_add(1) }
    }
}

impl ProfileError {
    /// Places `message` at byte `offset` of `text`.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let Position { line, column } = Position::of(text, offset);
        Self { line, column, message: message.into() }
    }

    /// Line, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// Column in characters, from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// The sentence without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// A key id that is none of the venue's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIdError {
    /// It looks otherwise.
    #[error("the key id is not {is}")]
    Shape {
        /// What the venue's key ids are.
        is: String,
    },
    /// An address whose capitals are not its own (EIP-55).
    #[error(
        "the key id is an address with a slip in it: its small and capital letters are a checksum, which does not fit"
    )]
    Slip,
}

/// Which part of a request an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The request body.
    Body,
    /// The query of the URL.
    Query,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Query => "query",
        })
    }
}

/// A request that the engine refuses to sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The account's own fields cannot be written into a request.
    #[error("the credential's {field} {fact}")]
    Account {
        /// `key id`, `uid`, `base URL` or `passphrase`.
        field: &'static str,
        /// What is wrong with it.
        fact: &'static str,
    },
    /// A parameter that only the agent may set.
    #[error("`{name}` is set by the agent for {venue}; leave it out of the {place}")]
    AgentSets {
        /// Name of the parameter.
        name: String,
        /// Where the caller put it.
        place: Place,
        /// The profile.
        venue: String,
    },
    /// A JSON array where the venue's rule needs named members.
    #[error("{venue} {rule}, so the body must be pairs or a JSON object, not a JSON array")]
    ArrayBody {
        /// Why an array does not do.
        rule: &'static str,
        /// The profile.
        venue: String,
    },
    /// A digit of the caller's right beside a number in the signed text.
    #[error(
        "{what} in a digit, which would make the number beside it in the signed text of {venue} longer: the signature would do for another request"
    )]
    BesideNumber {
        /// `the path ends`, or `the name of a parameter begins`.
        what: &'static str,
        /// The profile.
        venue: String,
    },
    /// The engine contradicts itself.
    #[error("this is a bug in Strongroom, please report it: {0}")]
    Bug(&'static str),
    /// The caller's own timestamp or nonce is not one.
    #[error("`{name}` must be {expected}, as {venue} counts it")]
    CallerTime {
        /// Name of the parameter.
        name: String,
        /// The unit, such as "whole milliseconds since 1970".
        expected: &'static str,
        /// The profile.
        venue: String,
    },
    /// A name that occurs more than once would be read differently by different readers.
    #[error("`{name}` occurs more than once in the {place}")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it was seen the second time.
        place: Place,
    },
    /// A header would carry what no header can.
    #[error("the header `{name}` would contain {fact}")]
    Header {
        /// Name of the header.
        name: String,
        /// A control character, or raw bytes.
        fact: &'static str,
    },
    /// The body or a parameter is not JSON.
    #[error("the {place} is not valid JSON: {fact}")]
    Json {
        /// Body, or a query parameter.
        place: Place,
        /// What the parser saw.
        fact: crate::json::JsonError,
    },
    /// A body that is no list where every element is signed by itself.
    #[error(
        "{0} signs every element of this body by itself, so it must be a JSON array of objects, not empty"
    )]
    ListBody(String),
    /// The socket's token comes by REST.
    #[error(
        "{venue} hands out the token of its socket by REST: have `{request}` signed instead, and send it"
    )]
    LoginByRest {
        /// The request that hands it out.
        request: String,
        /// The profile.
        venue: String,
    },
    /// What is signed names the socket, and the profile knows none for the account's host.
    #[error("the profile {venue} names no socket of `{login}` for the host of this credential")]
    LoginHost {
        /// The login.
        login: String,
        /// The profile.
        venue: String,
    },
    /// A parameter that a login does not take, or not so.
    #[error("`{name}` of the WebSocket login `{login}` of {venue} {fact}; it takes {known}")]
    LoginParam {
        /// The login.
        login: String,
        /// Name of the parameter.
        name: String,
        /// What is wrong with it.
        fact: &'static str,
        /// What would be right.
        known: String,
        /// The profile.
        venue: String,
    },
    /// A text that is no login.
    #[error(
        "this text is none of the WebSocket logins of {0}, built for this key now; the agent signs no other text"
    )]
    LoginText(String),
    /// A method that the engine does not know.
    #[error("method `{}` is none of DELETE, GET, PATCH, POST, PUT", .0.escape_debug())]
    Method(String),
    /// A parameter that the agent sets, and the caller may set only alike.
    #[error("`{name}` must be `{value}` at this host; leave it out, and the agent sets it")]
    MustBe {
        /// Name of the parameter.
        name: String,
        /// What the agent sets.
        value: String,
    },
    /// The agent canonicalised with a time or nonce other than the one it accepted from the caller.
    #[error("the moment differs from the `{name}` that the request carries")]
    Moment {
        /// Name of the parameter.
        name: String,
    },
    /// A filter that makes bytes of text got other text.
    #[error("a value that is signed as bytes is not {expected}")]
    NoBytes {
        /// What it must be.
        expected: &'static str,
    },
    /// A login that the profile does not have.
    #[error("the profile {venue} has no WebSocket login `{name}`; it has {known}")]
    NoLogin {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
        /// The profile.
        venue: String,
    },
    /// The profile's map has no word for this endpoint.
    #[error("the profile {venue} does not know `{endpoint}`, and the signed text needs a word for it")]
    NotMapped {
        /// Method and path.
        endpoint: String,
        /// The profile.
        venue: String,
    },
    /// A JSON value that a query or form cannot express.
    #[error("`{name}` is {kind}, which {venue} has no text form for in a {place}")]
    NoTextForm {
        /// Name of the parameter.
        name: String,
        /// `null`, or a container inside a list.
        kind: &'static str,
        /// Query or body.
        place: Place,
        /// The profile.
        venue: String,
    },
    /// Another endpoint than the one that takes signatures.
    #[error(
        "{venue} takes signed requests at `{endpoint}` alone; what it tells elsewhere needs no signature"
    )]
    OtherEndpoint {
        /// Method and path.
        endpoint: String,
        /// The profile.
        venue: String,
    },
    /// A path that two programs could read differently.
    #[error("the path {0}")]
    Path(&'static str),
    /// A value that would fall apart where the venue wants it unescaped.
    #[error("`{name}` contains {character:?}, but {venue} takes this part of the {place} unescaped")]
    Raw {
        /// Name of the parameter.
        name: String,
        /// The offending character.
        character: char,
        /// Query or body.
        place: Place,
        /// The profile.
        venue: String,
    },
    /// A JSON body that is a bare string, number, boolean or null.
    #[error("the body must be a JSON object or array")]
    ScalarBody,
    /// More than the engine handles.
    #[error("the {what} is longer than {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The limit with its unit.
        limit: &'static str,
    },
    /// A value that has another type than the one in which it is signed, or is missing.
    #[error("`{name}` must be {expected}, because {venue} signs it so")]
    Typed {
        /// Name of the parameter.
        name: String,
        /// The type, or what is missing.
        expected: &'static str,
        /// The profile.
        venue: String,
    },
    /// The venue needs an account id that the credential lacks.
    #[error("{0} needs the account's user id; enrol the credential with a uid")]
    UidMissing(String),
    /// A template of the profile put something into the URL that no URL can hold.
    #[error(
        "the URL would contain a space, a `#` or a character beyond ASCII that the profile does not escape"
    )]
    Url,
    /// The signature would not bind this member of the body.
    #[error("{venue} does not sign `{name}` in this request; leave it out")]
    UnsignedMember {
        /// The name, and the names around it.
        name: String,
        /// The profile.
        venue: String,
    },
    /// The signature would not bind this part, although the profile promises to bind parameters.
    #[error("{venue} does not sign the {place} of a {method} to this path; {hint}")]
    Unsigned {
        /// The part that would go out unsigned.
        place: Place,
        /// The request's method.
        method: String,
        /// Where the parameters belong.
        hint: &'static str,
        /// The profile.
        venue: String,
    },
}
