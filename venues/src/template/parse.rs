//! Compiling a template: which names it may use, and where.

use super::names::{SECRET, is_name, is_name_char};
use super::{Filter, Kind, Names, Piece, Release, Slot, Template, Var, VarSet};
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

impl Names {
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
