//! What makes the terms of a grant say something definite.

use strongroom_venues::Action;

use super::{GrantId, MAX_WORD_BYTES, Terms};
use crate::amount::Amount;

/// A grant that does not say what it means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Neither or both of `allow` and `deny`.
    #[error("grant `{0}` needs either `allow` or `deny`, one of them")]
    Effect(GrantId),
    /// A list without elements.
    #[error("`{field}` of grant `{id}` is an empty list; leave it out, or name what is meant")]
    EmptyList {
        /// The grant.
        id: GrantId,
        /// The list.
        field: &'static str,
    },
    /// A list that is too long, or an element that is.
    #[error(
        "`{field}` of grant `{id}` has more than {MAX_LIST} elements, or one that is empty or longer than 64 bytes"
    )]
    List {
        /// The grant.
        id: GrantId,
        /// The list.
        field: &'static str,
    },
    /// A field that needs another.
    #[error("`{field}` of grant `{id}` means nothing without `{needs}`")]
    Needs {
        /// The grant.
        id: GrantId,
        /// The field.
        field: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A limit of a grant that denies.
    #[error(
        "`{field}` limits what is allowed, and grant `{id}` denies; give the limit to a grant that allows"
    )]
    OfADenial {
        /// The grant.
        id: GrantId,
        /// The limit.
        field: &'static str,
    },
    /// A limit on orders in a grant that allows none.
    #[error("`{field}` of grant `{id}` is about orders, and its actions have no `trade`")]
    OrdersOnly {
        /// The grant.
        id: GrantId,
        /// The limit.
        field: &'static str,
    },
    /// A number outside its range.
    #[error("`{field}` of grant `{id}` must be {range}")]
    Range {
        /// The grant.
        id: GrantId,
        /// The field.
        field: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// An element twice.
    #[error("`{field}` of grant `{id}` lists `{element}` twice")]
    Twice {
        /// The grant.
        id: GrantId,
        /// The list.
        field: &'static str,
        /// What is there twice.
        element: String,
    },
}

impl Terms {
    /// The limits that have no meaning for a denial.
    fn limits_of_allowing(&self) -> impl Iterator<Item = &'static str> {
        [
            ("max_notional", self.max_notional.is_some()),
            ("max_notional_day", self.max_notional_day.is_some()),
            ("max_quantity", self.max_quantity.is_some()),
            ("price_band_percent", self.price_band_percent.is_some()),
            ("max_open_orders", self.max_open_orders.is_some()),
            ("requests_per_minute", self.requests_per_minute.is_some()),
            ("params", self.params.is_some()),
            ("confirm", self.confirm),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
    }

    /// The first thing that makes them say nothing definite.
    pub(super) fn check(&self) -> Result<(), GrantError> {
        let id = || self.id.clone();
        let actions = match (self.allow, self.deny) {
            (Some(actions), None) => actions,
            (None, Some(actions)) => {
                if let Some(field) = self.limits_of_allowing().next() {
                    return Err(GrantError::OfADenial { id: id(), field });
                }
                actions
            }
            _ => return Err(GrantError::Effect(id())),
        };
        if !actions.contains(Action::Trade)
            && let Some(field) = self.order_limits().next()
        {
            return Err(GrantError::OrdersOnly { id: id(), field });
        }
        self.check_numbers()?;
        self.check_lists()?;
        for (field, set, needs, present) in [
            ("burst", self.burst.is_some(), "requests_per_minute", self.requests_per_minute.is_some()),
            ("zone", self.zone.is_some(), "hours", self.hours.is_some() || self.weekdays.is_some()),
            ("hours", self.hours.is_some(), "zone", self.zone.is_some()),
            ("weekdays", self.weekdays.is_some(), "zone", self.zone.is_some()),
        ] {
            if set && !present {
                return Err(GrantError::Needs { id: id(), field, needs });
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), GrantError> {
        let most = Amount::from_units(MAX_PERCENT_UNITS);
        for (field, good, range) in [
            ("max_notional", self.max_notional.is_none_or(|limit| !limit.is_zero()), "more than 0"),
            ("max_notional_day", self.max_notional_day.is_none_or(|limit| !limit.is_zero()), "more than 0"),
            ("max_quantity", self.max_quantity.is_none_or(|limit| !limit.is_zero()), "more than 0"),
            (
                "price_band_percent",
                self.price_band_percent.is_none_or(|band| !band.is_zero() && band <= most),
                "more than 0 and at most 100",
            ),
            (
                "requests_per_minute",
                self.requests_per_minute.is_none_or(|rate| (1..=MAX_RATE).contains(&rate)),
                "from 1 to 60000",
            ),
            ("burst", self.burst.is_none_or(|burst| (1..=MAX_RATE).contains(&burst)), "from 1 to 60000"),
        ] {
            if !good {
                return Err(GrantError::Range { id: self.id.clone(), field, range });
            }
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), GrantError> {
        let symbols =
            self.symbols.as_ref().map(|list| list.iter().map(|p| p.as_str().to_ascii_lowercase()).collect());
        let sides = self.sides.clone().map(Vec::from);
        let types =
            self.types.as_ref().map(|list| list.iter().map(|kind| kind.to_ascii_lowercase()).collect());
        let unbound = Some(self.accept_unbound.iter().map(|part| part.name().to_owned()).collect());
        for (field, list, may_be_empty) in [
            ("symbols", symbols, false),
            ("sides", sides, false),
            ("types", types, false),
            ("params", self.params.clone(), true),
            ("accept_unbound", unbound, true),
        ] {
            let Some(mut list): Option<Vec<String>> = list else { continue };
            let id = self.id.clone();
            if list.is_empty() && !may_be_empty {
                return Err(GrantError::EmptyList { id, field });
            }
            if list.len() > MAX_LIST || list.iter().any(|word| word.is_empty() || word.len() > MAX_WORD_BYTES)
            {
                return Err(GrantError::List { id, field });
            }
            list.sort_unstable();
            let twice = list.iter().zip(list.iter().skip(1)).find(|(one, two)| one == two);
            if let Some((element, _)) = twice {
                return Err(GrantError::Twice { id, field, element: element.clone() });
            }
        }
        Ok(())
    }
}

/// Most elements of a list.
const MAX_LIST: usize = 256;
/// Most requests a minute, and in a burst.
const MAX_RATE: u32 = 60_000;
/// A hundred.
const MAX_PERCENT_UNITS: u128 = 100_000_000_000_000;
