//! Finding frames in a stream of bytes, without believing their lengths.

/// Longest frame, without its length field, in bytes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Length of the length field.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Room for a read; half the longest frame, so that most reads need no growth.
const READ_BYTES: usize = 32 * 1024;

/// A length field that no frame may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is zero.
    #[error("a frame of length 0")]
    Empty,
    /// The length is over [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes; the limit is {MAX_FRAME_BYTES}")]
    TooLong(u32),
}

/// Bytes that have arrived and were not taken yet.
///
/// Write into [`room`](Self::room), say how much with [`filled`](Self::filled), then
/// [`take`](Self::take) frames until there is none. Never holds more than one longest frame and one read.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    /// Zeroed room, of which `taken..filled` holds bytes that wait.
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl FrameBuffer {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), taken: 0, filled: 0 }
    }

    /// Where the next bytes go. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.taken > 0 {
            self.buffer.copy_within(self.taken..self.filled, 0);
            self.filled = self.filled.saturating_sub(self.taken);
            self.taken = 0;
        }
        let wanted = self.filled.saturating_add(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says that `bytes` more were written into [`room`](Self::room).
    pub fn filled(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.buffer.len());
    }

    /// Takes the next whole frame (version byte and message), if it has arrived.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is useless from then on.
    pub fn take(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let waiting = self.buffer.get(self.taken..self.filled).unwrap_or_default();
        let Some((field, rest)) = waiting.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = frame_len(*field)?;
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        self.taken = self.taken.saturating_add(LENGTH_BYTES).saturating_add(length);
        Ok(Some(frame))
    }

    /// Whether part of a frame has arrived and the rest has not.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.filled > self.taken
    }
}

fn frame_len(field: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let declared = u32::from_le_bytes(field);
    match usize::try_from(declared) {
        Ok(0) => Err(FrameError::Empty),
        Ok(length) if length <= MAX_FRAME_BYTES => Ok(length),
        _ => Err(FrameError::TooLong(declared)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_length_outside_the_limits() {
        for (case, declared, expected) in [
            ("empty", 0, FrameError::Empty),
            ("one byte over", 65_537, FrameError::TooLong(65_537)),
            ("all ones", u32::MAX, FrameError::TooLong(u32::MAX)),
        ] {
            assert_eq!(frame_len(declared.to_le_bytes()), Err(expected), "{case}");
        }
        assert_eq!(frame_len(65_536_u32.to_le_bytes()), Ok(MAX_FRAME_BYTES));
    }

    #[test]
    fn finds_the_same_frames_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        for frame in [b"a".as_slice(), &[7; 65_536], b"hello", &[0; 300]] {
            stream.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
            stream.extend_from_slice(frame);
        }
        for piece in [1, 2, 3, 5, 4_096, 40_000, stream.len()] {
            let mut buffer = FrameBuffer::new();
            let mut lengths = Vec::new();
            for bytes in stream.chunks(piece) {
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    let room = buffer.room();
                    let count = room.len().min(bytes.len());
                    room[..count].copy_from_slice(&bytes[..count]);
                    buffer.filled(count);
                    bytes = &bytes[count..];
                    while let Some(frame) = buffer.take().unwrap() {
                        lengths.push(frame.len());
                    }
                }
            }
            assert_eq!(lengths, [1, 65_536, 5, 300], "pieces of {piece}");
            assert!(!buffer.is_partial());
        }
    }

    #[test]
    fn says_whether_a_frame_is_unfinished() {
        let mut buffer = FrameBuffer::new();
        buffer.room()[..6].copy_from_slice(&[2, 0, 0, 0, 1, 9]);
        buffer.filled(5);
        assert_eq!(buffer.take(), Ok(None));
        assert!(buffer.is_partial());
        buffer.filled(1);
        assert_eq!(buffer.take(), Ok(Some([1, 9].as_slice())));
        assert!(!buffer.is_partial());
    }
}
