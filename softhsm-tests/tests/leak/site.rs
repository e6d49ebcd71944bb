//! One installation with secrets that nothing else in the world has, and what must not be found of them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use p256::pkcs8::LineEnding;
use strongroom_scanner::spelling::der;
use strongroom_scanner::{Class, Needles};
use strongroom_softhsm_tests::load::{CREDENTIALS, ED25519, ES256};
use strongroom_softhsm_tests::process::runs;
use strongroom_softhsm_tests::room::{Agent, Key, Room, Run, program};
use strongroom_softhsm_tests::seed::seed_of;

/// What is enrolled under one name.
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) venue: &'static str,
    pub(crate) key_id: String,
    pub(crate) text: String,
    pub(crate) passphrase: Option<String>,
}

impl Secret {
    /// One like no other, and the private key where it is one.
    fn new(name: &'static str, venue: &'static str, needles: &mut Needles) -> (Self, Option<Vec<u8>>) {
        let mut passphrase = None;
        let mut private = None;
        let text = match venue {
            "coinbase" => {
                let d = random::<32>().to_vec();
                needles.p256_key(name, &d);
                let key = p256::SecretKey::from_slice(&d).expect("a scalar, but for one in 2^32");
                private = Some(d);
                key.to_sec1_pem(LineEnding::LF).expect("a PEM block").to_string()
            }
            "coinbase-eddsa" => {
                let seed = random::<32>();
                needles.ed25519_key(name, &seed);
                let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
                let text = Base64::encode_string(&[seed, public].concat());
                // The other half is public.
                needles.secret(Class::Plain, name, &text.as_bytes()[..40]);
                private = Some(seed.to_vec());
                text
            }
            "binance-rsa" => {
                let text = rsa_key();
                needles.rsa_key(name, &der(&text));
                private = Some(Vec::new());
                text
            }
            "hyperliquid" => {
                let text = base16ct::lower::encode_string(&random::<32>());
                needles.hex_secret(Class::Plain, name, &text);
                private = Some(Vec::new());
                text
            }
            "coinex" => word::<64>(),
            "kraken" => {
                let bytes = random::<64>();
                needles.secret(Class::Plain, name, &bytes);
                needles.hmac_states(name, &bytes);
                Base64::encode_string(&bytes)
            }
            _ => {
                let text = word::<64>();
                needles.hmac_states(name, text.as_bytes());
                text
            }
        };
        if private.is_none() {
            needles.secret(Class::Plain, name, text.as_bytes());
        }
        if venue == "kucoin" {
            let word = word::<24>();
            needles.secret(Class::Plain, "passphrase", word.as_bytes());
            passphrase = Some(word);
        }
        let address = || format!("0x{}", base16ct::lower::encode_string(&random::<20>()));
        let key_id = if venue == "hyperliquid" { address() } else { word::<24>() };
        (Self { name, venue, key_id, text, passphrase }, private)
    }

    pub(crate) fn key(&self) -> Key<'_> {
        let Self { name, venue, key_id, text, passphrase } = self;
        Key { name, venue, key_id, secret: text, passphrase: passphrase.as_deref() }
    }
}

pub(crate) struct Site {
    pub(crate) room: Room,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) needles: Needles,
    /// The P-256 scalar of [`ES256`].
    d: Vec<u8>,
    /// The seed of [`ED25519`].
    seed: Vec<u8>,
}

impl Site {
    /// A token with a PIN like no other, and nothing enrolled.
    pub(crate) fn bare() -> Self {
        let mut room = Room::bare();
        let pin = word::<32>();
        let changed = room.token.pkcs11_tool(&["--change-pin", "--new-pin", &pin]);
        assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
        room.token.pin = pin;
        let _ = room.init(&["--rung", "aes-cbc"]).ok();
        let mut needles = Needles::new();
        needles.secret(Class::Pin, "PIN", room.token.pin.as_bytes());
        let (mut d, mut seed) = (Vec::new(), Vec::new());
        let secrets = CREDENTIALS.map(|(name, venue)| {
            let (secret, private) = Secret::new(name, venue, &mut needles);
            match name {
                ES256 => d = private.unwrap_or_default(),
                ED25519 => seed = private.unwrap_or_default(),
                _ => {}
            }
            secret
        });
        Self { room, secrets: secrets.into(), needles, d, seed }
    }

    /// All credentials enrolled.
    pub(crate) fn new() -> Self {
        let mut site = Self::bare();
        for number in 0..site.secrets.len() {
            let _ = site.room.enroll(&site.secrets[number].key(), &[]).ok();
            site.know_seed(number);
        }
        site
    }

    /// Learns the seed of a record that was written just now.
    pub(crate) fn know_seed(&mut self, number: usize) {
        let name = self.secrets[number].name;
        self.needles.record_seed(name, &seed_of(&self.room, name));
    }

    /// The nonces of the signatures of these bearer tokens, by ES256 or Ed25519.
    pub(crate) fn nonces(&self, tokens: &[String]) -> Needles {
        let mut needles = Needles::new();
        for token in tokens {
            let (message, signature) = token.rsplit_once('.').expect("a token");
            let (header, _) = message.split_once('.').expect("a token");
            let header = Base64UrlUnpadded::decode_vec(header).expect("base64");
            if String::from_utf8_lossy(&header).contains("\"EdDSA\"") {
                needles.ed25519_nonce(ED25519, &self.seed, message.as_bytes());
            } else {
                let signature = Base64UrlUnpadded::decode_vec(signature).expect("base64");
                needles.p256_nonce(ES256, &self.d, message.as_bytes(), &signature);
            }
        }
        needles
    }

    /// Starts an agent and unlocks it, with programs of this folder.
    pub(crate) fn start_from(&self, folder: &Path) -> Agent {
        let mut command = Command::new(folder.join("strongroom"));
        command.arg("agent");
        let agent = self.room.start_command(command);
        let _ = self.room.unlock().ok();
        agent
    }

    /// `strongroom unlock` with another PIN.
    pub(crate) fn unlock_with(&self, pin: &str) -> Run {
        self.room.run(&["unlock", "--pin-stdin"], Some(pin), &[])
    }
}

/// The keeper of an unlocked agent, and its guard.
pub(crate) fn keeper_and_guard(agent: &Agent) -> (u32, u32) {
    let keepers = agent.children("strongroom-keeper");
    let keeper = *keepers.iter().find(|keeper| runs(**keeper)).expect("it is unlocked");
    (keeper, tracer(keeper).expect("the keeper has a guard"))
}

/// Who traces a process.
pub(crate) fn tracer(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    line.and_then(|line| line.trim().parse().ok()).filter(|tracer| *tracer != 0)
}

/// Copies of the programs that a folder's owner may run, in a new folder.
pub(crate) fn copies(folder: &Path) -> PathBuf {
    let folder = folder.join("programs");
    std::fs::create_dir(&folder).expect("a folder");
    for name in ["strongroom", "strongroom-keeper", "strongroom-token"] {
        // Another process copies: what this one has open for writing nobody can start.
        let copied = Command::new("cp").arg(program(name)).arg(&folder).status();
        assert!(copied.expect("cp starts").success(), "{name}");
    }
    folder
}

/// A new private key in PEM.
fn rsa_key() -> String {
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("PEM")
}

pub(crate) fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut kernel = File::open("/dev/urandom").expect("a device");
    kernel.read_exact(&mut bytes).expect("random bytes");
    bytes
}

/// Letters and digits.
pub(crate) fn word<const LENGTH: usize>() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789QZ";
    let letters = random::<LENGTH>().map(|byte| LETTERS[usize::from(byte & 63)]);
    String::from_utf8_lossy(&letters).into_owned()
}
