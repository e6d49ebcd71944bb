//! What comes back: frozen classes without a constructor.

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyString};

/// A request that can be sent to the venue. Send exactly this.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct SignedRequest(pub(crate) strongroom_client::SignedRequest);

#[pymethods]
impl SignedRequest {
    /// HTTP method.
    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    /// The whole URL.
    #[getter]
    fn url(&self) -> &str {
        &self.0.url
    }

    /// Headers that must be sent; a new dict each time.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.0.headers.iter().map(|(name, value)| (name, value)).into_py_dict(py)
    }

    /// The body; empty for none.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.body)
    }

    /// Without query, values of headers, and body: a log must not be enough to send it.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let path = self.0.url.split('?').next().unwrap_or_default();
        let names: Vec<_> = self.0.headers.iter().map(|(name, _)| name.as_str()).collect();
        Ok(format!(
            "<SignedRequest {} {} headers={} body={} bytes>",
            self.0.method,
            path,
            names.into_pyobject(py)?.repr()?,
            self.0.body.len()
        ))
    }
}

/// What opens a session at a venue's socket.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct WsLogin(pub(crate) strongroom_client::WsLogin);

#[pymethods]
impl WsLogin {
    /// Which login of the venue's profile it is.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// The socket; `None` where the profile names none for the credential's host.
    #[getter]
    fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// Headers of the handshake; a new dict each time.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.0.headers.iter().map(|(name, value)| (name, value)).into_py_dict(py)
    }

    /// The message to send, as JSON; `None` where the headers are all.
    #[getter]
    fn frame(&self) -> Option<&str> {
        self.0.frame.as_deref()
    }

    /// Whether the frame is a whole message; else its members go into one of the bot's own.
    #[getter]
    const fn whole(&self) -> bool {
        self.0.whole
    }

    /// The signature as the frame has it, or the token.
    #[getter]
    fn signature(&self) -> &str {
        &self.0.signature
    }

    /// Until when the venue takes it, in milliseconds since 1970; `None` where that is not known.
    #[getter]
    const fn expires_unix_ms(&self) -> Option<u64> {
        self.0.expires_unix_ms
    }

    /// Without frame, values of headers, and signature: a log must not be enough to log in.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (name, url) = (quoted(py, &self.0.name)?, self.0.url.as_deref().unwrap_or("None"));
        Ok(format!("<WsLogin {name} {url}>"))
    }
}

/// One credential, without anything secret.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct Credential(pub(crate) strongroom_client::Credential);

#[pymethods]
impl Credential {
    /// Name that bots use.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Id of the venue's profile.
    #[getter]
    fn venue(&self) -> &str {
        &self.0.venue
    }

    /// The public half of the key.
    #[getter]
    fn key_id(&self) -> &str {
        &self.0.key_id
    }

    /// Where signed requests go.
    #[getter]
    fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// Signature algorithm.
    #[getter]
    fn algorithm(&self) -> &str {
        &self.0.algorithm
    }

    /// Where the secret can be.
    #[getter]
    fn custody(&self) -> &str {
        &self.0.custody
    }

    /// How the token protects it.
    #[getter]
    fn rung(&self) -> &str {
        &self.0.rung
    }

    /// Serial of the token.
    #[getter]
    fn token_serial(&self) -> &str {
        &self.0.token_serial
    }

    /// When it was enrolled, in seconds since 1970.
    #[getter]
    const fn enrolled_unix(&self) -> u64 {
        self.0.enrolled_unix
    }

    /// Whether it can sign now.
    #[getter]
    const fn ready(&self) -> bool {
        self.0.ready
    }

    /// Why it cannot; may be empty.
    #[getter]
    fn fault(&self) -> &str {
        &self.0.fault
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let ready = if self.0.ready { "True" } else { "False" };
        let (name, venue) = (quoted(py, &self.0.name)?, quoted(py, &self.0.venue)?);
        Ok(format!("<Credential name={name} venue={venue} ready={ready}>"))
    }
}

/// How the agent is.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct Status(pub(crate) strongroom_client::Status);

#[pymethods]
impl Status {
    /// Version of the agent.
    #[getter]
    fn version(&self) -> &str {
        &self.0.version
    }

    /// Its process id.
    #[getter]
    const fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether no secret is in memory.
    #[getter]
    const fn locked(&self) -> bool {
        self.0.locked
    }

    /// Why it is locked; empty when it is not.
    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }

    /// When it became so, in seconds since 1970.
    #[getter]
    const fn since_unix(&self) -> u64 {
        self.0.since_unix
    }

    /// Credentials on disk.
    #[getter]
    const fn credentials(&self) -> u32 {
        self.0.credentials
    }

    /// Credentials that can sign now.
    #[getter]
    const fn ready(&self) -> u32 {
        self.0.ready
    }

    /// Process id of the keeper; `None` if none runs.
    #[getter]
    const fn keeper_pid(&self) -> Option<u32> {
        self.0.keeper_pid
    }

    /// Serial of the configured token.
    #[getter]
    fn token_serial(&self) -> &str {
        &self.0.token_serial
    }

    /// Label of the configured token.
    #[getter]
    fn token_label(&self) -> &str {
        &self.0.token_label
    }

    /// How the token protects seeds.
    #[getter]
    fn rung(&self) -> &str {
        &self.0.rung
    }

    /// Every `danger_…` setting that is on.
    #[getter]
    fn weaknesses(&self) -> Vec<&str> {
        self.0.weaknesses.iter().map(String::as_str).collect()
    }

    /// What protects each process that holds secrets, as it measured itself.
    #[getter]
    fn protection(&self) -> Vec<Protection> {
        self.0.protection.iter().cloned().map(Protection).collect()
    }

    /// Whom the agent takes the asker for: `user:1000`, or `client:grid-bot`.
    #[getter]
    fn principal(&self) -> &str {
        &self.0.principal
    }

    /// Who may do everything but sign: `user:1000` each.
    #[getter]
    fn admins(&self) -> Vec<&str> {
        self.0.admins.iter().map(String::as_str).collect()
    }

    /// Line and time (seconds since 1970) of the last checkpoint of the audit log since the agent was started.
    #[getter]
    fn checkpoint(&self) -> Option<(u64, u64)> {
        self.0.checkpoint.map(|checkpoint| (checkpoint.line, checkpoint.unix))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let locked = if self.0.locked { "True" } else { "False" };
        let version = quoted(py, &self.0.version)?;
        let (ready, credentials) = (self.0.ready, self.0.credentials);
        Ok(format!("<Status version={version} locked={locked} ready={ready} credentials={credentials}>"))
    }
}

/// What protects one process that holds secrets.
#[pyclass(frozen, eq, module = "strongroom")]
#[derive(PartialEq, Eq)]
pub(crate) struct Protection(strongroom_client::Protection);

#[pymethods]
impl Protection {
    /// Which process: `keeper`, or `token-worker` for the last one that has logged in.
    #[getter]
    fn process(&self) -> &str {
        &self.0.process
    }

    /// Its process id; `None` if it has ended since.
    #[getter]
    const fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// Whether its secrets lie in memory that root cannot read either.
    #[getter]
    const fn secret_memory(&self) -> bool {
        self.0.secret_memory
    }

    /// Whether a guard traces it, so that nobody else can.
    #[getter]
    const fn guarded(&self) -> bool {
        self.0.guarded
    }

    /// How much of Landlock is in force: `full`, `partial` or `absent`.
    #[getter]
    fn landlock(&self) -> &str {
        &self.0.landlock
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = |truth| if truth { "True" } else { "False" };
        let (process, landlock) = (quoted(py, &self.0.process)?, quoted(py, &self.0.landlock)?);
        let (secret_memory, guarded) = (text(self.0.secret_memory), text(self.0.guarded));
        Ok(format!(
            "<Protection process={process} secret_memory={secret_memory} guarded={guarded} landlock={landlock}>"
        ))
    }
}

fn quoted(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(PyString::new(py, text).repr()?.to_str()?.to_owned())
}
