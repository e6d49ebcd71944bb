//! Whether grants mean what they say at a venue: a limit on what a signature does not bind is a limit on honest bots
//! only.
//!
//! The holder of a signed request may change every part of it that the signature does not bind. So a grant may
//! restrict only what is bound, or what the agent can tell from what is bound: where path and method are free, the
//! names of the parameters still are not, and an endpoint that takes none of the allowed names is out of reach.

mod pairs;

use std::collections::BTreeSet;

use strongroom_venues::{Action, ActionRule, Binds, Profile};

use crate::action::Actions;
use crate::grant::{Effect, Grant, GrantId, Part};
use crate::grants::Grants;
use crate::lists::Lists;

/// A grant that promises what cannot be kept where the agent only signs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("grant `{grant}`: {reason}; {remedy}{}", or_accept(.accept))]
pub struct Finding {
    /// The grant.
    pub grant: GrantId,
    /// What `accept_unbound` would have to name besides; nothing where no acceptance helps.
    pub accept: Vec<Part>,
    /// Why it cannot be kept.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// The way round that is left to an admin.
fn or_accept(parts: &[Part]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let parts: Vec<&str> = parts.iter().map(|part| part.name()).collect();
    format!(", or accept it with --accept-unbound {}, which every report shows for ever", parts.join(","))
}

/// Everything that these grants promise and the signatures of this venue do not keep, but for what an admin has
/// accepted in so many words (`accept_unbound`).
#[must_use]
pub fn check(profile: &Profile, grants: &Grants) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A denial promises nothing by itself: without it, more would be allowed.
    for grant in grants.iter().filter(|grant| grant.effect() == Effect::Allow) {
        let check = Check { profile, grants, grant };
        findings.extend(check.open_orders());
        findings.extend(check.endpoints().or_else(|| check.parameterless()));
        findings.extend(check.lists());
        findings.extend(check.pairs());
        findings.extend(check.values());
        findings.extend(check.sessions());
        findings.extend(check.free_logins());
        findings.extend(check.logins());
    }
    findings
}

/// Whether these names carry orders that a limit of a grant for single orders would not measure, and so belong into a
/// grant of their own.
#[must_use]
pub fn carries_orders(profile: &Profile, names: &[String]) -> bool {
    Lists::of(profile).carried(names).is_some()
}

struct Check<'a> {
    profile: &'a Profile,
    grants: &'a Grants,
    grant: &'a Grant,
}

impl Check<'_> {
    /// One about the unbound parts that have not been accepted, if there are any.
    fn unbound(&self, parts: &[Part], reason: String, remedy: String) -> Option<Finding> {
        let open = parts.iter().copied().filter(|part| !self.grant.accept_unbound.contains(part));
        let accept: Vec<Part> = open.collect();
        let grant = self.grant.id.clone();
        (!accept.is_empty()).then_some(Finding { grant, accept, reason, remedy })
    }

    fn venue(&self) -> &str {
        self.profile.name()
    }

    /// What the signatures of a grant's requests bind at least.
    fn signatures(&self) -> impl Iterator<Item = (Action, Binds)> {
        let table = self.profile.actions();
        let actions = self.grant.actions();
        let listed = |action: Action| {
            action == Action::Unknown || table.rules().iter().any(|rule| rule.action() == action)
        };
        every()
            // What a session hands out is looked at on its own.
            .filter(|action| *action != Action::Session)
            .filter(move |action| actions.contains(*action) && listed(*action))
            .map(|action| (action, table.binds(action)))
    }

    /// What the grant keeps from those who have it.
    fn withheld(&self) -> impl Iterator<Item = Action> {
        let actions = self.grant.actions();
        every().filter(move |action| !actions.contains(*action))
    }

    fn open_orders(&self) -> Option<Finding> {
        self.grant.max_open_orders.map(|_| {
            let reason = "`max_open_orders` needs to know which orders are open, and one who only signs sees neither \
                          fills nor whether a request was ever sent";
            let remedy = "leave it out, and limit the open orders at the venue".to_owned();
            Finding { grant: self.grant.id.clone(), accept: Vec::new(), reason: reason.to_owned(), remedy }
        })
    }

    /// Some actions and not others, where a signature holds on any endpoint. Where the path is bound and only the
    /// method is not, a request is denied for all that its path does under other methods.
    fn endpoints(&self) -> Option<Finding> {
        let free = self.free()?;
        let names_bound = free.iter().all(|(_, binds)| binds.query && binds.body);
        let params = self.grant.params.as_ref().filter(|_| names_bound);
        // Limits on orders are no use either if an order passes for something else, nor is a human's yes.
        let limited = self.grant.order_limits().next().is_some() || self.grant.confirm;
        let unmeasured = (limited && params.is_none()).then_some(Action::Trade);
        let withheld = self.withheld().chain(unmeasured);
        let open = withheld.filter(|action| self.reachable(*action, params)).collect::<BTreeSet<Action>>();
        let open = Actions::new(open).ok()?;
        let own = Actions::new(free.iter().map(|(action, _)| *action)).map(|own| own.to_string());
        let own = own.unwrap_or_default();
        let mut reason = format!(
            "a signature of {} binds no endpoint, so one made for `{own}` would do for `{open}` with the same parameters",
            self.venue(),
        );
        if let Some(other) = self.twin(open) {
            reason.push_str(&format!(
                ", which grant `{other}` gives to the same {} on its own terms",
                self.grant.to
            ));
        }
        let remedy = match params {
            Some(_) => format!(
                "grant `{open}` in the same grant, or take the parameters that it needs out of `params` ({})",
                self.needed(open),
            ),
            None if names_bound => format!(
                "grant everything (\"*\"), or list the parameters that may be used (`params`) without those that only `{open}` needs"
            ),
            None => "grant everything (\"*\")".to_owned(),
        };
        self.unbound(endpoint(&free), reason, remedy)
    }

    /// The signatures that hold at other paths too, if there are any.
    fn free(&self) -> Option<Vec<(Action, Binds)>> {
        let free: Vec<(Action, Binds)> = self.signatures().filter(|(_, binds)| !binds.path).collect();
        (!free.is_empty()).then_some(free)
    }

    /// Endpoints that do without any parameter what the grant withholds or limits: no list of names keeps a signature
    /// from them.
    fn parameterless(&self) -> Option<Finding> {
        let accepted = &self.grant.accept_unbound;
        let free = self.free().filter(|_| !accepted.contains(&Part::Parameterless))?;
        // Whoever accepts that any endpoint may be had accepts these.
        if endpoint(&free).iter().all(|part| accepted.contains(part)) {
            return None;
        }
        let actions = self.grant.actions();
        let limited = self.grant.order_limits().next().is_some() || self.grant.confirm;
        let kept = |rule: &&ActionRule| {
            !actions.contains(rule.action()) || (limited && rule.action() == Action::Trade)
        };
        let rules = self.profile.actions().rules().iter().filter(|rule| rule.needs_nothing());
        let rules: Vec<&ActionRule> = rules.filter(|rule| !rule.binds().path).filter(kept).collect();
        let open: BTreeSet<Action> = rules.iter().map(|rule| rule.action()).collect();
        let open = Actions::new(open).ok()?;
        let named = rules.iter().map(|rule| {
            let path = rule.path().trim_end_matches('$').trim_start_matches("(?i)");
            format!("`{} {path}` ({})", rule.methods(), rule.action())
        });
        let named: Vec<String> = named.collect();
        let reason = format!(
            "a signature of {} binds no endpoint, and these need no parameter, so each one does for them as well: {}",
            self.venue(),
            named.join(", "),
        );
        let withheld = open.iter().filter(|action| !actions.contains(*action));
        let remedy = match Actions::new(withheld) {
            Ok(withheld) => format!("grant `{withheld}` in the same grant"),
            Err(_) => "leave out the limits on orders and `confirm`".to_owned(),
        };
        self.unbound(&[Part::Parameterless], reason, remedy)
    }

    /// Whether a request that the grant allows could be signed so that it does this instead.
    fn reachable(&self, action: Action, params: Option<&Vec<String>>) -> bool {
        let mut rules = self.rules_of(action);
        match params {
            None => action == Action::Unknown || rules.next().is_some(),
            // A rule that says what its endpoints need is out of reach when one of these may not be sent. What needs
            // nothing that is known is left to whoever wrote the list.
            Some(params) => rules.any(|rule| {
                let may_send = |need: &String| params.iter().any(|name| name.ends_with(need.as_str()));
                !rule.needs().is_empty() && rule.needs().iter().all(may_send)
            }),
        }
    }

    fn rules_of(&self, action: Action) -> impl Iterator<Item = &ActionRule> {
        self.profile.actions().rules().iter().filter(move |rule| rule.action() == action)
    }

    /// What the endpoints of these actions need, for people.
    fn needed(&self, actions: Actions) -> String {
        let needs =
            actions.iter().flat_map(|action| self.rules_of(action)).map(|rule| rule.needs().join(" and "));
        let mut needs: Vec<String> = needs.filter(|needs| !needs.is_empty()).collect();
        needs.sort_unstable();
        needs.dedup();
        needs.join(", or ")
    }

    /// Another grant of the same subject that gives one of these.
    fn twin(&self, actions: Actions) -> Option<&GrantId> {
        let own = self.grant;
        let mut others = self.grants.iter().filter(|other| other.id != own.id && other.to == own.to);
        others
            .find(|other| other.effect() == Effect::Allow && other.actions().contains_any(actions))
            .map(|other| &other.id)
    }

    /// Limits on orders beside a list of others, where the path is free: one of both is measured, and the other placed.
    fn lists(&self) -> Option<Finding> {
        let params = self.grant.params.as_ref()?;
        let limit = self.grant.order_limits().find(|limit| *limit != "max_open_orders")?;
        let binds = self.profile.actions().binds(Action::Trade);
        if binds.path {
            return None;
        }
        let others = Lists::of(self.profile).beside_an_order(params)?;
        let reason = format!(
            "a signature of {} binds no endpoint, so of a request with one order and `{others}` the agent would measure \
             one by `{limit}` and the holder could have the other placed",
            self.venue(),
        );
        let remedy =
            format!("give `{others}` to a grant of its own, whose `params` have no fields of one order");
        self.unbound(endpoint(&[(Action::Trade, binds)]), reason, remedy)
    }

    /// Limits on what is in a query or body that the signature leaves free, and a human who is shown it.
    fn values(&self) -> Option<Finding> {
        let orders = self.grant.order_limits().filter(|limit| *limit != "max_open_orders");
        // These hold for every request, and not for orders alone.
        let all = [("params", self.grant.params.is_some()), ("confirm", self.grant.confirm)];
        let all: Vec<&str> = all.into_iter().filter_map(|(name, set)| set.then_some(name)).collect();
        let binds = if all.is_empty() {
            self.profile.actions().binds(Action::Trade)
        } else {
            self.signatures().fold(Binds::ALL, |binds, (_, other)| binds.and(other))
        };
        let limits: Vec<&str> = orders.chain(all).collect();
        if limits.is_empty() {
            return None;
        }
        let parts = [(Part::Query, binds.query), (Part::Body, binds.body)];
        let parts: Vec<Part> =
            parts.into_iter().filter_map(|(part, bound)| (!bound).then_some(part)).collect();
        let reason = format!(
            "`{}` limits what a request carries, and a signature of {} holds whatever that is",
            limits.join("`, `"),
            self.venue(),
        );
        let remedy = "leave the limit out, and use a key of the venue's that may do no more than it should";
        self.unbound(&parts, reason, remedy.to_owned())
    }

    /// Whether what a session hands out can do more than tell.
    fn has_open_sessions(&self) -> bool {
        let logins = self.profile.logins();
        self.rules_of(Action::Session).next().is_some()
            || logins.iter().any(|login| login.by().is_none() && !login.push_only())
    }

    /// Requests that are all WebSocket logins as well, in a grant without sessions.
    fn free_logins(&self) -> Option<Finding> {
        let login = self.profile.logins().iter().find(|login| !login.free().is_empty())?;
        if self.grant.actions().contains(Action::Session) {
            return None;
        }
        let reason = format!(
            "every signature of {} is good for the WebSocket login `{}` as well, because its sender chooses `{}` in it, so \
             nothing would be signed without `session`",
            self.venue(),
            login.name(),
            login.free().join("`, `"),
        );
        let remedy =
            "grant `session` beside it, and use a key of the venue's that may do no more than it should";
        Some(Finding { grant: self.grant.id.clone(), accept: Vec::new(), reason, remedy: remedy.to_owned() })
    }

    /// WebSocket logins whose signatures are good for more than the grant allows.
    fn logins(&self) -> impl Iterator<Item = Finding> {
        let (actions, accepted) = (self.grant.actions(), &self.grant.accept_unbound);
        let looked_at = actions.contains(Action::Session) && !accepted.contains(&Part::Path);
        let logins = self.profile.logins().iter().filter(move |_| looked_at);
        logins.filter_map(move |login| {
            let open = login.also().iter().copied().filter(|action| !actions.contains(*action));
            let open = Actions::new(open).ok()?;
            let reason = format!(
                "the WebSocket login `{}` of {} has the signature of a request for `{open}` as well",
                login.name(),
                self.venue(),
            );
            self.unbound(&[Part::Parameterless], reason, format!("grant `{open}` beside `session`"))
        })
    }

    /// A session in a grant that withholds or limits anything.
    fn sessions(&self) -> Option<Finding> {
        let grant = self.grant;
        // A human who is asked is told what a session is.
        let limited = grant.order_limits().next().is_some() || grant.params.is_some();
        let whole = grant.actions() == Actions::EVERYTHING && !limited;
        if !grant.actions().contains(Action::Session) || whole || !self.has_open_sessions() {
            return None;
        }
        let reason = format!(
            "`session` hands out power without further signatures: what is sent over a WebSocket login or listen key of {} \
             passes no grant",
            self.venue(),
        );
        let remedy = "grant `session` only to those who may do everything (\"*\" without limits)";
        self.unbound(&[Part::Body], reason, remedy.to_owned())
    }
}

/// What of the endpoint these signatures, which bind no path, leave free.
fn endpoint(free: &[(Action, Binds)]) -> &'static [Part] {
    if free.iter().any(|(_, binds)| !binds.method) { &[Part::Path, Part::Method] } else { &[Part::Path] }
}

fn every() -> impl Iterator<Item = Action> {
    Actions::EVERYTHING.iter()
}
