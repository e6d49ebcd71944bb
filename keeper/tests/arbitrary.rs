//! Whatever stands in a secret, a passphrase or a record, it is refused or it is a key; nothing panics.
#![expect(clippy::expect_used, reason = "a test may fail")]

use p256::ecdsa::signature::Verifier as _;
use proptest::prelude::*;
use strongroom_keeper::envelope::{self, Nonce};
use strongroom_keeper::key::SigningKey;
use strongroom_link::key::{Algorithm, Domains, KeySpec, MAX_SECRET_BYTES, PassphraseUse, SecretForm};
use strongroom_link::seed::Seed;

const P256: &str = include_str!("pem/p256-sec1.pem");

fn spec() -> impl Strategy<Value = KeySpec> {
    let parts = (
        prop::sample::select(Algorithm::ALL),
        prop::sample::select(SecretForm::ALL),
        prop::sample::select(PassphraseUse::ALL),
    );
    parts.prop_map(|(algorithm, form, passphrase)| KeySpec {
        algorithm,
        form,
        passphrase,
        min_bytes: 1,
        max_bytes: MAX_SECRET_BYTES,
        domains: Domains::NONE,
    })
}

/// Bytes, or something that is nearly PEM, base64 or text.
fn secret() -> impl Strategy<Value = Vec<u8>> {
    let edited = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~\\\\\n-]{0,6}");
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[A-Za-z0-9+/]{0,90}={0,2}".prop_map(String::into_bytes),
        "-----BEGIN [A-Z ]{0,12}-----[ -~\\\\\n]{0,80}-----END [A-Z ]{0,12}-----"
            .prop_map(String::into_bytes),
        edited.prop_map(|(from, to, text)| {
            let (from, to) = (from.index(P256.len()), to.index(P256.len()));
            let kept = P256.get(from.max(to)..).expect("ASCII");
            [P256.get(..from.min(to)).expect("ASCII"), &text, kept].concat().into_bytes()
        }),
    ]
}

/// Whether that is a signature of `message` by the one key of P-256 here.
fn is_by_the_key(signature: &[u8]) -> bool {
    let key = p256::SecretKey::from_sec1_pem(P256).expect("a key");
    let signature = p256::ecdsa::Signature::from_slice(signature).expect("r and s");
    p256::ecdsa::VerifyingKey::from(key.public_key()).verify(b"message", &signature).is_ok()
}

/// The property below meets such a key once in thousands of runs.
#[test]
fn a_key_of_p256_that_is_sealed_opens_to_the_same_key() {
    let spec = KeySpec {
        algorithm: Algorithm::Es256,
        form: SecretForm::Pem,
        passphrase: PassphraseUse::Absent,
        min_bytes: 1,
        max_bytes: MAX_SECRET_BYTES,
        domains: Domains::NONE,
    };
    let seed = Seed::new([7; 32]);
    let nonce = Nonce::random().expect("random bytes");
    let sealed = envelope::seal(nonce, &seed, &spec, b"", P256.as_bytes(), None).expect("seals");
    let opened = envelope::open(&seed, &spec, b"", &sealed).expect("opens");
    let mut signatures = [Vec::new(), Vec::new()];
    for signature in &mut signatures {
        opened.sign(b"message", None, signature).expect("signs");
        assert!(is_by_the_key(signature));
    }
    assert_ne!(signatures[0], signatures[1]);
}

proptest! {
    #[test]
    fn a_secret_is_refused_or_signs(
        spec in spec(),
        secret in secret(),
        passphrase in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        secret_at in prop::option::of(0..20_u32),
    ) {
        if let Ok(key) = SigningKey::parse(&spec, &secret, passphrase.as_deref()) {
            let mut out = Vec::new();
            let signed = key.sign(b"0123456789", secret_at, &mut out);
            prop_assert_eq!(signed.is_ok(), !out.is_empty());
        }
    }

    #[test]
    fn what_is_sealed_opens_to_the_same_key(
        spec in spec(),
        secret in secret(),
        context in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let passphrase = (spec.passphrase != PassphraseUse::Absent).then_some(b"phrase".as_slice());
        let seed = Seed::new([7; 32]);
        let nonce = Nonce::random().expect("random bytes");
        let direct = SigningKey::parse(&spec, &secret, passphrase);
        let sealed = envelope::seal(nonce, &seed, &spec, &context, &secret, passphrase);
        match (direct, sealed) {
            (Ok(direct), Ok(sealed)) => {
                let opened = envelope::open(&seed, &spec, &context, &sealed).expect("opens");
                let secret_at = (spec.algorithm == Algorithm::HashSha256).then_some(0);
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                direct.sign(b"message", secret_at, &mut ours).expect("signs");
                opened.sign(b"message", secret_at, &mut theirs).expect("signs");
                if spec.algorithm == Algorithm::Es256 {
                    // Each of its signatures has a nonce of its own. Of all that is edited, only this key is one.
                    prop_assert!(is_by_the_key(&ours) && is_by_the_key(&theirs));
                } else {
                    prop_assert_eq!(ours, theirs);
                }
                prop_assert_eq!(direct.released_passphrase(), opened.released_passphrase());
            }
            (direct, sealed) => prop_assert_eq!(direct.err(), sealed.err()),
        }
    }

    #[test]
    fn an_envelope_of_arbitrary_bytes_does_not_open(
        spec in spec(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let seed = Seed::new([7; 32]);
        prop_assert!(envelope::open(&seed, &spec, b"", &bytes).is_err());
        prop_assert!(envelope::open(&seed, &spec, b"", &[&[1], bytes.as_slice()].concat()).is_err());
    }
}
