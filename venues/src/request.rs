//! What a caller asks for, before anything is known about its venue.

use std::borrow::Cow;

use crate::error::{Place, RequestError};
use crate::json::{self, Member, Value};

/// An unsigned request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `DELETE`, `GET`, `PATCH`, `POST` or `PUT`.
    pub method: &'a str,
    /// The path of the URL, escaped as it is to be sent, from its first `/` and without the query.
    pub path: &'a str,
    /// Names and values of the query, unescaped, in the caller's order.
    pub query: Vec<(&'a str, Param<'a>)>,
    /// The body.
    pub body: Body<'a>,
}

/// A parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// One JSON value as text: a number, a boolean, a list, an object.
    Json(&'a str),
    /// Plain text, unescaped.
    Text(&'a str),
}

/// A request's body. Pairs and a JSON object are the same thing to the engine: the profile decides
/// how named members are written.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// None.
    Empty,
    /// Names and values, unescaped, in the caller's order.
    Form(Vec<(&'a str, Param<'a>)>),
    /// A JSON object or array.
    Json(&'a [u8]),
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Delete,
    Get,
    Patch,
    Post,
    Put,
}

impl Method {
    pub(crate) const ALL: &[(&'static str, Self)] = &[
        ("DELETE", Self::Delete),
        ("GET", Self::Get),
        ("PATCH", Self::Patch),
        ("POST", Self::Post),
        ("PUT", Self::Put),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, method)| *method)
    }
}

/// A body after parsing.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Array(Vec<Value<'a>>),
    Members(Vec<Member<'a>>),
    None,
}

impl<'a> Parsed<'a> {
    pub(crate) fn members(&self) -> &[Member<'a>] {
        match self {
            Self::Members(members) => members,
            Self::Array(_) | Self::None => &[],
        }
    }

    /// Nothing was given, or nothing is in it.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Array(_) => false,
            Self::Members(members) => members.is_empty(),
            Self::None => true,
        }
    }
}

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 2048;
/// Largest body, in bytes.
const MAX_BODY_BYTES: usize = 128 * 1024;
/// Most parameters of a query or a form.
const MAX_PARAMS: usize = 1024;
/// What the messages about these limits say.
const PARAMS_LIMIT: &str = "1024 parameters";

/// Checks `path` for everything that two programs could read differently.
pub(crate) fn check_path(path: &str) -> Result<(), RequestError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(RequestError::TooLong { what: "path", limit: "2048 bytes" });
    }
    let Some(inner) = path.strip_prefix('/') else {
        return Err(RequestError::Path("must start with `/`"));
    };
    if path.contains('?') {
        return Err(RequestError::Path("contains `?`; pass the query as parameters"));
    }
    if !path.bytes().all(is_path_byte) {
        return Err(RequestError::Path("contains a character that a URL path cannot hold unescaped"));
    }
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(RequestError::Path("contains `//`"));
        }
        if segment == "." || segment == ".." {
            return Err(RequestError::Path("contains a `.` or `..` segment"));
        }
    }
    check_escapes(path)
}

/// A `%` starts two hexadecimal digits, and these hide no `.`, `/` or `\`: some servers decode a path
/// before they split it.
fn check_escapes(path: &str) -> Result<(), RequestError> {
    for tail in path.split('%').skip(1) {
        let digits = tail.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            None => return Err(RequestError::Path("contains `%` without two hexadecimal digits")),
            Some(0..=0x1f | b'%' | b'.' | b'/' | b'\\' | 0x7f) => {
                return Err(RequestError::Path("hides a separator or a control character behind `%`"));
            }
            Some(b'-' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z') => {
                return Err(RequestError::Path("escapes a character that is the same without `%`"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// `pchar` of RFC 3986 and the separators; without `;`, from which on some servers cut a segment off.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$'..=b'.' | b'=' | b':' | b'@')
}

/// Parses parameters; a name may occur once.
pub(crate) fn members<'a>(
    params: &[(&'a str, Param<'a>)],
    place: Place,
) -> Result<Vec<Member<'a>>, RequestError> {
    if params.len() > MAX_PARAMS {
        let what = match place {
            Place::Body => "body",
            Place::Query => "query",
        };
        return Err(RequestError::TooLong { what, limit: PARAMS_LIMIT });
    }
    let mut members: Vec<Member<'a>> = Vec::with_capacity(params.len());
    for (name, value) in params {
        if members.iter().any(|(known, _)| known == name) {
            return Err(RequestError::DuplicateName { name: (*name).to_owned(), place });
        }
        let value = match value {
            Param::Text(text) => Value::Text(Cow::Borrowed(text)),
            Param::Json(text) => {
                json::parse(text.as_bytes()).map_err(|fact| RequestError::Json { place, fact })?
            }
        };
        members.push((Cow::Borrowed(name), value));
    }
    Ok(members)
}

/// Parses a body.
pub(crate) fn body<'a>(body: &Body<'a>) -> Result<Parsed<'a>, RequestError> {
    match body {
        Body::Empty => Ok(Parsed::None),
        Body::Form(pairs) if pairs.is_empty() => Ok(Parsed::None),
        Body::Form(pairs) => members(pairs, Place::Body).map(Parsed::Members),
        Body::Json(text) => {
            if text.len() > MAX_BODY_BYTES {
                return Err(RequestError::TooLong { what: "body", limit: "128 KiB" });
            }
            let value = json::parse(text).map_err(|fact| RequestError::Json { place: Place::Body, fact })?;
            match value {
                Value::Array(values) => Ok(Parsed::Array(values)),
                Value::Object(members) => Ok(Parsed::Members(members)),
                _ => Err(RequestError::ScalarBody),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_paths_that_venues_have() {
        for path in [
            "/",
            "/0/private/AddOrder",
            "/v2/auth/r/order/tBTCUSD:77/trades",
            "/api/v2/buy/btcusd/",
            "/a/%20b,c@d",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn refuses_paths_with_two_readings() {
        for (path, fact) in [
            ("", "must start with `/`"),
            ("api", "must start with `/`"),
            ("https://evil.example/", "must start with `/`"),
            ("//evil.example/a", "contains `//`"),
            ("/a//b", "contains `//`"),
            ("/a//", "contains `//`"),
            ("/a/../b", "contains a `.` or `..` segment"),
            ("/a/.", "contains a `.` or `..` segment"),
            ("/a?b=c", "contains `?`; pass the query as parameters"),
            ("/a#b", "contains a character that a URL path cannot hold unescaped"),
            ("/a b", "contains a character that a URL path cannot hold unescaped"),
            ("/a\\b", "contains a character that a URL path cannot hold unescaped"),
            ("/a\r\nb", "contains a character that a URL path cannot hold unescaped"),
            ("/ä", "contains a character that a URL path cannot hold unescaped"),
            ("/a%2e%2e/b", "hides a separator or a control character behind `%`"),
            ("/a%2Fb", "hides a separator or a control character behind `%`"),
            ("/a%252e", "hides a separator or a control character behind `%`"),
            ("/a%0d", "hides a separator or a control character behind `%`"),
            ("/a%6frder", "escapes a character that is the same without `%`"),
            ("/a;b/c", "contains a character that a URL path cannot hold unescaped"),
            ("/a%4", "contains `%` without two hexadecimal digits"),
        ] {
            assert_eq!(check_path(path), Err(RequestError::Path(fact)), "{path}");
        }
    }
}
