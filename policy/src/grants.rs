//! All grants of one credential, and their text.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::grant::{Grant, GrantError, GrantId, Terms};

/// The grants of one credential, in the order in which they are looked at. Written and read as a list, so that a
/// record may hold them as `[[credential.grant]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct Grants(Vec<Grant>);

/// Text or grants that make no list of grants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// One that says nothing definite.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// More than a credential may have.
    #[error("{0} grants are more than the {MAX_GRANTS} that a credential may have")]
    Many(usize),
    /// The text is not what `docs/reference/grants.md` describes.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Text longer than it may be.
    #[error("{0} bytes are more than the {MAX_TEXT_BYTES} that the grants of a credential may have")]
    TooLong(usize),
    /// Two of one name.
    #[error("two grants have the id `{0}`; give each its own")]
    Twice(GrantId),
}

/// A document of nothing but grants.
#[derive(Serialize)]
struct Document {
    grant: Grants,
}

/// The same as it is read, with where each grant stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    grant: Vec<Spanned<Terms>>,
}

impl GrantsError {
    fn at(text: &str, start: usize, message: String) -> Self {
        let before = text.get(..start).unwrap_or(text);
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self::Text {
            line: before.matches('\n').count().saturating_add(1),
            column: last.chars().count().saturating_add(1),
            message,
        }
    }
}

/// What the reader says of two common slips, with what to write instead.
fn plainly(message: &str) -> String {
    let instead = match message {
        "invalid type: map, expected a sequence" => "; a grant begins with `[[grant]]`, in two brackets each",
        _ if !message.ends_with("expected a string") => "",
        _ if message.starts_with("invalid type: integer") || message.starts_with("invalid type: float") => {
            "; an amount is text: write it in quotes"
        }
        _ => "",
    };
    format!("{message}{instead}")
}

impl Grants {
    /// No grant: nobody may do anything.
    pub const NONE: Self = Self(Vec::new());

    /// These, in this order.
    ///
    /// # Errors
    /// [`GrantsError::Many`], [`GrantsError::Twice`], [`GrantsError::TooLong`].
    pub fn new(grants: Vec<Grant>) -> Result<Self, GrantsError> {
        if grants.len() > MAX_GRANTS {
            return Err(GrantsError::Many(grants.len()));
        }
        let mut ids: Vec<&GrantId> = grants.iter().map(|grant| &grant.id).collect();
        ids.sort_unstable();
        if let Some((id, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(one, two)| one == two) {
            return Err(GrantsError::Twice((*id).clone()));
        }
        let grants = Self(grants);
        let bytes = grants.canonical().len();
        if bytes > MAX_TEXT_BYTES { Err(GrantsError::TooLong(bytes)) } else { Ok(grants) }
    }

    /// Reads a document of `[[grant]]`.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, GrantsError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(GrantsError::TooLong(text.len()));
        }
        let draft: Draft = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            GrantsError::at(text, start, plainly(error.message()))
        })?;
        if draft.grant.len() > MAX_GRANTS {
            return Err(GrantsError::Many(draft.grant.len()));
        }
        let mut grants: Vec<Grant> = Vec::with_capacity(draft.grant.len());
        for terms in draft.grant {
            let at = terms.span().start;
            let wrong = |message: String| GrantsError::at(text, at, message);
            let grant = Grant::new(terms.into_inner()).map_err(|error| wrong(error.to_string()))?;
            if grants.iter().any(|known| known.id == grant.id) {
                return Err(wrong(GrantsError::Twice(grant.id.clone()).to_string()));
            }
            grants.push(grant);
        }
        Self::new(grants)
    }

    /// The document of `[[grant]]` that [`parse`](Self::parse) reads back as these.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Grants are made of text, numbers and lists of text, which TOML can always hold.
        toml::to_string(&Document { grant: self.clone() }).unwrap_or_default()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// Leaves out those that are not wanted.
    pub fn retain(&mut self, wanted: impl FnMut(&Grant) -> bool) {
        self.0.retain(wanted);
    }

    /// The one of this name.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Grant> {
        self.0.iter().find(|grant| grant.id.as_str() == id)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those in which an admin has accepted that the signature does not bind what they restrict.
    pub fn accepted_unbound(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter().filter(|grant| !grant.accept_unbound.is_empty())
    }
}

impl<'a> IntoIterator for &'a Grants {
    type Item = &'a Grant;
    type IntoIter = std::slice::Iter<'a, Grant>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl TryFrom<Vec<Grant>> for Grants {
    type Error = GrantsError;
    fn try_from(grants: Vec<Grant>) -> Result<Self, GrantsError> {
        Self::new(grants)
    }
}

impl From<Grants> for Vec<Grant> {
    fn from(grants: Grants) -> Self {
        grants.0
    }
}

/// Most grants of a credential.
pub const MAX_GRANTS: usize = 1000;
/// Longest text of them, and longest canonical form, in bytes: what is authenticated passes through one frame to the
/// keeper, which holds 256 KiB.
pub const MAX_TEXT_BYTES: usize = 192 * 1024;
