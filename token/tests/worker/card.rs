//! Whether a look sees a card that is pulled out of a reader, through OpenSC and a real `pcscd`.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use strongroom_link::token::{ToToken, TokenRefusal};
use strongroom_softhsm_tests::card::{LABEL, MODULE, Reader, SERIAL};
use strongroom_softhsm_tests::process::SOON;

use crate::front::{Answer, Front};

/// The agent looks once a second.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

fn front(reader: &Reader) -> Front {
    let (variable, socket) = reader.environment();
    Front::start_with(&[(variable, socket.as_os_str()), ("HOME", OsStr::new("/nonexistent"))])
}

fn look(front: &mut Front) -> Answer {
    front.ask(|job| ToToken::Look { job, module: MODULE, serial: SERIAL, label: LABEL })
}

/// Looks until `wanted` is seen, as the agent does but more often; gives how long it took.
fn until(front: &mut Front, wanted: impl Fn(&Answer) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let answer = look(front);
        if wanted(&answer) {
            return began.elapsed();
        }
        assert!(began.elapsed() < SOON, "{answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_absent(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(TokenRefusal::TokenAbsent { .. }))
}

#[test]
fn sees_a_card_that_is_pulled_out_and_put_in_again() {
    let reader = Reader::start();
    let mut front = front(&reader);
    assert!(is_absent(&look(&mut front)), "no card is in the reader");
    for turn in 0..4 {
        let card = reader.insert();
        let seen = until(&mut front, |answer| *answer == Answer::Done);
        let before = card.commands();
        assert_eq!(look(&mut front), Answer::Done);
        let commands = card.commands() - before;
        drop(card);
        let missed = until(&mut front, is_absent);
        println!("turn {turn}: seen after {seen:?}, missed after {missed:?}");
        assert_eq!(commands, 0, "a look must not keep the card busy");
        assert!(is_absent(&look(&mut front)), "it stays away");
    }
}

/// OpenSC 0.23 tells of it nearly each time: on a busy machine it did not in about one of twelve. What must not be is
/// that it never does.
#[test]
fn sees_that_a_card_was_out_between_two_looks() {
    for _ in 0..10 {
        if matches!(look_behind_a_moment_without_card(), Answer::Refused(TokenRefusal::TokenAbsent { .. })) {
            return;
        }
    }
    panic!("it was out ten times");
}

/// Has a card be out between two looks of one process, and gives the answer to the second.
fn look_behind_a_moment_without_card() -> Answer {
    let reader = Reader::start();
    let card = reader.insert();
    let mut front = front(&reader);
    until(&mut front, |answer| *answer == Answer::Done);
    drop(card);
    // Another process tells how far the reader is; this one does not look meanwhile.
    let mut other = self::front(&reader);
    until(&mut other, is_absent);
    // On a busy machine the service of the readers is late.
    std::thread::sleep(BETWEEN_LOOKS.saturating_mul(3));
    let _card = reader.insert();
    until(&mut other, |answer| *answer == Answer::Done);
    let answer = look(&mut front);
    until(&mut front, |answer| *answer == Answer::Done);
    answer
}

#[test]
fn sees_that_the_service_of_the_readers_has_ended() {
    let reader = Reader::start();
    let _card = reader.insert();
    let mut front = front(&reader);
    until(&mut front, |answer| *answer == Answer::Done);
    drop(reader);
    until(&mut front, |answer| matches!(answer, Answer::Refused(_)));
}
