//! Protecting and recovering seeds.

use strongroom_link::token::{Rung, TokenRefusal};
use strongroom_softhsm_tests::softhsm::FreshToken;

use crate::front::{Answer, Front};

/// A front with an open token, and a KEK in it.
fn ready() -> (FreshToken, Front, [u8; 16]) {
    let token = FreshToken::new("ledger");
    let mut front = Front::start(&token);
    assert_eq!(front.open(&token), Answer::Done);
    let kek = front.make("kek");
    (token, front, kek)
}

fn rejected(code: &str) -> TokenRefusal {
    TokenRefusal::SeedRejected { code: code.to_owned() }
}

#[test]
fn probes_the_best_rung_first_and_only_the_one_that_is_asked_for() {
    let (_token, mut front, kek) = ready();
    assert_eq!(front.probe(kek, None), Answer::Probed(Rung::AesGcm));
    assert_eq!(front.probe(kek, Some(Rung::AesGcm)), Answer::Probed(Rung::AesGcm));
    assert_eq!(front.probe(kek, Some(Rung::AesCbc)), Answer::Probed(Rung::AesCbc));
}

#[test]
fn gives_the_same_seed_back_and_never_the_same_blob_twice() {
    for (rung, length) in [(Rung::AesGcm, 1 + 12 + 32 + 16), (Rung::AesCbc, 1 + 16 + 32)] {
        let (token, mut front, kek) = ready();
        let (blob, seed) = front.protect(kek, rung);
        let (other_blob, other_seed) = front.protect(kek, rung);
        assert_eq!(blob.len(), length, "{rung}");
        assert_ne!(seed, other_seed);
        assert_ne!(blob, other_blob);
        assert_ne!(seed, [0; 32]);
        assert!(
            !blob.windows(8).any(|window| seed.starts_with(window)),
            "{rung}: the seed is not in the blob"
        );
        assert_eq!(front.unprotect(kek, rung, &blob), Ok(seed));
        assert_eq!(front.unprotect(kek, rung, &other_blob), Ok(other_seed));
        drop(front);

        let mut later = Front::start(&token);
        assert_eq!(later.open(&token), Answer::Done);
        assert_eq!(later.unprotect(kek, rung, &blob), Ok(seed), "{rung}: another worker, another login");
    }
}

#[test]
fn refuses_a_gcm_blob_with_any_byte_changed_and_works_on() {
    let (_token, mut front, kek) = ready();
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    for at in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 0x80;
        let expected = match at {
            0 => rejected("the blob was not made by aes-gcm"),
            _ => rejected("CKR_GENERAL_ERROR"),
        };
        assert_eq!(front.unprotect(kek, Rung::AesGcm, &changed), Err(expected), "byte {at}");
    }
    assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));
}

#[test]
fn gives_another_seed_for_a_changed_cbc_blob() {
    let (_token, mut front, kek) = ready();
    let (blob, seed) = front.protect(kek, Rung::AesCbc);
    for at in 1..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        let other = front.unprotect(kek, Rung::AesCbc, &changed).unwrap();
        assert_ne!(other, seed, "byte {at}: the record's own authentication has to find it");
    }
}

#[test]
fn refuses_a_blob_of_another_length_or_rung() {
    let (_token, mut front, kek) = ready();
    let (gcm, seed) = front.protect(kek, Rung::AesGcm);
    let (cbc, _) = front.protect(kek, Rung::AesCbc);
    let cut = &gcm[..gcm.len() - 1];
    let long = [&gcm[..], &[0]].concat();
    for (rung, blob, code) in [
        (Rung::AesGcm, &[][..], "the blob is empty"),
        (Rung::AesGcm, cut, "the blob has 60 bytes, which no aes-gcm blob has"),
        (Rung::AesGcm, &long, "the blob has 62 bytes, which no aes-gcm blob has"),
        (Rung::AesGcm, &cbc, "the blob was not made by aes-gcm"),
        (Rung::AesCbc, &gcm, "the blob was not made by aes-cbc"),
        (Rung::AesCbc, &cbc[..33], "the blob has 33 bytes, which no aes-cbc blob has"),
    ] {
        assert_eq!(front.unprotect(kek, rung, blob), Err(rejected(code)));
    }
    assert_eq!(front.unprotect(kek, Rung::AesGcm, &gcm), Ok(seed));
}

#[test]
fn refuses_a_blob_of_another_kek() {
    let (_token, mut front, kek) = ready();
    let other = front.make("other kek");
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    assert_eq!(front.unprotect(other, Rung::AesGcm, &blob), Err(rejected("CKR_GENERAL_ERROR")));
    assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));

    let absent = TokenRefusal::KekAbsent { label: "(id 07070707070707070707070707070707)".to_owned() };
    assert_eq!(front.unprotect([7; 16], Rung::AesGcm, &blob), Err(absent.clone()));
    assert_eq!(front.probe([7; 16], None), Answer::Refused(absent));
}

#[test]
fn does_not_call_a_record_damaged_when_the_token_is_what_is_gone() {
    let (token, mut front, kek) = ready();
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    std::fs::rename(token.tokens(), token.dir.path().join("away")).unwrap();
    let refusal = front.unprotect(kek, Rung::AesGcm, &blob).unwrap_err();
    assert!(matches!(refusal, TokenRefusal::ModuleCall { .. } | TokenRefusal::KekAbsent { .. }), "{refusal}");
    std::fs::rename(token.dir.path().join("away"), token.tokens()).unwrap();
    drop(front);

    let mut next = Front::start(&token);
    assert_eq!(next.open(&token), Answer::Done);
    assert_eq!(next.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));
}

#[test]
fn serves_a_thousand_records_in_one_login() {
    let (_token, mut front, kek) = ready();
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    for _ in 0..1000 {
        assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));
    }
}
