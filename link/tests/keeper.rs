//! The wire between front and keeper: what is written is what is read, and nothing else is.
#![expect(clippy::expect_used, reason = "a test may fail")]

mod wire;

use proptest::prelude::*;
use strongroom_link::Malformed;
use strongroom_link::keeper::{FromKeeper, KeyKind, Landlock, Look, Protection, Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, Domains, KeySpec, MAX_DOMAINS, PassphraseUse, SecretForm};

use wire::{body, descriptor, framed};

fn written(question: &ToKeeper<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    question.encode(&mut bytes);
    bytes
}

fn written_answer(answer: &FromKeeper<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    bytes
}

/// Reads what `question` writes, with just the descriptors that it needs, and compares.
fn round_trip(question: &ToKeeper<'_>) {
    let bytes = written(question);
    let descriptors = question.descriptors().len();
    let (again, left) = framed(body(&bytes), descriptors, |frame| {
        let read = ToKeeper::decode(frame).expect("our own bytes");
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(question));
        assert_eq!(read.descriptors().len(), descriptors);
        written(&read)
    });
    assert_eq!(again, bytes);
    assert_eq!(left, 0);
}

fn round_trip_answer(answer: &FromKeeper<'_>) {
    let bytes = written_answer(answer);
    let descriptors = answer.descriptors().len();
    let (again, left) = framed(body(&bytes), descriptors, |frame| {
        let read = FromKeeper::decode(frame).expect("our own bytes");
        assert_eq!(read.job(), answer.job());
        assert_eq!(read.descriptors().len(), descriptors);
        written_answer(&read)
    });
    assert_eq!(again, bytes);
    assert_eq!(left, 0);
}

/// Bytes that mean something mean one thing: what is read is written back as it was.
fn reads_in_one_way_or_not_at_all(bytes: &[u8], descriptors: usize) {
    framed(bytes, descriptors, |frame| {
        if let Ok(question) = ToKeeper::decode(frame) {
            assert_eq!(body(&written(&question)), bytes);
        }
    });
    framed(bytes, descriptors, |frame| {
        if let Ok(answer) = FromKeeper::decode(frame) {
            assert_eq!(body(&written_answer(&answer)), bytes);
        }
    });
}

fn spec() -> impl Strategy<Value = KeySpec> {
    (
        prop::sample::select(Algorithm::ALL),
        prop::sample::select(SecretForm::ALL),
        prop::sample::select(PassphraseUse::ALL),
        any::<(u16, u16)>(),
        prop::collection::vec(any::<[u8; 32]>(), 0..=MAX_DOMAINS),
    )
        .prop_map(|(algorithm, form, passphrase, (min_bytes, max_bytes), domains)| KeySpec {
            algorithm,
            form,
            passphrase,
            min_bytes,
            max_bytes,
            domains: Domains::new(domains).expect("so many fit"),
        })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

/// Every refusal that there is.
fn refusals(number: u32, version: u8) -> [Refusal; 41] {
    [
        Refusal::KeyringFull { limit: number },
        Refusal::PassphraseMissing,
        Refusal::PassphraseShape,
        Refusal::PassphraseUnexpected,
        Refusal::RecordChanged,
        Refusal::RecordVersion { version },
        Refusal::SecretDescriptor,
        Refusal::SecretEmpty,
        Refusal::SecretNotBase64,
        Refusal::SecretNotPem,
        Refusal::SecretNotText,
        Refusal::SecretPemEncrypted,
        Refusal::SecretPemKind,
        Refusal::SecretTooLong { limit: number },
        Refusal::SecretTooShort { limit: number },
        Refusal::SeedMissing,
        Refusal::SlotEmpty,
        Refusal::SlotTaken,
        Refusal::SpecUnfit,
        Refusal::WrongMessage,
        Refusal::ForeignDomain,
        Refusal::SecretMemoryAbsent,
        Refusal::LockLimit { kib: number },
        Refusal::SecretMemoryFailed,
        Refusal::Confinement,
        Refusal::Traced,
        Refusal::PinAbsent,
        Refusal::PinNotSent,
        Refusal::PinUnfit,
        Refusal::SecretNotHex32,
        Refusal::SecretMnemonic,
        Refusal::SecretPublicKey,
        Refusal::SecretOutOfRange,
        Refusal::SigningQueueFull,
        Refusal::SecretIsPem,
        Refusal::SecretRsaSize,
        Refusal::SecretInconsistent,
        Refusal::SecretSeedLength { bytes: number },
        Refusal::SecretPemPublic,
        Refusal::SecretKeyKind { found: KeyKind::Rsa },
        Refusal::SecretLooks { found: Look::Spaced },
    ]
}

proptest! {
    #[test]
    fn reads_every_question_as_it_was_written(
        (job, slot) in any::<(u64, u32)>(),
        spec in spec(),
        (context, envelope) in (bytes(), bytes()),
        secret_at in prop::option::of(0..u32::MAX),
        with_passphrase in any::<bool>(),
    ) {
        round_trip(&ToKeeper::Derive { job, slot, context: &context });
        round_trip(&ToKeeper::Forget { job, slot });
        round_trip(&ToKeeper::ForgetAll { job });
        round_trip(&ToKeeper::Load { job, slot, spec, context: &context, envelope: &envelope });
        round_trip(&ToKeeper::OpenSeedPort { job });
        let (from_context, from_job) = (&envelope, u64::from(slot));
        round_trip(&ToKeeper::Reseal { job, from_job, spec, from_context, context: &context, envelope: &envelope });
        let passphrase = with_passphrase.then(descriptor);
        round_trip(&ToKeeper::Seal { job, spec, context: &context, secret: descriptor(), passphrase });
        round_trip(&ToKeeper::Sign { job, slot, secret_at, message: &envelope });
        round_trip(&ToKeeper::KeepPin { job, pin: descriptor() });
        round_trip(&ToKeeper::GivePin { job, to: descriptor() });
        round_trip(&ToKeeper::ForgetPin { job });
    }

    #[test]
    fn reads_every_answer_as_it_was_written(
        (job, number, version) in any::<(u64, u32, u8)>(),
        (signature, passphrase) in (bytes(), bytes()),
    ) {
        round_trip_answer(&FromKeeper::Done { job });
        round_trip_answer(&FromKeeper::PublicKey { job, key: [version; 32] });
        round_trip_answer(&FromKeeper::Sealed { job, envelope: &signature });
        round_trip_answer(&FromKeeper::Forgotten { job, left: job });
        round_trip_answer(&FromKeeper::SeedPort { job, socket: descriptor() });
        round_trip_answer(&FromKeeper::Signature { job, signature: &signature, passphrase: &passphrase });
        for landlock in [Landlock::Absent, Landlock::Full, Landlock::Partial] {
            let (secret_memory, guarded) = (number & 1 == 0, number & 2 == 0);
            let protection = Protection { secret_memory, landlock, guarded };
            let bytes = written_answer(&FromKeeper::Ready { job, protection });
            let (read, _) = framed(body(&bytes), 0, |frame| match FromKeeper::decode(frame) {
                Ok(FromKeeper::Ready { protection, .. }) => protection,
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(read, protection);
        }
        for refusal in refusals(number, version) {
            let bytes = written_answer(&FromKeeper::Refused { job, refusal });
            let (read, _) = framed(body(&bytes), 0, |frame| match FromKeeper::decode(frame) {
                Ok(FromKeeper::Refused { refusal, .. }) => refusal,
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(read, refusal);
        }
    }

    #[test]
    fn reads_arbitrary_bytes_in_one_way_or_not_at_all(
        kind in 0..13_u8,
        rest in bytes(),
        descriptors in 0..3_usize,
    ) {
        reads_in_one_way_or_not_at_all(&[&[kind], rest.as_slice()].concat(), descriptors);
    }

    #[test]
    fn reads_an_edited_message_in_one_way_or_not_at_all(
        (job, slot) in any::<(u64, u32)>(),
        spec in spec(),
        context in prop::collection::vec(any::<u8>(), 0..4),
        which in 0..11_usize,
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![0..30_u8, any::<u8>()],
    ) {
        let context = context.as_slice();
        let secret_at = Some(slot);
        let mut bytes = match which {
            0 => written(&ToKeeper::Forget { job, slot }),
            1 => written(&ToKeeper::ForgetAll { job }),
            2 => written(&ToKeeper::Load { job, slot, spec, context, envelope: context }),
            3 => written(&ToKeeper::Seal { job, spec, context, secret: descriptor(), passphrase: None }),
            4 => written(&ToKeeper::Sign { job, slot, secret_at, message: context }),
            5 => written_answer(&FromKeeper::Done { job }),
            6 => written_answer(&FromKeeper::Sealed { job, envelope: context }),
            7 => written_answer(&FromKeeper::Signature { job, signature: context, passphrase: context }),
            8 => written_answer(&FromKeeper::Refused { job, refusal: Refusal::SlotEmpty }),
            9 => {
                let (from_job, from_context) = (job, context);
                written(&ToKeeper::Reseal { job, from_job, spec, from_context, context, envelope: context })
            }
            _ => {
                let refusal = Refusal::SecretTooLong { limit: slot };
                written_answer(&FromKeeper::Refused { job, refusal })
            }
        };
        let body = &mut bytes[4..];
        let at = at.index(body.len());
        body[at] = byte;
        reads_in_one_way_or_not_at_all(body, 2);
    }

    #[test]
    fn refuses_a_question_that_was_cut_or_goes_on(
        spec in spec(),
        context in bytes(),
        cut in any::<prop::sample::Index>(),
        more in any::<u8>(),
    ) {
        let load = ToKeeper::Load { job: 1, slot: 2, spec, context: &context, envelope: b"envelope" };
        let bytes = written(&load);
        let body = body(&bytes);
        let shorter = &body[..cut.index(body.len())];
        let (refused, _) = framed(shorter, 0, |frame| ToKeeper::decode(frame).err());
        prop_assert_eq!(refused, Some(Malformed("cut short")));
        let longer = [body, &[more]].concat();
        let (refused, _) = framed(&longer, 0, |frame| ToKeeper::decode(frame).err());
        prop_assert_eq!(refused, Some(Malformed("bytes left over")));
    }
}

#[test]
fn refuses_a_question_whose_descriptor_never_came() {
    let seal = ToKeeper::Seal {
        job: 1,
        spec: KeySpec {
            algorithm: Algorithm::HmacSha256,
            form: SecretForm::Utf8,
            passphrase: PassphraseUse::Plain,
            min_bytes: 1,
            max_bytes: 2,
            domains: Domains::NONE,
        },
        context: b"",
        secret: descriptor(),
        passphrase: Some(descriptor()),
    };
    let bytes = written(&seal);
    for came in [0, 1] {
        let (refused, left) = framed(body(&bytes), came, |frame| ToKeeper::decode(frame).err());
        assert_eq!(refused, Some(Malformed("a descriptor is missing")), "{came} came");
        assert_eq!(left, 0);
    }
    let (refused, left) = framed(body(&bytes), 3, |frame| ToKeeper::decode(frame).err());
    assert_eq!((refused, left), (None, 1), "a third belongs to a later question");
}

#[test]
fn refuses_messages_that_no_version_has() {
    for kind in [0, 100, 255] {
        let bytes = [&[kind], [0; 8].as_slice()].concat();
        let (refused, _) = framed(&bytes, 0, |frame| ToKeeper::decode(frame).err());
        assert_eq!(refused, Some(Malformed("question to the keeper")), "{kind}");
        let (refused, _) = framed(&bytes, 0, |frame| FromKeeper::decode(frame).err());
        let expected = Malformed("answer of the keeper");
        assert_eq!(refused, Some(expected), "{kind}");
    }
    for (case, code, number) in
        [("code 0", 0, 0), ("code 99", 99, 0), ("a number for none", 2, 1), ("version 256", 6, 256_u32)]
    {
        let bytes = [&[2], [0; 8].as_slice(), &[code], &number.to_le_bytes()].concat();
        let (refused, _) = framed(&bytes, 0, |frame| FromKeeper::decode(frame).err());
        let expected = if code == 6 { Malformed("version") } else { Malformed("refusal") };
        assert_eq!(refused, Some(expected), "{case}");
    }
}

#[test]
fn says_every_refusal_in_words_of_its_own() {
    let mut said: Vec<String> = refusals(1, 1).iter().map(ToString::to_string).collect();
    let all = said.len();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), all);
}
