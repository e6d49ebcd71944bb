//! A request that fits its venue: parsed once, checked, its rule picked.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::actions::{ActionRule, Classified};
use crate::body_path;
use crate::canonical::{Account, CanonicalRequest, canonicalise};
use crate::clock::{self, Moment};
use crate::error::{Place, RequestError};
use crate::json::{Member, Value};
use crate::profile::{Compiled, Profile, RuleAt};
use crate::request::{self, Method, Parsed, Request};
use crate::rule::{BodyForm, Covers, IfGiven, Inject, NonceKind, Rule, Sign, Target, When};
use crate::template::Var;

/// A checked request and the rule by which it will be signed.
#[derive(Debug)]
pub struct Plan<'a> {
    pub(crate) compiled: &'a Arc<Compiled>,
    pub(crate) at: RuleAt,
    pub(crate) request: &'a Request<'a>,
    /// Of the endpoint: what a login is like, or empty where it is like none.
    pub(crate) path: &'a str,
    /// The text that a login must come to, where the caller has said one.
    pub(crate) text: Option<&'a str>,
    pub(crate) query: Vec<Member<'a>>,
    pub(crate) body: Parsed<'a>,
    pub(crate) method: Method,
    /// The first rule of the action table that fits.
    pub(crate) fits: Option<&'a ActionRule>,
    /// Both are asked for more than once, and cost about as much as all else that is read.
    pub(crate) classified: OnceCell<Classified<'a>>,
    pub(crate) recuts: OnceCell<bool>,
    /// One bit for each injected parameter that the caller has given, so that it is not injected.
    given: u64,
    pub(crate) caller_timestamp: Option<(&'a str, CallerTime)>,
    pub(crate) caller_nonce: Option<(&'a str, u64)>,
}

/// What the agent must supply before a plan can be carried out, and what the caller supplied itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeNeeds {
    /// The nonce that [`Moment::nonce`] must carry, if it is one that rises.
    pub nonce: NonceKind,
    /// Whether the random bytes of [`Moment`] are used.
    pub random: bool,
    /// The caller's own timestamp. If the agent accepts it, [`Moment::unix_ns`] must be this time.
    pub caller_timestamp: Option<CallerTime>,
    /// The caller's own nonce. If the agent accepts it, [`Moment::nonce`] must be this number.
    pub caller_nonce: Option<u64>,
    /// How far a caller's timestamp may be from the clock.
    pub skew_ms: u32,
}

/// A timestamp that a caller put into its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerTime {
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
}

impl<'a> Plan<'a> {
    pub(crate) fn make(profile: &'a Profile, request: &'a Request<'a>) -> Result<Self, RequestError> {
        if request.method == LOGIN {
            return Self::login(profile, request);
        }
        let method = Method::parse(request.method)
            .ok_or_else(|| RequestError::Method(request.method.chars().take(16).collect()))?;
        request::check_path(request.path)?;
        let compiled = &profile.compiled;
        if let Some((only, path)) = &compiled.endpoint
            && (*only, path.as_str()) != (method, request.path)
        {
            let endpoint = format!("{} {path}", only.name());
            return Err(RequestError::OtherEndpoint { endpoint, venue: compiled.id.clone() });
        }
        let query = request::members(&request.query, Place::Query)?;
        let body = request::body(&request.body)?;
        let case =
            compiled.cases.iter().position(|(when, _)| when.holds(method, request.path, &query, &body));
        let at = case.map_or(RuleAt::Base, RuleAt::Case);
        let plan = Self::at(compiled, at, request, method, request.path);
        Self { query, body, ..plan }.checked()
    }

    /// A plan without parameters.
    pub(crate) fn at(
        compiled: &'a Arc<Compiled>,
        at: RuleAt,
        request: &'a Request<'a>,
        method: Method,
        path: &'a str,
    ) -> Self {
        Self {
            compiled,
            at,
            request,
            path,
            text: None,
            query: Vec::new(),
            body: Parsed::None,
            method,
            fits: None,
            classified: OnceCell::new(),
            recuts: OnceCell::new(),
            given: 0,
            caller_timestamp: None,
            caller_nonce: None,
        }
    }

    pub(crate) fn checked(mut self) -> Result<Self, RequestError> {
        self.check()?;
        self.fits = self.rule_for(self.method);
        Ok(self)
    }

    pub(crate) fn rule(&self) -> &'a Rule {
        self.compiled.rule(self.at)
    }

    /// The query that is signed and sent. What a login is told has places of its own.
    pub(crate) fn sent_query(&self) -> &[Member<'a>] {
        if matches!(self.at, RuleAt::Login(_)) { &[] } else { &self.query }
    }

    pub(crate) fn venue(&self) -> String {
        self.compiled.id.clone()
    }

    /// The rules that a venue's profile implies for every request.
    fn check(&mut self) -> Result<(), RequestError> {
        let rule = self.rule();
        if rule.covers.params() {
            self.check_signed(rule)?;
        }
        if rule.encode.body == BodyForm::Form || rule.signs_pairs() {
            self.check_form()?;
        }
        let names = rule.attach.reserved.iter();
        if let Some((name, place)) = names.clone().find_map(|name| Some((name, self.place_of(name)?))) {
            return Err(RequestError::AgentSets { name: name.clone(), place, venue: self.venue() });
        }
        self.check_array(rule)?;
        for (at, inject) in rule.inject.iter().enumerate() {
            self.check_injected(rule, at, inject)?;
        }
        Ok(())
    }

    /// Where the profile promises to bind parameters, none may go out unbound.
    fn check_signed(&self, rule: &Rule) -> Result<(), RequestError> {
        let unsigned = |place, hint| {
            let method = self.request.method.to_owned();
            Err(RequestError::Unsigned { place, method, hint, venue: self.venue() })
        };
        if !self.sent_query().is_empty() && !rule.signs_query {
            return unsigned(Place::Query, "put the parameters into the body");
        }
        if !matches!(self.body, Parsed::None) && !rule.signs_body {
            return unsigned(Place::Body, "put the parameters into the query");
        }
        match &rule.members {
            None => Ok(()),
            Some(members) => self.check_members(rule, members),
        }
    }

    /// Where only some members of a body are signed, there may be no others.
    fn check_members(&self, rule: &Rule, members: &[body_path::BodyPath]) -> Result<(), RequestError> {
        if let Parsed::Array(_) = self.body {
            let rule = "signs some members of a body by their names";
            return Err(RequestError::ArrayBody { rule, venue: self.venue() });
        }
        let given = self.body.members();
        let bound = match &rule.sign {
            Sign::Eip712 { data, .. } => data.bound(given, &self.compiled.id)?,
            Sign::Absent | Sign::Jwt { .. } | Sign::Text { .. } => Vec::new(),
        };
        let known: Vec<&body_path::BodyPath> = members.iter().chain(&bound).collect();
        // Where another rule of the profile signs a member, `null` says here that there is none.
        let absent = |(name, value): &&Member<'_>| {
            let named = |path: &body_path::BodyPath| path.first() == name && path.rest().is_empty();
            matches!(value, Value::Null) && rule.views.iter().any(|view| named(&view.path))
        };
        match body_path::unknown(given.iter().filter(|member| !absent(member)), &known) {
            None => Ok(()),
            Some(name) => Err(RequestError::UnsignedMember { name, venue: self.venue() }),
        }
    }

    /// A form and a query are often read as one, and some venues sign all parameters as one: a name in
    /// both has two meanings.
    fn check_form(&self) -> Result<(), RequestError> {
        let query = self.sent_query();
        let both = self.body.members().iter().find(|(name, _)| query.iter().any(|(other, _)| name == other));
        match both {
            None => Ok(()),
            Some((name, _)) => {
                Err(RequestError::DuplicateName { name: name.to_string(), place: Place::Body })
            }
        }
    }

    fn check_array(&self, rule: &Rule) -> Result<(), RequestError> {
        if !matches!(self.body, Parsed::Array(_)) {
            return Ok(());
        }
        let injects = |inject: &Inject| inject.to == Target::Body || inject.to == Target::Params;
        let obstacle = if rule.encode.body == BodyForm::Form {
            Some("sends its parameters as a form")
        } else if rule.inject.iter().any(injects) {
            Some("gets parameters of the agent's in the body")
        } else if rule.used.contains_any(&[Var::Kv, Var::KvConcat, Var::KvQuery]) {
            Some("signs the parameters name by name")
        } else if rule.attach.body_json.as_ref().is_some_and(|body| !body.envelope)
            || rule.attach.body_form_sorted.is_some()
        {
            Some("gets members of the agent's in the body")
        } else {
            None
        };
        match obstacle {
            None => Ok(()),
            Some(rule) => Err(RequestError::ArrayBody { rule, venue: self.venue() }),
        }
    }

    /// What happens when the caller already gave a parameter that the agent injects.
    fn check_injected(&mut self, rule: &'a Rule, at: usize, inject: &'a Inject) -> Result<(), RequestError> {
        let Some((place, value)) = self.given(inject) else { return Ok(()) };
        let text = value.scalar();
        if inject.value.is_exactly(Var::Ts) {
            let time = text.and_then(|text| clock::read_time(text, rule.clock));
            let Some(unix_ns) = time else {
                return Err(self.caller_time(&inject.name, clock::expected(rule.clock.ts)));
            };
            self.caller_timestamp = Some((&inject.name, CallerTime { unix_ns }));
        } else if inject.value.is_exactly(Var::Nonce) && rule.clock.nonce.rises() {
            let Some(nonce) = text.and_then(clock::read_number) else {
                return Err(self.caller_time(&inject.name, WHOLE));
            };
            if self.caller_nonce.is_some_and(|(_, other)| other != nonce) {
                let expected = "the same number in every place where it stands";
                return Err(self.caller_time(&inject.name, expected));
            }
            self.caller_nonce = Some((&inject.name, nonce));
        } else if inject.given == IfGiven::Refuse {
            return Err(RequestError::AgentSets { name: inject.name.clone(), place, venue: self.venue() });
        }
        self.given |= bit(at);
        Ok(())
    }

    pub(crate) fn caller_time(&self, name: &str, expected: &'static str) -> RequestError {
        RequestError::CallerTime { name: name.to_owned(), expected, venue: self.venue() }
    }

    /// What the caller itself has set instead of this parameter.
    pub(crate) fn given(&self, inject: &Inject) -> Option<(Place, &Value<'a>)> {
        if let Some(path) = &inject.inside {
            return path.find(self.body.members()).map(|value| (Place::Body, value));
        }
        let place = self.place_of(&inject.name)?;
        let mut all = self.sent_query().iter().chain(self.body.members());
        all.find(|(known, _)| *known == inject.name).map(|(_, value)| (place, value))
    }

    fn place_of(&self, name: &str) -> Option<Place> {
        let has = |members: &[Member<'_>]| members.iter().any(|(known, _)| known == name);
        if has(self.sent_query()) {
            Some(Place::Query)
        } else if has(self.body.members()) {
            Some(Place::Body)
        } else {
            None
        }
    }

    /// Whether the injected parameter at this position is left to the caller.
    pub(crate) const fn is_given(&self, at: usize) -> bool {
        self.given & bit(at) != 0
    }

    /// Where a parameter with this target goes.
    pub(crate) fn resolve(&self, target: Target) -> Place {
        match target {
            Target::Body => Place::Body,
            Target::Query => Place::Query,
            Target::Params if !self.body.is_empty() => Place::Body,
            Target::Params if self.sent_query().is_empty() && self.takes_body() => Place::Body,
            Target::Params => Place::Query,
        }
    }

    /// Whether this method has a body at this venue.
    pub(crate) fn takes_body(&self) -> bool {
        self.rule().body_methods.contains(&self.method)
    }

    /// What the signature of this very request binds.
    #[must_use]
    pub fn covers(&self) -> Covers {
        self.rule().covers
    }

    /// The query as it was parsed: what is signed is written from these values.
    #[must_use]
    pub fn query(&self) -> &[Member<'a>] {
        &self.query
    }

    /// The named members of the body as they were parsed; none for an array.
    #[must_use]
    pub fn body_members(&self) -> &[Member<'a>] {
        self.body.members()
    }

    /// The elements of a body that is a JSON array.
    #[must_use]
    pub fn body_array(&self) -> Option<&[Value<'a>]> {
        match &self.body {
            Parsed::Array(values) => Some(values),
            Parsed::Members(_) | Parsed::None => None,
        }
    }

    /// What [`canonicalise`](Self::canonicalise) must be given.
    #[must_use]
    pub fn time(&self) -> TimeNeeds {
        let rule = self.rule();
        let nonce = if rule.used.contains(Var::Nonce) { rule.clock.nonce } else { NonceKind::Absent };
        let random = [Var::Uuid, Var::Uuid16, Var::Uuid22, Var::Hex16];
        TimeNeeds {
            nonce,
            random: random.iter().any(|var| rule.used.contains(*var))
                || (nonce != NonceKind::Absent && !nonce.rises()),
            caller_timestamp: self.caller_timestamp.map(|(_, time)| time),
            caller_nonce: self.caller_nonce.map(|(_, nonce)| nonce),
            skew_ms: rule.clock.skew_ms,
        }
    }

    /// Writes the exact bytes that the venue will check.
    ///
    /// # Errors
    /// Where the account does not fit the profile, a value has no form at this venue, or `moment`
    /// is not the one that the caller's own parameters name.
    pub fn canonicalise(
        &self,
        account: &Account<'_>,
        moment: &Moment,
    ) -> Result<CanonicalRequest, RequestError> {
        let clock = self.rule().clock;
        if let Some((name, time)) = self.caller_timestamp
            && !clock::same_text(time.unix_ns, moment.unix_ns, clock)
        {
            return Err(RequestError::Moment { name: name.to_owned() });
        }
        if let Some((name, nonce)) = self.caller_nonce
            && nonce != moment.nonce
        {
            return Err(RequestError::Moment { name: name.to_owned() });
        }
        let canonical = canonicalise(self, account, moment)?;
        match self.text {
            Some(text) if text.as_bytes() != canonical.message() => {
                Err(RequestError::LoginText(self.venue()))
            }
            _ => Ok(canonical),
        }
    }
}

/// What stands for the method of a WebSocket login; the path is the login's name then, or empty for the first.
pub const LOGIN: &str = "WS";
/// What a rising nonce is.
pub(crate) const WHOLE: &str = "a whole number";

const fn bit(at: usize) -> u64 {
    // A profile has at most 64 injected parameters; the compiler sees to it.
    if at < 64 { 1 << at } else { 0 }
}

impl When {
    /// Whether every condition holds.
    pub(crate) fn holds(&self, method: Method, path: &str, query: &[Member<'_>], body: &Parsed<'_>) -> bool {
        let params = || query.iter().chain(body.members());
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
            && self.query_only.is_none_or(|wanted| wanted == body.is_empty())
            && self.empty.is_none_or(|wanted| wanted == (body.is_empty() && query.is_empty()))
            && self
                .has_param
                .as_ref()
                .is_none_or(|names| params().any(|(name, _)| names.iter().any(|n| n == name)))
            && self.param_suffix.iter().all(|(name, suffix)| {
                params()
                    .any(|(n, value)| n == name && value.scalar().is_some_and(|text| text.ends_with(suffix)))
            })
            && self.param.iter().all(|(path, texts)| {
                let text = path.find(body.members()).and_then(Value::as_text);
                text.is_some_and(|text| texts.iter().any(|known| known == text))
            })
            && self.path.as_ref().is_none_or(|pattern| pattern.is_match(path.as_bytes()))
    }
}
