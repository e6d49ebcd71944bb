//! The format is fixed, and nothing but what was sealed opens.

use strongroom_link::key::{Algorithm, Domains, PassphraseUse, SecretForm};

use super::*;

const CONTEXT: &[u8] = b"name=binance-main;key-id=abc";
const SECRET: &[u8] = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP";
const SPEC: KeySpec = KeySpec {
    algorithm: Algorithm::HmacSha256,
    form: SecretForm::Utf8,
    passphrase: PassphraseUse::Mac,
    min_bytes: 1,
    max_bytes: MAX_SECRET_BYTES,
    domains: Domains::NONE,
};

fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

fn sealed(seed: &Seed, spec: &KeySpec, context: &[u8], passphrase: Option<&[u8]>) -> Vec<u8> {
    seal(Nonce::random().unwrap(), seed, spec, context, SECRET, passphrase).unwrap()
}

/// What a key makes of a message of its kind; a wallet's key in the first of the domains of these tests.
fn signature(key: &SigningKey) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let typed = [&[0x19, 0x01], [1_u8; 64].as_slice()].concat();
    key.sign(b"message", Some(0), &mut out)
        .or_else(|_| key.sign(b"message", None, &mut out))
        .or_else(|_| key.sign(&typed, None, &mut out))?;
    Ok(out)
}

fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The vectors were written by `tests/envelope_vectors.py`, with other libraries.
#[test]
fn keeps_the_format_of_version_1() {
    let mut seen = 0;
    for line in include_str!("../../tests/envelope_vectors.txt").lines() {
        let [name, algorithm, form, passphrase_use, parts @ ..] = &*line.split(' ').collect::<Vec<_>>()
        else {
            panic!("{line}");
        };
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| unhex(part)).collect();
        let [context, seed, nonce, secret, passphrase, envelope, domains] = parts.as_slice() else {
            panic!("{name}");
        };
        let spec = KeySpec {
            algorithm: algorithm.parse().unwrap(),
            form: form.parse().unwrap(),
            passphrase: passphrase_use.parse().unwrap(),
            domains: Domains::new(domains.as_chunks().0.iter().copied()).unwrap(),
            ..SPEC
        };
        let seed = Seed::new(seed.as_slice().try_into().unwrap());
        let nonce = Nonce(nonce.as_slice().try_into().unwrap());
        let passphrase = Some(passphrase.as_slice()).filter(|passphrase| !passphrase.is_empty());

        let ours = seal(nonce, &seed, &spec, context, secret, passphrase).unwrap();
        assert_eq!(ours, *envelope, "{name}");
        let opened = open(&seed, &spec, context, envelope).unwrap();
        let direct = SigningKey::parse(&spec, secret, passphrase).unwrap();
        assert_eq!(signature(&opened), signature(&direct), "{name}");
        assert_eq!(signature(&opened).is_ok(), *name != "wallet-without-domains", "{name}");
        assert_eq!(opened.released_passphrase(), direct.released_passphrase(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn opens_the_longest_secret_and_passphrase() {
    let seed = seed(1);
    let (secret, passphrase) = ([b'k'; 8192], [b'p'; 256]);
    let spec = KeySpec { passphrase: PassphraseUse::Plain, ..SPEC };
    let envelope = seal(Nonce::random().unwrap(), &seed, &spec, CONTEXT, &secret, Some(&passphrase)).unwrap();
    assert_eq!(envelope.len(), LONGEST_BYTES);
    assert_eq!(envelope.capacity(), LONGEST_BYTES, "it grew, and left a copy of the secret behind");
    let key = open(&seed, &spec, CONTEXT, &envelope).unwrap();
    assert_eq!(key.released_passphrase(), passphrase);
}

#[test]
fn seals_the_same_secret_differently_each_time() {
    let seed = seed(1);
    assert_ne!(sealed(&seed, &SPEC, CONTEXT, Some(b"p")), sealed(&seed, &SPEC, CONTEXT, Some(b"p")));
}

#[test]
fn refuses_to_seal_what_is_no_secret_of_the_venue() {
    let refused = seal(Nonce::random().unwrap(), &seed(1), &SPEC, CONTEXT, b"secret ", Some(b"p"));
    assert_eq!(refused, Err(Refusal::SecretNotText));
    let refused = seal(Nonce::random().unwrap(), &seed(1), &SPEC, CONTEXT, SECRET, None);
    assert_eq!(refused, Err(Refusal::PassphraseMissing));
}

#[test]
fn refuses_every_flipped_bit() {
    let seed = seed(1);
    let envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    assert!(open(&seed, &SPEC, CONTEXT, &envelope).is_ok());
    for at in 0..envelope.len() {
        for bit in 0..8 {
            let mut flipped = envelope.clone();
            flipped[at] ^= 1 << bit;
            let expected = match at {
                0 => Refusal::RecordVersion { version: flipped[0] },
                _ => Refusal::RecordChanged,
            };
            assert_eq!(open(&seed, &SPEC, CONTEXT, &flipped).err(), Some(expected), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn refuses_an_envelope_of_another_length() {
    let seed = seed(1);
    let envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    for length in 0..envelope.len() {
        let refused = open(&seed, &SPEC, CONTEXT, &envelope[..length]).err();
        assert_eq!(refused, Some(Refusal::RecordChanged), "cut to {length}");
    }
    for more in [1, 16, LONGEST_BYTES] {
        let longer = [envelope.as_slice(), &vec![0; more]].concat();
        assert_eq!(open(&seed, &SPEC, CONTEXT, &longer).err(), Some(Refusal::RecordChanged), "{more} more");
    }
}

#[test]
fn refuses_an_edited_context() {
    let seed = seed(1);
    let envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    let edits: [&[u8]; 5] = [
        b"",
        b"name=binance-main;key-id=abd",
        b"name=binance-main;key-id=abc\0",
        b"name=binance-main;key-id=ab",
        b"\0name=binance-main;key-id=abc",
    ];
    for context in edits {
        let refused = open(&seed, &SPEC, context, &envelope).err();
        assert_eq!(refused, Some(Refusal::RecordChanged), "{context:?}");
    }
}

#[test]
fn refuses_a_use_for_which_the_secret_was_not_enrolled() {
    let seed = seed(1);
    let envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    for spec in [
        KeySpec { algorithm: Algorithm::HmacSha512, ..SPEC },
        KeySpec { form: SecretForm::Base64, ..SPEC },
        KeySpec { passphrase: PassphraseUse::Plain, ..SPEC },
        KeySpec { passphrase: PassphraseUse::Absent, ..SPEC },
    ] {
        assert_eq!(open(&seed, &spec, CONTEXT, &envelope).err(), Some(Refusal::RecordChanged), "{spec:?}");
    }
}

/// A front that was taken over knows every part of the format, and writes the context.
#[test]
fn refuses_domains_for_which_a_wallet_was_not_enrolled() {
    const WALLET: &[u8] = &[b'1'; 64];
    let of = |domains: &[[u8; 32]]| KeySpec {
        algorithm: Algorithm::Secp256k1,
        form: SecretForm::Hex32,
        passphrase: PassphraseUse::Absent,
        domains: Domains::new(domains.iter().copied()).unwrap(),
        ..SPEC
    };
    let (seed, [one, other]) = (seed(1), [[1; 32], [2; 32]]);
    let sealed = |spec: &KeySpec, context: &[u8]| {
        seal(Nonce::random().unwrap(), &seed, spec, context, WALLET, None).unwrap()
    };
    let (pinned, before) = (sealed(&of(&[one]), CONTEXT), sealed(&of(&[]), CONTEXT));
    let moved = [&[1], one.as_slice(), CONTEXT].concat();
    for (case, envelope, spec, context) in [
        ("another", &pinned, of(&[other]), CONTEXT),
        ("one more", &pinned, of(&[one, other]), CONTEXT),
        ("none", &pinned, of(&[]), CONTEXT),
        ("none, and its own in the context", &pinned, of(&[]), &moved),
        ("one more, and the context cut", &pinned, of(&[one, other]), &CONTEXT[..0]),
        ("any, where none was named", &before, of(&[other]), CONTEXT),
        ("any, where none was named, and in the context", &before, of(&[one]), &moved),
    ] {
        let refused = open(&seed, &spec, context, envelope).err();
        assert_eq!(refused, Some(Refusal::RecordChanged), "{case}");
    }
    assert!(open(&seed, &of(&[one]), CONTEXT, &pinned).is_ok(), "the control");
    assert!(open(&seed, &of(&[]), CONTEXT, &before).is_ok(), "and what was written before opens");
    // Nor does a context that is written like domains make a record that opens with these.
    let forged = sealed(&of(&[]), &moved);
    assert_eq!(open(&seed, &of(&[one]), CONTEXT, &forged).err(), Some(Refusal::RecordChanged));
}

#[test]
fn refuses_a_record_that_was_swapped_with_another() {
    let (first, second) = (seed(1), seed(2));
    let of_first = sealed(&first, &SPEC, b"first", Some(b"p"));
    let of_second = sealed(&second, &SPEC, b"second", Some(b"p"));
    for (case, seed, context, envelope) in [
        ("the other's envelope", &first, b"first".as_slice(), &of_second),
        ("the other's seed and envelope", &second, b"first", &of_second),
        ("the other's context and envelope", &first, b"second", &of_second),
        ("the other's seed", &second, b"first", &of_first),
    ] {
        assert_eq!(open(seed, &SPEC, context, envelope).err(), Some(Refusal::RecordChanged), "{case}");
    }
    // The head of one on the body of the other.
    let spliced = [&of_first[..=COMMITMENT_BYTES], &of_second[COMMITMENT_BYTES + 1..]].concat();
    assert_eq!(open(&first, &SPEC, b"first", &spliced).err(), Some(Refusal::RecordChanged));
}

#[test]
fn names_the_version_that_it_does_not_know() {
    let seed = seed(1);
    let mut envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    for version in [0, 2, 255] {
        envelope[0] = version;
        let refused = open(&seed, &SPEC, CONTEXT, &envelope).err();
        assert_eq!(refused, Some(Refusal::RecordVersion { version }));
    }
}

#[test]
fn checks_the_limits_again_when_a_record_opens() {
    let seed = seed(1);
    let envelope = sealed(&seed, &SPEC, CONTEXT, Some(b"p"));
    let narrower = KeySpec { max_bytes: 8, ..SPEC };
    let refused = open(&seed, &narrower, CONTEXT, &envelope).err();
    assert_eq!(refused, Some(Refusal::SecretTooLong { limit: 8 }));
}
