//! Secrets that no venue hands out, and specs whose parts do not go together, are refused.

use strongroom_keeper::key::SigningKey;
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{Algorithm, KeySpec, PassphraseUse, SecretForm};

use super::wallet::WALLET;
use super::{P256_PKCS8, P256_SEC1, spec};

#[test]
fn refuses_a_secret_of_the_wrong_shape() {
    use Algorithm::{Ed25519, Es256, HmacSha256};
    use SecretForm::{Base64, Base64Seed32, Pem, Utf8};
    let too_long = Refusal::SecretTooLong { limit: 8192 };
    let broken = P256_SEC1.replace("-----END EC PRIVATE KEY-----", "");
    let swapped = P256_SEC1.replace("MHcC", "MH!C");
    let two = format!("{P256_SEC1}{P256_SEC1}");
    let huge = vec![b'a'; 8193];
    for (case, algorithm, form, secret, expected) in [
        ("empty", HmacSha256, Utf8, "".as_bytes(), Refusal::SecretEmpty),
        ("empty PEM", Es256, Pem, b"", Refusal::SecretEmpty),
        ("over every limit", HmacSha256, Utf8, &huge, too_long),
        ("space before", HmacSha256, Utf8, b" secret", Refusal::SecretNotText),
        ("space after", HmacSha256, Utf8, b"secret ", Refusal::SecretNotText),
        ("only space", HmacSha256, Utf8, b"  ", Refusal::SecretNotText),
        ("a line break", HmacSha256, Utf8, b"sec\nret", Refusal::SecretNotText),
        ("a zero byte", HmacSha256, Utf8, b"sec\0ret", Refusal::SecretNotText),
        ("not ASCII", HmacSha256, Utf8, "s\u{e9}cret".as_bytes(), Refusal::SecretNotText),
        ("DEL", HmacSha256, Utf8, b"secret\x7f", Refusal::SecretNotText),
        ("no base64", HmacSha256, Base64, b"not base64!!", Refusal::SecretNotBase64),
        ("no padding", HmacSha256, Base64, b"c2VjcmV0cw", Refusal::SecretNotBase64),
        ("too much padding", HmacSha256, Base64, b"c2VjcmV0cw===", Refusal::SecretNotBase64),
        ("bits left over", HmacSha256, Base64, b"c2VjcmV0cx==", Refusal::SecretNotBase64),
        ("padding inside", HmacSha256, Base64, b"c2Vj=mV0", Refusal::SecretNotBase64),
        ("URL alphabet", HmacSha256, Base64, b"-_-_", Refusal::SecretNotBase64),
        ("line break in base64", HmacSha256, Base64, b"c2Vj\ncmV0", Refusal::SecretNotBase64),
        ("space after base64", HmacSha256, Base64, b"c2VjcmV0 ", Refusal::SecretNotBase64),
        ("only padding", HmacSha256, Base64, b"====", Refusal::SecretNotBase64),
        ("a short seed", Ed25519, Base64Seed32, b"c2VjcmV0", Refusal::SecretSeedLength { bytes: 6 }),
        ("no PEM", Es256, Pem, b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5", Refusal::SecretNotPem),
        ("the first line alone", Es256, Pem, b"-----BEGIN EC PRIVATE KEY-----", Refusal::SecretNotPem),
        ("cut off", Es256, Pem, broken.as_bytes(), Refusal::SecretNotPem),
        ("damaged", Es256, Pem, swapped.as_bytes(), Refusal::SecretNotPem),
        ("two keys", Es256, Pem, two.as_bytes(), Refusal::SecretNotPem),
        (
            "encrypted PKCS#8",
            Es256,
            Pem,
            include_bytes!("../pem/p256-encrypted-pkcs8.pem"),
            Refusal::SecretPemEncrypted,
        ),
        (
            "encrypted SEC1",
            Es256,
            Pem,
            include_bytes!("../pem/p256-encrypted-sec1.pem"),
            Refusal::SecretPemEncrypted,
        ),
    ] {
        assert_eq!(SigningKey::parse(&spec(algorithm, form), secret, None).err(), Some(expected), "{case}");
    }
}

#[test]
fn refuses_a_secret_outside_the_limits_of_its_venue() {
    let limits = KeySpec { min_bytes: 8, max_bytes: 12, ..spec(Algorithm::HmacSha256, SecretForm::Utf8) };
    for (case, secret, expected) in [
        ("one under", "1234567", Some(Refusal::SecretTooShort { limit: 8 })),
        ("shortest", "12345678", None),
        ("longest", "123456789012", None),
        ("one over", "1234567890123", Some(Refusal::SecretTooLong { limit: 12 })),
    ] {
        assert_eq!(SigningKey::parse(&limits, secret.as_bytes(), None).err(), expected, "{case}");
    }
    // As written: twelve characters of base64 are nine bytes of key.
    let base64 = KeySpec { min_bytes: 12, max_bytes: 12, form: SecretForm::Base64, ..limits };
    assert_eq!(SigningKey::parse(&base64, b"c2VjcmV0c2Vj", None).err(), None);
    let pem = KeySpec { max_bytes: 64, ..spec(Algorithm::Es256, SecretForm::Pem) };
    let refused = SigningKey::parse(&pem, P256_SEC1.as_bytes(), None).err();
    assert_eq!(refused, Some(Refusal::SecretTooLong { limit: 64 }));
}

#[test]
fn refuses_specs_whose_parts_do_not_go_together() {
    use Algorithm::{Ed25519, Es256, HashSha256, HmacSha256, HmacSha384, HmacSha512, RsaSha256, Secp256k1};
    use SecretForm::{Base64, Base64Seed32, Hex32, Pem, Utf8};
    let text = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let rsa = include_str!("../pem/rsa2048-pkcs8.pem");
    let bare_rsa: String = rsa.lines().filter(|line| !line.starts_with('-')).collect();
    for algorithm in Algorithm::ALL.iter().copied() {
        for form in SecretForm::ALL.iter().copied() {
            let fits = match algorithm {
                HmacSha256 | HmacSha384 | HmacSha512 => matches!(form, Utf8 | Base64),
                HashSha256 => form == Utf8,
                Es256 => form == Pem,
                RsaSha256 => matches!(form, Pem | Base64),
                Ed25519 => matches!(form, Pem | Base64Seed32),
                Secp256k1 => form == Hex32,
            };
            let secret = match (form, algorithm) {
                (Pem, Ed25519) => include_str!("../pem/ed25519-pkcs8.pem"),
                (Base64, RsaSha256) => &bare_rsa,
                (Pem, RsaSha256) => rsa,
                (Base64Seed32, _) => "Tmhxd3F0bWRTSllkS2pWSGpBN1BaajRNZ2UzUjVZTmk=",
                (Pem, _) => P256_PKCS8,
                (Hex32, _) => WALLET,
                _ => text,
            };
            let refused = SigningKey::parse(&spec(algorithm, form), secret.as_bytes(), None).err();
            assert_eq!(refused, (!fits).then_some(Refusal::SpecUnfit), "{algorithm}, {form}");
        }
    }
    let mac_of_passphrase = KeySpec { passphrase: PassphraseUse::Mac, ..spec(HashSha256, Utf8) };
    let refused = SigningKey::parse(&mac_of_passphrase, text.as_bytes(), Some(b"phrase")).err();
    assert_eq!(refused, Some(Refusal::SpecUnfit));
}
