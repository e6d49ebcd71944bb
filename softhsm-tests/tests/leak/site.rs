//! One installation with secrets that nothing else in the world has, and what must not be found of them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use p256::pkcs8::LineEnding;
use strongroom_scanner::{Class, Needles};
use strongroom_softhsm_tests::load::{CREDENTIALS, ES256};
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
    fn new(name: &'static str, venue: &'static str, needles: &mut Needles) -> (Self, Option<Vec<u8>>) {
        let mut passphrase = None;
        let mut scalar = None;
        let text = match venue {
            "coinbase" => {
                let d = random::<32>().to_vec();
                needles.p256_key(name, &d);
                let key = p256::SecretKey::from_slice(&d).expect("a scalar, but for one in 2^32");
                scalar = Some(d);
                key.to_sec1_pem(LineEnding::LF).expect("a PEM block").to_string()
            }
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
        if scalar.is_none() {
            needles.secret(Class::Plain, name, text.as_bytes());
        }
        if venue == "kucoin" {
            let word = word::<24>();
            needles.secret(Class::Plain, "passphrase", word.as_bytes());
            passphrase = Some(word);
        }
        (Self { name, venue, key_id: word::<24>(), text, passphrase }, scalar)
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
        let mut d = Vec::new();
        let secrets = CREDENTIALS.map(|(name, venue)| {
            let (secret, scalar) = Secret::new(name, venue, &mut needles);
            d.extend(scalar.unwrap_or_default());
            secret
        });
        Self { room, secrets: secrets.into(), needles, d }
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

    /// The nonces of these ES256 signatures.
    pub(crate) fn nonces(&self, tokens: &[String]) -> Needles {
        let mut needles = Needles::new();
        for token in tokens {
            let (message, signature) = token.rsplit_once('.').expect("a token");
            let signature = Base64UrlUnpadded::decode_vec(signature).expect("base64");
            needles.p256_nonce(ES256, &self.d, message.as_bytes(), &signature);
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
