//! One message, one spelling: the only place that names `bincode`.
//!
//! The codec is bincode 2.0.1 with its standard configuration and a limit, and three checks that it
//! lacks: the version byte, no bytes left over, and that the message's own encoding is what was
//! received (so that there are no overlong integers). Decoding borrows from the frame.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::{BorrowDecode, Encode};

use crate::frame::{LENGTH_BYTES, MAX_FRAME_BYTES};

/// The protocol version that this build speaks.
pub const VERSION: u8 = 1;

/// A frame that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message breaks the rules of `docs/reference/protocol.md`.
    #[error("the frame holds no message of this protocol")]
    Malformed,
    /// The peer speaks another version.
    #[error("the peer speaks protocol version {0}, this program speaks version {VERSION}")]
    Version(u8),
}

/// A message that does not fit a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message would have {bytes} bytes; a frame has at most {MAX_FRAME_BYTES}")]
pub struct EncodeError {
    /// Its length, in bytes.
    pub bytes: usize,
}

/// What decoding may claim, in bytes of memory. An item of a list is at most 16 times as large in memory as
/// on the wire (an empty string: one byte, then a pointer and a length), so that every message that fits a
/// frame can be read, and a lying length still costs one reservation of 1 MiB at most, never touched.
const CLAIM_BYTES: usize = 16 * MAX_FRAME_BYTES;

const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<CLAIM_BYTES>> =
    bincode::config::standard().with_limit::<CLAIM_BYTES>();

/// Appends `message` to `out` as one frame. Leaves `out` as it was where it does not fit.
///
/// # Errors
/// [`EncodeError`] where the frame would be longer than [`MAX_FRAME_BYTES`].
pub fn encode(message: &impl Encode, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(VERSION);
    let encoded = bincode::encode_into_writer(message, Append(out), CONFIGURATION);
    let bytes = out.len().saturating_sub(start).saturating_sub(LENGTH_BYTES);
    let fits = encoded.is_ok() && bytes <= MAX_FRAME_BYTES;
    let field = start..start.saturating_add(LENGTH_BYTES);
    match (u32::try_from(bytes), out.get_mut(field)) {
        (Ok(length), Some(field)) if fits => {
            field.copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(EncodeError { bytes })
        }
    }
}

/// Reads the one message of a frame (version byte and message, without the length field).
///
/// # Errors
/// [`DecodeError::Version`] before anything else is looked at; else [`DecodeError::Malformed`].
pub fn decode<'a, T: BorrowDecode<'a, ()> + Encode>(frame: &'a [u8]) -> Result<T, DecodeError> {
    let (version, body) = frame.split_first().ok_or(DecodeError::Malformed)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let (message, read) =
        bincode::borrow_decode_from_slice::<T, _>(body, CONFIGURATION).map_err(|_| DecodeError::Malformed)?;
    if read != body.len() {
        return Err(DecodeError::Malformed);
    }
    let mut same = Same(body);
    bincode::encode_into_writer(&message, &mut same, CONFIGURATION).map_err(|_| DecodeError::Malformed)?;
    if same.0.is_empty() { Ok(message) } else { Err(DecodeError::Malformed) }
}

/// Reads only the id that every request and every response begins with, to find out whose frame it is.
/// [`decode`] still has to say whether the rest is a message.
///
/// # Errors
/// As [`decode`].
pub fn peek_id(frame: &[u8]) -> Result<u64, DecodeError> {
    let (version, body) = frame.split_first().ok_or(DecodeError::Malformed)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let (id, _) = bincode::decode_from_slice(body, CONFIGURATION).map_err(|_| DecodeError::Malformed)?;
    Ok(id)
}

/// Appends what is written.
struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Accepts only what is expected, and so compares without a second buffer.
struct Same<'a>(&'a [u8]);

impl Writer for &mut Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0 = self
            .0
            .strip_prefix(bytes)
            .ok_or(bincode::error::EncodeError::Other("not the canonical encoding"))?;
        Ok(())
    }
}
