//! Numbers as text: no exponent, no digit lost, none invented.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt, PyString, PyType};

/// From here on Python prints a float with an exponent, which never comes with a `.0`.
const EXPONENT_FROM: f64 = 1e16;

/// Powers of ten beyond which a `Decimal` is a mistake: written out it would fill the memory.
const MAX_POWER: i64 = 400;

/// Writes what `float` stands for, if it is a number at all.
pub(crate) fn float(what: &str, float: &Bound<'_, PyFloat>) -> PyResult<String> {
    let value = float.value();
    if !value.is_finite() {
        return Err(PyValueError::new_err(format!("{what}: {value} is not a number that can be sent")));
    }
    // Shortest text that reads back as the same float, as `repr` in Python; but never with an exponent.
    let mut text = value.to_string();
    if value.fract() == 0.0 && value.abs() < EXPONENT_FROM {
        text.push_str(".0");
    }
    Ok(text)
}

/// Writes an `int` of any size. A subclass cannot change how.
pub(crate) fn integer(int: &Bound<'_, PyInt>) -> PyResult<String> {
    if let Ok(small) = int.extract::<i64>() {
        return Ok(small.to_string());
    }
    let text = int.py().get_type::<PyInt>().call_method1("__repr__", (int,))?;
    Ok(text.cast_into::<PyString>()?.to_str()?.to_owned())
}

/// Whether `value` is a `decimal.Decimal`.
pub(crate) fn is_decimal(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    value.is_instance(DECIMAL.import(value.py(), "decimal", "Decimal")?)
}

/// Writes a `Decimal`, if it is a number at all.
pub(crate) fn decimal(what: &str, decimal: &Bound<'_, PyAny>) -> PyResult<String> {
    let finite = decimal.call_method0("is_finite")?.extract::<bool>()?;
    let power = decimal.call_method0("adjusted")?.extract::<i64>()?;
    if !finite || power.abs() > MAX_POWER {
        return Err(PyValueError::new_err(format!("{what}: {decimal} is not a number that can be sent")));
    }
    decimal.call_method1("__format__", ("f",))?.extract()
}
