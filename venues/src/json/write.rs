//! The compact writer: no white space, the shortest escapes, members in their order.

use super::Value;

/// Appends `value` to `out`. With `ascii`, characters beyond ASCII are written as `\u` escapes.
pub fn write(value: &Value<'_>, ascii: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(text) => out.extend_from_slice(text.as_bytes()),
        Value::Text(text) => string(text, ascii, out),
        Value::Array(values) => array(values, ascii, out),
        Value::Object(list) => {
            members(list.iter().map(|(name, value)| (name.as_ref(), value)), ascii, out, write);
        }
    }
}

/// Appends an array.
pub(crate) fn array(values: &[Value<'_>], ascii: bool, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(value, ascii, out);
    }
    out.push(b']');
}

/// Appends an object whose values are written by `one`.
pub(crate) fn members<'m, V>(
    list: impl Iterator<Item = (&'m str, V)>,
    ascii: bool,
    out: &mut Vec<u8>,
    one: impl Fn(V, bool, &mut Vec<u8>),
) {
    out.push(b'{');
    for (at, (name, value)) in list.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(name, ascii, out);
        out.push(b':');
        one(value, ascii, out);
    }
    out.push(b'}');
}

/// Appends `text` as a JSON string.
pub(crate) fn string(text: &str, ascii: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\' && (b < 0x80 || !ascii)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in text.chars() {
            character(c, ascii, out);
        }
    }
    out.push(b'"');
}

fn character(c: char, ascii: bool, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if c < ' ' || (ascii && !c.is_ascii()) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                crate::codec::hex(&unit.to_be_bytes(), out);
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use crate::json::parse;

    #[test]
    fn writes_back_what_was_read() {
        for (text, ascii, expected) in [
            (
                r#"{ "a" : { "b" : [ 1 , 2, {"c":"d e"} ] }, "z": [], "u": "漢\"\\\/\n" }"#,
                false,
                r#"{"a":{"b":[1,2,{"c":"d e"}]},"z":[],"u":"漢\"\\/\n"}"#,
            ),
            (
                r#"["漢😀\u0001\u001f\u007f\b\f\r\t",{}]"#,
                true,
                "[\"\\u6f22\\ud83d\\ude00\\u0001\\u001f\u{7f}\\b\\f\\r\\t\",{}]",
            ),
        ] {
            let mut out = Vec::new();
            super::write(&parse(text.as_bytes()).unwrap(), ascii, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
