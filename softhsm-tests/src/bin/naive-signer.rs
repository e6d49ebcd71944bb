//! A deliberately naive signer: the control of the leak tests, which must find its secrets.
//!
//! `naive-signer naive|zeroize|ignorant idle|busy`: reads one secret a line from standard input
//! (`hmac-sha256 TEXT`, `hmac-sha384 TEXT`, `hmac-sha512 TEXT`, `es256 HEX`, `ed25519 HEX`), says `ready`,
//! and signs: once with each and then waits, or without end. `zeroize` does what most programs do that
//! care: secrets in `Zeroizing`, and the `zeroize` features of all crates. `ignorant` forgets to read.

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "this is test support: what does not work fails the test")]

use std::io::{self, BufRead as _, Write as _};

use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

fn main() {
    let parent_dies = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(parent_dies).expect("a child");
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let busy = arguments.next().as_deref() == Some("busy");
    let mut keys: Vec<(String, Secret)> = Vec::new();
    if mode != "ignorant" {
        for line in io::stdin().lock().lines() {
            let line = Zeroizing::new(line.expect("text"));
            let (algorithm, secret) = line.split_once(' ').expect("algorithm and secret");
            let secret = match algorithm {
                "es256" | "ed25519" => base16ct::mixed::decode_vec(secret).expect("hex"),
                _ => secret.as_bytes().to_vec(),
            };
            let secret = if mode == "naive" { Secret::Naive(secret) } else { Secret::Zeroize(secret.into()) };
            keys.push((algorithm.to_owned(), secret));
        }
    }
    let sign = |count: u64| {
        for (algorithm, secret) in &keys {
            let message = format!("symbol=LTCBTC&side=BUY&timestamp={count}");
            std::hint::black_box(sign(algorithm, secret.bytes(), message.as_bytes()));
        }
    };
    sign(0);
    let mut stdout = io::stdout();
    stdout.write_all(b"ready\n").and_then(|()| stdout.flush()).expect("somebody waits");
    for count in 1.. {
        if busy {
            sign(count);
        } else {
            std::thread::park();
        }
    }
}

enum Secret {
    Naive(Vec<u8>),
    Zeroize(Zeroizing<Vec<u8>>),
}

impl Secret {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Naive(bytes) => bytes,
            Self::Zeroize(bytes) => bytes,
        }
    }
}

fn sign(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let any = "HMAC takes a key of any length";
    match algorithm {
        "hmac-sha256" => Hmac::<Sha256>::new_from_slice(secret)
            .expect(any)
            .chain_update(message)
            .finalize()
            .into_bytes()
            .to_vec(),
        "hmac-sha384" => Hmac::<Sha384>::new_from_slice(secret)
            .expect(any)
            .chain_update(message)
            .finalize()
            .into_bytes()
            .to_vec(),
        "hmac-sha512" => Hmac::<Sha512>::new_from_slice(secret)
            .expect(any)
            .chain_update(message)
            .finalize()
            .into_bytes()
            .to_vec(),
        "es256" => {
            let key = ecdsa::SigningKey::from_slice(secret).expect("a scalar");
            let signature: ecdsa::Signature = key.sign(message);
            signature.to_bytes().to_vec()
        }
        _ => {
            let key = ed25519_dalek::SigningKey::from_bytes(secret.try_into().expect("32 bytes"));
            key.sign(message).to_bytes().to_vec()
        }
    }
}
