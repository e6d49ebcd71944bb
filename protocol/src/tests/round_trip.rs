//! What is written is read again as it was.

use proptest::prelude::*;

use super::arbitrary::{request, response};
use crate::{
    Credential, EncodeError, FrameBuffer, MAX_FRAME_BYTES, Operation, Param, Reply, Request, Response, Sign,
    Signed, Status, decode, encode, peek_id,
};

proptest! {
    #[test]
    fn reads_every_request_that_it_writes(request in request()) {
        let mut stream = Vec::new();
        prop_assume!(encode(&request, &mut stream).is_ok());
        let frame = only_frame(&stream);
        prop_assert_eq!(peek_id(&frame), Ok(request.id));
        prop_assert_eq!(decode::<Request<'_>>(&frame), Ok(request));
    }

    #[test]
    fn reads_every_response_that_it_writes(response in response()) {
        let mut stream = Vec::new();
        prop_assume!(encode(&response, &mut stream).is_ok());
        let frame = only_frame(&stream);
        prop_assert_eq!(peek_id(&frame), Ok(response.id));
        prop_assert_eq!(decode::<Response<'_>>(&frame), Ok(response));
    }

    #[test]
    fn appends_to_what_is_there(first in response(), second in response()) {
        let (mut one, mut other, mut both) = (Vec::new(), Vec::new(), Vec::new());
        prop_assume!(encode(&first, &mut one).is_ok() && encode(&second, &mut other).is_ok());
        encode(&first, &mut both).unwrap();
        encode(&second, &mut both).unwrap();
        one.extend_from_slice(&other);
        prop_assert_eq!(one, both);
    }
}

/// The one frame of a stream, found as a receiver finds it.
fn only_frame(stream: &[u8]) -> Vec<u8> {
    let mut buffer = FrameBuffer::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let room = buffer.room();
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
    }
    let frame = buffer.take().unwrap().unwrap().to_vec();
    assert_eq!(buffer.take(), Ok(None));
    assert!(!buffer.is_partial());
    frame
}

#[test]
fn refuses_to_write_more_than_a_frame_and_leaves_the_buffer_alone() {
    let request =
        |length| Request { id: 1, operation: Operation::Show { credential: &*"x".repeat(length).leak() } };
    // Version, id, variant, and a length of three bytes.
    let most = MAX_FRAME_BYTES - 6;
    let mut stream = b"before".to_vec();
    assert_eq!(encode(&request(most + 1), &mut stream), Err(EncodeError { bytes: MAX_FRAME_BYTES + 1 }));
    assert_eq!(stream, b"before");
    encode(&request(most), &mut stream).unwrap();
    assert_eq!(stream.len(), 6 + 4 + MAX_FRAME_BYTES);
    assert_eq!(decode(&stream[10..]), Ok(request(most)));
}

/// A list may hold as many items as a frame has room for, although each is larger in memory.
#[test]
fn reads_the_longest_lists_of_the_smallest_items() {
    let empty = Credential {
        name: "",
        venue: "",
        key_id: "",
        base_url: "",
        algorithm: "",
        custody: "",
        rung: "",
        token_serial: "",
        enrolled_unix: 0,
        ready: false,
        fault: "",
        revision: 0,
        grants: 0,
        accept_unbound: "",
        honey: false,
        profile: "",
    };
    let status = |weaknesses| Status {
        version: "",
        pid: 0,
        locked: false,
        reason: "",
        since_unix: 0,
        credentials: 0,
        ready: 0,
        keeper_pid: 0,
        token_serial: "",
        token_label: "",
        rung: "",
        weaknesses,
        protection: Vec::new(),
        principal: "",
        admins: Vec::new(),
        checkpoint: 0,
        checkpoint_unix: 0,
    };
    let signed = |headers| Reply::Signed(Signed { method: "", url: "", headers, body: b"" });
    let page = |page| Reply::Credentials { page, more: false };
    for (case, reply, larger) in [
        ("headers", signed(vec![("", ""); 32_763]), signed(vec![("", ""); 32_765])),
        ("credentials", page(vec![empty; 4_095]), page(vec![empty; 4_096])),
        ("weaknesses", Reply::Status(status(vec![""; 65_514])), Reply::Status(status(vec![""; 65_515]))),
    ] {
        let mut stream = Vec::new();
        assert!(encode(&Response { id: 1, reply: larger }, &mut stream).is_err(), "{case}: not the longest");
        let response = Response { id: 1, reply };
        encode(&response, &mut stream).unwrap();
        assert_eq!(decode(&stream[4..]), Ok(response), "{case}");
    }
    let sign = |count| Request {
        id: 1,
        operation: Operation::Sign(Sign {
            credential: "",
            method: "",
            path: "",
            query: vec![("", Param::Text("")); count],
            body: crate::Body::Empty,
        }),
    };
    let mut stream = Vec::new();
    assert!(encode(&sign(21_843), &mut stream).is_err(), "not the longest");
    encode(&sign(21_842), &mut stream).unwrap();
    assert_eq!(decode(&stream[4..]), Ok(sign(21_842)));
}
