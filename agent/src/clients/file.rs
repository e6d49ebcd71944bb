//! `clients.toml`: who has a token, and what is kept of each.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::token::TokenHash;
use crate::identity::ClientName;
use crate::store::{StoreError, atomic};

/// Most clients. All of them fit one answer.
pub(crate) const MOST: usize = 256;

/// One client.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: ClientName,
    pub(super) token_sha256: TokenText,
    pub(crate) created: Timestamp,
    /// When it last said hello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<Timestamp>,
}

/// The hash of a token in hexadecimal digits.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct TokenText(pub(super) TokenHash);

impl TryFrom<String> for TokenText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.try_into().map(Self)
    }
}

impl From<TokenText> for String {
    fn from(text: TokenText) -> Self {
        text.0.into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default, rename = "client")]
    clients: Vec<Entry>,
}

/// The format that this build writes, and the only one that it reads.
const FORMAT: u32 = 1;

const HEADER: &str = "# Written by `strongroom client`. A token cannot be had from its hash.\n\n";

/// Reads the file. None means no clients.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::Invalid`]: then nobody knows who has a token.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, StoreError> {
    let Some(text) = atomic::read(path)? else { return Ok(Vec::new()) };
    parse(&text).map_err(|fault| StoreError::Invalid { path: path.to_owned(), fault })
}

/// The error is a clause about the file.
fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let File { format, clients } = toml::from_str(text)
        .map_err(|error| format!("is no list of clients: {}", error.to_string().trim_end()))?;
    if format != FORMAT {
        return Err(format!("has format {format}, and this strongroom reads format {FORMAT} only"));
    }
    if clients.len() > MOST {
        return Err(format!("has {} clients; there can be {MOST}", clients.len()));
    }
    let is_sorted = clients.is_sorted_by(|before, after| before.name < after.name);
    if is_sorted { Ok(clients) } else { Err("has clients twice, or not by name".to_owned()) }
}

/// The file of these clients, which are sorted by name.
pub(super) fn text(clients: &[Entry]) -> String {
    // Strings and integers, which TOML can always hold.
    let file = File { format: FORMAT, clients: clients.to_vec() };
    format!("{HEADER}{}", toml::to_string(&file).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::clients::token::Token;

    fn entry(name: &str) -> Entry {
        Entry {
            name: name.parse().unwrap(),
            token_sha256: TokenText(Token::new().unwrap().hash()),
            created: Timestamp::UNIX_EPOCH,
            used: None,
        }
    }

    #[test]
    fn reads_the_file_that_it_writes() {
        for entries in [vec![], vec![entry("a")], vec![entry("a"), entry("b"), entry("c.d-e_9")]] {
            let read = parse(&text(&entries)).unwrap();
            assert_eq!(read.len(), entries.len());
            for (read, entry) in read.iter().zip(&entries) {
                assert_eq!(read.name, entry.name);
                assert!(read.token_sha256.0.is(&entry.token_sha256.0));
            }
        }
    }

    #[test]
    fn refuses_a_file_that_is_not_as_it_writes_them() {
        let two = text(&[entry("a"), entry("b")]);
        assert!(parse(&two).is_ok(), "the control");
        for (case, damaged) in [
            ("empty", String::new()),
            ("cut", two[..two.len() - 10].to_owned()),
            ("another format", two.replace("format = 1", "format = 2")),
            ("an unknown field", two.replace("format = 1", "format = 1\nadmin = true")),
            ("an unknown field of a client", two.replacen("created", "admin = true\ncreated", 1)),
            ("a name twice", two.replace("\"b\"", "\"a\"")),
            ("not by name", two.replace("\"a\"", "\"c\"")),
            ("no name", two.replace("\"a\"", "\"\"")),
            ("a name that is none", two.replace("\"a\"", "\"A B\"")),
            ("half a hash", two.replacen("token_sha256 = \"", "token_sha256 = \"0", 1)),
        ] {
            assert!(parse(&damaged).is_err(), "{case}: {damaged}");
        }
    }
}
