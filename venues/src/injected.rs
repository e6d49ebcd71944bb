//! The parameters that the agent adds, and the caller's among which they stand.

use std::borrow::Cow;

use crate::compile::MAX_ENTRIES;
use crate::error::{Place, RequestError};
use crate::json::{Member, Value};
use crate::pairs::{Given, Pair};
use crate::plan::Plan;
use crate::rule::{At, IfGiven, Inject, Rule};
use crate::signed;
use crate::template::{Values, Var};

/// The values of the injected parameters, one after the other.
pub(crate) struct Injected<'p> {
    text: String,
    /// Where each ends.
    ends: [usize; MAX_ENTRIES],
    /// The members of the body, where something went into an object of it.
    grown: Option<Vec<Member<'p>>>,
}

impl<'p> Injected<'p> {
    pub(crate) fn render(plan: &Plan<'p>, rule: &Rule, values: &Values) -> Result<Self, RequestError> {
        let mut text = Vec::with_capacity(rule.inject.len().saturating_mul(40));
        let mut ends = [0; MAX_ENTRIES];
        for ((at, inject), end) in rule.inject.iter().enumerate().zip(&mut ends) {
            let start = text.len();
            if !plan.is_given(at) {
                inject.value.render(values, &mut text)?;
            } else if inject.given == IfGiven::Same {
                check_same(plan, inject, values)?;
            }
            if inject.bare && inject.value.is_exactly(Var::Uid) {
                signed::check_whole_number(text.get(start..).unwrap_or_default())?;
            }
            *end = text.len();
        }
        let text = String::from_utf8(text).map_err(|_| RequestError::Bug("an injected value is not text"))?;
        let mut injected = Self { text, ends, grown: None };
        injected.grow(plan, rule)?;
        Ok(injected)
    }

    /// Puts what goes into objects of the body there.
    fn grow(&mut self, plan: &Plan<'p>, rule: &Rule) -> Result<(), RequestError> {
        for (at, inject) in rule.inject.iter().enumerate() {
            let Some(path) = inject.inside.as_ref().filter(|_| !plan.is_given(at)) else { continue };
            let text = self.value(at).to_owned();
            let value =
                if inject.bare { Value::Number(Cow::Owned(text)) } else { Value::Text(Cow::Owned(text)) };
            let members = self.grown.get_or_insert_with(|| plan.body.members().to_vec());
            let (last, between) = path.split_last();
            let first = members.iter_mut().find(|(name, _)| name == path.first()).map(|(_, value)| value);
            let object = first.and_then(|first| {
                between.iter().try_fold(first, |value, name| match value {
                    Value::Object(members) => {
                        members.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
                    }
                    _ => None,
                })
            });
            let Some(Value::Object(object)) = object else {
                let name = path.to_string();
                let expected = "in a JSON object";
                return Err(RequestError::Typed { name, expected, venue: plan.compiled.id.clone() });
            };
            let place = if inject.at == At::Front { 0 } else { object.len() };
            object.insert(place, (Cow::Owned(last.to_owned()), value));
        }
        Ok(())
    }

    /// The members of the body without what stands beside them.
    pub(crate) fn members<'m>(&'m self, plan: &'m Plan<'p>) -> &'m [Member<'p>] {
        self.grown.as_deref().unwrap_or_else(|| plan.body.members())
    }

    /// All parameters of one place: injected in front, the caller's, injected behind; then sorted.
    pub(crate) fn pairs<'m>(&'m self, plan: &'m Plan<'p>, rule: &'m Rule, place: Place) -> Vec<Pair<'m>> {
        let (members, sort) = match place {
            Place::Query => (plan.sent_query(), rule.encode.sort_query),
            Place::Body => (self.members(plan), rule.encode.sort_body),
        };
        let mut pairs = Vec::with_capacity(members.len().saturating_add(rule.inject.len()));
        self.extend(plan, rule, place, &At::Front, &mut pairs);
        pairs.extend(members.iter().map(|(name, value)| Pair { name, value: Given::Value(value) }));
        for (inject, pair) in self.missing(plan, rule, place) {
            let At::After(before) = &inject.at else { continue };
            let behind = pairs.iter().position(|pair| pair.name == before);
            pairs.insert(behind.map_or(pairs.len(), |at| at.saturating_add(1)), pair);
        }
        self.extend(plan, rule, place, &At::Back, &mut pairs);
        if sort {
            pairs.sort_by_key(|pair| pair.name);
        }
        pairs
    }

    fn extend<'m>(
        &'m self,
        plan: &Plan<'_>,
        rule: &'m Rule,
        place: Place,
        at: &At,
        pairs: &mut Vec<Pair<'m>>,
    ) {
        let here = self.missing(plan, rule, place).filter(|(inject, _)| inject.at == *at);
        pairs.extend(here.map(|(_, pair)| pair));
    }

    /// The value of the parameter at this position.
    fn value(&self, at: usize) -> &str {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }

    /// What the caller has left to the agent at this place.
    fn missing<'m>(
        &'m self,
        plan: &Plan<'_>,
        rule: &'m Rule,
        place: Place,
    ) -> impl Iterator<Item = (&'m Inject, Pair<'m>)> {
        let all = rule.inject.iter().enumerate();
        all.filter(move |(at, inject)| {
            inject.inside.is_none() && !plan.is_given(*at) && plan.resolve(inject.to) == place
        })
        .map(|(at, inject)| {
            let text = self.value(at);
            let value = if inject.bare { Given::Bare(text) } else { Given::Text(text) };
            (inject, Pair { name: &inject.name, value })
        })
    }
}

/// Refuses what the caller has set otherwise than the agent would.
fn check_same(plan: &Plan<'_>, inject: &Inject, values: &Values) -> Result<(), RequestError> {
    let value = inject.value.text(values)?;
    let same = plan.given(inject).is_some_and(|(_, given)| match given {
        Value::Text(text) => !inject.bare && **text == *value,
        given => inject.bare && given.scalar() == Some(&value),
    });
    if same { Ok(()) } else { Err(RequestError::MustBe { name: inject.name.clone(), value }) }
}
