//! Which rule a request falls under, and for which others its signature would do as well.

use super::{Action, ActionRule, ActionTable, Binds, Classified};
use crate::json::{Member, Value};
use crate::plan::Plan;
use crate::request::{Method, Parsed};
use crate::rule::{BodyForm, Covers, Rule, Sign};
use crate::template::Var;

impl ActionTable {
    /// The rules whose method and path fit, in their order.
    pub(crate) fn fitting(&self, method: Method, path: &str) -> impl Iterator<Item = &ActionRule> {
        let rules = self.paths.fits(path).iter().filter_map(|number| self.rules.get(number));
        rules.filter(move |rule| rule.takes(method))
    }
}

/// What the signature of `rule` binds. With `covers = "path"` the text may still have the method or the
/// query in it.
pub(crate) fn signed_as_bound(rule: &Rule) -> Binds {
    let covers = rule.covers;
    if matches!(rule.sign, Sign::Absent) || covers == Covers::Nothing {
        return Binds::NONE;
    }
    let path_only = covers == Covers::Path;
    Binds {
        method: rule.one_endpoint || covers == Covers::Full || (path_only && rule.signs_method),
        path: rule.one_endpoint || covers != Covers::Params,
        query: covers.params() || rule.signs_query,
        body: covers.params() || rule.signs_body,
    }
}

impl Rule {
    /// Whether all parameters together are signed in one form, wherever they are sent.
    pub(crate) fn signs_pairs(&self) -> bool {
        !self.kv.is_empty() || self.used.contains(Var::KvConcat) || self.used.contains(Var::ParamsJson)
    }
}

impl<'a> Plan<'a> {
    /// What the signature of this very request binds.
    #[must_use]
    pub fn binds(&self) -> Binds {
        signed_as_bound(self.rule())
    }

    /// The rule that the request would fall under, if it were sent with `method`. None where a condition of a rule
    /// cannot be read in one way.
    pub(crate) fn rule_for(&self, method: Method) -> Option<&'a ActionRule> {
        // A login that is like no endpoint.
        if self.path.is_empty() {
            return None;
        }
        for rule in self.compiled.actions.fitting(method, self.path) {
            // A list of calls has no one value that a condition could look at.
            if !rule.when.is_empty() && matches!(self.body, Parsed::Array(_)) {
                return None;
            }
            if rule.when.is_empty() || self.meets(&rule.when).ok()? {
                return Some(rule);
            }
        }
        None
    }

    /// What this request does.
    #[must_use]
    pub fn classified(&self) -> &Classified<'a> {
        self.classified.get_or_init(|| {
            let same = || self.same_login().filter(|_| self.binds().path);
            if let Some(login) = self.login_alone().or_else(same) {
                let (rule, stands_in) = (login.rule_id.as_str(), login.also.clone());
                return Classified { action: Action::Session, rule, stands_in };
            }
            let (action, rule) = match self.fits {
                Some(rule) => (rule.action, rule.id.as_str()),
                None => (Action::Unknown, "unknown"),
            };
            Classified { action, rule, stands_in: self.stands_in(action) }
        })
    }

    /// The names of the caller's own parameters: of the query, of the body, and of each object of a body
    /// that is a list.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let list = match &self.body {
            Parsed::Array(values) => values.as_slice(),
            Parsed::Members(_) | Parsed::None => &[],
        };
        let listed = list.iter().flat_map(|value| match value {
            Value::Object(members) => members.as_slice(),
            _ => &[],
        });
        let own = self.query.iter().chain(self.body.members());
        own.chain(listed).map(|(name, _)| name.as_ref()).filter(|name| !self.is_time(name))
    }

    fn stands_in(&self, own: Action) -> Vec<Action> {
        let binds = self.binds();
        // Without a signature there is nothing that could be used elsewhere.
        if matches!(self.rule().sign, Sign::Absent) {
            return Vec::new();
        }
        let mut found: Vec<Action> = self.login_rule().map(|login| login.also.clone()).unwrap_or_default();
        found.extend(self.same_login().filter(|login| !login.push_only).map(|_| Action::Session));
        found.extend(self.is_free_login().then_some(Action::Session));
        if !binds.method || !binds.path {
            let rules = &self.compiled.actions.rules;
            let others = rules
                .iter()
                // Of a path that is bound it is known what it does; of one that is not, only what it needs.
                .filter(|rule| rule.action != own && (binds.path || !rule.needs().is_empty()))
                .filter(|rule| self.could_be(rule, binds));
            found.extend(others.map(|rule| rule.action));
        }
        found.retain(|action| *action != own);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether the signature would do for an endpoint of `rule`.
    fn could_be(&self, rule: &ActionRule, binds: Binds) -> bool {
        let fits = |method| self.rule_for(method).is_some_and(|first| first.id == rule.id);
        (!binds.method || rule.takes(self.method))
            && (!binds.path || Method::ALL.iter().any(|(_, method)| fits(*method)))
            && (!binds.query || !binds.body || rule.needs().iter().all(|need| self.has_name_like(rule, need)))
    }

    /// Whether a parameter that `rule` could read is called `need`, or ends so: where query and body are
    /// signed one behind the other, `xcoin=…` in one of them is signed like `x` in the query and `coin=…`
    /// in the body.
    fn has_name_like(&self, rule: &ActionRule, need: &str) -> bool {
        let like = |(name, _): &Member<'_>| name.ends_with(need);
        let signing = self.rule();
        if self.recut().is_some() {
            return true;
        }
        // JSON in a body is never signed like a query, unless the profile signs both in one form.
        if signing.encode.body == BodyForm::Form || signing.signs_pairs() {
            return self.names().any(|name| name.ends_with(need));
        }
        let in_body = |method: &Method| signing.body_methods.contains(method);
        let methods = Method::ALL.iter().map(|(_, method)| method).filter(|method| rule.takes(**method));
        let (mut query, mut body) = (false, false);
        methods.for_each(|method| if in_body(method) { body = true } else { query = true });
        (query && self.query.iter().any(like)) || (body && self.body.members().iter().any(like))
    }
}
