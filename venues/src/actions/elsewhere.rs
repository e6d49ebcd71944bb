//! Orders at other endpoints: where a signature binds no path, the same request may be another order there.

use super::Unreadable;
use super::orders::{Batch, Field, OrderTable, STANDS_IN, unreadable};
use crate::plan::Plan;
use crate::rule::Sign;

impl Plan<'_> {
    /// Fails where a table of another path finds in this request an order, or a list of orders, that the
    /// table of its own path does not. `own` is the table that reads its one order, `batch` where its list is.
    pub(super) fn read_elsewhere(
        &self,
        own: Option<&OrderTable>,
        batch: Option<&Batch>,
    ) -> Result<(), Unreadable> {
        if self.binds().path || matches!(self.rule().sign, Sign::Absent) {
            return Ok(());
        }
        let table = &self.compiled.actions;
        let here = table.order_paths.matches(self.path.as_bytes());
        let others = table.orders.iter().enumerate().filter(|(at, _)| !here.matched(*at));
        for (_, other) in others {
            match &other.batch {
                Some(list) => {
                    let same = batch.is_some_and(|own| own.first() == list.first());
                    if let Some(name) = list.first().filter(|name| !same && self.has_like(name, &[])) {
                        return Err(unreadable(name, STANDS_IN));
                    }
                }
                None => self.order_elsewhere(other, own)?,
            }
        }
        Ok(())
    }

    /// Whether `other` finds another order beside the elements of a batch, or reads a single one differently.
    fn order_elsewhere(&self, other: &OrderTable, own: Option<&OrderTable>) -> Result<(), Unreadable> {
        // What its own table reads has the same meaning there; of a batch, nothing beside its elements may be an
        // order of its own.
        let read = own.map(|table| [&table.quantity, &table.quote_quantity, &table.price, &table.stop]);
        let known: Vec<&str> = read.into_iter().flatten().flatten().filter_map(Field::name).collect();
        let mut fields = [&other.quantity, &other.quote_quantity, &other.unread].into_iter().flatten();
        let found = fields.find_map(|field| field.name().filter(|name| self.has_like(name, &known)));
        found.map_or(Ok(()), |name| Err(unreadable(name, STANDS_IN)))
    }

    /// Whether a parameter that is none of `known` is called `name`, or ends so: where query and body are signed
    /// one behind the other, the beginning of its name may be the end of another parameter.
    fn has_like(&self, name: &str, known: &[&str]) -> bool {
        let mut all = self.sent_query().iter().chain(self.body.members());
        all.any(|(given, _)| given.ends_with(name) && !known.contains(&given.as_ref()))
    }
}
