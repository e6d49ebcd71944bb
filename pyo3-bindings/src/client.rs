//! The class `Client`: arguments in, the lock of the interpreter released, results out.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use strongroom_client::{ClientToken, default_socket, default_token};

use crate::arguments::Arguments;
use crate::error::{exception, exception_value};
use crate::results::{Credential, SignedRequest, Status, WsLogin};

/// A client of the agent. Connects at the first call and keeps the connection; may be shared by threads
/// and survives `fork`.
#[pyclass(frozen, module = "strongroom")]
pub(crate) struct Client {
    inner: strongroom_client::Client,
}

/// A request for `Client.sign_many`.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct SignRequest {
    inner: strongroom_client::SignRequest<'static>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (socket=None, *, token=None, timeout=5.0))]
    fn new(py: Python<'_>, socket: Option<PathBuf>, token: Option<&str>, timeout: f64) -> PyResult<Self> {
        let deadline = Duration::try_from_secs_f64(timeout)
            .ok()
            .filter(|deadline| !deadline.is_zero())
            .ok_or_else(|| PyValueError::new_err("timeout: give a number of seconds above 0"))?;
        let client = make(socket, token).map_err(|error| exception(py, &error))?;
        Ok(Self { inner: client.with_deadline(deadline) })
    }

    /// Where the agent's socket is looked for.
    #[getter]
    fn socket(&self) -> PathBuf {
        self.inner.path().to_owned()
    }

    /// Signs one request.
    #[pyo3(signature = (credential, method, path, *, query=None, form=None, json=None))]
    #[expect(clippy::too_many_arguments, reason = "five of them are named by the caller")]
    fn sign(
        &self,
        py: Python<'_>,
        credential: &str,
        method: &str,
        path: &str,
        query: Option<&Bound<'_, PyAny>>,
        form: Option<&Bound<'_, PyAny>>,
        json: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<SignedRequest> {
        let arguments = Arguments::new(query, form, json)?;
        let request = arguments.request(credential, method, path)?;
        self.call(py, |client| client.sign(&request)).map(SignedRequest)
    }

    /// Signs many requests, sent ahead over the one connection. The results are in their order.
    #[pyo3(signature = (requests, *, return_exceptions=false))]
    fn sign_many<'py>(
        &self,
        py: Python<'py>,
        requests: Vec<Py<SignRequest>>,
        return_exceptions: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let requests: Vec<_> = requests.iter().map(|request| &request.get().inner).collect();
        let results = PyList::empty(py);
        for result in py.detach(|| self.inner.sign_many(&requests)) {
            match result {
                Ok(signed) => results.append(SignedRequest(signed))?,
                Err(error) if return_exceptions => results.append(exception_value(py, &error))?,
                Err(error) => return Err(exception(py, &error)),
            }
        }
        Ok(results)
    }

    /// Builds and signs one WebSocket login: the first of the credential's venue, or the one called `name`.
    #[pyo3(signature = (credential, name=None, *, params=None))]
    fn ws_login(
        &self,
        py: Python<'_>,
        credential: &str,
        name: Option<&str>,
        params: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<WsLogin> {
        let arguments = Arguments::told(params)?;
        let request = arguments.login(credential, name)?;
        self.call(py, |client| client.ws_login(request)).map(WsLogin)
    }

    /// How the agent is.
    fn status(&self, py: Python<'_>) -> PyResult<Status> {
        self.call(py, strongroom_client::Client::status).map(Status)
    }

    /// All credentials, by name.
    fn credentials(&self, py: Python<'_>) -> PyResult<Vec<Credential>> {
        Ok(self.call(py, strongroom_client::Client::list)?.into_iter().map(Credential).collect())
    }

    /// One credential.
    fn show(&self, py: Python<'_>, name: &str) -> PyResult<Credential> {
        self.call(py, |client| client.show(name)).map(Credential)
    }

    /// Makes the agent forget all secrets.
    fn lock(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, strongroom_client::Client::lock)
    }

    /// Closes the connection. The next call connects anew.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }

    const fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type=None, exc_value=None, traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) {
        let _unused = (exc_type, exc_value, traceback);
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let socket = self.inner.path().display().to_string().into_pyobject(py)?.repr()?.to_string();
        Ok(format!("<Client socket={socket}>"))
    }
}

/// Without a socket or a token, those of the environment.
fn make(
    socket: Option<PathBuf>,
    token: Option<&str>,
) -> Result<strongroom_client::Client, strongroom_client::Error> {
    let client = strongroom_client::Client::at(socket.map_or_else(default_socket, Ok)?);
    let token = token.map_or_else(default_token, |token| ClientToken::new(token).map(Some))?;
    Ok(match token {
        Some(token) => client.with_token(token),
        None => client,
    })
}

impl Client {
    /// Calls the client with the interpreter's lock released.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&strongroom_client::Client) -> Result<T, strongroom_client::Error> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(&self.inner)).map_err(|error| exception(py, &error))
    }
}

#[pymethods]
impl SignRequest {
    #[new]
    #[pyo3(signature = (credential, method, path, *, query=None, form=None, json=None))]
    fn new(
        credential: &str,
        method: &str,
        path: &str,
        query: Option<&Bound<'_, PyAny>>,
        form: Option<&Bound<'_, PyAny>>,
        json: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let arguments = Arguments::new(query, form, json)?;
        Ok(Self { inner: arguments.request(credential, method, path)?.into_owned() })
    }

    /// Name of the credential.
    #[getter]
    fn credential(&self) -> &str {
        self.inner.credential()
    }

    /// HTTP method.
    #[getter]
    fn method(&self) -> &str {
        self.inner.method()
    }

    /// Path of the endpoint.
    #[getter]
    fn path(&self) -> &str {
        self.inner.path()
    }

    fn __repr__(&self) -> String {
        let inner = &self.inner;
        format!("<SignRequest {} {} {}>", inner.credential(), inner.method(), inner.path())
    }
}
