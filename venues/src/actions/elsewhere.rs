//! Orders at other endpoints: where a signature binds no path, the same request may be another order there.

use super::Unreadable;
use super::orders::{Batch, OrderTable, STANDS_IN};
use super::paths::Fits;
use super::places::{Field, unreadable};
use crate::plan::Plan;
use crate::rule::Sign;

/// The names by which the tables of one profile find orders. Most requests have none but those that the table of
/// their own path reads, and then no other table need be looked at.
#[derive(Debug)]
pub(crate) struct Telling {
    /// Of the lists of batches.
    lists: Vec<String>,
    /// Of what makes an order, or changes one.
    sizes: Vec<String>,
}

impl Telling {
    pub(crate) fn of(tables: &[OrderTable]) -> Self {
        let batches = tables.iter().filter_map(|table| table.batch.as_ref()?.first());
        let fields = tables.iter().filter(|table| table.batch.is_none()).flat_map(telling);
        let sorted = |names: &mut dyn Iterator<Item = &str>| {
            let mut names: Vec<String> = names.map(str::to_owned).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (mut batches, mut names) = (batches, fields.filter_map(Field::name));
        Self { lists: sorted(&mut batches), sizes: sorted(&mut names) }
    }

    /// Whether a table could find something by this name, where `known` are read already.
    fn tell(&self, given: &str, known: &[&str]) -> bool {
        let ends_like_one = |names: &[String]| names.iter().any(|name| given.ends_with(name.as_str()));
        ends_like_one(&self.lists) || (ends_like_one(&self.sizes) && !known.contains(&given))
    }
}

/// The fields by which a table finds an order.
fn telling(table: &OrderTable) -> impl Iterator<Item = &Field> {
    [&table.quantity, &table.quote_quantity, &table.unread].into_iter().flatten()
}

/// The names of what a table reads of its own order.
fn read_by(own: Option<&OrderTable>) -> Vec<&str> {
    let read = own.map(|table| [&table.quantity, &table.quote_quantity, &table.price, &table.stop]);
    read.into_iter().flatten().flatten().filter_map(Field::name).collect()
}

impl Plan<'_> {
    /// Fails where a table of another path finds in this request an order, or a list of orders, that the
    /// table of its own path does not. `own` is the table that reads its one order, `batch` where its list is;
    /// `here` are the tables of its own path.
    pub(super) fn read_elsewhere(
        &self,
        here: Fits,
        own: Option<&OrderTable>,
        batch: Option<&Batch>,
    ) -> Result<(), Unreadable> {
        if self.binds().path || matches!(self.rule().sign, Sign::Absent) {
            return Ok(());
        }
        let table = &self.compiled.actions;
        // What its own table reads has the same meaning there; of a batch, nothing beside its elements may be an
        // order of its own.
        let known = read_by(own);
        let mut given = self.sent_query().iter().chain(self.body.members());
        if !given.any(|(name, _)| table.telling.tell(name, &known)) {
            return Ok(());
        }
        let others = table.orders.iter().enumerate().filter(|(at, _)| !here.has(*at));
        for (_, other) in others {
            match &other.batch {
                Some(list) => {
                    let same = batch.is_some_and(|own| own.first() == list.first());
                    if let Some(name) = list.first().filter(|name| !same && self.has_like(name, &[])) {
                        return Err(unreadable(name, STANDS_IN));
                    }
                }
                None => self.order_elsewhere(other, &known)?,
            }
        }
        Ok(())
    }

    /// Whether `other` finds another order beside the elements of a batch, or reads a single one differently.
    fn order_elsewhere(&self, other: &OrderTable, known: &[&str]) -> Result<(), Unreadable> {
        let found = telling(other).find_map(|field| field.name().filter(|name| self.has_like(name, known)));
        found.map_or(Ok(()), |name| Err(unreadable(name, STANDS_IN)))
    }

    /// Whether a parameter that is none of `known` is called `name`, or ends so: where query and body are signed
    /// one behind the other, the beginning of its name may be the end of another parameter.
    fn has_like(&self, name: &str, known: &[&str]) -> bool {
        let mut all = self.sent_query().iter().chain(self.body.members());
        all.any(|(given, _)| given.ends_with(name) && !known.contains(&given.as_ref()))
    }
}
