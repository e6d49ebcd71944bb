//! What the token remembers of floors.

use strongroom_link::token::{Anchor, AnchorId, ToToken, TokenRefusal};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front};

const LABEL: &str = "kek";

fn anchor(id: u8, generation: u64) -> Anchor {
    Anchor { id: [id; 16], generation, hash: [9; 32] }
}

fn keep(front: &mut Front, anchor: Anchor) -> Answer {
    front.ask(|job| ToToken::Anchor { job, label: LABEL, anchor })
}

fn newest(front: &mut Front, label: &str, id: AnchorId) -> Option<Anchor> {
    match front.ask(|job| ToToken::Anchored { job, label, id }) {
        Answer::Anchored(anchor) => anchor,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tells_the_newest_state_of_each_floors_and_keeps_one_older() {
    let token = FreshToken::new("token");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    assert_eq!(newest(&mut front, LABEL, [1; 16]), None);
    for generation in 1..=4 {
        assert_eq!(keep(&mut front, anchor(1, generation)), Answer::Done);
        assert_eq!(keep(&mut front, anchor(1, generation)), Answer::Done, "again is nothing more");
    }
    assert_eq!(keep(&mut front, anchor(2, 70)), Answer::Done);
    assert_eq!(newest(&mut front, LABEL, [1; 16]), Some(anchor(1, 4)));
    assert_eq!(newest(&mut front, LABEL, [2; 16]), Some(anchor(2, 70)));
    assert_eq!(newest(&mut front, "another", [1; 16]), None);
    let (status, _) = front.end();
    assert!(status.success());

    let listed = |tool: std::process::Output| {
        String::from_utf8_lossy(&tool.stdout).matches("label:          'kek floors'").count()
    };
    let list = ["--list-objects", "--type", "data"];
    assert_eq!(listed(token.pkcs11_tool(&list)), 3, "two of one, one of the other");
    let strangers = [&["--token-label", "token"], &list[..]].concat();
    assert_eq!(listed(token.pkcs11_tool_without_pin(&strangers)), 0, "without the PIN");

    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    assert_eq!(newest(&mut front, LABEL, [1; 16]), Some(anchor(1, 4)), "as another worker sees it");
}

#[test]
fn tells_nothing_before_a_login() {
    let token = FreshToken::new("token");
    let mut front = Front::start(&token);
    let refused = Answer::Refused(TokenRefusal::NotOpen);
    assert_eq!(front.ask(|job| ToToken::Anchored { job, label: LABEL, id: [1; 16] }), refused);
    assert_eq!(keep(&mut front, anchor(1, 1)), refused);
}
