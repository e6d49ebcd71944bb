//! Filters: what may be done to a value between the braces.

use md5::Md5;
use sha2::{Digest, Sha256, Sha384, Sha512};
use sha3::Keccak256;

use super::{Cut, MAX_TEXT_BYTES};
use crate::codec::{self, Escape};
use crate::compile::near::did_you_mean;
use crate::error::RequestError;

/// Whether a value is text or raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any bytes, such as a digest.
    Bytes,
    /// UTF-8.
    Text,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    /// The 20 bytes of an address of Ethereum.
    Address,
    /// Standard base64.
    B64,
    /// URL-safe base64 without padding.
    B64url,
    /// Removes every match.
    Cut(Box<Cut>),
    /// Percent escapes.
    Escape(Escape),
    /// Bytes instead of an empty value.
    Else(Box<[u8]>),
    /// Lower-case hexadecimal.
    Hex,
    /// Upper-case hexadecimal.
    HexUpper,
    /// A string of JSON.
    Json,
    /// The Keccak-256 digest, as Ethereum has it.
    Keccak256,
    /// Puts bytes in front of a value that is not empty.
    Lead(Box<[u8]>),
    /// ASCII lower case.
    Lower,
    /// The MD5 digest; some venues sign it, nothing rests on it.
    Md5,
    /// Puts text in front of a value that is not empty.
    Prefix(Box<str>),
    /// The SHA-256 digest.
    Sha256,
    /// The SHA-384 digest.
    Sha384,
    /// The SHA-512 digest.
    Sha512,
    /// A whole number as eight bytes, the highest first.
    U64,
    /// ASCII upper case.
    Upper,
}

/// Names of the filters, for an error message.
pub(crate) const NAMES: &[&str] = &[
    "address",
    "amp",
    "b64",
    "b64url",
    "bytes",
    "cut:REGEX",
    "else:HEX",
    "hash",
    "HEX",
    "hex",
    "js",
    "json",
    "keccak256",
    "lead:HEX",
    "lower",
    "mac",
    "md5",
    "pct",
    "prefix:TEXT",
    "q",
    "sha256",
    "sha384",
    "sha512",
    "u64",
    "upper",
];

/// What is said when a template yields more than the engine carries.
pub(crate) const TOO_LONG: RequestError =
    RequestError::TooLong { what: "text that a template yields", limit: "512 KiB" };

/// What the filters that make bytes of text want.
const ADDRESS: &str = "an address: 0x and 40 hexadecimal digits";
const U64: &str = "a whole number in plain digits";
const TEXT: &str = "text in UTF-8";

impl Filter {
    /// The filter called `name`, if there is one; `mac` and `bytes` are no steps of their own and not
    /// found here.
    pub(crate) fn parse(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let prefix = |text: &str| Self::Prefix(text.into());
        Ok(match (name, argument) {
            ("address", None) => Self::Address,
            ("amp", None) => prefix("&"),
            ("b64", None) => Self::B64,
            ("b64url", None) => Self::B64url,
            ("cut", Some(text)) => {
                Self::Cut(Box::new(Cut::compile(text).map_err(|error| braces(text, error))?))
            }
            ("else", Some(digits)) => Self::Else(bytes(digits)?),
            ("hash", None) => prefix("#"),
            ("HEX", None) => Self::HexUpper,
            ("hex", None) => Self::Hex,
            ("js", None) => Self::Escape(Escape::Js),
            ("json", None) => Self::Json,
            ("keccak256", None) => Self::Keccak256,
            ("lead", Some(digits)) => Self::Lead(bytes(digits)?),
            ("lower", None) => Self::Lower,
            ("md5", None) => Self::Md5,
            ("pct", None) => Self::Escape(Escape::Pct),
            ("prefix", Some(text)) => prefix(text),
            ("q", None) => prefix("?"),
            ("sha256", None) => Self::Sha256,
            ("sha384", None) => Self::Sha384,
            ("sha512", None) => Self::Sha512,
            ("u64", None) => Self::U64,
            ("upper", None) => Self::Upper,
            ("cut" | "prefix", None) => {
                return Err(format!("the filter `{name}` needs an argument, as in `{name}:x`"));
            }
            ("", None) => {
                return Err("a filter is missing beside `|`; in an argument a `|` ends the filter, and \
                            `lead:7c` puts one in front"
                    .to_owned());
            }
            ("else" | "lead", None) => {
                return Err(format!("the filter `{name}` needs an argument, as in `{name}:00`"));
            }
            (_, argument) => {
                let names = NAMES.iter().map(|known| known.split(':').next().unwrap_or(known));
                let near = did_you_mean(name, names);
                let what = if argument.is_some() { "unknown or takes no argument" } else { "unknown" };
                return Err(format!("the filter `{name}` is {what}{near}; filters are {}", NAMES.join(", ")));
            }
        })
    }

    /// What it yields for a value of `kind`; nothing where it needs text and gets bytes.
    pub(crate) const fn yields(&self, kind: Kind) -> Option<Kind> {
        match (self, kind) {
            (
                Self::Else(_)
                | Self::Keccak256
                | Self::Lead(_)
                | Self::Md5
                | Self::Sha256
                | Self::Sha384
                | Self::Sha512,
                _,
            )
            | (Self::Address | Self::U64, Kind::Text) => Some(Kind::Bytes),
            (Self::B64 | Self::B64url | Self::Hex | Self::HexUpper, _) | (_, Kind::Text) => Some(Kind::Text),
            (_, Kind::Bytes) => None,
        }
    }
}

/// Appends what the filters make of `value`.
pub(crate) fn apply(filters: &[Filter], value: &[u8], out: &mut Vec<u8>) -> Result<(), RequestError> {
    let Some((first, rest)) = filters.split_first() else {
        out.extend_from_slice(value);
        return Ok(());
    };
    if value.len() > MAX_TEXT_BYTES {
        return Err(TOO_LONG);
    }
    // A digest stays on the stack; text goes straight into `out` if no other filter waits for it.
    match first {
        Filter::Keccak256 => return apply(rest, &Keccak256::digest(value), out),
        Filter::Md5 => return apply(rest, &Md5::digest(value), out),
        Filter::Sha256 => return apply(rest, &Sha256::digest(value), out),
        Filter::Sha384 => return apply(rest, &Sha384::digest(value), out),
        Filter::Sha512 => return apply(rest, &Sha512::digest(value), out),
        _ => {}
    }
    if rest.is_empty() {
        return rewrite(first, value, out);
    }
    let mut between = Vec::with_capacity(value.len());
    rewrite(first, value, &mut between)?;
    apply(rest, &between, out)
}

/// The filters that are no digests.
fn rewrite(filter: &Filter, value: &[u8], out: &mut Vec<u8>) -> Result<(), RequestError> {
    match filter {
        // What is not there has no bytes either.
        Filter::Address | Filter::U64 if value.is_empty() => {}
        Filter::Address => {
            let address = codec::address(value).ok_or(RequestError::NoBytes { expected: ADDRESS })?;
            out.extend_from_slice(&address);
        }
        Filter::U64 => {
            let number = std::str::from_utf8(value).ok().and_then(crate::clock::read_number);
            let number = number.ok_or(RequestError::NoBytes { expected: U64 })?;
            out.extend_from_slice(&number.to_be_bytes());
        }
        Filter::Else(bytes) => out.extend_from_slice(if value.is_empty() { bytes } else { value }),
        Filter::Lead(bytes) => {
            if !value.is_empty() {
                out.extend_from_slice(bytes);
                out.extend_from_slice(value);
            }
        }
        Filter::B64 => codec::base64(value, out),
        Filter::B64url => codec::base64url(value, out),
        Filter::Cut(cut) => cut.apply(value, out),
        Filter::Escape(kind) => codec::escape(*kind, "", value, out),
        Filter::Hex => codec::hex(value, out),
        Filter::HexUpper => codec::hex_upper(value, out),
        Filter::Json => {
            let text = std::str::from_utf8(value).map_err(|_| RequestError::NoBytes { expected: TEXT })?;
            crate::json::write_string(text, false, out);
        }
        Filter::Lower => out.extend(value.iter().map(u8::to_ascii_lowercase)),
        Filter::Upper => out.extend(value.iter().map(u8::to_ascii_uppercase)),
        Filter::Prefix(prefix) => {
            if !value.is_empty() {
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(value);
            }
        }
        Filter::Keccak256 | Filter::Md5 | Filter::Sha256 | Filter::Sha384 | Filter::Sha512 => {}
    }
    Ok(())
}

/// An error about a pattern that ends where its author did not end it.
fn braces(pattern: &str, error: String) -> String {
    if pattern.matches('{').count() > pattern.matches('}').count() {
        return format!(
            "{error}; a `}}` ends the expression: put parentheses around it, as in `cut:([a-z]{{3}})`"
        );
    }
    error
}

/// The bytes that an argument in hexadecimal means.
fn bytes(digits: &str) -> Result<Box<[u8]>, String> {
    let bytes = codec::unhex(digits).filter(|bytes| !bytes.is_empty());
    bytes.map(Into::into).ok_or_else(|| format!("`{digits}` is no bytes in hexadecimal"))
}
