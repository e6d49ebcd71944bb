//! The one place where an error of the client becomes a Python exception.

use std::error::Error as _;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyModule};
use strongroom_client::{Error, ErrorCode};

/// The exception for `error`, out of the tree in `strongroom._errors`.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    raise(py, error).unwrap_or_else(|broken| broken)
}

/// The same as a value, for lists of results.
pub(crate) fn exception_value<'py>(py: Python<'py>, error: &Error) -> Bound<'py, PyAny> {
    exception(py, error).into_value(py).into_bound(py).into_any()
}

fn raise(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let errors =
        ERRORS.get_or_try_init(py, || PyModule::import(py, "strongroom._errors").map(Bound::unbind))?;
    let facts = [("code", error.code().map(name)), ("hint", Some(error.hint()))].into_py_dict(py)?;
    let value = errors.bind(py).getattr(class(error))?.call((message(error),), Some(&facts))?;
    Ok(PyErr::from_value(value))
}

/// The message and what caused it.
fn message(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

const fn class(error: &Error) -> &'static str {
    match error {
        Error::Deadline { .. } => "Timeout",
        Error::Disconnected => "Disconnected",
        Error::NoAgent { .. } | Error::NoSocketPath => "NoAgent",
        Error::Token { .. } | Error::TooLarge { .. } => "Invalid",
        Error::Refused { code, .. } => match code {
            ErrorCode::Malformed | ErrorCode::Version => "ProtocolError",
            known => name(*known),
        },
        // Also what later versions of the client add.
        _ => "ProtocolError",
    }
}

/// The name of a code, as `docs/reference/protocol.md` has it.
const fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Denied => "Denied",
        ErrorCode::Exists => "Exists",
        ErrorCode::Invalid => "Invalid",
        ErrorCode::Locked => "Locked",
        ErrorCode::Malformed => "Malformed",
        ErrorCode::NotFound => "NotFound",
        ErrorCode::Unavailable => "Unavailable",
        ErrorCode::Version => "Version",
        _ => "Failed",
    }
}
