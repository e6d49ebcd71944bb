//! What the token itself vouches for: at each unlock its own key signs a checkpoint, and with it the key of the
//! checkpoints until the next one.
//!
//! Pure: what is signed, whether a signature holds, and which checkpoints have none of the token behind them.

use std::borrow::Cow;
use std::str::FromStr;

use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use strongroom_link::token::SigningKey;

use super::chain::Head;
use super::checkpoint::{Checkpoint, PublicKey};
use super::line::{Event, Kind, Verdict};

/// Names a key of a token: SHA-256 of its `SubjectPublicKeyInfo`, as `openssl` computes it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self(Sha256::digest(key.to_spki()).into())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = base16ct::lower::decode_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a fingerprint has 64 hexadecimal digits")
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// What the token signs beside a checkpoint by `key`, whose `covers` and `at` stand in the line.
pub(crate) fn statement(key: &PublicKey, covers: &str, at: &str) -> Vec<u8> {
    format!("strongroom audit token 1\n{covers}\n{at}\n{}\n", base16ct::lower::encode_string(key))
        .into_bytes()
}

/// Whether a signature of the token holds.
pub(crate) fn holds(key: &SigningKey, statement: &[u8], signature: &[u8]) -> bool {
    match key {
        SigningKey::P256(point) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(statement, signature)
        }
        SigningKey::Rsa2048(_) => {
            let spki = key.to_spki();
            let key = spki.get(RSA_KEY_AT..).unwrap_or_default();
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(statement, signature)
        }
    }
    .is_ok()
}

/// Where the `RSAPublicKey` begins in the `SubjectPublicKeyInfo` of an RSA key with 2,048 bits.
const RSA_KEY_AT: usize = 24;

/// What is wrong with what a checkpoint says of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unvouched {
    /// Its signature of the token does not hold, or is of another key than was demanded.
    Forged,
    /// The token has not vouched for its key since the agent was started or locked.
    Uncertified,
}

/// Whose checkpoints are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trusted {
    /// Nobody's: the token has vouched for none since the agent was started or locked.
    Nobody,
    /// The key that the token has vouched for.
    Key(PublicKey),
    /// Any: where the session begins is not in this part of the log.
    Elsewhere,
}

impl Trusted {
    fn takes(self, key: &PublicKey) -> bool {
        match self {
            Self::Nobody => false,
            Self::Key(own) => own == *key,
            Self::Elsewhere => true,
        }
    }
}

/// Follows what the token vouches for.
#[derive(Debug)]
pub(crate) struct Vouching {
    /// Demanded of every signature of the token.
    demanded: Option<Fingerprint>,
    /// By whom this session is signed.
    current: Trusted,
    /// By whom the one before is, up to the lock that has ended it: the last checkpoint stands behind that.
    closing: Option<(Trusted, u64)>,
    keys: Vec<Fingerprint>,
    first: u64,
    last: u64,
    /// Something that nobody does before the token has signed, and it had not.
    missed: bool,
    /// A session has begun or ended in these lines.
    bounded: bool,
    /// A line that tells of deleted ones has the token's word for the session; it counts once a checkpoint covers that.
    carried: Option<Carried>,
    /// Whether such a word is taken at all.
    takes_carried: bool,
    /// The keys of checkpoints for which it has vouched in some line.
    certified: Vec<PublicKey>,
}

/// The token's word for a session whose beginning was deleted.
#[derive(Debug, Clone, Copy)]
struct Carried {
    /// In which line it stands.
    line: u64,
    /// The last line that the token has signed for.
    covers: u64,
    by: Fingerprint,
}

/// What the token vouches for in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Vouched {
    /// The line of its first signature; 0 where there is none.
    pub(crate) first: u64,
    /// The last line that one covers; 0 where none does.
    pub(crate) last: u64,
    /// The keys of all its signatures that hold.
    pub(crate) keys: Vec<Fingerprint>,
}

impl Vouching {
    /// Of a whole log, or of one whose beginning is elsewhere.
    pub(crate) const fn new(whole: bool) -> Self {
        Self {
            demanded: None,
            current: if whole { Trusted::Nobody } else { Trusted::Elsewhere },
            closing: None,
            keys: Vec::new(),
            first: 0,
            last: 0,
            missed: false,
            bounded: false,
            carried: None,
            takes_carried: false,
            certified: Vec::new(),
        }
    }

    /// Demands that every signature of the token is by this key, and that there is one behind every checkpoint
    /// since the first.
    pub(crate) const fn demand(&mut self, key: Fingerprint) {
        self.demanded = Some(key);
    }

    /// The key of the token that is demanded.
    pub(crate) const fn demanded(&self) -> Option<Fingerprint> {
        self.demanded
    }

    /// Takes the token's word for a session whose beginning was deleted from the line that tells of that. Who has the
    /// keeper's key could then pass lines for those of an older session.
    pub(crate) const fn take_carried(&mut self) {
        self.takes_carried = true;
    }

    /// Notes what a line tells.
    pub(crate) fn line(&mut self, seq: u64, event: &Event<'_>) {
        self.bounded |= matches!(event.kind, Kind::Start | Kind::Lock);
        match event.kind {
            Kind::Start => (self.current, self.closing, self.carried) = (Trusted::Nobody, None, None),
            // A second lock ends no session: what the first one bounds stays bounded.
            Kind::Lock if self.current != Trusted::Nobody => {
                self.closing = Some((self.current, seq));
                self.current = Trusted::Nobody;
            }
            // The token has signed before either of them.
            Kind::Unlock | Kind::Sign if !was_turned_down(event) => {
                self.missed |= self.current == Trusted::Nobody && self.first == 0;
            }
            _ => {}
        }
    }

    /// Takes a checkpoint whose own signature holds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn checkpoint(
        &mut self,
        seq: u64,
        event: &Event<'_>,
        found: &Checkpoint,
    ) -> Result<(), Unvouched> {
        if event.token_key.is_some() || event.token_signature.is_some() {
            let key = self.of_token(event, &found.key, &event.covers, &event.at)?;
            if self.first == 0 {
                self.first = seq;
            }
            self.last = self.last.max(found.covers.seq);
            self.current = Trusted::Key(found.key);
            self.certify(found.key);
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
            return Ok(());
        }
        let is_of_before =
            self.closing.is_some_and(|(by, ended)| by.takes(&found.key) && found.covers.seq <= ended);
        if self.demanded.is_none() || is_of_before || self.current.takes(&found.key) {
            // Nobody who has only seen its line makes a checkpoint behind it.
            if let Some(Carried { line, covers, by }) =
                self.carried.take_if(|carried| carried.line <= found.covers.seq)
            {
                (self.first, self.last) = (line, covers);
                self.keys.push(by);
            }
            return Ok(());
        }
        if self.first == 0 {
            // The log may be older than the key.
            self.missed = true;
            return Ok(());
        }
        Err(Unvouched::Uncertified)
    }

    /// Takes a line that tells of deleted ones, whose own signature holds. The token's word in it counts for the rest
    /// of the session that goes on there.
    ///
    /// # Errors
    /// Where the signature of the token does not hold.
    pub(crate) fn prune(&mut self, seq: u64, event: &Event<'_>, found: &Checkpoint) -> Result<(), Unvouched> {
        if event.token_key.is_none() && event.token_signature.is_none() {
            return Ok(());
        }
        let by = self.of_token(event, &found.key, &event.token_covers, &event.token_at)?;
        self.certify(found.key);
        let covers = event.token_covers.as_deref().and_then(|covers| covers.parse().ok());
        let covers = covers.map_or(0, |Head { seq, .. }| seq);
        if self.first == 0 && !self.bounded && self.takes_carried {
            self.current = Trusted::Key(found.key);
            self.carried = Some(Carried { line: seq, covers, by });
        }
        Ok(())
    }

    fn certify(&mut self, key: PublicKey) {
        if !self.certified.contains(&key) {
            self.certified.push(key);
        }
    }

    /// Whether this key may say that lines were deleted; `seen` are those of checkpoints that hold. Anybody has a key.
    pub(crate) fn may_prune(&self, key: &PublicKey, seen: &[PublicKey]) -> bool {
        match self.demanded {
            Some(_) => self.certified.contains(key),
            None => seen.is_empty() || seen.contains(key),
        }
    }

    /// Which key of a token has signed what this line says.
    fn of_token(
        &self,
        event: &Event<'_>,
        checkpoint_key: &PublicKey,
        covers: &Option<Cow<'_, str>>,
        at: &Option<Cow<'_, str>>,
    ) -> Result<Fingerprint, Unvouched> {
        let bytes = |text: &Option<Cow<'_, str>>| base16ct::lower::decode_vec(text.as_deref()?).ok();
        let holds = || {
            let key = SigningKey::from_spki(&bytes(&event.token_key)?)?;
            let statement = statement(checkpoint_key, covers.as_deref()?, at.as_deref()?);
            holds(&key, &statement, &bytes(&event.token_signature)?).then(|| Fingerprint::of(&key))
        };
        let key = holds().ok_or(Unvouched::Forged)?;
        if self.demanded.is_some_and(|demanded| demanded != key) {
            return Err(Unvouched::Forged);
        }
        Ok(key)
    }

    /// Whether one is demanded, and the log tells of an unlocked agent and has no signature of the token.
    pub(crate) const fn is_missing(&self) -> bool {
        self.demanded.is_some() && self.missed && self.first == 0
    }

    pub(crate) fn finish(self) -> Vouched {
        let Self { first, last, keys, .. } = self;
        Vouched { first, last, keys }
    }
}

/// Whether it was asked for, and not done.
const fn was_turned_down(event: &Event<'_>) -> bool {
    matches!(event.verdict, Some(Verdict::Denied | Verdict::Honey | Verdict::Refused))
}

#[cfg(test)]
mod tests;
