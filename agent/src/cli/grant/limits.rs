//! A grant out of the options of a command.

use clap::Args;
use serde_json::{Map, Value};
use strongroom_policy::{Amount, Grant, Grants, Subject, is_known_kind, known_kinds};
use strongroom_protocol::ErrorCode;

use crate::fault::Fault;

/// What a grant says besides its id; each option is the field of that name in docs/reference/grants.md.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// To whom: client:NAME, unit:system/NAME.service, unit:user@UID/NAME.service or user:UID
    #[arg(long, value_name = "SUBJECT")]
    pub(super) to: String,
    /// What is allowed: read, trade, cancel, transfer, config, session, admin, unknown; or '*' for everything
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',', required_unless_present = "deny")]
    allow: Vec<String>,
    /// What is denied, whatever other grants allow
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',', conflicts_with = "allow")]
    deny: Vec<String>,
    /// Symbols that orders may name; * stands for any characters
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,
    /// buy or sell
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sides: Vec<String>,
    /// Types of orders, in the venue's words
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    types: Vec<String>,
    /// Most that price times quantity of one order may be
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    max_notional: Option<String>,
    /// Most that they may sum up to in any 24 hours
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    max_notional_day: Option<String>,
    /// Largest quantity of one order
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    max_quantity: Option<String>,
    /// How far a price may be from the last one of its symbol, in percent
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    price_band_percent: Option<String>,
    /// How many orders may be open. Always refused, with the reason: who only signs cannot know it
    #[arg(long, value_name = "N")]
    max_open_orders: Option<u32>,
    /// How many requests are allowed a minute
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// How many of them may come at once
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Hours of the day, as 08:00-18:00; needs --zone
    #[arg(long, value_name = "FROM-UNTIL")]
    hours: Option<String>,
    /// Days of the week, as mon,tue; needs --zone
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    weekdays: Vec<String>,
    /// The clock of both, as Europe/Zurich
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// From when on the grant is void, as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Names that the parameters of a request may have; '' for none at all
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    params: Option<Vec<String>>,
    /// Have a human asked each time
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    accepted: Accepted,
}

/// `--accept-unbound`.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct Accepted {
    /// Restrict although the venue's signature does not bind this part of the request: method, path, query or body; or
    /// parameterless, for endpoints that need no parameter. Whoever gets a signature can use it for what the grant
    /// forbids; `status` says so for ever
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub(in crate::cli) accept_unbound: Vec<String>,
}

impl Limits {
    /// The grant of that name.
    ///
    /// # Errors
    /// The first option that makes it say nothing definite.
    pub(super) fn grant(&self, id: &str) -> Result<Grant, Fault> {
        check_subject(&self.to)?;
        let mut fields = Map::new();
        let texts = [
            ("id", Some(id)),
            ("to", Some(self.to.as_str())),
            ("max_notional", self.max_notional.as_deref()),
            ("max_notional_day", self.max_notional_day.as_deref()),
            ("max_quantity", self.max_quantity.as_deref()),
            ("price_band_percent", self.price_band_percent.as_deref()),
            ("hours", self.hours.as_deref()),
            ("zone", self.zone.as_deref()),
            ("expires", self.expires.as_deref()),
        ];
        if let Some(text) = &self.expires {
            check_end(text)?;
        }
        for (option, text, example) in [
            ("--max-notional", &self.max_notional, "250"),
            ("--max-notional-day", &self.max_notional_day, "2000"),
            ("--max-quantity", &self.max_quantity, "0.05"),
            ("--price-band-percent", &self.price_band_percent, "2.5"),
        ] {
            if let Some(text) = text {
                check_amount(option, text, example)?;
            }
        }
        self.types.iter().try_for_each(|kind| check_kind(kind.trim()))?;
        fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
        let lists = [
            ("allow", &self.allow),
            ("deny", &self.deny),
            ("symbols", &self.symbols),
            ("sides", &self.sides),
            ("types", &self.types),
            ("weekdays", &self.weekdays),
            ("accept_unbound", &self.accepted.accept_unbound),
        ];
        let lists = lists.into_iter().filter(|(_, words)| !words.is_empty());
        fields.extend(lists.map(|(name, words)| (name.to_owned(), word_list(words))));
        if let Some(names) = &self.params {
            let none = names.iter().all(|name| name.trim().is_empty());
            fields.insert("params".to_owned(), if none { word_list(&[]) } else { word_list(names) });
        }
        let numbers = [
            ("max_open_orders", self.max_open_orders),
            ("requests_per_minute", self.requests_per_minute),
            ("burst", self.burst),
        ];
        fields
            .extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
        if self.confirm {
            fields.insert("confirm".to_owned(), Value::Bool(true));
        }
        made(fields)
    }
}

/// To whom it is, told before the id that is made of it.
fn check_subject(text: &str) -> Result<(), Fault> {
    text.parse::<Subject>().map(drop).map_err(|error| {
        let hint = "for example client:grid-bot; docs/reference/grants.md says who can be named";
        Fault::new(ErrorCode::Invalid, format!("`{text}` of --to: {error}"), hint)
    })
}

/// A grant that is over when it is given is a slip.
fn check_end(text: &str) -> Result<(), Fault> {
    let hint = "write the time with its zone, as 2027-01-31T00:00:00Z";
    let end: jiff::Timestamp = text.parse().map_err(|_| {
        Fault::new(ErrorCode::Invalid, format!("`{text}` in `expires` is no point in time"), hint)
    })?;
    if end <= jiff::Timestamp::now() {
        let message = format!("`expires` is in the past: {text}; the grant would allow nothing");
        return Err(Fault::new(ErrorCode::Invalid, message, hint));
    }
    Ok(())
}

/// An amount, told with the option that has it.
fn check_amount(option: &str, text: &str, example: &str) -> Result<(), Fault> {
    text.parse::<Amount>().map(drop).map_err(|error| {
        let hint = format!("for example `{option} {example}`");
        Fault::new(ErrorCode::Invalid, format!("`{text}` of {option} is no amount: {error}"), hint)
    })
}

/// A type that no venue is known to have is a slip, and limits nothing that there is.
fn check_kind(word: &str) -> Result<(), Fault> {
    if is_known_kind(word) {
        return Ok(());
    }
    let known: Vec<&str> = known_kinds().collect();
    let hint = format!(
        "write it as the venue does; known, in any case and with or without hyphens, are {}. `strongroom grant edit` takes \
         any word",
        known.join(", ")
    );
    Err(Fault::new(ErrorCode::Invalid, format!("`{word}` is no type of order that is known"), hint))
}

/// A list of words as JSON.
pub(in crate::cli) fn word_list(words: &[String]) -> Value {
    words.iter().map(|word| Value::from(word.trim())).collect()
}

/// A grant of these fields.
///
/// # Errors
/// The first that makes it say nothing definite.
pub(in crate::cli) fn made(fields: Map<String, Value>) -> Result<Grant, Fault> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        let hint = "docs/reference/grants.md says what each option means";
        Fault::new(ErrorCode::Invalid, error.to_string(), hint)
    })
}

/// An id for a grant to `subject` that none of `grants` has: its name, and a number where that is taken.
pub(in crate::cli) fn free_id(subject: &str, grants: &Grants) -> String {
    let name = if subject.starts_with("user:") {
        subject
    } else {
        subject.rsplit([':', '/']).next().unwrap_or(subject)
    };
    let plain = |letter: char| {
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' }
    };
    let name: String = name.to_ascii_lowercase().chars().map(plain).take(ROOM_FOR_NAME).collect();
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|id| grants.by_id(id).is_none()).unwrap_or(name)
}

/// An id has 32 characters at most, and a number may follow.
const ROOM_FOR_NAME: usize = 27;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_grant_after_its_subject() {
        let none = Grants::NONE;
        for (subject, id) in [
            ("client:grid-bot", "grid-bot"),
            ("user:1000", "user-1000"),
            ("unit:system/Grid@a.service", "grid-a-service"),
            ("unit:user@1000/grid.service", "grid-service"),
        ] {
            assert_eq!(free_id(subject, &none), id);
        }
        let taken =
            Grants::parse("[[grant]]\nid = \"bot\"\nto = \"client:bot\"\nallow = [\"read\"]\n").unwrap();
        assert_eq!(free_id("client:bot", &taken), "bot-2");
    }
}
