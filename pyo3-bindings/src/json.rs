//! Writing a Python value as JSON: compact, UTF-8, in the order of the value, every number in full.

use std::borrow::Cow;
use std::fmt::Write as _;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::number;

/// Deepest nesting. A value that contains itself ends here.
const MAX_DEPTH: usize = 64;

/// A number, a truth value or nothing: what has no quotes and no members.
pub(crate) fn scalar(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Cow<'static, str>>> {
    // In this order: `True` is an `int`.
    Ok(Some(if value.is_none() {
        "null".into()
    } else if let Ok(truth) = value.cast::<PyBool>() {
        if truth.is_true() { "true" } else { "false" }.into()
    } else if let Ok(int) = value.cast::<PyInt>() {
        number::integer(int)?.into()
    } else if let Ok(float) = value.cast::<PyFloat>() {
        number::float(what, float)?.into()
    } else if number::is_decimal(value)? {
        number::decimal(what, value)?.into()
    } else {
        return Ok(None);
    }))
}

/// The JSON text of `value`.
pub(crate) fn text(what: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut out = String::new();
    append(what, value, 0, &mut out)?;
    Ok(out)
}

fn append(what: &str, value: &Bound<'_, PyAny>, depth: usize, out: &mut String) -> PyResult<()> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(format!("{what}: nested deeper than {MAX_DEPTH}")));
    }
    let inner = depth.saturating_add(1);
    if let Ok(text) = value.cast::<PyString>() {
        quote(text.to_str()?, out);
    } else if let Ok(dict) = value.cast::<PyDict>() {
        out.push('{');
        // A copy: what a value does while it is read may change the dict.
        for (at, item) in dict.items().iter().enumerate() {
            let (name, member) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            let name = name.cast::<PyString>().map_err(|_| {
                PyTypeError::new_err(format!("{what}: a name must be str, not {}", kind(&name)))
            })?;
            if at > 0 {
                out.push(',');
            }
            quote(name.to_str()?, out);
            out.push(':');
            append(what, &member, inner, out)?;
        }
        out.push('}');
    } else if let Ok(list) = value.cast::<PyList>() {
        append_items(what, list.iter(), inner, out)?;
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        append_items(what, tuple.iter(), inner, out)?;
    } else if let Some(scalar) = scalar(what, value)? {
        out.push_str(&scalar);
    } else {
        return Err(PyTypeError::new_err(format!("{what}: {} has no JSON form", kind(value))));
    }
    Ok(())
}

fn append_items<'py>(
    what: &str,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
    out: &mut String,
) -> PyResult<()> {
    out.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        append(what, &item, depth, out)?;
    }
    out.push(']');
    Ok(())
}

/// Escapes what JSON demands, in the short forms that `json.dumps` uses, and nothing else.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => {
                // Writing to a `String` cannot fail.
                let _written = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The name of a value's class, for messages. Never the value: it may be what nobody should log.
pub(crate) fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string())
}
