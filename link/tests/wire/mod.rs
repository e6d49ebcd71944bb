//! What the tests of both vocabularies share.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;

use strongroom_link::frame::Frame;

/// Any descriptor.
pub(crate) fn descriptor() -> OwnedFd {
    File::open("/dev/null").expect("/dev/null").into()
}

/// Calls `with` on a frame of these bytes with so many descriptors, and says how many are left.
pub(crate) fn framed<R>(body: &[u8], descriptors: usize, with: impl FnOnce(Frame<'_>) -> R) -> (R, usize) {
    let mut queue: VecDeque<OwnedFd> = (0..descriptors).map(|_| descriptor()).collect();
    let result = with(Frame { body, descriptors: &mut queue });
    (result, queue.len())
}

/// The body of the one frame that `bytes` is.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    let (length, body) = bytes.split_first_chunk().expect("a length");
    assert_eq!(usize::try_from(u32::from_le_bytes(*length)), Ok(body.len()), "one frame and no more");
    body
}
