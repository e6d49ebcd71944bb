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
