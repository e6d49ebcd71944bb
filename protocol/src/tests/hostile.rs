//! Bytes that a peer sends to do harm.

use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::{request, response};
use crate::{DecodeError, Reply, Request, Response, VERSION, decode, encode, peek_id};

/// What [`decode`] accepts must be the one spelling of a message.
fn accepts_only_its_own_spelling(frame: &[u8]) {
    if let Ok(request) = decode::<Request<'_>>(frame) {
        let mut again = Vec::new();
        encode(&request, &mut again).unwrap();
        assert_eq!(&again[4..], frame);
        assert_eq!(peek_id(frame), Ok(request.id));
    }
    if let Ok(response) = decode::<Response<'_>>(frame) {
        let mut again = Vec::new();
        encode(&response, &mut again).unwrap();
        assert_eq!(&again[4..], frame);
        assert_eq!(peek_id(frame), Ok(response.id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn survives_arbitrary_bytes(mut frame in vec(any::<u8>(), 0..200), versioned in any::<bool>()) {
        if let (true, Some(version)) = (versioned, frame.first_mut()) {
            *version = VERSION;
        }
        accepts_only_its_own_spelling(&frame);
    }

    #[test]
    fn survives_arbitrary_small_numbers(body in vec(prop_oneof![0_u8..10, 245_u8..=255], 0..60)) {
        let frame: Vec<u8> = std::iter::once(VERSION).chain(body).collect();
        accepts_only_its_own_spelling(&frame);
    }
}

proptest! {
    #[test]
    fn survives_messages_with_changed_bytes(
        request in request(),
        response in response(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        prop_assume!(encode(&request, &mut asked).is_ok() && encode(&response, &mut answered).is_ok());
        for stream in [&mut asked, &mut answered] {
            let frame = &mut stream[5..];
            for (at, byte) in &changes {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            accepts_only_its_own_spelling(&stream[4..]);
        }
    }

    #[test]
    fn refuses_every_message_that_is_cut_short_or_too_long(request in request(), extra in any::<u8>()) {
        let mut stream = Vec::new();
        prop_assume!(encode(&request, &mut stream).is_ok());
        let frame = &stream[4..];
        for length in 0..frame.len().min(300) {
            prop_assert_eq!(decode::<Request<'_>>(&frame[..length]), Err(DecodeError::Malformed));
        }
        stream.push(extra);
        prop_assert_eq!(decode::<Request<'_>>(&stream[4..]), Err(DecodeError::Malformed));
    }

    #[test]
    fn names_another_version_before_it_looks_further(version in any::<u8>(), rest in vec(any::<u8>(), 0..20)) {
        prop_assume!(version != VERSION);
        let frame: Vec<u8> = std::iter::once(version).chain(rest).collect();
        prop_assert_eq!(decode::<Request<'_>>(&frame), Err(DecodeError::Version(version)));
        prop_assert_eq!(decode::<Response<'_>>(&frame), Err(DecodeError::Version(version)));
        prop_assert_eq!(peek_id(&frame), Err(DecodeError::Version(version)));
    }
}

#[test]
fn refuses_requests_that_break_a_rule() {
    // A good one first: Show of "a", with id 5.
    let good: &[u8] = &[1, 5, 3, 1, b'a'];
    decode::<Request<'_>>(good).unwrap();
    // And an enrolment, as the two last cases have it but for one byte.
    decode::<Request<'_>>(&[1, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let cases: [(&str, &[u8]); 17] = [
        ("nothing at all", &[]),
        ("only a version", &[1]),
        ("no operation", &[1, 5]),
        ("an operation that is not there yet", &[1, 5, 18]),
        ("id 5 in three bytes", &[1, 251, 5, 0, 3, 1, b'a']),
        ("id 250 in three bytes", &[1, 251, 250, 0, 3, 1, b'a']),
        ("id 65,535 in five bytes", &[1, 252, 0xff, 0xff, 0, 0, 1]),
        ("id of 128 bits", &[1, 254, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("id with a marker that means nothing", &[1, 255, 5, 1]),
        ("variant in three bytes", &[1, 5, 251, 3, 0, 1, b'a']),
        ("length in three bytes", &[1, 5, 3, 251, 1, 0, b'a']),
        ("text longer than the frame", &[1, 5, 3, 2, b'a']),
        ("text of 2^64-1 bytes", &[1, 5, 3, 253, 255, 255, 255, 255, 255, 255, 255, 255, b'a']),
        ("text that is not UTF-8", &[1, 5, 3, 1, 0xff]),
        ("bytes left over", &[1, 5, 3, 1, b'a', 0]),
        ("a bool of 2", &[1, 5, 6, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]),
        ("an optional of 2", &[1, 5, 6, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (case, frame) in cases {
        assert_eq!(decode::<Request<'_>>(frame), Err(DecodeError::Malformed), "{case}");
    }
}

#[test]
fn refuses_lists_that_claim_more_than_there_is() {
    let counts: [&[u8]; 5] = [
        &[200],
        &[251, 0xff, 0xff],
        &[252, 0, 0, 0, 0x40],
        &[252, 0xff, 0xff, 0xff, 0xff],
        &[253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ];
    for count in counts {
        // Sign with a query, with a form, and the lists of the responses.
        let query = [&[1, 5, 0, 0, 0, 0], count, &[0, 0]].concat();
        let form = [&[1, 5, 0, 0, 0, 0, 0, 1], count, &[0]].concat();
        let json = [&[1, 5, 0, 0, 0, 0, 0, 2], count, &[0]].concat();
        for frame in [query, form, json] {
            assert_eq!(decode::<Request<'_>>(&frame), Err(DecodeError::Malformed), "{frame:?}");
        }
        let headers = [&[1, 5, 2, 0, 0], count, &[0]].concat();
        let credentials = [&[1, 5, 3], count, &[0]].concat();
        for frame in [headers, credentials] {
            assert_eq!(decode::<Response<'_>>(&frame), Err(DecodeError::Malformed), "{frame:?}");
        }
    }
}

/// A client of any version finds out what an agent of another one says.
#[test]
fn keeps_the_layout_of_an_error() {
    let frame = [1, 0, 1, 9, 2, b'n', b'o', 1, b'x'];
    let response: Response<'_> = decode(&frame).unwrap();
    let Reply::Error(refusal) = response.reply else { panic!("{response:?}") };
    assert_eq!((response.id, refusal.code, refusal.message, refusal.hint), (0, 9, "no", "x"));
}
