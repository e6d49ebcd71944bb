//! The credentials that the keeper holds, by slot.
//!
//! The front chooses the slots and knows what is in them. This is the one owner of every key in the
//! process: what is forgotten here exists nowhere else.

use std::sync::Arc;

use strongroom_link::keeper::Refusal;

use crate::key::SigningKey;

/// Most keys at a time, and one more than the highest slot: those of credentials, and the one that signs the audit
/// log's checkpoints.
pub const LIMIT: u32 = 10_000;

/// Slots with keys in them. Keys are wiped when they are forgotten and when the keyring is dropped.
#[derive(Default)]
pub struct Keyring {
    slots: Vec<Option<Kept>>,
}

enum Kept {
    Quick(SigningKey),
    /// Its signatures take long, so another thread may own it too for a while.
    Slow(Arc<SigningKey>),
}

/// How a key signs.
pub enum Found<'k> {
    /// At once.
    Quick(&'k SigningKey),
    /// By the thread for signatures that take long.
    Slow(&'k Arc<SigningKey>),
}

impl Keyring {
    /// Has memory for every slot.
    #[must_use]
    pub fn roomy() -> Self {
        Self { slots: Vec::with_capacity(usize::try_from(LIMIT).unwrap_or_default()) }
    }

    /// How many keys it holds.
    #[must_use]
    pub fn held(&self) -> u32 {
        u32::try_from(self.slots.iter().flatten().count()).unwrap_or(u32::MAX)
    }

    /// Keeps `key` in an empty slot.
    ///
    /// # Errors
    /// [`Refusal::KeyringFull`] for a slot past the [`LIMIT`], [`Refusal::SlotTaken`] for one that is
    /// not empty: a key is never replaced in silence.
    pub fn keep(&mut self, slot: u32, key: SigningKey) -> Result<(), Refusal> {
        let full = Refusal::KeyringFull { limit: LIMIT };
        if slot >= LIMIT {
            return Err(full);
        }
        let slot = usize::try_from(slot).map_err(|_| full)?;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot.saturating_add(1), || None);
        }
        match self.slots.get_mut(slot) {
            Some(place @ None) => {
                let kept = if key.takes_long() { Kept::Slow(Arc::new(key)) } else { Kept::Quick(key) };
                *place = Some(kept);
                Ok(())
            }
            _ => Err(Refusal::SlotTaken),
        }
    }

    /// The key in `slot`.
    ///
    /// # Errors
    /// [`Refusal::SlotEmpty`] where there is none.
    pub fn key(&self, slot: u32) -> Result<Found<'_>, Refusal> {
        let slot = usize::try_from(slot).map_err(|_| Refusal::SlotEmpty)?;
        match self.slots.get(slot) {
            Some(Some(Kept::Quick(key))) => Ok(Found::Quick(key)),
            Some(Some(Kept::Slow(key))) => Ok(Found::Slow(key)),
            _ => Err(Refusal::SlotEmpty),
        }
    }

    /// Wipes the key in `slot`; nothing happens where there is none. Another owner of a slow key must be gone.
    pub fn forget(&mut self, slot: u32) {
        let place = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        if let Some(place) = place {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_link::key::{Algorithm, Domains, KeySpec, PassphraseUse, SecretForm};

    use super::*;

    fn key(secret: &[u8]) -> SigningKey {
        let spec = KeySpec {
            algorithm: Algorithm::HmacSha256,
            form: SecretForm::Utf8,
            passphrase: PassphraseUse::Absent,
            min_bytes: 1,
            max_bytes: 64,
            domains: Domains::NONE,
        };
        SigningKey::parse(&spec, secret, None).unwrap()
    }

    fn signature(keyring: &Keyring, slot: u32) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        match keyring.key(slot)? {
            Found::Quick(key) => key.sign(b"message", None, &mut out)?,
            Found::Slow(key) => key.sign(b"message", None, &mut out)?,
        }
        Ok(out)
    }

    #[test]
    fn keeps_each_key_in_its_slot_until_it_is_forgotten() {
        let mut keyring = Keyring::default();
        keyring.keep(7, key(b"seven")).unwrap();
        keyring.keep(0, key(b"zero")).unwrap();
        let seven = signature(&keyring, 7).unwrap();
        assert_ne!(signature(&keyring, 0).unwrap(), seven);
        assert_eq!(signature(&keyring, 1), Err(Refusal::SlotEmpty));

        keyring.forget(0);
        assert_eq!(signature(&keyring, 0), Err(Refusal::SlotEmpty));
        assert_eq!(signature(&keyring, 7), Ok(seven));
    }

    #[test]
    fn refuses_to_replace_a_key() {
        let mut keyring = Keyring::default();
        keyring.keep(3, key(b"first")).unwrap();
        let first = signature(&keyring, 3);
        assert_eq!(keyring.keep(3, key(b"second")), Err(Refusal::SlotTaken));
        assert_eq!(signature(&keyring, 3), first);
    }

    #[test]
    fn refuses_slots_past_its_limit() {
        let mut keyring = Keyring::default();
        keyring.keep(LIMIT - 1, key(b"last")).unwrap();
        for slot in [LIMIT, LIMIT + 1, u32::MAX] {
            assert_eq!(keyring.keep(slot, key(b"over")), Err(Refusal::KeyringFull { limit: LIMIT }));
            assert_eq!(signature(&keyring, slot), Err(Refusal::SlotEmpty));
            keyring.forget(slot);
        }
        assert!(signature(&keyring, LIMIT - 1).is_ok());
    }
}
