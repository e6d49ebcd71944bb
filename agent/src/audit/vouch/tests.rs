//! Who has every key but the token's makes no checkpoint that holds.

use std::borrow::Cow;

use ed25519_dalek::{Signer as _, SigningKey as CheckpointKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;
use crate::audit::checkpoint::message;

const AT: &str = "2026-11-22T04:00:00.000000Z";

struct Token(EcdsaKeyPair);

impl Token {
    fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn key(&self) -> SigningKey {
        SigningKey::p256(self.0.public_key().as_ref()).unwrap()
    }

    fn sign(&self, key: &CheckpointKey, covers: &str) -> Vec<u8> {
        let statement = statement(key.verifying_key().as_bytes(), covers, AT);
        self.0.sign(&SystemRandom::new(), &statement).unwrap().as_ref().to_vec()
    }
}

fn covers(seq: u64) -> String {
    format!("{seq}:{}", "ab".repeat(32))
}

/// A checkpoint whose own signature holds, and the token's beside it where one is given.
fn checkpoint(key: &CheckpointKey, seq: u64, token: Option<(&Token, Vec<u8>)>) -> Event<'static> {
    let hex = base16ct::lower::encode_string;
    let covers = covers(seq);
    let signature = key.sign(&message(Kind::Checkpoint, &covers, AT)).to_bytes();
    let (token_key, token_signature): (Option<Cow<'_, str>>, Option<Cow<'_, str>>) =
        token.map(|(token, signature)| (hex(&token.key().to_spki()).into(), hex(&signature).into())).unzip();
    Event {
        key: Some(*key.verifying_key().as_bytes()),
        covers: Some(covers.into()),
        at: Some(AT.into()),
        signature: Some(hex(&signature).into()),
        token_key,
        token_signature,
        ..Event::of(Kind::Checkpoint)
    }
}

fn see(vouching: &mut Vouching, seq: u64, event: &Event<'_>) -> Result<(), Unvouched> {
    let found = Checkpoint::of(event).expect("its own signature holds");
    vouching.checkpoint(seq, event, &found)
}

#[test]
fn takes_checkpoints_only_behind_a_signature_of_the_token_in_their_session() {
    let (token, other) = (Token::new(), Token::new());
    let (key, stranger) = (CheckpointKey::from_bytes(&[1; 32]), CheckpointKey::from_bytes(&[2; 32]));
    let mut vouching = Vouching::new(true);
    vouching.demand(Fingerprint::of(&token.key()));
    vouching.line(1, &Event::of(Kind::Start));
    let first = token.sign(&key, &covers(1));
    assert_eq!(see(&mut vouching, 2, &checkpoint(&key, 1, Some((&token, first.clone())))), Ok(()));
    assert_eq!(see(&mut vouching, 9, &checkpoint(&key, 8, None)), Ok(()));
    assert_eq!(see(&mut vouching, 9, &checkpoint(&stranger, 8, None)), Err(Unvouched::Uncertified));
    vouching.line(20, &Event::of(Kind::Lock));
    assert_eq!(see(&mut vouching, 21, &checkpoint(&key, 20, None)), Ok(()), "the last of its session");
    assert_eq!(see(&mut vouching, 22, &checkpoint(&stranger, 20, None)), Err(Unvouched::Uncertified));
    // No other lock moves that end.
    vouching.line(29, &Event::of(Kind::Lock));
    assert_eq!(see(&mut vouching, 30, &checkpoint(&key, 29, None)), Err(Unvouched::Uncertified));
    // The very key of the keeper, without the token.
    assert_eq!(see(&mut vouching, 31, &checkpoint(&key, 30, None)), Err(Unvouched::Uncertified));
    for (case, signature) in [
        ("of another line", first),
        ("for another key", token.sign(&stranger, &covers(30))),
        ("none", Vec::new()),
    ] {
        let event = checkpoint(&key, 30, Some((&token, signature)));
        assert_eq!(see(&mut vouching, 31, &event), Err(Unvouched::Forged), "{case}");
    }
    let event = checkpoint(&key, 30, Some((&other, other.sign(&key, &covers(30)))));
    assert_eq!(see(&mut vouching, 31, &event), Err(Unvouched::Forged), "of another token");
    let half = Event { token_signature: None, ..event };
    assert_eq!(see(&mut vouching, 31, &half), Err(Unvouched::Forged), "a key, and no signature");
    let event = checkpoint(&key, 30, Some((&token, token.sign(&key, &covers(30)))));
    assert_eq!(see(&mut vouching, 31, &event), Ok(()));
    assert_eq!(see(&mut vouching, 33, &checkpoint(&key, 32, None)), Ok(()));
    assert!(!vouching.is_missing());
    let vouched = Vouched { first: 2, last: 30, keys: vec![Fingerprint::of(&token.key())] };
    assert_eq!(vouching.finish(), vouched);
}

#[test]
fn misses_the_token_wherever_it_is_demanded_and_an_agent_was_unlocked_without() {
    let key = CheckpointKey::from_bytes(&[1; 32]);
    let demanded = Some(Fingerprint::of(&Token::new().key()));
    let told = |kind, verdict| vec![Event { verdict: Some(verdict), ..Event::of(kind) }];
    let start = || vec![Event::of(Kind::Start)];
    let (signed, unlocked) = (told(Kind::Sign, Verdict::Allowed), told(Kind::Unlock, Verdict::Allowed));
    let unvouched = || vec![checkpoint(&key, 2, None)];
    for (case, demand, whole, lines, missing) in [
        ("not demanded", None, true, [start(), unvouched()], false),
        ("a session without", demanded, true, [start(), unvouched()], true),
        ("no start", demanded, true, [Vec::new(), unvouched()], true),
        ("the middle of a session", demanded, false, [Vec::new(), unvouched()], false),
        ("behind its end", demanded, false, [vec![Event::of(Kind::Lock)], unvouched()], true),
        ("a part with a start", demanded, false, [start(), unvouched()], true),
        ("no checkpoint, and unlocked", demanded, true, [start(), unlocked.clone()], true),
        ("no checkpoint, and signed", demanded, true, [start(), signed.clone()], true),
        ("signed, and nothing before", demanded, true, [Vec::new(), signed.clone()], true),
        ("signed in the middle", demanded, false, [Vec::new(), signed], false),
        ("not demanded of what was done", None, true, [start(), unlocked], false),
        ("locked all the time", demanded, true, [start(), told(Kind::Sign, Verdict::Refused)], false),
        ("a wrong PIN", demanded, true, [start(), told(Kind::Unlock, Verdict::Refused)], false),
    ] {
        let mut vouching = Vouching::new(whole);
        demand.into_iter().for_each(|key| vouching.demand(key));
        for (seq, event) in (1..).zip(lines.concat()) {
            vouching.line(seq, &event);
            if event.kind == Kind::Checkpoint {
                assert_eq!(see(&mut vouching, seq, &event), Ok(()), "{case}");
            }
        }
        assert_eq!(vouching.is_missing(), missing, "{case}");
    }
    // The last checkpoint of a part that begins in its session covers its lock, and no line behind.
    let mut vouching = Vouching::new(false);
    demanded.into_iter().for_each(|key| vouching.demand(key));
    vouching.line(9, &Event::of(Kind::Lock));
    assert_eq!(see(&mut vouching, 10, &checkpoint(&key, 9, None)), Ok(()));
    assert!(!vouching.is_missing());
    assert_eq!(see(&mut vouching, 12, &checkpoint(&key, 11, None)), Ok(()));
    assert!(vouching.is_missing());
}

/// A line about deleted ones up to line 50, with the token's word for the key at line 9.
fn prune(key: &CheckpointKey, token: Option<(&Token, Vec<u8>)>) -> Event<'static> {
    let hex = base16ct::lower::encode_string;
    let told = covers(50);
    let signature = key.sign(&message(Kind::Prune, &told, AT)).to_bytes();
    let carries = token.is_some();
    Event {
        kind: Kind::Prune,
        covers: Some(told.into()),
        signature: Some(hex(&signature).into()),
        token_covers: carries.then(|| covers(9).into()),
        token_at: carries.then_some(AT.into()),
        ..checkpoint(key, 50, token)
    }
}

#[test]
fn takes_the_word_for_a_deleted_session_only_from_a_checkpoint_behind_the_line_that_has_it() {
    let (token, other) = (Token::new(), Token::new());
    let (key, stranger) = (CheckpointKey::from_bytes(&[1; 32]), CheckpointKey::from_bytes(&[2; 32]));
    let word = || Some((&token, token.sign(&key, &covers(9))));
    let signed = Event { verdict: Some(Verdict::Allowed), ..Event::of(Kind::Sign) };
    let begin = |takes: bool| {
        let mut vouching = Vouching::new(true);
        vouching.demand(Fingerprint::of(&token.key()));
        if takes {
            vouching.take_carried();
        }
        vouching.line(51, &signed);
        vouching
    };
    let told = |vouching: &mut Vouching, event: &Event<'_>| {
        vouching.line(60, event);
        vouching.prune(60, event, &Checkpoint::of(event).expect("its own signature holds"))
    };
    // (case, whether it is taken, a line before, what it says, the checkpoint behind, whether the token is missed)
    let start = || Some(Event::of(Kind::Start));
    for (case, takes, before, event, behind, missed) in [
        ("the agent's", true, None, prune(&key, word()), Some((&key, 60)), false),
        ("no word", true, None, prune(&key, None), Some((&key, 60)), true),
        ("not configured", false, None, prune(&key, word()), Some((&key, 60)), true),
        ("copied, and nothing behind", true, None, prune(&key, word()), None, true),
        ("copied, over lines before it", true, None, prune(&key, word()), Some((&key, 59)), true),
        ("another session", true, start(), prune(&key, word()), Some((&key, 60)), true),
    ] {
        let mut vouching = begin(takes);
        if let Some(before) = before {
            vouching.line(55, &before);
        }
        assert_eq!(told(&mut vouching, &event), Ok(()), "{case}");
        if let Some((by, over)) = behind {
            assert_eq!(see(&mut vouching, 61, &checkpoint(by, over, None)), Ok(()), "{case}");
        }
        assert_eq!(vouching.is_missing(), missed, "{case}");
        if !missed {
            let uncertified = see(&mut vouching, 62, &checkpoint(&stranger, 61, None));
            assert_eq!(uncertified, Err(Unvouched::Uncertified), "{case}");
            vouching.line(63, &Event::of(Kind::Start));
            let later = see(&mut vouching, 64, &checkpoint(&key, 63, None));
            assert_eq!(later, Err(Unvouched::Uncertified), "{case}: the next session");
            let vouched = Vouched { first: 60, last: 9, keys: vec![Fingerprint::of(&token.key())] };
            assert_eq!(vouching.finish(), vouched, "{case}");
        }
    }
    for (case, event) in [
        ("for another key", prune(&stranger, word())),
        ("of another token", prune(&key, Some((&other, other.sign(&key, &covers(9)))))),
        ("of another line", prune(&key, Some((&token, token.sign(&key, &covers(8)))))),
    ] {
        assert_eq!(told(&mut begin(true), &event), Err(Unvouched::Forged), "{case}");
    }
}

#[test]
fn lets_no_key_that_nobody_vouches_for_say_that_lines_were_deleted() {
    let (token, key, stranger) =
        (Token::new(), CheckpointKey::from_bytes(&[1; 32]), CheckpointKey::from_bytes(&[2; 32]));
    let [own, other] = [&key, &stranger].map(|key| *key.verifying_key().as_bytes());
    let mut vouching = Vouching::new(true);
    // (who, whose checkpoints there are, whether it may)
    for (who, seen, may) in [(own, vec![], true), (own, vec![own], true), (other, vec![own], false)] {
        assert_eq!(vouching.may_prune(&who, &seen), may, "where the token is not demanded: {seen:?}");
    }
    vouching.demand(Fingerprint::of(&token.key()));
    // A checkpoint from before the token has signed anything may be anybody's.
    assert!(!vouching.may_prune(&own, &[own]) && !vouching.may_prune(&own, &[]));
    let word = Some((&token, token.sign(&key, &covers(10))));
    assert_eq!(see(&mut vouching, 11, &checkpoint(&key, 10, word)), Ok(()));
    assert!(vouching.may_prune(&own, &[own]) && !vouching.may_prune(&other, &[own, other]));
}
