//! A front that was taken over, and the key of a wallet: it gets typed data for its venue signed, and none for others.

use strongroom_link::keeper::{Refusal, ToKeeper};
use strongroom_link::key::{Domains, KeySpec};

use crate::front::{CONTEXT, Keeper, piped, record_seed};
use crate::secrets::{DOMAIN, WALLET, typed, wallet};

/// That of a token on some chain, in which a permit gives all of it away.
const PERMIT: [u8; 32] = [0x06; 32];

fn named(domains: &[[u8; 32]]) -> KeySpec {
    KeySpec { domains: Domains::new(domains.iter().copied()).expect("few"), ..wallet() }
}

#[test]
fn signs_no_typed_data_of_a_foreign_domain_for_a_front_that_was_taken_over() {
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, wallet(), piped(WALLET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, wallet(), &envelope).expect("loads");
    assert_eq!(keeper.sign(0, &typed(PERMIT)), Err(Refusal::ForeignDomain));
    let digest = &typed(PERMIT)[34..];
    assert_eq!(keeper.sign(0, digest), Err(Refusal::WrongMessage));
    assert_eq!(keeper.sign(0, &typed(DOMAIN)).expect("the control").0.len(), 65);

    // It names other domains when it has the record opened.
    for (case, spec) in
        [("another", named(&[PERMIT])), ("one more", named(&[DOMAIN, PERMIT])), ("none", named(&[]))]
    {
        assert_eq!(keeper.load(&mut port, 1, spec, &envelope), Err(Refusal::RecordChanged), "{case}");
        // Or when it has the secret sealed anew, as for other grants.
        let (from_job, job) = (keeper.next_job(), keeper.next_job());
        port.send(from_job, &record_seed()).expect("sends");
        port.send(job, &record_seed()).expect("sends");
        let (from_context, context) = (CONTEXT, CONTEXT);
        let envelope = &envelope;
        let question = ToKeeper::Reseal { job, from_job, spec, from_context, context, envelope };
        assert_eq!(keeper.resealed(question), Err(Refusal::RecordChanged), "{case}");
    }
}

#[test]
fn opens_a_record_of_before_domains_were_named_and_signs_nothing_with_it() {
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    // What such a record was sealed with.
    let envelope = keeper.seal(&mut port, named(&[]), piped(WALLET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, named(&[]), &envelope).expect("loads");
    for domain in [DOMAIN, PERMIT, [0; 32]] {
        assert_eq!(keeper.sign(0, &typed(domain)), Err(Refusal::ForeignDomain));
    }
    // A front cannot choose domains for it either.
    assert_eq!(keeper.load(&mut port, 1, named(&[PERMIT]), &envelope), Err(Refusal::RecordChanged));
}
