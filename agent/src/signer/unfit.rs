//! What is said of a secret that is not the venue's: what is wrong, what the venue's rule is, and what helps.

use strongroom_link::keeper::{Look, Refusal};
use strongroom_link::key::{Algorithm, KeySpec, SecretForm};

use crate::crew::CrewError;
use crate::fault::Fault;

/// Adds the venue's rule to a refusal that is about the secret.
pub(super) fn secret(error: CrewError, venue: &str, spec: KeySpec) -> Fault {
    let next = match error {
        CrewError::Keeper(refusal) => next_step(refusal, spec),
        _ => None,
    };
    let Fault { code, message, hint } = error.into();
    match next {
        Some(next) => Fault::new(code, format!("{message}; a secret of {venue} is {}", rule(spec)), next),
        None => Fault { code, message, hint },
    }
}

fn rule(spec: KeySpec) -> String {
    let KeySpec { algorithm, form, min_bytes, max_bytes, .. } = spec;
    let rule = match (algorithm, form) {
        (Algorithm::RsaSha256, SecretForm::Base64) => {
            "an RSA private key of 2048, 3072 or 4096 bits, PKCS#8 in base64 without the lines of PEM"
        }
        (Algorithm::RsaSha256, _) => {
            "an RSA private key of 2048, 3072 or 4096 bits, in PEM and not encrypted"
        }
        (Algorithm::Es256, _) => "a P-256 private key, in PEM and not encrypted",
        (Algorithm::Ed25519, SecretForm::Pem) => "an Ed25519 private key, in PEM and not encrypted",
        (Algorithm::Ed25519, _) => {
            "an Ed25519 private key in base64, base58 or hexadecimal: the seed, 32 bytes, or the seed and the public key, 64 bytes"
        }
        (_, SecretForm::Hex32) => "a private key of 64 hexadecimal digits, with or without 0x in front",
        (_, SecretForm::Base64) => return format!("{min_bytes} to {max_bytes} characters of base64"),
        _ => return format!("a text of {min_bytes} to {max_bytes} characters"),
    };
    rule.to_owned()
}

/// What to do; nothing where the refusal is not about the secret.
fn next_step(refusal: Refusal, spec: KeySpec) -> Option<&'static str> {
    const AGAIN: &str = "copy the secret again from the venue; nothing was stored";
    Some(match refusal {
        Refusal::SecretPemEncrypted => {
            "`openssl pkey -in KEY.pem -out plain.pem` asks for its passphrase; enrol plain.pem, and delete it"
        }
        Refusal::SecretPemPublic => "enrol the other half, which begins `-----BEGIN` … `PRIVATE KEY-----`",
        Refusal::SecretIsPem => match (spec.algorithm, spec.form) {
            (Algorithm::Ed25519, _) => {
                "`openssl pkey -in KEY.pem -outform DER | tail -c 32 | base64` gives the seed of an Ed25519 key"
            }
            (Algorithm::RsaSha256, _) => {
                "`openssl pkcs8 -topk8 -nocrypt -in KEY.pem -outform DER | base64 -w0` gives it without the lines"
            }
            _ => "private keys go with other profiles: `strongroom venue list` shows the kinds",
        },
        Refusal::SecretLooks { found } => other_form(found, spec),
        Refusal::SecretNotPem => "give the whole file, `-----BEGIN` and `-----END` too",
        Refusal::SecretPemKind
            if (spec.algorithm, spec.form) == (Algorithm::RsaSha256, SecretForm::Base64) =>
        {
            "if it is PKCS#1 (`RSA PRIVATE KEY`) in base64, `base64 -d KEY.b64 | openssl pkcs8 -topk8 -nocrypt -inform DER -outform DER | base64 -w0` makes PKCS#8 of it"
        }
        Refusal::SecretKeyKind { .. } | Refusal::SecretPemKind | Refusal::SecretRsaSize => another_key(spec),
        Refusal::SecretEmpty
        | Refusal::SecretInconsistent
        | Refusal::SecretNotBase64
        | Refusal::SecretNotText
        | Refusal::SecretSeedLength { .. }
        | Refusal::SecretTooLong { .. }
        | Refusal::SecretTooShort { .. } => AGAIN,
        _ => return None,
    })
}

/// Where a key of this kind comes from.
const fn another_key(spec: KeySpec) -> &'static str {
    match spec.algorithm {
        Algorithm::RsaSha256 => {
            "`strongroom venue list` shows profiles for other kinds; `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem` makes one, and `openssl pkey -in key.pem -pubout` prints what the venue gets"
        }
        Algorithm::Ed25519 => {
            "`strongroom venue list` shows profiles for other kinds; `openssl genpkey -algorithm ed25519 -out key.pem` makes one, and `openssl pkey -in key.pem -pubout` prints what the venue gets"
        }
        _ => "`strongroom venue list` shows profiles for other kinds; make a key of this kind at the venue",
    }
}

/// How the venue's form is made of another one.
fn other_form(found: Look, spec: KeySpec) -> &'static str {
    match (found, spec.form) {
        (Look::Json, _) => {
            "take the secret out of it: `jq -r .privateKey FILE` prints that of a key file of Coinbase, and --secret-stdin reads it"
        }
        (Look::Quoted, _) => "leave the quotation marks out; `jq -r` prints a text without them",
        (Look::PemOneLine, _) => "give the file with its lines, or with `\\n` where they end",
        (Look::PemCut, _) => {
            "give the whole file, from `-----BEGIN` to the end of the line with `-----END`, and nothing else"
        }
        (Look::PemTwice, _) => "give the block with the private key alone",
        (Look::OpenSsh | Look::Certificate, _) => another_key(spec),
        (Look::Base64 | Look::Hexadecimal, SecretForm::Pem) if spec.algorithm == Algorithm::Ed25519 => {
            "`(echo MC4CAQAwBQYDK2VwBCIEIA== | base64 -d; base64 -d SEED) | openssl pkey -inform DER -out key.pem` makes PEM of a seed in base64 (`xxd -r -p SEED` in place of `base64 -d SEED` if it is hexadecimal); give the whole file if it is the inside of one"
        }
        (Look::Base64, SecretForm::Pem) => {
            "give the whole file, `-----BEGIN` and `-----END` too; `base64 -d KEY.b64 | openssl pkey -inform DER -out key.pem` makes PEM of a key in DER"
        }
        (Look::Bytes, SecretForm::Pem) => {
            "`openssl pkey -inform DER -in KEY.der -out key.pem` makes PEM of a key in DER"
        }
        (Look::Base64, SecretForm::Hex32) => "`base64 -d FILE | xxd -p -c 32` makes digits of it",
        (Look::Bytes, SecretForm::Hex32) => "`xxd -p -c 32 FILE` makes digits of 32 bytes",
        (Look::Bytes, SecretForm::Base64 | SecretForm::Base64Seed32) => {
            "`base64 -w0 FILE` makes base64 of bytes"
        }
        (Look::Hexadecimal, SecretForm::Base64) => {
            "copy the secret as the venue shows it; if that is hexadecimal, `xxd -r -p FILE | base64 -w0` makes base64 of it"
        }
        (Look::Base64Url, _) => {
            "write `+` for `-` and `/` for `_`, and `=` at the end until the length can be divided by four"
        }
        (Look::Spaced, _) => "`tr -d '[:space:]' < FILE` prints it without them",
        _ => "copy the secret again from the venue; nothing was stored",
    }
}

#[cfg(test)]
mod tests {
    use strongroom_link::key::{Domains, PassphraseUse};

    use super::*;

    #[test]
    fn names_the_conversion_of_a_bare_key_in_pkcs1() {
        let hint = |form| {
            let spec = KeySpec {
                algorithm: Algorithm::RsaSha256,
                form,
                passphrase: PassphraseUse::Absent,
                min_bytes: 1,
                max_bytes: 8192,
                domains: Domains::NONE,
            };
            next_step(Refusal::SecretPemKind, spec).unwrap()
        };
        assert!(hint(SecretForm::Base64).contains("makes PKCS#8 of it"));
        assert!(!hint(SecretForm::Pem).contains("PKCS#1"));
    }
}
