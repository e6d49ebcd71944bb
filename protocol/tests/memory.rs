//! A lying length costs no memory. Alone in its file, because it looks at the whole process.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use strongroom_protocol::{DecodeError, FrameBuffer, FrameError, Request, Response, decode};

/// The most address space that this process ever had, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap().checked_mul(1024).unwrap()
}

#[test]
fn reserves_little_for_lists_that_claim_much() {
    let mut frames = Vec::new();
    for count in [
        [251, 0xff, 0xff, 0, 0, 0, 0, 0, 0],
        [252, 0, 0, 0, 0x10, 0, 0, 0, 0],
        [253, 0, 0, 0, 0, 1, 0, 0, 0],
        [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        frames.push([&[1, 5, 0, 0, 0, 0], count.as_slice()].concat());
        frames.push([&[1, 5, 0, 0, 0, 0, 0, 1], count.as_slice()].concat());
        frames.push([&[1, 5, 2, 0, 0], count.as_slice()].concat());
        frames.push([&[1, 5, 3], count.as_slice()].concat());
    }
    let before = peak_bytes();
    for frame in &frames {
        assert_eq!(decode::<Request<'_>>(frame).err(), Some(DecodeError::Malformed), "{frame:?}");
        assert_eq!(decode::<Response<'_>>(frame).err(), Some(DecodeError::Malformed), "{frame:?}");
    }
    let mut buffer = FrameBuffer::new();
    for byte in [0xff, 0xff, 0xff, 0xff, 1] {
        *buffer.room().first_mut().unwrap() = byte;
        buffer.filled(1);
    }
    assert_eq!(buffer.take(), Err(FrameError::TooLong(u32::MAX)));
    let grown = peak_bytes().checked_sub(before).unwrap();
    assert!(grown <= 4 * 1024 * 1024, "{grown} bytes");
}
