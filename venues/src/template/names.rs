//! The names that a profile defines itself, what stands in their slots, and what templates have used so far.

use super::{Kind, Piece, Slot, Template, Values, Var, VarSet};
use crate::body_path::BodyPath;
use crate::by_host::HostWords;

/// The names that a profile defines itself, and what its templates used so far.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(super) lets: Vec<Own>,
    /// The names of all `let`s, also of those that are not defined yet.
    pub(super) promised: Vec<String>,
    kv: Vec<KvForm>,
    views: Vec<View>,
    host_words: Vec<(Box<str>, Slot)>,
    pub(super) by_host: HostWords,
    next: Slot,
    pub(super) has_map: bool,
    pub(super) has_nonce: bool,
    pub(super) has_each: bool,
    pub(super) sends_secret: bool,
    pub(super) used: VarSet,
    pub(super) passphrase: Option<Release>,
    params: Vec<(Slot, ParamUse)>,
    keeps_empty: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) name: String,
    pub(super) slot: Slot,
    pub(super) kind: Kind,
    pub(super) reads: VarSet,
}

/// What a parameter of a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParamUse {
    /// A JSON value; else text.
    pub(crate) json: bool,
    /// It may be absent, and then so is a member that holds it alone.
    pub(crate) optional: bool,
}

/// One way in which templates want to see all parameters as `name=value`.
#[derive(Debug, Clone)]
pub(crate) struct KvForm {
    /// What stands between two of them.
    pub(crate) separator: Box<str>,
    /// Whether they are escaped as in a query (`kvquery`), or not at all (`kv`).
    pub(crate) escaped: bool,
    pub(crate) slot: Slot,
}

/// One parameter of the body that templates want to see.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) path: BodyPath,
    /// As MessagePack (`msgpack`), or the text of a scalar (`param`).
    pub(crate) packed: bool,
    pub(crate) slot: Slot,
    /// Whether the signed text reads it; a case may have a `let` of the base that it does not use.
    pub(crate) signed: bool,
}

/// What of the passphrase a profile wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Its MAC under the secret.
    Mac,
    /// All of it.
    Plain,
}

/// Most `let`s and `kv` forms of one profile.
pub(super) const MAX_OWN: usize = 48;

impl Names {
    pub(crate) const fn new(has_map: bool, has_nonce: bool, by_host: HostWords) -> Self {
        Self {
            lets: Vec::new(),
            promised: Vec::new(),
            kv: Vec::new(),
            views: Vec::new(),
            host_words: Vec::new(),
            by_host,
            next: Slot::FIRST_OWN,
            has_map,
            has_nonce,
            has_each: false,
            sends_secret: false,
            used: VarSet::EMPTY,
            passphrase: None,
            params: Vec::new(),
            keeps_empty: false,
        }
    }

    /// Defines a parameter of a login. `reads` is what its value tells of the request.
    pub(crate) fn param(&mut self, name: &str, kind: ParamUse, reads: VarSet) -> Result<Slot, String> {
        let value = Template { pieces: Box::default(), kind: Kind::Text, reads };
        let slot = self.define(name, &value)?;
        self.params.push((slot, kind));
        Ok(slot)
    }

    /// Members of JSON that are empty text are members: nothing is laid over a login, so nothing is taken away.
    pub(crate) const fn keep_empty(&mut self) {
        self.keeps_empty = true;
    }

    /// Whether they are.
    pub(crate) const fn keeps_empty(&self) -> bool {
        self.keeps_empty
    }

    /// What the parameter is that this template yields and nothing else.
    pub(crate) fn param_in(&self, template: &Template) -> Option<ParamUse> {
        let [Piece::Value(slot, filters)] = &*template.pieces else { return None };
        let found = self.params.iter().find(|(known, _)| known == slot).filter(|_| filters.is_empty())?;
        Some(found.1)
    }

    /// Says which `let`s there will be, for who uses one too early.
    pub(crate) fn promise(&mut self, names: impl Iterator<Item = String>) {
        self.promised = names.collect();
    }

    /// Defines a name; says in which slot its value belongs.
    pub(crate) fn define(&mut self, name: &str, template: &Template) -> Result<Slot, String> {
        if !is_name(name) {
            return Err(format!("`{name}` is no name: letters, digits and `_`, a letter first"));
        }
        if Var::ALL.iter().any(|var| var.name() == name) || name == SECRET {
            return Err(format!("`{name}` is a variable already"));
        }
        if self.lets.iter().any(|own| own.name == name) {
            return Err(format!("`{name}` is defined twice"));
        }
        let slot = self.take_slot()?;
        self.lets.push(Own { name: name.to_owned(), slot, kind: template.kind(), reads: template.reads() });
        Ok(slot)
    }

    fn take_slot(&mut self) -> Result<Slot, String> {
        let own = [self.lets.len(), self.kv.len(), self.views.len(), self.host_words.len()];
        if own.into_iter().fold(0, usize::saturating_add) >= MAX_OWN {
            return Err(format!("a profile has at most {MAX_OWN} `let`s and variables with an argument"));
        }
        let slot = self.next;
        self.next = slot.next();
        Ok(slot)
    }

    /// The first slot that is not in use.
    pub(crate) const fn end(&self) -> Slot {
        self.next
    }

    /// Every variable that some template reads.
    pub(crate) const fn used(&self) -> VarSet {
        self.used
    }

    /// The forms of all parameters that templates use.
    pub(crate) fn kv(&self) -> &[KvForm] {
        &self.kv
    }

    /// The parameters of the body that templates use.
    pub(crate) fn views(&self) -> &[View] {
        &self.views
    }

    /// The words of the host that templates use.
    pub(crate) fn host_words(&self) -> &[(Box<str>, Slot)] {
        &self.host_words
    }

    /// The words that templates use so far, once for each host.
    pub(crate) fn of_each_host(&self) -> impl Iterator<Item = Values> {
        self.by_host.hosts().map(|host| {
            let mut values = Values::with_room(256);
            for (word, slot) in &self.host_words {
                // Every host has every word that a template uses.
                values.put_text(*slot, self.by_host.word(host, word).unwrap_or_default());
            }
            values
        })
    }

    /// From here on a template may use `{each}`.
    pub(crate) const fn allow_each(&mut self) {
        self.has_each = true;
    }

    /// From here on a template behind the signature may use `{secret}`: there is none, the secret itself is sent.
    pub(crate) const fn allow_secret(&mut self) {
        self.sends_secret = true;
    }

    /// What of the passphrase the templates use.
    pub(crate) const fn passphrase(&self) -> Option<Release> {
        self.passphrase
    }

    pub(super) fn view_slot(&mut self, path: &str, packed: bool) -> Result<Slot, String> {
        let path = BodyPath::parse(path)?;
        if let Some(view) = self.views.iter().find(|view| view.path == path && view.packed == packed) {
            return Ok(view.slot);
        }
        let slot = self.take_slot()?;
        self.views.push(View { path, packed, slot, signed: false });
        Ok(slot)
    }

    pub(super) fn host_slot(&mut self, word: &str) -> Result<Slot, String> {
        self.by_host.check(word)?;
        if let Some((_, slot)) = self.host_words.iter().find(|(known, _)| **known == *word) {
            return Ok(*slot);
        }
        let slot = self.take_slot()?;
        self.host_words.push((word.into(), slot));
        Ok(slot)
    }

    pub(super) fn kv_slot(&mut self, separator: &str, escaped: bool) -> Result<Slot, String> {
        let known = self.kv.iter().find(|form| *form.separator == *separator && form.escaped == escaped);
        if let Some(form) = known {
            return Ok(form.slot);
        }
        let slot = self.take_slot()?;
        self.kv.push(KvForm { separator: separator.into(), escaped, slot });
        Ok(slot)
    }
}

/// The one name that no slot holds.
pub(super) const SECRET: &str = "secret";

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_char)
}

pub(super) const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
