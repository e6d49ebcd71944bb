//! What a line tells of a request's parameters: those of the caller, as they are signed, and nothing secret.

use serde_json::value::RawValue;
use strongroom_venues::json::{self, Member, Value};

/// Longer parameters are cut.
const MAX_BYTES: usize = 1024;

/// Values whose names hold one of these, in any case, are not written down: funding passwords, one-time codes.
const SECRET_NAMES: [&str; 8] = ["pass", "pwd", "secret", "otp", "2fa", "totp", "signature", "token"];

/// Written in the place of such a value.
const HIDDEN: &[u8] = b"\"[hidden]\"";

/// The members as one JSON object; as a string that holds its beginning where it is too long; nothing where there
/// are none.
pub(crate) fn object(members: &[Member<'_>]) -> Option<Box<RawValue>> {
    if members.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(128);
    write_object(members, &mut out);
    raw(out)
}

/// The same for a list.
pub(crate) fn array(values: &[Value<'_>]) -> Option<Box<RawValue>> {
    let mut out = Vec::with_capacity(128);
    write_array(values, &mut out);
    raw(out)
}

fn raw(out: Vec<u8>) -> Option<Box<RawValue>> {
    let text = String::from_utf8(out).ok()?;
    let whole = text.len() <= MAX_BYTES;
    let text = if whole { text } else { serde_json::to_string(&super::line::clip(&text, MAX_BYTES)).ok()? };
    RawValue::from_string(text).ok()
}

fn write_object(members: &[Member<'_>], out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write(&Value::Text(name.as_ref().into()), true, out);
        out.push(b':');
        if is_secret(name) {
            out.extend_from_slice(HIDDEN)
        } else {
            write_value(value, out)
        }
        // What follows would be cut away.
        if out.len() > MAX_BYTES {
            break;
        }
    }
    out.push(b'}');
}

fn write_array(values: &[Value<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_value(value, out);
        if out.len() > MAX_BYTES {
            break;
        }
    }
    out.push(b']');
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Array(values) => write_array(values, out),
        Value::Object(members) => write_object(members, out),
        scalar => json::write(scalar, true, out),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.as_bytes();
    SECRET_NAMES
        .iter()
        .any(|secret| name.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object_of(text: &str) -> String {
        match json::parse(text.as_bytes()).unwrap() {
            Value::Object(members) => object(&members).map(|raw| raw.get().to_owned()).unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tells_an_order_and_hides_passwords_at_any_depth() {
        for (text, expected) in [
            ("{}", ""),
            (r#"{"symbol":"BTCUSDT","price":0.10}"#, r#"{"symbol":"BTCUSDT","price":0.10}"#),
            (r#"{"Fund_PWD":"hunter2"}"#, r#"{"Fund_PWD":"[hidden]"}"#),
            (r#"{"a":[{"tradePassword":{"b":1}}]}"#, r#"{"a":[{"tradePassword":"[hidden]"}]}"#),
            ("{\"\u{e4}\":\"\u{202e}\"}", r#"{"\u00e4":"\u202e"}"#),
        ] {
            assert_eq!(object_of(text), expected, "{text}");
        }
    }

    #[test]
    fn cuts_what_is_too_long_into_a_string() {
        let long = format!(r#"{{"a":"{}","b":"{}"}}"#, "x".repeat(5000), "y".repeat(5000));
        let cut: String = serde_json::from_str(&object_of(&long)).unwrap();
        assert_eq!(cut.len(), MAX_BYTES + 3);
        assert!(cut.starts_with(r#"{"a":"xxx"#) && cut.ends_with("..."), "{cut}");
    }
}
