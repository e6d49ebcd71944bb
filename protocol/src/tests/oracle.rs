//! A second codec, `wincode` 0.6.3, reads and writes the same bytes.
//!
//! bincode 2 gets no more releases. This is the proof that another implementation can take its place
//! without one byte of the protocol changing.

use proptest::collection::vec;
use proptest::prelude::*;
use wincode::config::Configuration;

use super::arbitrary::{request, response};
use crate::{Request, Response, VERSION, decode, encode};

macro_rules! oracle {
    () => {
        Configuration::default().with_varint_encoding()
    };
}

macro_rules! read {
    ($message:ty, $body:expr) => {
        wincode::config::deserialize_exact::<$message, _>($body, oracle!())
            .ok()
            // It takes overlong integers too; what it then writes tells.
            .filter(|message| wincode::config::serialize(message, oracle!()).unwrap() == $body)
    };
}

proptest! {
    #[test]
    fn writes_the_same_requests(request in request()) {
        let mut stream = Vec::new();
        prop_assume!(encode(&request, &mut stream).is_ok());
        prop_assert_eq!(wincode::config::serialize(&request, oracle!()).unwrap(), &stream[5..]);
        prop_assert_eq!(read!(Request<'_>, &stream[5..]), Some(request));
    }

    #[test]
    fn writes_the_same_responses(response in response()) {
        let mut stream = Vec::new();
        prop_assume!(encode(&response, &mut stream).is_ok());
        prop_assert_eq!(wincode::config::serialize(&response, oracle!()).unwrap(), &stream[5..]);
        prop_assert_eq!(read!(Response<'_>, &stream[5..]), Some(response));
    }

    #[test]
    fn reads_changed_messages_the_same_way(
        request in request(),
        response in response(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        prop_assume!(encode(&request, &mut asked).is_ok() && encode(&response, &mut answered).is_ok());
        for (at, byte) in &changes {
            for stream in [&mut asked, &mut answered] {
                let body = &mut stream[5..];
                let at = at.index(body.len());
                body[at] = *byte;
            }
        }
        prop_assert_eq!(read!(Request<'_>, &asked[5..]), decode(&asked[4..]).ok());
        prop_assert_eq!(read!(Response<'_>, &answered[5..]), decode(&answered[4..]).ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn reads_small_numbers_the_same_way(body in vec(prop_oneof![0_u8..10, 245_u8..=255], 0..60)) {
        let frame: Vec<u8> = std::iter::once(VERSION).chain(body).collect();
        prop_assert_eq!(read!(Request<'_>, &frame[1..]), decode(&frame).ok());
        prop_assert_eq!(read!(Response<'_>, &frame[1..]), decode(&frame).ok());
    }
}
