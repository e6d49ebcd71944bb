//! Compiling a template: which names it may use, and where.

use super::{Filter, Kind, Piece, Slot, Template, Values, Var, VarSet};
use crate::body_path::BodyPath;
use crate::by_host::HostWords;
use crate::compile::near::did_you_mean;

/// When a template runs decides what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The value of an injected parameter: before anything is encoded.
    Inject,
    /// What is signed for one element of a body that is a list.
    Each,
    /// A `let`: everything up to the encoded request, and the passphrase, which makes it late.
    Let,
    /// The signed text or a JWT's claims.
    Signed {
        /// Whether this text is hashed with the secret in it.
        hash: bool,
    },
    /// Behind the signature: headers, the rest of the URL and of the body.
    Late,
}

/// The names that a profile defines itself, and what its templates used so far.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    lets: Vec<Own>,
    /// The names of all `let`s, also of those that are not defined yet.
    promised: Vec<String>,
    kv: Vec<KvForm>,
    views: Vec<View>,
    host_words: Vec<(Box<str>, Slot)>,
    by_host: HostWords,
    next: Slot,
    has_map: bool,
    has_nonce: bool,
    has_each: bool,
    sends_secret: bool,
    used: VarSet,
    passphrase: Option<Release>,
    params: Vec<(Slot, ParamUse)>,
    keeps_empty: bool,
}

#[derive(Debug, Clone)]
struct Own {
    name: String,
    slot: Slot,
    kind: Kind,
    reads: VarSet,
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

/// What is wrong with a template, and at which of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Wrong {
    const fn at(at: usize, message: String) -> Self {
        Self { at, message }
    }

    /// The same in a text that has `bytes` more in front.
    fn behind(self, bytes: usize) -> Self {
        Self { at: self.at.saturating_add(bytes), ..self }
    }
}

/// Longest template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 4096;
/// Most pieces of one template.
const MAX_PIECES: usize = 64;
/// Most filters behind one variable.
const MAX_FILTERS: usize = 6;
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

    /// Compiles `text`.
    pub(crate) fn template(&mut self, text: &str, stage: Stage) -> Result<Template, Wrong> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(Wrong::at(0, format!("a template has at most {MAX_TEMPLATE_BYTES} bytes")));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut kind = Kind::Text;
        let mut reads = VarSet::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            literal.push_str(before);
            // Where the expression begins, behind its brace.
            let at = text.len().saturating_sub(after.len());
            let found = expression(after).map_err(|message| Wrong::at(at.saturating_sub(1), message))?;
            let Some((inside, behind)) = found else {
                // A brace that opens no expression is text: JSON envelopes are full of them.
                literal.push('{');
                rest = after;
                continue;
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into_bytes().into()));
            }
            let value = self.expression(inside, stage).map_err(|wrong| wrong.behind(at))?;
            reads = reads.union(value.reads);
            if value.kind == Kind::Bytes {
                kind = Kind::Bytes;
            }
            pieces.push(value.piece);
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into_bytes().into()));
        }
        if pieces.len() > MAX_PIECES {
            return Err(Wrong::at(0, format!("a template has at most {MAX_PIECES} pieces")));
        }
        if pieces.iter().filter(|piece| matches!(piece, Piece::Secret)).count() > 1 {
            return Err(Wrong::at(0, "the secret stands in the signed text once".to_owned()));
        }
        self.used = self.used.union(reads);
        Ok(Template { pieces: pieces.into(), kind, reads })
    }

    /// The place of an error is counted from the beginning of `inside`.
    fn expression(&mut self, inside: &str, stage: Stage) -> Result<Compiled, Wrong> {
        let whole = |message: String| Wrong::at(0, message);
        let mut parts = split_filters(inside).into_iter();
        let (_, variable) = parts.next().unwrap_or_default();
        let (name, argument) = match variable.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (variable, None),
        };
        let mut filters: Vec<(usize, &str)> = parts.filter(|(_, filter)| *filter != "bytes").collect();
        if filters.len() > MAX_FILTERS {
            return Err(whole(format!("`{{{inside}}}` has more than {MAX_FILTERS} filters")));
        }
        if name == SECRET {
            return match stage {
                Stage::Late if self.sends_secret && argument.is_none() => {
                    // Nothing runs it: it is checked, like the rest of such a profile.
                    Ok(Compiled { piece: Piece::Secret, kind: Kind::Text, reads: VarSet::default() })
                }
                Stage::Signed { hash: true } if filters.is_empty() && argument.is_none() => {
                    Ok(Compiled { piece: Piece::Secret, kind: Kind::Text, reads: VarSet::default() })
                }
                _ => {
                    let message = "`{secret}` may stand only in the message of a `hash-…` algorithm, without filters; no \
                                   other template ever sees the secret";
                    Err(whole(message.to_owned()))
                }
            };
        }
        let mut source = self.variable(name, argument, stage).map_err(whole)?;
        if name == Var::Passphrase.name() {
            let release = if filters.first().is_some_and(|(_, filter)| *filter == "mac") {
                filters.remove(0);
                source.kind = Kind::Bytes;
                Release::Mac
            } else {
                Release::Plain
            };
            if self.passphrase.is_some_and(|known| known != release) {
                return Err(whole("a profile uses either the passphrase or its MAC, not both".to_owned()));
            }
            self.passphrase = Some(release);
        }
        let mut kind = source.kind;
        let mut compiled = Vec::with_capacity(filters.len());
        for (at, text) in filters {
            let wrong = |message: String| Wrong::at(at, message);
            if text == "mac" {
                return Err(wrong(
                    "`mac` works on the passphrase alone, as in `{passphrase|mac|b64}`: \
                            anything else would let a profile sign freely"
                        .to_owned(),
                ));
            }
            let (filter, argument) = match text.split_once(':') {
                Some((filter, argument)) => (filter, Some(argument)),
                None => (text, None),
            };
            let filter = Filter::parse(filter, argument).map_err(wrong)?;
            kind = filter.yields(kind).ok_or_else(|| {
                wrong(format!(
                    "the filter `{text}` needs text, but gets raw bytes; put `hex` or `b64` before it"
                ))
            })?;
            compiled.push(filter);
        }
        Ok(Compiled { piece: Piece::Value(source.slot, compiled.into()), kind, reads: source.reads })
    }

    fn variable(&mut self, name: &str, argument: Option<&str>, stage: Stage) -> Result<Source, String> {
        if let Some(own) = self.lets.iter().find(|own| own.name == name) {
            let source = Source { slot: own.slot, kind: own.kind, reads: own.reads };
            let late = own.reads.contains(Var::Passphrase) || own.reads.contains_any(&Var::SIGNATURE);
            return match (argument, stage) {
                (Some(_), _) => Err(format!("`{name}` takes no argument")),
                (None, Stage::Inject) => {
                    Err(format!("an injected value cannot use `{{{name}}}`: it comes first"))
                }
                (None, Stage::Late) if own.reads.contains_any(&[Var::Msgpack, Var::Param]) => Err(format!(
                    "`{{{name}}}` has single members of the body in it, which are for the signed text"
                )),
                (None, Stage::Each | Stage::Signed { .. }) if late => Err(format!(
                    "`{{{name}}}` uses the passphrase, which never becomes part of the signed text"
                )),
                (None, _) => Ok(source),
            };
        }
        let Some(var) = Var::ALL.iter().copied().find(|var| var.name() == name) else {
            if self.promised.iter().any(|promised| promised == name) {
                return Err(match stage {
                    Stage::Inject => format!("an injected value cannot use `{{{name}}}`: it comes first"),
                    _ => format!("`{name}` is defined further down: a `let` uses those above it alone"),
                });
            }
            let own: Vec<&str> = self.lets.iter().map(|own| own.name.as_str()).collect();
            let known: Vec<&str> = Var::ALL.iter().map(|var| var.name()).chain(own).collect();
            let near = did_you_mean(name, known.iter().copied());
            return Err(format!("the variable `{name}` is unknown{near}; known are {}", known.join(", ")));
        };
        if argument.is_some()
            && !matches!(var, Var::ByHost | Var::Kv | Var::KvQuery | Var::Msgpack | Var::Param)
        {
            return Err(format!("`{name}` takes no argument"));
        }
        allowed(var, stage)?;
        let mut kind = Kind::Text;
        let slot = match var {
            Var::ByHost => self.host_slot(argument.unwrap_or_default())?,
            Var::Msgpack | Var::Param => {
                let packed = var == Var::Msgpack;
                if packed {
                    kind = Kind::Bytes;
                }
                self.view_slot(argument.unwrap_or_default(), packed)?
            }
            Var::Kv | Var::KvQuery => self.kv_slot(argument.unwrap_or("&"), var == Var::KvQuery)?,
            Var::Each if !self.has_each => {
                return Err("`{each}` is what `sign.each` yields, and `sign` has no `each`".to_owned());
            }
            Var::Nonce if !self.has_nonce => {
                return Err("a template uses `{nonce}`, but `clock` has no `nonce`".to_owned());
            }
            Var::Op if !self.has_map => {
                return Err("`{op}` is the word for this endpoint, but the profile has no `map`".to_owned());
            }
            var => var.slot(),
        };
        Ok(Source { slot, kind, reads: VarSet::default().with(var) })
    }

    fn view_slot(&mut self, path: &str, packed: bool) -> Result<Slot, String> {
        let path = BodyPath::parse(path)?;
        if let Some(view) = self.views.iter().find(|view| view.path == path && view.packed == packed) {
            return Ok(view.slot);
        }
        let slot = self.take_slot()?;
        self.views.push(View { path, packed, slot, signed: false });
        Ok(slot)
    }

    fn host_slot(&mut self, word: &str) -> Result<Slot, String> {
        self.by_host.check(word)?;
        if let Some((_, slot)) = self.host_words.iter().find(|(known, _)| **known == *word) {
            return Ok(*slot);
        }
        let slot = self.take_slot()?;
        self.host_words.push((word.into(), slot));
        Ok(slot)
    }

    fn kv_slot(&mut self, separator: &str, escaped: bool) -> Result<Slot, String> {
        let known = self.kv.iter().find(|form| *form.separator == *separator && form.escaped == escaped);
        if let Some(form) = known {
            return Ok(form.slot);
        }
        let slot = self.take_slot()?;
        self.kv.push(KvForm { separator: separator.into(), escaped, slot });
        Ok(slot)
    }
}

struct Compiled {
    piece: Piece,
    kind: Kind,
    reads: VarSet,
}

struct Source {
    slot: Slot,
    kind: Kind,
    reads: VarSet,
}

/// The one name that no slot holds.
const SECRET: &str = "secret";

fn allowed(var: Var, stage: Stage) -> Result<(), String> {
    let name = var.name();
    match (var, stage) {
        (Var::Item, Stage::Each) => Ok(()),
        (Var::Item, _) => Err("`{item}` is one element of a list, and only `sign.each` has it".to_owned()),
        (Var::Each, Stage::Signed { .. }) => Ok(()),
        (Var::Each, _) => Err("`{each}` may stand only in `sign.message`".to_owned()),
        (Var::Msgpack | Var::Param, Stage::Late) => {
            Err(format!("`{{{name}}}` is for the signed text: in `let` and in `sign`"))
        }
        (_, Stage::Late) | (Var::Passphrase, Stage::Let) => Ok(()),
        (Var::Sig | Var::SigR | Var::SigS | Var::SigV, _) => {
            Err(format!("`{{{name}}}` exists only behind the signature: in `attach`"))
        }
        (Var::Passphrase, _) => {
            Err("the passphrase never becomes part of the signed text or of a signed parameter".to_owned())
        }
        (
            Var::Body
            | Var::Kv
            | Var::KvConcat
            | Var::KvQuery
            | Var::Msgpack
            | Var::Param
            | Var::ParamsJson
            | Var::Query,
            Stage::Inject,
        ) => Err(format!("an injected value cannot use `{{{name}}}`: it comes first")),
        _ => Ok(()),
    }
}

/// Splits what follows an opening brace into an expression and the text behind it; nothing if this
/// brace opens none.
fn expression(after: &str) -> Result<Option<(&str, &str)>, String> {
    let name = after.trim_start_matches(is_name_char);
    let length = after.len().saturating_sub(name.len());
    let opens = after.get(..length).is_some_and(is_name) && name.starts_with(['}', '|', ':']);
    if !opens {
        return Ok(None);
    }
    let mut depth = 0_usize;
    let end = after.find(|c| {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '}' && depth == 0
    });
    let parts = end.and_then(|end| after.split_at_checked(end));
    match parts.and_then(|(inside, behind)| Some((inside, behind.strip_prefix('}')?))) {
        Some(parts) => Ok(Some(parts)),
        None => {
            let start: String = after.chars().take(24).collect();
            Err(format!("`{{{start}` is not closed: a `}}` or a `)` is missing"))
        }
    }
}

/// Splits at `|`, but not inside parentheses, so that `cut:^/(a|b)` stays whole; with where each part begins.
fn split_filters(inside: &str) -> Vec<(usize, &str)> {
    let mut depth = 0_usize;
    let mut at = 0_usize;
    inside
        .split(|c| {
            match c {
                '(' => depth = depth.saturating_add(1),
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == '|' && depth == 0
        })
        .map(|part| {
            let begin = at;
            at = at.saturating_add(part.len()).saturating_add(1);
            (begin, part)
        })
        .collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_char)
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
