//! Sealing a record's secret anew for other metadata.

use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, KeySpec, PassphraseUse};
use strongroom_link::seed::Seed;

use crate::front::{CONTEXT, SECRET, SPEC, piped, record_seed};
use crate::{expected, loaded};

const NEW_CONTEXT: &[u8] = b"binance-main, with other grants";

fn new_seed() -> Seed {
    Seed::new([0x5a; 32])
}

#[test]
fn seals_a_secret_anew_for_other_metadata() {
    let (mut keeper, mut port, envelope) = loaded();
    let anew = keeper.reseal(&mut port, &envelope, &new_seed(), NEW_CONTEXT).expect("reseals");
    assert_eq!(keeper.sign(1, b"m"), Err(Refusal::SlotEmpty), "nothing is kept");

    let load = |job, context, envelope| ToKeeper::Load { job, slot: 1, spec: SPEC, context, envelope };
    for (case, seed, context, envelope) in [
        ("the new one for the old metadata", new_seed(), CONTEXT, &anew),
        ("the new one under the old seed", record_seed(), NEW_CONTEXT, &anew),
        ("the old one for the new metadata", record_seed(), NEW_CONTEXT, &envelope),
        ("the old one under the new seed", new_seed(), CONTEXT, &envelope),
    ] {
        let job = keeper.next_job();
        port.send(job, &seed).expect("sends");
        assert_eq!(keeper.told(load(job, context, envelope)), Err(Refusal::RecordChanged), "{case}");
    }
    let job = keeper.next_job();
    port.send(job, &new_seed()).expect("sends");
    assert_eq!(keeper.told(load(job, NEW_CONTEXT, &anew)), Ok(()));
    assert_eq!(keeper.sign(1, b"m").expect("signs").0, expected(&SPEC, SECRET, b"m"));
    assert!(keeper.sign(0, b"m").is_ok(), "and so does the old one until it is forgotten");
}

#[test]
fn takes_the_passphrase_along() {
    let (mut keeper, mut port, _) = loaded();
    let spec = KeySpec { passphrase: PassphraseUse::Plain, ..SPEC };
    let envelope =
        keeper.seal(&mut port, spec, piped(SECRET.as_bytes()), Some(piped(b"phrase"))).expect("seals");
    let (from_job, job) = (keeper.next_job(), keeper.next_job());
    port.send(from_job, &record_seed()).expect("sends");
    port.send(job, &record_seed()).expect("sends");
    let (from_context, context) = (b"binance-main".as_slice(), CONTEXT);
    let question = ToKeeper::Reseal { job, from_job, spec, from_context, context, envelope: &envelope };
    let anew = keeper.resealed(question).expect("reseals");
    assert_ne!(anew, envelope, "with a nonce of its own");
    keeper.load(&mut port, 1, spec, &anew).expect("loads");
    assert_eq!(keeper.sign(1, b"m").expect("signs").1, b"phrase");
}

#[test]
fn refuses_to_seal_anew_what_it_cannot_open() {
    let (mut keeper, mut port, envelope) = loaded();
    let mut edited = envelope.clone();
    *edited.last_mut().expect("a tag") ^= 1;
    let other_use = KeySpec { algorithm: Algorithm::HmacSha512, ..SPEC };
    for (case, seed, spec, from_context, envelope) in [
        ("another seed", new_seed(), SPEC, CONTEXT, &envelope),
        ("other metadata", record_seed(), SPEC, NEW_CONTEXT, &envelope),
        ("another use", record_seed(), other_use, CONTEXT, &envelope),
        ("edited", record_seed(), SPEC, CONTEXT, &edited),
    ] {
        let (from_job, job) = (keeper.next_job(), keeper.next_job());
        port.send(from_job, &seed).expect("sends");
        port.send(job, &new_seed()).expect("sends");
        let question = ToKeeper::Reseal { job, from_job, spec, from_context, context: NEW_CONTEXT, envelope };
        assert_eq!(keeper.resealed(question), Err(Refusal::RecordChanged), "{case}");
        // The new seed is used up as well.
        let load = ToKeeper::Load { job, slot: 1, spec: SPEC, context: NEW_CONTEXT, envelope };
        assert_eq!(keeper.told(load), Err(Refusal::SeedMissing), "{case}");
    }
    assert!(keeper.reseal(&mut port, &envelope, &new_seed(), NEW_CONTEXT).is_ok(), "the control");
}

#[test]
fn seals_anew_only_with_both_seeds() {
    let (mut keeper, mut port, envelope) = loaded();
    let question = |from_job, job| ToKeeper::Reseal {
        job,
        from_job,
        spec: SPEC,
        from_context: CONTEXT,
        context: NEW_CONTEXT,
        envelope: &envelope,
    };
    assert_eq!(keeper.resealed(question(100, 101)), Err(Refusal::SeedMissing), "neither");
    port.send(102, &record_seed()).expect("sends");
    assert_eq!(keeper.resealed(question(102, 103)), Err(Refusal::SeedMissing), "only the old one");
    port.send(105, &new_seed()).expect("sends");
    assert_eq!(keeper.resealed(question(104, 105)), Err(Refusal::SeedMissing), "only the new one");
    port.send(106, &record_seed()).expect("sends");
    assert_eq!(keeper.resealed(question(106, 106)), Err(Refusal::SeedMissing), "one for both");
    port.send(107, &record_seed()).expect("sends");
    port.send(108, &new_seed()).expect("sends");
    assert!(keeper.resealed(question(107, 108)).is_ok(), "the control");
}
