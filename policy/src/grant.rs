//! One grant: who, which actions, within which limits.

mod check;

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_venues::Side;

use crate::action::Actions;
use crate::amount::Amount;
use crate::hours::{Hours, Weekdays, Zone};
use crate::subject::Subject;
use crate::symbol::Pattern;

pub use self::check::GrantError;

/// A grant that says something definite. Made from [`Terms`], which it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Terms", into = "Terms")]
pub struct Grant(Terms);

/// What a grant says, field by field, as it is written. docs/reference/grants.md says what each means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Its name, which no other grant of the credential has.
    pub id: GrantId,
    /// To whom.
    pub to: Subject,
    /// What is allowed. Either this or `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Actions>,
    /// What is denied, whatever other grants allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<Actions>,
    /// Symbols that orders may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Vec<Pattern>>,
    /// Sides that orders may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sides: Option<Sides>,
    /// Types of orders, in the venue's words; case is no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// Most that price times quantity of one order may be, in the quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_notional: Option<Amount>,
    /// Most that they may sum up to in any 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_notional_day: Option<Amount>,
    /// Largest quantity of one order, in the units of the venue's field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_quantity: Option<Amount>,
    /// How far a price may be from the last one of its symbol, in percent of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_band_percent: Option<Amount>,
    /// How many orders may be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_open_orders: Option<u32>,
    /// How many requests are allowed a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// How many of them may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Hours of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Days of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekdays: Option<Weekdays>,
    /// The clock of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// From when on the grant is void.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "point_in_time")]
    pub expires: Option<Timestamp>,
    /// Names that the parameters of a request may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<String>>,
    /// Whether a human is asked each time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirm: bool,
    /// Parts of the request that the signature does not bind, and that the admin restricts nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_unbound: Vec<Part>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(yes: &bool) -> bool {
    !*yes
}

fn point_in_time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = |_| {
        serde::de::Error::custom(format!(
            "`{text}` is no point in time; one is written as \"2027-01-31T00:00:00Z\", with its zone"
        ))
    };
    text.parse().map(Some).map_err(wrong)
}

/// The name of a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantId(std::sync::Arc<str>);

/// The text names no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grant's id has 1 to 32 of the characters a-z 0-9 -")]
pub struct NotAnId;

/// Sides that orders may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Sides(pub Vec<Side>);

/// The text is no side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no side; there are buy and sell")]
pub struct NotASide(String);

/// A part of a request that a signature may leave unbound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Part {
    /// What is sent below the headers.
    Body,
    /// `GET`, `POST` and so on.
    Method,
    /// The endpoint, as far as it takes no parameter.
    Parameterless,
    /// The endpoint.
    Path,
    /// What is behind the question mark.
    Query,
}

/// The text names no part of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a request; there are body, method, parameterless, path and query")]
pub struct NotAPart(String);

/// Whether a grant gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It gives.
    Allow,
    /// It takes, whatever others give.
    Deny,
}

impl Terms {
    /// Terms without a limit.
    #[must_use]
    pub const fn new(id: GrantId, to: Subject) -> Self {
        Self {
            id,
            to,
            allow: None,
            deny: None,
            symbols: None,
            sides: None,
            types: None,
            max_notional: None,
            max_notional_day: None,
            max_quantity: None,
            price_band_percent: None,
            max_open_orders: None,
            requests_per_minute: None,
            burst: None,
            hours: None,
            weekdays: None,
            zone: None,
            expires: None,
            params: None,
            confirm: false,
            accept_unbound: Vec::new(),
        }
    }

    /// The limits that are about the orders in a request, by name.
    pub(crate) fn order_limits(&self) -> impl Iterator<Item = &'static str> {
        [
            ("symbols", self.symbols.is_some()),
            ("sides", self.sides.is_some()),
            ("types", self.types.is_some()),
            ("max_notional", self.max_notional.is_some()),
            ("max_notional_day", self.max_notional_day.is_some()),
            ("max_quantity", self.max_quantity.is_some()),
            ("price_band_percent", self.price_band_percent.is_some()),
            ("max_open_orders", self.max_open_orders.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
    }
}

/// Text that every notation writes as it is.
pub(crate) fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    (1..=MAX_WORD_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

/// Longest element, and longest symbol that a limit reads.
pub(crate) const MAX_WORD_BYTES: usize = 64;

impl Grant {
    /// Makes a grant of these terms.
    ///
    /// # Errors
    /// The first thing that makes them say nothing definite.
    pub fn new(terms: Terms) -> Result<Self, GrantError> {
        terms.check()?;
        Ok(Self(terms))
    }

    /// A grant of these actions without any limit.
    #[must_use]
    pub const fn allowing(id: GrantId, to: Subject, actions: Actions) -> Self {
        let mut terms = Terms::new(id, to);
        terms.allow = Some(actions);
        Self(terms)
    }

    /// Whether it gives or takes.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        if self.0.deny.is_some() { Effect::Deny } else { Effect::Allow }
    }

    /// What it gives or takes.
    #[must_use]
    pub fn actions(&self) -> Actions {
        // One of them is there: `new` saw to it. Were it not, nothing would be allowed and everything denied.
        self.0.allow.or(self.0.deny).unwrap_or(Actions::EVERYTHING)
    }

    /// Its terms, to change them.
    #[must_use]
    pub fn into_terms(self) -> Terms {
        self.0
    }
}

impl Deref for Grant {
    type Target = Terms;
    fn deref(&self) -> &Terms {
        &self.0
    }
}

impl TryFrom<Terms> for Grant {
    type Error = GrantError;
    fn try_from(terms: Terms) -> Result<Self, GrantError> {
        Self::new(terms)
    }
}

impl From<Grant> for Terms {
    fn from(grant: Grant) -> Self {
        grant.0
    }
}

impl TryFrom<Vec<String>> for Sides {
    type Error = NotASide;
    fn try_from(words: Vec<String>) -> Result<Self, NotASide> {
        let side = |word: &String| match word.as_str() {
            "buy" => Ok(Side::Buy),
            "sell" => Ok(Side::Sell),
            _ => Err(NotASide(word.chars().take(32).collect())),
        };
        words.iter().map(side).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Sides> for Vec<String> {
    fn from(sides: Sides) -> Self {
        sides.0.iter().map(|side| side.name().to_owned()).collect()
    }
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 5] = [Self::Body, Self::Method, Self::Parameterless, Self::Path, Self::Query];

    /// As a grant writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Method => "method",
            Self::Parameterless => "parameterless",
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

impl TryFrom<String> for Part {
    type Error = NotAPart;
    fn try_from(word: String) -> Result<Self, NotAPart> {
        let named = Self::ALL.into_iter().find(|part| part.name() == word);
        named.ok_or_else(|| NotAPart(word.chars().take(32).collect()))
    }
}

impl From<Part> for &'static str {
    fn from(part: Part) -> Self {
        part.name()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl GrantId {
    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GrantId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.into())) } else { Err(NotAnId) }
    }
}

impl TryFrom<String> for GrantId {
    type Error = NotAnId;
    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<GrantId> for String {
    fn from(id: GrantId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
