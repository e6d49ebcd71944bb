//! The Python package `strongroom`: a thin room over `strongroom-client`.
//!
//! No PIN and no secret ever crosses into Python, which cannot wipe memory; so `unlock` and `enroll` are
//! not here.

use pyo3::prelude::*;

mod arguments;
mod client;
mod error;
mod json;
mod number;
mod results;

/// The compiled half of the package `strongroom`.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::client::{Client, SignRequest};
    #[pymodule_export]
    use crate::results::{Credential, Protection, SignedRequest, Status, WsLogin};
}
