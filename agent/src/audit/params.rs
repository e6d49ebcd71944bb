//! What a line tells of a request's parameters: those of the caller, as they are signed, and nothing secret.

use strongroom_venues::json::{Member, Value};
use strongroom_venues::{Order, Side};

use super::line::clip;
use super::pen::{Pen, number, string};

/// Values that would stand behind so many bytes are left out; their names are there.
const MAX_VALUES: usize = 1024;
/// Names that would stand behind so many bytes are counted only.
const MAX_NAMES: usize = 2048;
/// Orders that would stand behind so many bytes are left out.
const MAX_ORDERS: usize = 3072;
/// Longest name, and longest value of an order.
const MAX_NAME: usize = 64;

/// Written in the place of such a value.
const HIDDEN: &[u8] = b"\"[hidden]\"";
/// Written in the place of a value that is too long.
const CUT: &[u8] = b"\"[cut]\"";
/// The name behind the last one, where there are more: how many.
const MORE: &[u8] = b"\"[more]\":";

/// Appends the members as one JSON object; says whether nothing was left out for its length.
pub(crate) fn object(members: &[Member<'_>], out: &mut Vec<u8>) -> bool {
    Room::behind(out).object(members, out)
}

/// The same for values and a JSON array.
pub(crate) fn array(values: &[Value<'_>], out: &mut Vec<u8>) -> bool {
    Room::behind(out).array(values, out)
}

/// Appends orders as a JSON array, as far as there is room.
pub(crate) fn orders(orders: &[Order<'_>], out: &mut Vec<u8>) {
    let most = out.len().saturating_add(MAX_ORDERS);
    out.push(b'[');
    for (at, order) in orders.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if out.len() > most {
            out.extend_from_slice(CUT);
            break;
        }
        let begin = out.len();
        let mut pen = Pen::new(out);
        pen.text("action", order.action.name());
        let texts = [
            ("symbol", order.symbol.as_deref()),
            ("side", order.side.map(Side::name)),
            ("type", order.kind.as_deref()),
            ("quantity", order.quantity.as_deref()),
            ("quote_quantity", order.quote_quantity.as_deref()),
            ("price", order.price.as_deref()),
            ("stop", order.stop.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                pen.text(name, &clip(text, MAX_NAME));
            }
        }
        // Where a pen has put its first comma, an object begins.
        if let Some(comma) = out.get_mut(begin) {
            *comma = b'{';
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// How far the parameters of one line may go.
#[derive(Debug, Clone, Copy)]
struct Room {
    values: usize,
    names: usize,
}

impl Room {
    const fn behind(out: &[u8]) -> Self {
        let begin = out.len();
        Self { values: begin.saturating_add(MAX_VALUES), names: begin.saturating_add(MAX_NAMES) }
    }

    fn object(self, members: &[Member<'_>], out: &mut Vec<u8>) -> bool {
        let mut whole = true;
        out.push(b'{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if out.len() > self.names {
                out.extend_from_slice(MORE);
                number(i128::try_from(members.len().saturating_sub(at)).unwrap_or_default(), out);
                whole = false;
                break;
            }
            string(&clip(name, MAX_NAME), out);
            out.push(b':');
            if is_secret(name) {
                out.extend_from_slice(HIDDEN);
            } else {
                whole &= self.value(value, out);
            }
        }
        out.push(b'}');
        whole
    }

    fn array(self, values: &[Value<'_>], out: &mut Vec<u8>) -> bool {
        let mut whole = true;
        out.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if out.len() > self.values {
                out.extend_from_slice(CUT);
                whole = false;
                break;
            }
            whole &= self.value(value, out);
        }
        out.push(b']');
        whole
    }

    /// Writes a value, or that there is no room for it.
    fn value(self, value: &Value<'_>, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        match value {
            Value::Array(values) => return self.array(values, out),
            Value::Object(members) => return self.object(members, out),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Null => out.extend_from_slice(b"null"),
            Value::Number(text) => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) => string(text, out),
        }
        if out.len() > self.values {
            out.truncate(begin);
            out.extend_from_slice(CUT);
            return false;
        }
        true
    }
}

/// Whether a name holds one of these, in any case: values of such names are funding passwords and one-time codes.
pub(crate) fn is_secret(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [first, behind @ ..] = rest {
        let words: &[&[u8]] = match first.to_ascii_lowercase() {
            b'2' => &[b"2fa"],
            b'o' => &[b"otp"],
            b'p' => &[b"pass", b"pwd"],
            b's' => &[b"secret", b"signature"],
            b't' => &[b"token"],
            _ => &[],
        };
        let begins =
            |word: &&[u8]| rest.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        if words.iter().any(begins) {
            return true;
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use strongroom_venues::json;

    use super::*;

    fn object_of(text: &str) -> String {
        let mut out = Vec::new();
        match json::parse(text.as_bytes()).unwrap() {
            Value::Object(members) => {
                object(&members, &mut out);
            }
            other => panic!("{other:?}"),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tells_an_order_and_hides_passwords_at_any_depth() {
        for (text, expected) in [
            ("{}", "{}"),
            (r#"{"symbol":"BTCUSDT","price":0.10}"#, r#"{"symbol":"BTCUSDT","price":0.10}"#),
            (r#"{"Fund_PWD":"hunter2"}"#, r#"{"Fund_PWD":"[hidden]"}"#),
            (
                r#"{"totp":"1","my2FA":2,"x-SIGNATURE":3,"pas":4}"#,
                r#"{"totp":"[hidden]","my2FA":"[hidden]","x-SIGNATURE":"[hidden]","pas":4}"#,
            ),
            (r#"{"a":[{"tradePassword":{"b":1}}]}"#, r#"{"a":[{"tradePassword":"[hidden]"}]}"#),
            ("{\"\u{e4}\":\"\u{202e}\u{7f}\"}", r#"{"\u00e4":"\u202e\u007f"}"#),
        ] {
            assert_eq!(object_of(text), expected, "{text}");
        }
    }

    #[test]
    fn keeps_the_names_where_the_values_are_too_long() {
        let long = format!(r#"{{"a":"{}","b":[{{"c":1}}],"d":"e"}}"#, "x".repeat(5000));
        assert_eq!(object_of(&long), r#"{"a":"[cut]","b":[{"c":1}],"d":"e"}"#);
        let names: Vec<_> =
            (0..5_000).map(|at| format!(r#""{at}{}":"{}""#, "n".repeat(100), "v".repeat(100))).collect();
        let cut = object_of(&format!("{{{}}}", names.join(",")));
        assert!(cut.len() < MAX_NAMES + 200, "{}", cut.len());
        let cut: serde_json::Value = serde_json::from_str(&cut).unwrap();
        let told = cut.as_object().unwrap();
        assert_eq!(told["[more]"], 5_001 - told.len());
        let values: Vec<_> = (0..500).map(|at| format!(r#"{{"n":{at}}}"#)).collect();
        let cut = object_of(&format!(r#"{{"orders":[{}],"z":1}}"#, values.join(",")));
        assert!(cut.len() < MAX_VALUES + 100 && cut.ends_with(r#","[cut]"],"z":"[cut]"}"#), "{cut}");
    }
}
