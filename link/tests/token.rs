//! The wire between front and token worker: what is written is what is read, and nothing else is.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod wire;

use proptest::prelude::*;
use strongroom_link::token::{
    Anchor, FromToken, PinState, Protection, Rung, SigningKey, ToToken, TokenDescription, TokenRefusal, Tries,
};

use wire::{body, descriptor, framed};

fn written(question: &ToToken<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    question.encode(&mut bytes);
    bytes
}

fn written_answer(answer: &FromToken<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    bytes
}

fn round_trip(question: &ToToken<'_>) {
    let bytes = written(question);
    let descriptors = question.descriptors().len();
    let (again, left) = framed(body(&bytes), descriptors, |frame| {
        let read = ToToken::decode(frame).expect("our own bytes");
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(question));
        assert_eq!(read.descriptors().len(), descriptors);
        written(&read)
    });
    assert_eq!(again, bytes);
    assert_eq!(left, 0);
}

fn round_trip_answer(answer: &FromToken<'_>) {
    let bytes = written_answer(answer);
    let (said, _) = framed(body(&bytes), 0, |frame| {
        let read = FromToken::decode(frame).expect("our own bytes");
        assert_eq!(read.job(), answer.job());
        assert_eq!(written_answer(&read), bytes);
        format!("{read:?}")
    });
    assert_eq!(said, format!("{answer:?}"));
}

/// Bytes that mean something mean one thing: what is read is written back as it was.
fn reads_in_one_way_or_not_at_all(bytes: &[u8], descriptors: usize) {
    framed(bytes, descriptors, |frame| {
        if let Ok(question) = ToToken::decode(frame) {
            assert_eq!(body(&written(&question)), bytes);
        }
    });
    framed(bytes, descriptors, |frame| {
        if let Ok(answer) = FromToken::decode(frame) {
            assert_eq!(body(&written_answer(&answer)), bytes);
        }
    });
}

fn rung() -> impl Strategy<Value = Rung> {
    prop::sample::select(Rung::ALL)
}

fn pin() -> impl Strategy<Value = PinState> {
    (any::<(bool, bool)>(), prop::sample::select(Tries::ALL))
        .prop_map(|((initialised, pad), tries)| PinState { initialised, pad, tries })
}

fn anchor() -> impl Strategy<Value = Anchor> {
    any::<([u8; 16], u64, [u8; 32])>().prop_map(|(id, generation, hash)| Anchor { id, generation, hash })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #[test]
    fn reads_every_question_as_it_was_written(
        job in any::<u64>(),
        (label, module, serial) in any::<(String, String, String)>(),
        (kek, id) in any::<([u8; 16], Option<[u8; 16]>)>(),
        (rung, only) in (rung(), prop::option::of(rung())),
        blob in bytes(),
        (with_pin, final_try, with_port) in any::<(bool, bool, bool)>(),
        anchor in anchor(),
    ) {
        let (label, module, serial) = (label.as_str(), module.as_str(), serial.as_str());
        let (pin, seed_port) = (with_pin.then(descriptor), with_port.then(descriptor));
        round_trip(&ToToken::Anchor { job, label, anchor });
        round_trip(&ToToken::Anchored { job, label, id: kek });
        round_trip(&ToToken::FindKek { job, label, id });
        round_trip(&ToToken::Look { job, module, serial, label });
        round_trip(&ToToken::MakeKek { job, label });
        round_trip(&ToToken::Open { job, module, serial, label, pin, final_try, seed_port });
        round_trip(&ToToken::Probe { job, kek, only });
        round_trip(&ToToken::Protect { job, kek, rung });
        round_trip(&ToToken::Sign { job, label, digest: anchor.hash });
        round_trip(&ToToken::SigningKey { job, label, make: final_try });
        round_trip(&ToToken::Tokens { job, module });
        round_trip(&ToToken::Unprotect { job, kek, rung, blob: &blob });
    }

    #[test]
    fn reads_every_answer_as_it_was_written(
        job in any::<u64>(),
        id in any::<[u8; 16]>(),
        rung in rung(),
        blob in bytes(),
        anchor in prop::option::of(anchor()),
        tokens in prop::collection::vec((any::<(String, String, String)>(), pin()), 0..5),
    ) {
        let tokens = tokens
            .into_iter()
            .map(|((serial, label, model), pin)| TokenDescription { serial, label, model, pin })
            .collect();
        round_trip_answer(&FromToken::Anchored { job, anchor });
        round_trip_answer(&FromToken::Done { job });
        round_trip_answer(&FromToken::Kek { job, id });
        round_trip_answer(&FromToken::Probed { job, rung });
        round_trip_answer(&FromToken::Protected { job, blob: &blob });
        round_trip_answer(&FromToken::Signed { job, signature: &blob });
        for key in [None, SigningKey::p256(&[4; 65]), SigningKey::rsa(&[0x80; 256])] {
            round_trip_answer(&FromToken::SigningKey { job, key });
        }
        round_trip_answer(&FromToken::Tokens { job, tokens });
        for (secret_memory, guarded) in [(false, false), (false, true), (true, false), (true, true)] {
            let protection = Protection { secret_memory, guarded };
            round_trip_answer(&FromToken::Ready { job, protection });
        }
    }

    #[test]
    fn reads_every_refusal_as_it_was_written(
        job in any::<u64>(),
        (label, count, path) in any::<(String, String, String)>(),
    ) {
        for refusal in [
            TokenRefusal::KekAbsent { label: label.clone() },
            TokenRefusal::KekAmbiguous { label: label.clone(), count: count.clone() },
            TokenRefusal::KekUnfit { label: label.clone(), fault: count.clone() },
            TokenRefusal::ModuleCall { function: label.clone(), code: count.clone() },
            TokenRefusal::ModuleStart { path: path.clone(), reason: count.clone() },
            TokenRefusal::ModuleLoad { path: path.clone(), reason: count.clone() },
            TokenRefusal::NoRung { tried: path.clone() },
            TokenRefusal::NotOpen,
            TokenRefusal::PinIncorrect { left: count.clone() },
            TokenRefusal::PinMissing { reason: count.clone() },
            TokenRefusal::PinLocked,
            TokenRefusal::PinFinalTry,
            TokenRefusal::PadAbsent,
            TokenRefusal::PadCancelled { code: count.clone() },
            TokenRefusal::SeedPort,
            TokenRefusal::SigningKeyUnfit { label: label.clone(), fault: count.clone() },
            TokenRefusal::SecretMemoryAbsent,
            TokenRefusal::SecretMemoryFailed,
            TokenRefusal::LockLimit { needed: count.clone(), kib: label.clone() },
            TokenRefusal::MemoryFull { call: label.clone(), kib: count.clone() },
            TokenRefusal::Confinement,
            TokenRefusal::Traced,
            TokenRefusal::SeedRejected { code: count.clone() },
            TokenRefusal::TokenAbsent { label: label.clone(), serial: count.clone(), present: path.clone() },
        ] {
            round_trip_answer(&FromToken::Refused { job, refusal });
        }
    }

    #[test]
    fn reads_arbitrary_bytes_in_one_way_or_not_at_all(
        kind in 0..9_u8,
        rest in bytes(),
        descriptors in 0..3_usize,
    ) {
        reads_in_one_way_or_not_at_all(&[&[kind], rest.as_slice()].concat(), descriptors);
    }

    #[test]
    fn reads_an_edited_message_in_one_way_or_not_at_all(
        job in any::<u64>(),
        text in "[a-z]{0,3}",
        (kek, id) in any::<([u8; 16], Option<[u8; 16]>)>(),
        (rung, only, pin) in (rung(), prop::option::of(rung()), pin()),
        which in 0..11_usize,
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![0..30_u8, any::<u8>()],
    ) {
        let label = text.as_str();
        let mut bytes = match which {
            0 => written(&ToToken::FindKek { job, label, id }),
            1 => written(&ToToken::MakeKek { job, label }),
            2 => {
                let (pin, seed_port) = (only.map(|_| descriptor()), id.map(|_| descriptor()));
                let (module, serial, final_try) = (label, label, false);
                written(&ToToken::Open { job, module, serial, label, pin, final_try, seed_port })
            }
            3 => written(&ToToken::Probe { job, kek, only }),
            4 => written(&ToToken::Protect { job, kek, rung }),
            5 => written(&ToToken::Unprotect { job, kek, rung, blob: &kek }),
            6 => written_answer(&FromToken::Kek { job, id: kek }),
            7 => written_answer(&FromToken::Probed { job, rung }),
            8 => written_answer(&FromToken::Protected { job, blob: &kek }),
            9 => {
                let refusal = TokenRefusal::KekUnfit { label: text.clone(), fault: text.clone() };
                written_answer(&FromToken::Refused { job, refusal })
            }
            _ => {
                let (serial, model) = (text.clone(), text.clone());
                let token = TokenDescription { serial, label: text.clone(), model, pin };
                written_answer(&FromToken::Tokens { job, tokens: vec![token.clone(), token] })
            }
        };
        let body = &mut bytes[4..];
        let at = at.index(body.len());
        body[at] = byte;
        reads_in_one_way_or_not_at_all(body, 2);
    }
}

#[test]
fn tells_a_failure_that_says_nothing_about_the_token_from_one_that_does() {
    let text = str::to_owned;
    let call = |code| TokenRefusal::ModuleCall { function: text("C_GetSlotList"), code: text(code) };
    for blind in [
        TokenRefusal::ModuleLoad { path: text("/m.so"), reason: text("No such file or directory") },
        TokenRefusal::MemoryFull { call: text("C_Initialize: CKR_GENERAL_ERROR"), kib: text("7164") },
        call("CKR_HOST_MEMORY"),
    ] {
        assert!(blind.is_blind(), "{blind}");
    }
    let absent =
        TokenRefusal::TokenAbsent { label: text("ledger"), serial: text("1"), present: text("none") };
    for seen in [
        // SoftHSM, where the folder of its tokens is gone.
        TokenRefusal::ModuleStart { path: text("/m.so"), reason: text("C_Initialize: CKR_GENERAL_ERROR") },
        call("CKR_GENERAL_ERROR"),
        call("CKR_DEVICE_REMOVED"),
        absent,
    ] {
        assert!(!seen.is_blind(), "{seen}");
    }
}
