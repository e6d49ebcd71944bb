//! The keyring without and with secrets in memory. Only the latter has a `sign` to call.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use jiff::Timestamp;
use strongroom_venues::Profile;

use super::audit_key::Opening;
use super::floors::SignedFloors;
use super::gate::Gate;
use crate::audit::chain::Head;
use crate::audit::checkpoint::PublicKey;
use crate::crew::keeper::Keeper;
use crate::store::budget::Budgets;
use crate::store::nonce::NonceSequence;
use crate::store::record::{CredentialName, Meta};

/// The credentials of one agent; `S` says whether their secrets are in the keeper.
pub(crate) struct Keyring<S> {
    pub(super) since: Timestamp,
    pub(super) state: S,
}

/// No secret is in memory.
pub(crate) struct Locked {
    pub(super) reason: String,
}

/// The keeper holds the secrets.
pub(crate) struct Unlocked {
    keeper: Keeper,
    live: HashMap<CredentialName, Live>,
    /// Records that did not open, and why.
    faults: HashMap<CredentialName, String>,
    /// Which records are too old; absent where there was no record yet.
    floors: Option<Box<SignedFloors>>,
    /// Slots of the keeper that are empty again, and the lowest that was never used.
    free_slots: Vec<u32>,
    next_slot: u32,
    /// The key of the audit log's checkpoints.
    audit: Option<Rc<AuditKey>>,
    /// The same, where the disk has not taken yet what must be there before its first one.
    opening: Option<Rc<Opening>>,
    /// When a signature was last asked for; at first, when it was unlocked.
    pub(super) last_use: Instant,
}

/// The key of the audit log's checkpoints: where the keeper holds it, its public half, and the token's word for it.
#[derive(Debug, Clone)]
pub(super) struct AuditKey {
    pub(super) slot: u32,
    pub(super) public: PublicKey,
    /// Absent where the configuration names no key of the token.
    pub(super) certificate: Option<Rc<Certificate>>,
}

/// What the token has signed for the key of the checkpoints, as it stands in the log.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The last line then, and when that was.
    pub(super) covers: Head,
    pub(super) at: String,
    pub(super) token_key: String,
    pub(super) token_signature: String,
}

/// A credential whose secret the keeper holds.
pub(crate) struct Live {
    pub(super) meta: Rc<Meta>,
    pub(super) profile: Rc<Profile>,
    pub(super) nonces: NonceSequence,
    pub(super) gate: Gate,
    /// What its grants have spent.
    pub(super) budgets: Budgets,
    slot: u32,
}

impl Live {
    pub(super) fn new(
        meta: Rc<Meta>,
        profile: Rc<Profile>,
        nonces: NonceSequence,
        budgets: Budgets,
        slot: u32,
    ) -> Self {
        let gate = Gate::new(&meta.grants);
        Self { meta, profile, nonces, gate, budgets, slot }
    }

    /// Where the keeper holds its secret.
    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    /// Whether its signatures take long.
    pub(super) fn takes_long(&self) -> bool {
        self.meta.algorithm.takes_long()
    }
}

impl Keyring<Locked> {
    /// Locked from now on.
    pub(crate) fn locked(reason: &str) -> Self {
        Self { since: Timestamp::now(), state: Locked { reason: reason.to_owned() } }
    }
}

impl Keyring<Unlocked> {
    /// Unlocked from now on, with nothing in it yet.
    pub(super) fn unlocked(keeper: Keeper) -> Self {
        let state = Unlocked {
            keeper,
            live: HashMap::new(),
            faults: HashMap::new(),
            floors: None,
            free_slots: Vec::new(),
            next_slot: 0,
            audit: None,
            opening: None,
            last_use: Instant::now(),
        };
        Self { since: Timestamp::now(), state }
    }

    /// An empty keyring of the same keeper that goes on with its slots, to load more beside what signs.
    /// It must come back by [`absorb`](Self::absorb) before any other slot is reserved or released.
    pub(super) fn beside(&self) -> Self {
        let state = Unlocked {
            keeper: self.state.keeper.clone(),
            live: HashMap::new(),
            faults: HashMap::new(),
            floors: self.state.floors.clone(),
            free_slots: self.state.free_slots.clone(),
            next_slot: self.state.next_slot,
            audit: self.state.audit.clone(),
            opening: self.state.opening.clone(),
            last_use: self.state.last_use,
        };
        Self { since: self.since, state }
    }

    /// Takes over what was loaded beside.
    pub(super) fn absorb(&mut self, more: Self) {
        let Unlocked { keeper: _, live, faults, floors, free_slots, next_slot, audit, opening, last_use: _ } =
            more.state;
        // What was loaded before may have got further meanwhile.
        if !self.has_audit_key() {
            (self.state.audit, self.state.opening) = (audit, opening);
        }
        for name in live.keys() {
            self.state.faults.remove(name);
        }
        self.state.live.extend(live);
        self.state.faults.extend(faults);
        self.state.floors = floors;
        self.state.free_slots = free_slots;
        self.state.next_slot = next_slot;
    }

    pub(super) const fn keeper(&self) -> &Keeper {
        &self.state.keeper
    }

    /// The key of checkpoints, where the keeper holds it.
    pub(super) fn audit_key(&self) -> Option<&AuditKey> {
        self.state.audit.as_deref()
    }

    /// What must be written before that key signs, where the disk has not taken it yet.
    pub(super) const fn opening(&self) -> Option<&Rc<Opening>> {
        self.state.opening.as_ref()
    }

    /// Whether the keeper holds the key of checkpoints, signing or not yet.
    pub(super) const fn has_audit_key(&self) -> bool {
        self.state.audit.is_some() || self.state.opening.is_some()
    }

    /// Notes that the key of checkpoints signs from now on.
    pub(super) fn put_audit_key(&mut self, key: Rc<AuditKey>) {
        (self.state.audit, self.state.opening) = (Some(key), None);
    }

    /// Notes what must be written before the key of checkpoints signs; nothing where that is given up.
    pub(super) fn put_opening(&mut self, opening: Option<Rc<Opening>>) {
        self.state.opening = opening;
    }

    /// A credential, and the keeper that holds its secret.
    pub(super) fn live_mut(&mut self, name: &str) -> Option<(&mut Live, &Keeper)> {
        Some((self.state.live.get_mut(name)?, &self.state.keeper))
    }

    /// Where the keeper holds the secret of this one, if its signatures take long.
    pub(super) fn slow_slot(&self, name: &str) -> Option<u32> {
        self.state.live.get(name).filter(|live| live.takes_long()).map(Live::slot)
    }

    /// All credentials that can sign, in no order.
    pub(super) fn lives(&self) -> impl Iterator<Item = &Live> {
        self.state.live.values()
    }

    pub(super) fn is_live(&self, name: &CredentialName) -> bool {
        self.state.live.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.state.live.len()
    }

    pub(super) fn fault(&self, name: &CredentialName) -> Option<&str> {
        self.state.faults.get(name).map(String::as_str)
    }

    /// Which records are too old.
    pub(super) fn floors(&self) -> Option<&SignedFloors> {
        self.state.floors.as_deref()
    }

    pub(super) fn put_floors(&mut self, floors: SignedFloors) {
        self.state.floors = Some(Box::new(floors));
    }

    /// What the loaded records say.
    pub(super) fn metas(&self) -> impl Iterator<Item = &Meta> {
        self.state.live.values().map(|live| &*live.meta)
    }

    /// A slot for one more credential.
    pub(super) fn reserve_slot(&mut self) -> u32 {
        self.state.free_slots.pop().unwrap_or_else(|| {
            let slot = self.state.next_slot;
            self.state.next_slot = slot.saturating_add(1);
            slot
        })
    }

    /// Gives a slot back that the keeper has emptied, or never filled.
    pub(super) fn release_slot(&mut self, slot: u32) {
        self.state.free_slots.push(slot);
    }

    /// Adds a credential that the keeper has loaded; gives the slot of the one that it replaces.
    pub(super) fn put(&mut self, mut live: Live) -> Option<u32> {
        self.state.faults.remove(&live.meta.name);
        let replaced = self.state.live.remove(&live.meta.name).map(|old| {
            // The new one's sequence and budgets were opened before the token was asked. The old ones have gone on
            // since, so they know what has been handed out and spent.
            live.nonces = old.nonces;
            live.gate.go_on_from(old.gate);
            live.budgets = old.budgets;
            old.slot
        });
        self.state.live.insert(live.meta.name.clone(), live);
        replaced
    }

    /// Notes that a record did not open.
    pub(super) fn put_fault(&mut self, name: CredentialName, fault: String) {
        self.state.faults.insert(name, fault);
    }

    /// Takes a credential out, and says what the keeper must forget.
    pub(super) fn take(&mut self, name: &CredentialName) -> Option<(Keeper, u32)> {
        self.state.faults.remove(name);
        self.state.live.remove(name).map(|live| (self.state.keeper.clone(), live.slot))
    }
}
