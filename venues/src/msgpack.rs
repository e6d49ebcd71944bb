//! MessagePack as the reference encoders of Python and Rust write it: every value in its shortest form, members in
//! their order.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>

use crate::json::Value;

/// A number that has no MessagePack form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoForm;

/// Appends `value`. A number without point and exponent is an integer, any other one a float of 64 bits.
pub(crate) fn write(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), NoForm> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Number(digits) => number(digits, out)?,
        Value::Text(text) => string(text, out)?,
        Value::Array(values) => {
            head(values.len(), 0x90, 15, [None, Some(0xdc), Some(0xdd)], out)?;
            values.iter().try_for_each(|value| write(value, out))?;
        }
        Value::Object(members) => {
            head(members.len(), 0x80, 15, [None, Some(0xde), Some(0xdf)], out)?;
            for (name, value) in members {
                string(name, out)?;
                write(value, out)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn string(text: &str, out: &mut Vec<u8>) -> Result<(), NoForm> {
    head(text.len(), 0xa0, 31, [Some(0xd9), Some(0xda), Some(0xdb)], out)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The type and the length, in the shortest of the forms that the type has: in one byte, or behind a byte of 8, 16 or
/// 32 bits.
fn head(length: usize, fix: u8, most: u8, forms: [Option<u8>; 3], out: &mut Vec<u8>) -> Result<(), NoForm> {
    let length = u32::try_from(length).map_err(|_| NoForm)?;
    let [short, middle, long] = forms;
    match (u8::try_from(length), u16::try_from(length), short, middle, long) {
        (Ok(length), ..) if length <= most => out.push(fix | length),
        (Ok(length), _, Some(form), ..) => out.extend_from_slice(&[form, length]),
        (_, Ok(length), _, Some(form), _) => {
            out.push(form);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (.., Some(form)) => {
            out.push(form);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => return Err(NoForm),
    }
    Ok(())
}

fn number(digits: &str, out: &mut Vec<u8>) -> Result<(), NoForm> {
    if digits.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        let float: f64 = digits.parse().map_err(|_| NoForm)?;
        if !float.is_finite() {
            return Err(NoForm);
        }
        out.push(0xcb);
        out.extend_from_slice(&float.to_be_bytes());
        return Ok(());
    }
    if let Ok(number) = digits.parse::<u64>() {
        unsigned(number, out);
        return Ok(());
    }
    digits.parse::<i64>().map(|number| signed(number, out)).map_err(|_| NoForm)
}

fn unsigned(number: u64, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(number) {
        if byte > 0x7f {
            out.push(0xcc);
        }
        out.push(byte);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(0xcd);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(0xce);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// A number below zero, or `-0`, which is zero.
fn signed(number: i64, out: &mut Vec<u8>) {
    if let Ok(byte) = i8::try_from(number) {
        if byte < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&byte.to_be_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::parse;

    fn packed(json: &str) -> Result<Vec<u8>, NoForm> {
        let mut out = Vec::new();
        write(&parse(json.as_bytes()).unwrap(), &mut out).map(|()| out)
    }

    /// Boundaries of every form, by the table of the specification.
    #[test]
    fn writes_each_value_in_its_shortest_form() {
        let text = |length: usize| format!("\"{}\"", "a".repeat(length));
        let list = |length: usize| format!("[{}]", vec!["0"; length].join(","));
        let map = |length: usize| {
            let members: Vec<String> = (0..length).map(|at| format!("\"{at}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        for (json, head) in [
            ("null".to_owned(), &[0xc0][..]),
            ("false".to_owned(), &[0xc2]),
            ("true".to_owned(), &[0xc3]),
            ("0".to_owned(), &[0]),
            ("-0".to_owned(), &[0]),
            ("127".to_owned(), &[0x7f]),
            ("128".to_owned(), &[0xcc, 0x80]),
            ("255".to_owned(), &[0xcc, 0xff]),
            ("256".to_owned(), &[0xcd, 1, 0]),
            ("65535".to_owned(), &[0xcd, 0xff, 0xff]),
            ("65536".to_owned(), &[0xce, 0, 1, 0, 0]),
            ("4294967295".to_owned(), &[0xce, 0xff, 0xff, 0xff, 0xff]),
            ("4294967296".to_owned(), &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
            ("18446744073709551615".to_owned(), &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]),
            ("-1".to_owned(), &[0xff]),
            ("-32".to_owned(), &[0xe0]),
            ("-33".to_owned(), &[0xd0, 0xdf]),
            ("-128".to_owned(), &[0xd0, 0x80]),
            ("-129".to_owned(), &[0xd1, 0xff, 0x7f]),
            ("-32769".to_owned(), &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            ("-2147483649".to_owned(), &[0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
            ("-9223372036854775808".to_owned(), &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("1.5".to_owned(), &[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
            ("1e0".to_owned(), &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            (text(0), &[0xa0]),
            (text(31), &[0xbf, b'a']),
            (text(32), &[0xd9, 32, b'a']),
            (text(255), &[0xd9, 255, b'a']),
            (text(256), &[0xda, 1, 0, b'a']),
            (text(65536), &[0xdb, 0, 1, 0, 0, b'a']),
            (list(0), &[0x90]),
            (list(15), &[0x9f, 0]),
            (list(16), &[0xdc, 0, 16, 0]),
            (list(65536), &[0xdd, 0, 1, 0, 0, 0]),
            (map(0), &[0x80]),
            (map(15), &[0x8f, 0xa1, b'0']),
            (map(16), &[0xde, 0, 16, 0xa1, b'0']),
            (map(65536), &[0xdf, 0, 1, 0, 0, 0xa1, b'0']),
        ] {
            let packed = packed(&json).unwrap();
            let shown: String = json.chars().take(24).collect();
            assert_eq!(packed.get(..head.len()), Some(head), "{shown}");
        }
    }

    #[test]
    fn refuses_numbers_that_have_no_form() {
        for json in ["18446744073709551616", "-9223372036854775809", "1e309", "[{\"a\":-1e999}]"] {
            assert_eq!(packed(json), Err(NoForm), "{json}");
        }
    }

    /// What another implementation reads in `packed`, as JSON.
    fn read(value: &rmpv::Value) -> String {
        match value {
            rmpv::Value::Nil => "null".to_owned(),
            rmpv::Value::Boolean(value) => value.to_string(),
            rmpv::Value::Integer(value) => value.to_string(),
            rmpv::Value::F64(value) => format!("{value:?}"),
            rmpv::Value::String(text) => {
                let mut out = Vec::new();
                crate::json::write(&Value::Text(text.as_str().unwrap().into()), false, &mut out);
                String::from_utf8(out).unwrap()
            }
            rmpv::Value::Array(values) => {
                format!("[{}]", values.iter().map(read).collect::<Vec<_>>().join(","))
            }
            rmpv::Value::Map(members) => {
                let members = members.iter().map(|(name, value)| format!("{}:{}", read(name), read(value)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
            other => panic!("{other:?}"),
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let text = |text: String| {
            let mut out = Vec::new();
            crate::json::write(&Value::Text(text.into()), false, &mut out);
            String::from_utf8(out).unwrap()
        };
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<u64>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<i16>().prop_map(|value| value.to_string()),
            any::<f64>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| format!("{value:?}")),
            ".{0,40}".prop_map(text),
        ];
        leaf.prop_recursive(4, 64, 20, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(|list| format!("[{}]", list.join(","))),
                prop::collection::vec(inner, 0..20).prop_map(|list| {
                    let members = list.iter().enumerate().map(|(at, value)| format!("\"m{at}\":{value}"));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        /// Another implementation reads the same values in the same order, and to the last byte.
        #[test]
        fn is_read_by_another_implementation_as_it_was_meant(json in json()) {
            let packed = packed(&json).unwrap();
            let mut rest = packed.as_slice();
            let value = rmpv::decode::read_value(&mut rest).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read(&value), json);
            // And it writes them so itself.
            let mut again = Vec::new();
            rmpv::encode::write_value(&mut again, &value).unwrap();
            prop_assert_eq!(again, packed);
        }
    }
}
