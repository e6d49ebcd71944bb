//! What a human is asked about one request, in plain words: everything that would be signed.
//!
//! The bot may be hostile, and the terminal is an admin's: what the bot has sent stands on lines of its own, behind
//! words of ours, in printable ASCII. Nothing is shortened, because what is not shown is not agreed to.

use std::rc::Rc;

use strongroom_policy::{GrantId, notional};
use strongroom_venues::json::Value;
use strongroom_venues::{Action, Order, Plan, Request, Side};

use crate::audit::{params, pen};
use crate::identity::Principal;
use crate::store::record::Meta;

/// More is not shown to a human, and so not signed.
pub(crate) const MAX_TOLD_BYTES: usize = 16 * 1024;

/// One request as a human is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) credential: String,
    pub(crate) venue: String,
    pub(crate) action: Action,
    /// The grant that asks for a human.
    pub(crate) grant: GrantId,
    pub(crate) lines: Vec<String>,
}

/// Its text is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl Told {
    /// Writes it down.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(super) fn new(
        who: &Principal,
        meta: &Meta,
        request: &Request<'_>,
        plan: &Plan<'_>,
        grant: GrantId,
    ) -> Result<Rc<Self>, TooLong> {
        let classified = plan.classified();
        let mut text = Text::default();
        text.line(&format!("{} asks to have this signed", asker(who)))?;
        let (key, host) = (word(&meta.key_id), word(&meta.base_url));
        text.line(&format!("credential {}, key {key}, at {} ({host})", meta.name, word(&meta.venue)))?;
        text.line(&format!("action {}; grant {grant} asks for a human", classified.action.name()))?;
        if !classified.stands_in.is_empty() {
            let others: Vec<_> = classified.stands_in.iter().map(|action| action.name()).collect();
            text.line(&format!("its signature would also do for: {}", others.join(", ")))?;
        }
        if let Some(name) = plan.recut() {
            let name = word(name);
            text.line(&format!(
                "its signature cannot tell {name} from two parameters: it could mean others"
            ))?;
        }
        match plan.orders() {
            Ok(orders) => orders.iter().try_for_each(|order| text.line(&self::order(order)))?,
            Err(unreadable) => text.line(&format!(
                "its orders cannot be read: {} {}",
                word(&unreadable.field),
                unreadable.why
            ))?,
        }
        if classified.action == Action::Session {
            text.line("it opens a session: what is sent over that needs no signature, and passes no grant")?;
        }
        text.line(&format!("{} {}", word(request.method), word(plan.asked_path())))?;
        for (name, value) in plan.query() {
            text.parameter("query", name, value)?;
        }
        for (name, value) in plan.body_members() {
            text.parameter("body", name, value)?;
        }
        for value in plan.body_array().unwrap_or_default() {
            text.line(&format!("body {}", json(value)))?;
        }
        let credential = meta.name.to_string();
        let Text { lines, .. } = text;
        Ok(Rc::new(Self { credential, venue: meta.venue.clone(), action: classified.action, grant, lines }))
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.iter().map(String::len).fold(0, usize::saturating_add)
    }
}

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    bytes: usize,
}

impl Text {
    fn line(&mut self, line: &str) -> Result<(), TooLong> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > MAX_TOLD_BYTES {
            return Err(TooLong);
        }
        self.lines.push(line.to_owned());
        Ok(())
    }

    fn parameter(&mut self, place: &str, name: &str, value: &Value<'_>) -> Result<(), TooLong> {
        let name_shown = word(name);
        if params::is_secret(name) {
            return self.line(&format!("{place} {name_shown} = [a password or code, not shown]"));
        }
        match value {
            Value::Text(text) => self.line(&format!("{place} {name_shown} = {}", word(text))),
            value => self.line(&format!("{place} {name_shown} = {}", json(value))),
        }
    }
}

fn asker(who: &Principal) -> String {
    let unit = who.unit.as_ref().map(|unit| format!(", unit {}", word(unit.as_str())));
    format!("{who} (user {}, process {}{})", who.uid, who.pid, unit.unwrap_or_default())
}

/// An order as traders say it: `buy 0.5 BTCUSDT at 61234.50, limit, notional 30617.25`.
fn order(order: &Order<'_>) -> String {
    let mut said = match (order.action, order.side) {
        (Action::Trade, Some(Side::Buy)) => "buy".to_owned(),
        (Action::Trade, Some(Side::Sell)) => "sell".to_owned(),
        (Action::Trade, None) => "trade".to_owned(),
        (action, _) => format!("{} an order:", action.name()),
    };
    let mut add = |before: &str, text: Option<&str>, after: &str| {
        if let Some(text) = text {
            said.push_str(before);
            said.push_str(&word(text));
            said.push_str(after);
        }
    };
    add(" ", order.quantity.as_deref(), if order.contracts { " (contracts, perhaps)" } else { "" });
    add(" ", order.symbol.as_deref(), "");
    add(" for ", order.quote_quantity.as_deref(), " of the quote currency");
    add(" at ", order.price.as_deref(), "");
    add(", trigger ", order.stop.as_deref(), "");
    add(", ", order.kind.as_deref().map(str::to_ascii_lowercase).as_deref(), "");
    if order.action == Action::Trade {
        match notional(order) {
            Some(amount) => said.push_str(&format!(", notional {amount}")),
            None => said.push_str(", notional unknown"),
        }
    }
    said
}

/// Text of the bot's: as it is where it can be taken for nothing else, or in quotes with escapes, as in JSON.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+:/@".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = Vec::new();
    pen::string(text, &mut out);
    spaced(out)
}

fn json(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    written(value, &mut out);
    spaced(out)
}

/// Runs of spaces could push what follows to where a line begins.
fn spaced(ascii: Vec<u8>) -> String {
    String::from_utf8(ascii).unwrap_or_default().replace("  ", " \\u0020")
}

fn written(value: &Value<'_>, out: &mut Vec<u8>) {
    let list = |out: &mut Vec<u8>, at: usize| {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
    };
    match value {
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                list(out, at);
                written(value, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                list(out, at);
                pen::string(name, out);
                out.extend_from_slice(b": ");
                if params::is_secret(name) {
                    out.extend_from_slice(b"[a password or code, not shown]");
                } else {
                    written(value, out);
                }
            }
            out.push(b'}');
        }
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Text(text) => pen::string(text, out),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn limit() -> Order<'static> {
        Order {
            action: Action::Trade,
            symbol: Some(Cow::Borrowed("BTCUSDT")),
            side: Some(Side::Buy),
            kind: Some(Cow::Borrowed("LIMIT")),
            quantity: Some(Cow::Borrowed("0.5")),
            quote_quantity: None,
            price: Some(Cow::Borrowed("61234.50")),
            stop: None,
            contracts: false,
        }
    }

    #[test]
    fn says_an_order_as_traders_do() {
        let some = |text| Some(Cow::Borrowed(text));
        for (said, order) in [
            ("buy 0.5 BTCUSDT at 61234.50, limit, notional 30617.25", limit()),
            (
                "sell 0.5 BTCUSDT, market, notional unknown",
                Order { side: Some(Side::Sell), kind: some("MARKET"), price: None, ..limit() },
            ),
            (
                "buy BTCUSDT for 100 of the quote currency, market, notional 100",
                Order {
                    quantity: None,
                    quote_quantity: some("100"),
                    kind: some("MARKET"),
                    price: None,
                    ..limit()
                },
            ),
            (
                "trade 3 (contracts, perhaps) BTCUSDT at 61234.50, trigger 61000, stop_limit, notional unknown",
                Order {
                    side: None,
                    quantity: some("3"),
                    stop: some("61000"),
                    kind: some("STOP_LIMIT"),
                    contracts: true,
                    ..limit()
                },
            ),
            (
                "cancel an order: BTCUSDT",
                Order { action: Action::Cancel, quantity: None, price: None, kind: None, ..limit() },
            ),
            (
                "buy 0.5 \"BTC\\n[31m, notional 1\" at 61234.50, limit, notional 30617.25",
                Order { symbol: some("BTC\n[31m, notional 1"), ..limit() },
            ),
        ] {
            assert_eq!(super::order(&order), said);
        }
    }

    #[test]
    fn leaves_nothing_of_the_bots_that_could_be_taken_for_words_of_ours() {
        for (text, shown) in [
            ("BTC-USDT_2.5:x/y@z+1", "BTC-USDT_2.5:x/y@z+1"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a\"b\\c=d,e", "\"a\\\"b\\\\c=d,e\""),
            ("1\nbuy", "\"1\\nbuy\""),
            ("\u{1b}[2J\u{9b}1A\u{202e}\u{e4}", "\"\\u001b[2J\\u009b1A\\u202e\\u00e4\""),
            ("x   y", "\"x \\u0020 y\""),
            ("x    y", "\"x \\u0020 \\u0020y\""),
        ] {
            assert_eq!(word(text), shown);
        }
        let nested =
            strongroom_venues::json::parse(br#"{"a":[1,"x\ny",{"fundPwd":"hunter2"}],"b":null}"#).unwrap();
        assert_eq!(
            json(&nested),
            r#"{"a": [1, "x\ny", {"fundPwd": [a password or code, not shown]}], "b": null}"#
        );
    }

    #[test]
    fn shortens_nothing_and_refuses_what_is_too_long() {
        let mut text = Text::default();
        for _ in 0..MAX_TOLD_BYTES.div_ceil(1024) {
            assert_eq!(text.line(&"x".repeat(1024)), Ok(()));
        }
        assert_eq!(text.line("x"), Err(TooLong));
    }
}
