//! The two ways in which a venue reads orders out of one set of parameters: one order, or a list of them.
//!
//! A request that has both is read by its path, and where the signature leaves the path free its holder chooses: the
//! order that was measured is not the one that is placed.

use std::collections::BTreeSet;

use strongroom_venues::{Action, Profile};

/// The names that make one order, and those that carry others.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Fields of an order that is not in a list: side, sizes and prices.
    single: BTreeSet<String>,
    /// Each all that one trade needs which shows no order of its own: a list of orders, or the id of a quote.
    others: BTreeSet<Vec<String>>,
}

impl Lists {
    /// Those of a venue.
    pub(crate) fn of(profile: &Profile) -> Self {
        let (mut single, mut named, mut others) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, fields) in profile.actions().order_fields() {
            let batch = fields.iter().find(|(role, _)| *role == "batch");
            if let Some((_, list)) = batch {
                // A list that is the whole body is never signed like the members of an object.
                if let Some(list) = first_name(list) {
                    others.insert(vec![list]);
                }
                continue;
            }
            for (role, names) in &fields {
                let names = names.split(" or ").filter_map(first_name);
                if matches!(*role, "symbol" | "type") {
                    named.extend(names);
                } else {
                    single.extend(names);
                }
            }
        }
        let trades = profile.actions().rules().iter().filter(|rule| rule.action() == Action::Trade);
        for needs in trades.map(|rule| rule.needs()).filter(|needs| !needs.is_empty()) {
            if !needs.iter().any(|need| single.contains(need) || named.contains(need)) {
                others.insert(needs.to_vec());
            }
        }
        Self { single, others }
    }

    /// What carries other orders than the one that these names make, if they make one.
    pub(crate) fn beside_an_order(&self, names: &[String]) -> Option<String> {
        names.iter().any(|name| self.single.contains(name)).then(|| self.carried(names)).flatten()
    }

    /// What among these names carries orders that are not made by names of their own.
    pub(crate) fn carried(&self, names: &[String]) -> Option<String> {
        // A name that ends so can be cut into one.
        let has = |need: &String| names.iter().any(|name| name.ends_with(need.as_str()));
        let found = self.others.iter().find(|needs| needs.iter().all(has));
        found.map(|needs| needs.join("` and `"))
    }
}

/// The parameter in which a field lies; nothing where that is the whole body.
fn first_name(field: &str) -> Option<String> {
    let name = field.split('.').next().unwrap_or(field);
    (!matches!(name, "" | "*" | "the body")).then(|| name.to_owned())
}
