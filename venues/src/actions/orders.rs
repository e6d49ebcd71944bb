//! The orders of a request, read from the values that will be signed, and only where there is one way
//! to read them.

use std::borrow::Cow;

use super::places::{BOTH, Condition, Field, Found, Scope, unreadable};
use super::words::Words;
use super::{Action, Order, Side, Unreadable};
use crate::json::{self, Member, Value};
use crate::plan::Plan;
use crate::request::Parsed;
use crate::rule::BodyForm;

/// Where the orders under one path have their fields.
#[derive(Debug)]
pub(crate) struct OrderTable {
    /// The pattern of the path, as it was written.
    pub(crate) path: String,
    /// Holds only for orders that fit one of these; for all, if there is none.
    pub(crate) when: Vec<Condition>,
    pub(crate) symbol: Vec<Field>,
    /// The symbol is a number.
    pub(crate) numbered: bool,
    pub(crate) side: Vec<Field>,
    pub(crate) buy: Words,
    pub(crate) sell: Words,
    pub(crate) kind: Vec<Field>,
    pub(crate) quantity: Vec<Field>,
    pub(crate) quote_quantity: Vec<Field>,
    pub(crate) price: Vec<Field>,
    pub(crate) stop: Vec<Field>,
    /// The sign of the quantity is the side.
    pub(crate) signed: bool,
    /// Where the quantity is one of the quote currency.
    pub(crate) in_quote: Vec<Condition>,
    /// Where the quantity counts contracts.
    pub(crate) contracts: Vec<Condition>,
    /// Parameters that change what an order means in a way that this table does not read.
    pub(crate) unread: Vec<Field>,
    pub(crate) batch: Option<Batch>,
}

/// Where a list of orders is.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Empty where the body itself is the list.
    pub(crate) list: Vec<String>,
    /// The member that says what an element does; or an element is a pair of that word and the order.
    pub(crate) operation: Option<Field>,
    pub(crate) operations: Vec<(String, Action)>,
}

const LIST: &str = "is not the list of orders that this endpoint takes";
const MEMBER: &str = "has an element that is no order";
const NO_TABLE: &str = "has no place at this endpoint, by the venue's profile";
const OPERATION: &str = "is no operation that the profile knows";
const OPEN_END: &str = "ends in a digit right before the time in the signed text, so it could be sent with fewer digits; send one behind it that ends in a letter";
const RECUT: &str = "stays unescaped, and could be read as more than one value";
const SIDE: &str = "is neither buy nor sell";
pub(super) const STANDS_IN: &str =
    "cannot be read: the signature would also do for an order at another endpoint";
const ELSEWHERE: &str =
    "is not at this endpoint, and the same signature would place one at another, where no limit measures it";
const UNREAD: &str = "changes the order in a way that the profile does not read";

/// Whether this hides what the members of a batch do.
pub(super) fn hides_actions(why: &str) -> bool {
    [LIST, MEMBER, OPERATION].contains(&why)
}

impl Order<'_> {
    /// What takes an order back has nothing that a limit could read.
    const fn without_fields(action: Action) -> Self {
        Self {
            action,
            symbol: None,
            side: None,
            kind: None,
            quantity: None,
            quote_quantity: None,
            price: None,
            stop: None,
            contracts: false,
        }
    }
}

impl OrderTable {
    /// A table without fields only says where the list of orders is.
    fn has_fields(&self) -> bool {
        let fields =
            [&self.symbol, &self.side, &self.kind, &self.quantity, &self.quote_quantity, &self.price];
        fields.into_iter().any(|places| !places.is_empty())
    }

    /// The fields that the profile names, for people.
    pub(super) fn named_fields(&self) -> Vec<(&'static str, String)> {
        let joined =
            |fields: &[Field]| fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let batch = self.batch.as_ref().map(|batch| match batch.list.as_slice() {
            [] => "the body".to_owned(),
            list => list.join("."),
        });
        let fields = [
            ("symbol", joined(&self.symbol)),
            ("side", joined(&self.side)),
            ("type", joined(&self.kind)),
            ("quantity", joined(&self.quantity)),
            ("quote quantity", joined(&self.quote_quantity)),
            ("price", joined(&self.price)),
            ("stop", joined(&self.stop)),
            ("batch", batch.unwrap_or_default()),
        ];
        fields.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }

    fn read<'p>(&self, scope: Scope<'_, 'p>, action: Action) -> Result<Order<'p>, Unreadable> {
        for field in &self.unread {
            if scope.value(field)?.is_some() {
                return Err(unreadable(field.to_string(), UNREAD));
            }
        }
        let mut order = Order {
            action,
            symbol: scope.text(&self.symbol, self.numbered)?,
            side: self.side(scope)?,
            kind: scope.word(&self.kind)?.map(|(_, text)| text),
            quantity: scope.number(&self.quantity, self.signed)?,
            quote_quantity: scope.number(&self.quote_quantity, false)?,
            price: scope.number(&self.price, false)?,
            stop: scope.number(&self.stop, false)?,
            contracts: scope.holds(&self.contracts)?,
        };
        if self.signed {
            take_sign(&mut order)?;
        }
        if order.quantity.is_some() && scope.holds(&self.in_quote)? {
            if order.quote_quantity.is_some() {
                return Err(unreadable("quote quantity", BOTH));
            }
            order.quote_quantity = order.quantity.take();
        }
        Ok(order)
    }

    fn side(&self, scope: Scope<'_, '_>) -> Result<Option<Side>, Unreadable> {
        let Some((field, found)) = scope.one(&self.side)? else { return Ok(None) };
        let word = match found {
            Found::Value(Value::Bool(side)) => Cow::Borrowed(if *side { "true" } else { "false" }),
            found => found.scalar(field)?,
        };
        match (self.buy.fit(&word), self.sell.fit(&word)) {
            (true, false) => Ok(Some(Side::Buy)),
            (false, true) => Ok(Some(Side::Sell)),
            _ => Err(unreadable(field.to_string(), SIDE)),
        }
    }
}

/// Makes the sign of the quantity the side.
fn take_sign(order: &mut Order<'_>) -> Result<(), Unreadable> {
    let Some(quantity) = &mut order.quantity else { return Ok(()) };
    let minus = quantity.starts_with('-');
    if minus {
        *quantity = match std::mem::take(quantity) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('-')),
            Cow::Owned(text) => Cow::Owned(text.trim_start_matches('-').to_owned()),
        };
    }
    match (order.side, minus) {
        (None, true) => order.side = Some(Side::Sell),
        (None, false) => order.side = Some(Side::Buy),
        (Some(_), false) => {}
        (Some(_), true) => return Err(unreadable("side", BOTH)),
    }
    Ok(())
}

impl<'a> Plan<'a> {
    /// The orders that this request places, changes or, in a batch, cancels; none where it does not trade.
    ///
    /// # Errors
    /// The first field that cannot be read in the one way in which the venue reads it. What a limit
    /// cannot read, it cannot allow.
    pub fn orders(&self) -> Result<Vec<Order<'_>>, Unreadable> {
        let table = &self.compiled.actions;
        if self.login_alone().is_some() {
            return Ok(Vec::new());
        }
        if self.fits.is_none_or(|rule| rule.action != Action::Trade) {
            return match self.classified().stands_in.contains(&Action::Trade) {
                true => Err(unreadable("order", ELSEWHERE)),
                false => Ok(Vec::new()),
            };
        }
        if let Some(name) = self.recut() {
            return Err(unreadable(name, RECUT));
        }
        if self.scope().ignored.is_empty()
            && let Some(name) = self.open_end()
        {
            return Err(unreadable(name, OPEN_END));
        }
        let path = self.path;
        let fits = table.order_paths.fits(path);
        let tables = || fits.iter().filter_map(|at| table.orders.get(at));
        let outer = self.scope();
        let pick = |scope: Scope<'_, '_>| {
            for table in tables() {
                if table.has_fields() && (table.when.is_empty() || scope.holds(&table.when)?) {
                    return Ok(table);
                }
            }
            Err(unreadable("order", NO_TABLE))
        };
        let Some(batch) = self.batch(tables())? else {
            if matches!(self.body, Parsed::Array(_)) {
                return Err(unreadable("body", LIST));
            }
            let own = pick(outer)?;
            let order = own.read(outer, Action::Trade)?;
            self.read_elsewhere(fits, Some(own), None)?;
            return Ok(vec![order]);
        };
        self.read_elsewhere(fits, None, Some(batch))?;
        let list = self.list(batch)?;
        let mut orders = Vec::with_capacity(list.len());
        for element in list.iter() {
            let (members, action) = batch.element(element)?;
            if action != Action::Trade {
                orders.push(Order::without_fields(action));
                continue;
            }
            let [query, body, _] = outer.lists;
            let scope = Scope { lists: [members, query, body], ..outer };
            orders.push(pick(scope)?.read(scope, action)?);
        }
        Ok(orders)
    }

    /// Where the list of orders is. A table without fields has it where its conditions hold for the request; the
    /// conditions of one with fields are those of its elements.
    fn batch<'t>(
        &self,
        mut tables: impl Iterator<Item = &'t OrderTable>,
    ) -> Result<Option<&'t Batch>, Unreadable> {
        tables.try_fold(None, |found, table| match &table.batch {
            Some(batch) if found.is_none() => {
                let here = table.has_fields() || table.when.is_empty() || self.meets(&table.when)?;
                Ok(here.then_some(batch))
            }
            _ => Ok(found),
        })
    }

    /// Whether the parameters fit one of `conditions`.
    pub(super) fn meets(&self, conditions: &[Condition]) -> Result<bool, Unreadable> {
        self.scope().holds(conditions)
    }

    /// Where the parameters of an order may be.
    fn scope(&self) -> Scope<'_, 'a> {
        let rule = self.rule();
        // A case may say that a method has its parameters in the query.
        let in_body = rule.encode.body == BodyForm::Json && rule.signs_body && self.takes_body();
        let (query, ignored): (&[Member<'a>], &[Member<'a>]) =
            if in_body { (&[], self.sent_query()) } else { (self.sent_query(), &[]) };
        Scope { lists: [query, self.body.members(), &[]], ignored, path: self.path }
    }

    /// The elements of a batch. Text on the way to them is JSON.
    fn list<'p>(&'p self, batch: &Batch) -> Result<Cow<'p, [Value<'p>]>, Unreadable> {
        let Some((first, rest)) = batch.list.split_first() else {
            return match &self.body {
                Parsed::Array(values) if !values.is_empty() => Ok(Cow::Borrowed(values)),
                _ => Err(unreadable("body", LIST)),
            };
        };
        let name = || batch.list.join(".");
        let found = self.scope().find(first)?;
        let mut value = match found {
            Some(Value::Text(text)) => {
                Cow::Owned(json::parse(text.as_bytes()).map_err(|_| unreadable(name(), LIST))?)
            }
            Some(value) => Cow::Borrowed(value),
            None => return Err(unreadable(name(), LIST)),
        };
        for step in rest {
            value = match value {
                Cow::Borrowed(value) => value.get(step).map(Cow::Borrowed),
                Cow::Owned(Value::Object(members)) => {
                    members.into_iter().find(|(known, _)| known == step).map(|(_, value)| Cow::Owned(value))
                }
                Cow::Owned(_) => None,
            }
            .ok_or_else(|| unreadable(name(), LIST))?;
        }
        match value {
            Cow::Borrowed(Value::Array(values)) if !values.is_empty() => Ok(Cow::Borrowed(values)),
            Cow::Owned(Value::Array(values)) if !values.is_empty() => Ok(Cow::Owned(values)),
            _ => Err(unreadable(name(), LIST)),
        }
    }
}

impl Batch {
    /// The parameter that has the list.
    pub(super) fn first(&self) -> Option<&str> {
        self.list.first().map(String::as_str)
    }

    /// The members of one element, and what it does.
    fn element<'s, 'p>(&self, element: &'s Value<'p>) -> Result<(&'s [Member<'p>], Action), Unreadable> {
        let known = |word: &str, field: &str| {
            let known = self.operations.iter().find(|(known, _)| known == word);
            known.map(|(_, action)| *action).ok_or_else(|| unreadable(field, OPERATION))
        };
        let name = || match self.list.last() {
            Some(name) => name.clone(),
            None => "body".to_owned(),
        };
        match (element, &self.operation) {
            (Value::Object(members), None) => Ok((members, Action::Trade)),
            (Value::Object(members), Some(field)) => {
                let scope = Scope { lists: [members, &[], &[]], ignored: &[], path: "" };
                let word = scope.text(std::slice::from_ref(field), false)?;
                let word = word.ok_or_else(|| unreadable(field.to_string(), OPERATION))?;
                Ok((members, known(&word, &field.to_string())?))
            }
            (Value::Array(pair), None) if !self.operations.is_empty() => match pair.as_slice() {
                [Value::Text(word), Value::Object(members)] => Ok((members, known(word, &name())?)),
                _ => Err(unreadable(name(), MEMBER)),
            },
            _ => Err(unreadable(name(), MEMBER)),
        }
    }
}
