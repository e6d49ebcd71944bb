//! The wire from outside: what is no request gets a clear error or a closed connection.

use strongroom_client::ErrorCode;
use strongroom_protocol::{Body, Login, Operation, Param, Sign};
use strongroom_softhsm_tests::process::SOON;
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::Room;

use crate::keys::BINANCE;

/// A request that is signed.
pub(crate) fn sign() -> Operation<'static> {
    Operation::Sign(Sign {
        credential: "binance-main",
        method: "GET",
        path: "/api/v3/account",
        query: vec![("symbol", Param::Text("LTCBTC"))],
        body: Body::Empty,
    })
}

fn error(id: u64, code: ErrorCode, message: &str) -> Heard {
    Heard::Error(id, code, message.to_owned())
}

#[test]
fn refuses_what_is_no_request_and_closes() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let malformed = "the frame holds no message of this protocol";
    let good = frame(7, sign());
    let mut longer = good.clone();
    longer.push(0);
    let length = u32::try_from(longer.len() - 4).unwrap();
    longer[..4].copy_from_slice(&length.to_le_bytes());
    let mut version_only = good.clone();
    version_only[4] = 1;
    let shorter = {
        let mut cut = good[..good.len() - 1].to_vec();
        let length = u32::try_from(cut.len() - 4).unwrap();
        cut[..4].copy_from_slice(&length.to_le_bytes());
        cut
    };
    let cases: [(&str, Vec<u8>, Heard); 12] = [
        ("a length of zero", vec![0; 4], error(0, ErrorCode::Malformed, "a frame of length 0")),
        (
            "one byte over",
            [0x01, 0, 1, 0].to_vec(),
            error(0, ErrorCode::Malformed, "a frame of 65537 bytes; the limit is 65536"),
        ),
        (
            "all ones",
            vec![0xff; 64],
            error(0, ErrorCode::Malformed, "a frame of 4294967295 bytes; the limit is 65536"),
        ),
        (
            "another protocol",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            error(0, ErrorCode::Malformed, "a frame of 542393671 bytes; the limit is 65536"),
        ),
        (
            "an older version",
            vec![2, 0, 0, 0, 0, 0],
            error(0, ErrorCode::Version, "the peer speaks protocol version 0, this program speaks version 1"),
        ),
        (
            "a newer version",
            vec![3, 0, 0, 0, 2, 9, 9],
            error(0, ErrorCode::Version, "the peer speaks protocol version 2, this program speaks version 1"),
        ),
        ("a version and nothing", vec![1, 0, 0, 0, 1], error(0, ErrorCode::Malformed, malformed)),
        ("an unknown operation", vec![3, 0, 0, 0, 1, 7, 99], error(0, ErrorCode::Malformed, malformed)),
        ("bytes left over", longer, error(0, ErrorCode::Malformed, malformed)),
        ("a byte missing", shorter, error(0, ErrorCode::Malformed, malformed)),
        // Request id 7 as marker 251 and two bytes; the shortest form is the only valid one.
        ("an overlong integer", vec![5, 0, 0, 0, 1, 251, 7, 0, 1], error(0, ErrorCode::Malformed, malformed)),
        // A credential name whose length lies: 252 and four bytes.
        (
            "a lying length inside",
            vec![9, 0, 0, 0, 1, 7, 3, 252, 0xff, 0xff, 0xff, 0x7f, 0x41],
            error(0, ErrorCode::Malformed, malformed),
        ),
    ];
    let mut witness = Raw::connect(&room.socket());
    for (case, bytes, expected) in cases {
        let mut peer = Raw::connect(&room.socket());
        peer.write(&bytes).unwrap();
        assert_eq!(peer.hear(SOON), expected, "{case}");
        assert_eq!(peer.hear(SOON), Heard::Closed, "{case}");
        witness.ask(1, sign()).unwrap();
        assert_eq!(witness.hear(SOON), Heard::Good(1), "another client after {case}");
    }
    // The control: the same bytes, unharmed.
    let mut peer = Raw::connect(&room.socket());
    peer.write(&version_only).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(7));
}

#[test]
fn answers_what_came_before_the_rubbish() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let mut peer = Raw::connect(&room.socket());
    let mut bytes = Vec::new();
    for id in 1..=20 {
        bytes.extend(frame(id, sign()));
    }
    bytes.extend([0xff; 40]);
    peer.write(&bytes).unwrap();
    let mut good = Vec::new();
    let mut refused = 0;
    loop {
        match peer.hear(SOON) {
            Heard::Good(id) => good.push(id),
            Heard::Error(0, ErrorCode::Malformed, _) => refused += 1,
            Heard::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    good.sort_unstable();
    assert_eq!((good, refused), ((1..=20).collect(), 1));
}

#[test]
fn takes_a_request_byte_by_byte_and_many_at_once() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let mut peer = Raw::connect(&room.socket());
    for byte in frame(300, sign()) {
        peer.write(&[byte]).unwrap();
    }
    assert_eq!(peer.hear(SOON), Heard::Good(300));
    // Two and a half frames, then the other half.
    let mut bytes = frame(1, sign());
    bytes.extend(frame(u64::MAX, Operation::Status));
    let third = frame(3, Operation::Status);
    let (begin, end) = third.split_at(third.len() / 2);
    bytes.extend(begin);
    peer.write(&bytes).unwrap();
    let mut first_two = [peer.hear(SOON), peer.hear(SOON)];
    first_two.sort_by_key(|heard| !matches!(heard, Heard::Good(1)));
    assert_eq!(first_two, [Heard::Good(1), Heard::Good(u64::MAX)]);
    peer.write(end).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(3));
}

#[test]
fn answers_a_client_that_has_closed_its_sending_side() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let mut peer = Raw::connect(&room.socket());
    for id in 0..50 {
        peer.ask(id, sign()).unwrap();
    }
    peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut ids: Vec<_> = (0..50).map(|_| peer.hear(SOON)).collect();
    ids.sort_by_key(|heard| if let Heard::Good(id) = heard { *id } else { panic!("{heard:?}") });
    assert_eq!(ids, (0..50).map(Heard::Good).collect::<Vec<_>>());
    assert_eq!(peer.hear(SOON), Heard::Closed);
}

#[test]
fn refuses_an_operation_whose_descriptor_did_not_come() {
    let room = Room::new();
    let _agent = room.start();
    let mut peer = Raw::connect(&room.socket());
    peer.ask(5, Operation::Unlock(Login { pin: true, final_try: false })).unwrap();
    let expected = error(5, ErrorCode::Malformed, "the descriptor of the PIN is missing");
    assert_eq!(peer.hear(SOON), expected);
    // The frame itself was in order, so the connection goes on.
    peer.ask(6, Operation::Status).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(6));
}
