//! Writing answers.

use strongroom_protocol::{ErrorCode, Refusal, Reply, Response, encode};

use crate::fault::Fault;

/// What a peer is told about a fault.
pub(super) fn error(fault: &Fault) -> Reply<'_> {
    Reply::Error(Refusal { code: fault.code.number(), message: &fault.message, hint: &fault.hint })
}

/// Appends an answer to `out`. One that is too large for a frame is answered by an error instead.
pub(super) fn write(id: u64, reply: Reply<'_>, out: &mut Vec<u8>) {
    if let Err(error) = encode(&Response { id, reply }, out) {
        let refusal = Refusal {
            code: ErrorCode::Invalid.number(),
            message: &format!("the answer does not fit a frame: {error}"),
            hint: "make the request smaller",
        };
        // An error has a few hundred bytes, so this one always fits.
        let _ = encode(&Response { id, reply: Reply::Error(refusal) }, out);
    }
}
