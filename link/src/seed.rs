//! The one-way wire from the token worker to the keeper.
//!
//! The keeper makes a pipe and keeps its only read end; the front passes the write end on to the
//! token worker. So the front can hand the wire over and can never read from it. One message is 40
//! bytes, far below `PIPE_BUF`, so it is written and read whole or not at all.

use std::io;
use std::os::fd::AsFd;

use zeroize::Zeroizing;

/// Length of the seed that protects one record, in bytes.
pub const SEED_BYTES: usize = 32;
const JOB_BYTES: usize = 8;
const MESSAGE_BYTES: usize = JOB_BYTES + SEED_BYTES;

/// The random value from which one record's key is derived. Wiped when dropped.
pub type Seed = Zeroizing<[u8; SEED_BYTES]>;

/// Sends the seed for `job`.
///
/// # Errors
/// What `write` says; `BrokenPipe` where the keeper is gone.
pub fn send(pipe: impl AsFd, job: u64, seed: &Seed) -> io::Result<()> {
    let mut message = Zeroizing::new([0_u8; MESSAGE_BYTES]);
    let (head, tail) = message.split_at_mut(JOB_BYTES);
    head.copy_from_slice(&job.to_le_bytes());
    tail.copy_from_slice(seed.as_slice());
    let written = rustix::io::write(pipe, message.as_slice())?;
    if written == MESSAGE_BYTES { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Takes the next seed and the job that it is for, without waiting.
///
/// # Errors
/// `WouldBlock` where none has arrived (the pipe must be non-blocking), `UnexpectedEof` where the
/// worker has closed its end.
pub fn receive(pipe: impl AsFd) -> io::Result<(u64, Seed)> {
    let mut message = Zeroizing::new([0_u8; MESSAGE_BYTES]);
    let read = rustix::io::read(pipe, message.as_mut_slice())?;
    if read != MESSAGE_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (head, tail) = message.split_at(JOB_BYTES);
    let mut job = [0; JOB_BYTES];
    job.copy_from_slice(head);
    let mut seed = Seed::default();
    seed.copy_from_slice(tail);
    Ok((u64::from_le_bytes(job), seed))
}
