//! From what a caller says of a login to a plan.

use std::borrow::Cow;

use super::{Like, Login, LoginFacts};
use crate::canonical::Account;
use crate::clock::{self, Moment};
use crate::error::{Place, RequestError};
use crate::json::{self, Member, Value};
use crate::plan::{CallerTime, Plan, WHOLE};
use crate::profile::{Profile, RuleAt};
use crate::request::{self, Method, Parsed, Request};
use crate::rule::Sign;
use crate::template::{Values, Var};

/// The time and the nonce of a login, where the caller says them itself.
const TIME: &str = "ts";
const NONCE: &str = "nonce";
/// The whole text, where a caller has built it already and only wants it signed.
pub(crate) const TEXT: &str = "text";
/// The word for one of `requests`.
pub(crate) const REQUEST: &str = "request";

impl<'a> Plan<'a> {
    /// Parses what was said of a login, and checks it.
    pub(crate) fn login(profile: &'a Profile, request: &'a Request<'a>) -> Result<Self, RequestError> {
        let compiled = &profile.compiled;
        let venue = || compiled.id.clone();
        let mut given = request::members(&request.query, Place::Query)?;
        let text = match given.as_slice() {
            [(name, Value::Text(Cow::Borrowed(text)))] if name == TEXT => Some(*text),
            _ => None,
        };
        let named = |login: &Login| request.path.is_empty() || login.name == request.path;
        let mut logins = compiled.logins.iter().enumerate().filter(|(_, login)| named(login));
        let found = match text {
            None => logins.next(),
            Some(text) => {
                let read = logins.find_map(|(at, login)| Some((at, login, login.read(text)?)));
                let Some((at, login, members)) = read else { return Err(RequestError::LoginText(venue())) };
                given = members;
                Some((at, login))
            }
        };
        let Some((at, login)) = found else {
            let known: Vec<String> =
                compiled.logins.iter().map(|login| format!("`{}`", login.name)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let name = request.path.chars().take(64).collect();
            return Err(RequestError::NoLogin { name, known, venue: venue() });
        };
        if let Some(by) = &login.by {
            return Err(RequestError::LoginByRest { request: by.clone(), venue: venue() });
        }
        let mut rest = match request::body(&request.body)? {
            Parsed::Members(members) => members,
            Parsed::None => Vec::new(),
            Parsed::Array(_) => {
                return Err(RequestError::ArrayBody {
                    rule: "takes a login's parameters by name",
                    venue: venue(),
                });
            }
        };
        let mut plan = Self::at(compiled, RuleAt::Login(at), request, Method::Get, "");
        plan.text = text;
        for (name, value) in given {
            if login.params.iter().any(|param| param.name == name) || plan.is_time(&name) {
                plan.query.push((name, value));
            } else {
                rest.push((name, value));
            }
        }
        let like = plan.told(login)?;
        match (&login.requests, rest.first()) {
            (None, Some((name, _))) => return Err(plan.wrong(login, name, "is none of its parameters")),
            (None, None) => {}
            (Some(_), _) => {
                if let Some((name, _)) =
                    rest.iter().find(|(name, _)| rest.iter().filter(|(n, _)| n == name).count() > 1)
                {
                    return Err(RequestError::DuplicateName { name: name.to_string(), place: Place::Body });
                }
                plan.body = Parsed::Members(rest);
            }
        }
        if let Some(Like::Endpoint(method, path)) = like {
            (plan.method, plan.path) = (*method, path);
        }
        plan.checked()
    }

    /// Checks what stands in `query`; gives what the word of a request is like.
    fn told(&mut self, login: &'a Login) -> Result<Option<&'a Like>, RequestError> {
        for param in &login.params {
            let value = self.query.iter().find(|(name, _)| *name == param.name).map(|(_, value)| value);
            match (value, &param.pattern, &param.default) {
                (None, _, Some(default)) => {
                    self.query.push((Cow::Borrowed(&param.name), Value::Text(Cow::Borrowed(default))));
                }
                (None, _, None) if param.optional => {}
                (None, _, None) => return Err(self.wrong(login, &param.name, "is missing")),
                (Some(Value::Text(text)), Some(pattern), _) => {
                    if text.len() > MAX_PARAM_BYTES || !pattern.is_match(text.as_bytes()) {
                        return Err(self.wrong(
                            login,
                            &param.name,
                            "has not the form that the profile asks for",
                        ));
                    }
                }
                (Some(_), Some(_), _) => return Err(self.wrong(login, &param.name, "must be text")),
                (Some(_), None, _) => {}
            }
        }
        let rule = self.rule();
        if let Some(text) = self.scalar(TIME) {
            let time = clock::read_time(&text, rule.clock);
            let Some(unix_ns) = time else {
                return Err(self.caller_time(TIME, clock::expected(rule.clock.ts)));
            };
            self.caller_timestamp = Some((TIME, CallerTime { unix_ns }));
        }
        if let Some(text) = self.scalar(NONCE) {
            let Some(nonce) = clock::read_number(&text) else { return Err(self.caller_time(NONCE, WHOLE)) };
            self.caller_nonce = Some((NONCE, nonce));
        }
        let Some(requests) = &login.requests else { return Ok(None) };
        let word = self.scalar(REQUEST).unwrap_or_default();
        match requests.iter().find(|(known, _)| *known == word) {
            Some((_, like)) => Ok(Some(like)),
            None => Err(self.wrong(login, REQUEST, "is none that the profile knows")),
        }
    }

    fn scalar(&self, name: &str) -> Option<String> {
        let (_, value) = self.query.iter().find(|(known, _)| known == name)?;
        Some(value.scalar().unwrap_or_default().to_owned())
    }

    fn wrong(&self, login: &Login, name: &str, fact: &'static str) -> RequestError {
        let mut known: Vec<String> =
            login.params.iter().map(|param| format!("`{}` ({})", param.name, param.shape)).collect();
        if let (REQUEST, Some(requests)) = (name, &login.requests) {
            known = requests.iter().map(|(word, _)| word.clone()).collect();
        }
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let name = name.chars().take(64).collect();
        RequestError::LoginParam { login: login.name.clone(), name, fact, known, venue: self.venue() }
    }

    /// The login that this is, if it is one.
    pub(crate) fn login_rule(&self) -> Option<&'a Login> {
        match self.at {
            RuleAt::Login(at) => self.compiled.logins.get(at),
            RuleAt::Base | RuleAt::Case(_) => None,
        }
    }

    /// The login that this is, if it is like no endpoint.
    pub(crate) fn login_alone(&self) -> Option<&'a Login> {
        self.login_rule().filter(|_| self.path.is_empty())
    }

    /// The login whose signed text this REST request has as well.
    pub(crate) fn same_login(&self) -> Option<&'a Login> {
        if matches!(self.at, RuleAt::Login(_)) {
            return None;
        }
        let same = |login: &&Login| {
            login
                .rest
                .as_ref()
                .is_some_and(|rest| rest.holds(self.method, self.path, &self.query, &self.body))
        };
        self.compiled.logins.iter().find(same)
    }

    /// Whether the signed text of this REST request begins like a login that ends as its sender likes.
    pub(crate) fn is_free_login(&self) -> bool {
        let Sign::Text { message, .. } = &self.rule().sign else { return false };
        let free = self.compiled.logins.iter().filter(|login| !login.free.is_empty());
        self.login_rule().is_none()
            && free.map(|login| &login.rule.sign).any(|sign| match sign {
                Sign::Text { message: login, .. } => message.begins_with(login),
                _ => false,
            })
    }

    /// Whether this parameter says the time of a login, and nothing else.
    pub(crate) fn is_time(&self, name: &str) -> bool {
        self.login_rule().is_some_and(|login| {
            let used = login.rule.used;
            (name == TIME && used.contains(Var::Ts))
                || (name == NONCE && used.contains(Var::Nonce) && login.rule.clock.nonce.rises())
        })
    }

    /// The path that was asked for, or the name of the login.
    #[must_use]
    pub fn asked_path(&self) -> &'a str {
        self.login_rule().map_or(self.request.path, |login| &login.name)
    }

    pub(crate) fn login_facts(&self, account: &Account<'_>, moment: &Moment) -> Option<LoginFacts> {
        self.login_rule().map(|login| login.facts(account.base_url, moment))
    }

    /// Puts the parameters, and the socket's host and path, where templates find them.
    pub(crate) fn put_login(&self, account: &Account<'_>, values: &mut Values) -> Result<(), RequestError> {
        let Some(login) = self.login_rule() else { return Ok(()) };
        let used = login.rule.used;
        let bound = used.contains(Var::Host) || used.contains(Var::Path) || used.contains(Var::Base);
        match login.url(account.base_url) {
            None if bound => {
                return Err(RequestError::LoginHost { login: login.name.clone(), venue: self.venue() });
            }
            None => {}
            Some(url) => {
                let rest = url.strip_prefix("wss://").unwrap_or(url);
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                values.put_var(Var::Base, url.as_bytes());
                values.put_var(Var::Host, host.as_bytes());
                values.put_var(Var::Path, path.as_bytes());
            }
        }
        for param in &login.params {
            let Some((_, value)) = self.query.iter().find(|(name, _)| *name == param.name) else { continue };
            values.put(param.slot, |out| {
                match value {
                    Value::Text(text) if param.pattern.is_some() => out.extend_from_slice(text.as_bytes()),
                    value => json::write(value, false, out),
                }
                Ok::<(), RequestError>(())
            })?;
        }
        Ok(())
    }
}

impl Login {
    /// What a text of this login says, as parameters; the engine builds the text anew from them, and compares.
    fn read<'t>(&self, text: &'t str) -> Option<Vec<Member<'t>>> {
        let pattern = self.text.as_ref()?;
        let found = pattern.captures(text.as_bytes())?;
        let mut members = Vec::new();
        for name in pattern.capture_names().flatten() {
            let value = text.get(found.name(name)?.range())?;
            match name {
                // A nonce that the agent makes up cannot be the one in the text.
                NONCE if !self.rule.clock.nonce.rises() => return None,
                PARAMS => match json::parse(value.as_bytes()).ok()? {
                    Value::Object(rest) => members.extend(rest),
                    _ => return None,
                },
                _ => members.push((Cow::Owned(name.to_owned()), Value::Text(Cow::Borrowed(value)))),
            }
        }
        Some(members)
    }
}

/// What is signed of the parameters of a request.
pub(crate) const PARAMS: &str = "params_json";
/// Longest parameter that is text, in bytes.
const MAX_PARAM_BYTES: usize = 256;
