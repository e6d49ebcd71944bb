//! The arguments of `sign`, out of what Python programs have.

use std::borrow::Cow;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};
use strongroom_client::{SignRequest, Value, WsLoginRequest};

use crate::json;

/// Query and body of a request. Text is held where Python has it, and not copied.
pub(crate) struct Arguments<'py> {
    query: Vec<Pair<'py>>,
    body: Body<'py>,
}

struct Pair<'py> {
    name: Bound<'py, PyString>,
    value: Argument<'py>,
}

enum Argument<'py> {
    Text(Bound<'py, PyString>),
    Json(Cow<'static, str>),
}

enum Body<'py> {
    Empty,
    Form(Vec<Pair<'py>>),
    Json(String),
    Ready(Bound<'py, PyBytes>),
}

impl<'py> Arguments<'py> {
    pub(crate) fn new(
        query: Option<&Bound<'py, PyAny>>,
        form: Option<&Bound<'py, PyAny>>,
        json: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let query = query.map_or_else(|| Ok(Vec::new()), |query| pairs("query", query))?;
        let body = match (form, json) {
            (None, None) => Body::Empty,
            (Some(form), None) => Body::Form(pairs("form", form)?),
            (None, Some(json)) => json_body(json)?,
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err("a request has form or json, not both"));
            }
        };
        Ok(Self { query, body })
    }

    /// What a login is told.
    pub(crate) fn told(params: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let query = params.map_or_else(|| Ok(Vec::new()), |params| pairs("params", params))?;
        Ok(Self { query, body: Body::Empty })
    }

    /// The login that they make, borrowed from them.
    pub(crate) fn login<'a>(
        &'a self,
        credential: &'a str,
        name: Option<&'a str>,
    ) -> PyResult<WsLoginRequest<'a>> {
        let mut request = WsLoginRequest::new(credential);
        if let Some(name) = name {
            request = request.name(name);
        }
        for pair in &self.query {
            request = request.param(pair.name.to_str()?, pair.value.borrowed()?);
        }
        Ok(request)
    }

    /// The request that they make, borrowed from them.
    pub(crate) fn request<'a>(
        &'a self,
        credential: &'a str,
        method: &'a str,
        path: &'a str,
    ) -> PyResult<SignRequest<'a>> {
        let mut request = SignRequest::new(credential, method, path);
        for pair in &self.query {
            request = request.query(pair.name.to_str()?, pair.value.borrowed()?);
        }
        Ok(match &self.body {
            Body::Empty => request,
            Body::Form(pairs) => {
                // Also a form without parameters is a form.
                request = request.empty_form();
                for pair in pairs {
                    request = request.form(pair.name.to_str()?, pair.value.borrowed()?);
                }
                request
            }
            Body::Json(text) => request.json(text.as_bytes()),
            Body::Ready(bytes) => request.json(bytes.as_bytes()),
        })
    }
}

impl Argument<'_> {
    fn borrowed(&self) -> PyResult<Value<'_>> {
        Ok(match self {
            Self::Text(text) => Value::Text(text.to_str()?.into()),
            Self::Json(text) => Value::Json(text.as_ref().into()),
        })
    }
}

fn json_body<'py>(json: &Bound<'py, PyAny>) -> PyResult<Body<'py>> {
    if let Ok(ready) = json.cast::<PyBytes>() {
        return Ok(Body::Ready(ready.clone()));
    }
    if json.is_instance_of::<PyString>() {
        // Nearly always JSON text that is ready already; quoted once more it would be another thing.
        return Err(PyTypeError::new_err("json: give ready JSON as bytes, or the value itself, not str"));
    }
    json::text("json", json).map(Body::Json)
}

/// Pairs out of a mapping or out of an iterable of pairs, in their order.
fn pairs<'py>(what: &'static str, argument: &Bound<'py, PyAny>) -> PyResult<Vec<Pair<'py>>> {
    if let Ok(dict) = argument.cast::<PyDict>() {
        return dict.items().iter().map(|item| pair(what, &item)).collect();
    }
    if let Ok(list) = argument.cast::<PyList>() {
        return list.iter().map(|item| pair(what, &item)).collect();
    }
    if argument.is_instance_of::<PyString>() || argument.is_instance_of::<PyBytes>() {
        return Err(not_pairs(what, argument));
    }
    if let Ok(mapping) = argument.cast::<PyMapping>() {
        return mapping.items()?.iter().map(|item| pair(what, &item)).collect();
    }
    let items = argument.try_iter().map_err(|_| not_pairs(what, argument))?;
    items.map(|item| pair(what, &item?)).collect()
}

fn pair<'py>(what: &'static str, item: &Bound<'py, PyAny>) -> PyResult<Pair<'py>> {
    let (name, value) = match (item.cast::<PyTuple>(), item.cast::<PyList>()) {
        (Ok(tuple), _) if tuple.len() == 2 => (tuple.get_item(0)?, tuple.get_item(1)?),
        (_, Ok(list)) if list.len() == 2 => (list.get_item(0)?, list.get_item(1)?),
        _ => {
            return Err(PyTypeError::new_err(format!("{what}: each item must be a pair of name and value")));
        }
    };
    let name = name.cast_into::<PyString>().map_err(|error| {
        PyTypeError::new_err(format!("{what}: a name must be str, not {}", json::kind(&error.into_inner())))
    })?;
    let value = match value.cast_into::<PyString>() {
        Ok(text) => Argument::Text(text),
        Err(error) => json_argument(what, &error.into_inner())?,
    };
    Ok(Pair { name, value })
}

fn json_argument<'py>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<Argument<'py>> {
    Ok(Argument::Json(match json::scalar(what, value)? {
        Some(scalar) => scalar,
        None => json::text(what, value)?.into(),
    }))
}

fn not_pairs(what: &str, argument: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{what}: give a mapping or a list of pairs, not {}", json::kind(argument)))
}
