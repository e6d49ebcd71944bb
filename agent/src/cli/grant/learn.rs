//! `strongroom grant learn`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use strongroom_policy::scope::{self, Finding};
use strongroom_policy::{Caller, Grant, GrantId, Grants, Part, Seen, Subject, learn};
use strongroom_protocol::ErrorCode;
use strongroom_venues::{Action, Order, Plan, Profile};

use super::replay::{Replay, caller, credential, lines};
use crate::audit::line::{Line, Verdict};
use crate::cli::audit::Age;
use crate::cli::{Stop, output};
use crate::config::Places;
use crate::fault::Fault;

/// Print the least grant that allows what was done, as TOML for `strongroom grant edit`.
///
/// Reads the audit log: what was allowed in the last time, of one client, unit or user.
#[derive(Debug, Args)]
#[command(after_help = "Example: strongroom grant learn binance-main --for 1h --as client:grid-bot")]
pub(super) struct Learn {
    /// Name of the credential
    credential: String,
    /// How far to look back: 90s, 30m, 1h, 7d, 4w
    #[arg(long = "for", value_name = "TIME", default_value = "1h")]
    back: Age,
    /// Whose requests: client:NAME, unit:system/NAME.service, unit:user@UID/NAME.service or user:UID. May be left out
    /// where there was only one
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// The grant's own name
    #[arg(long, default_value = "learnt")]
    id: GrantId,
}

impl Learn {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let (_, profile) = credential(places, &self.credential)?;
        let from = Timestamp::now().saturating_sub(self.back.0).map_err(Fault::defect)?;
        let mut taken: Vec<Line> = Vec::new();
        let mut asked = BTreeSet::new();
        lines(places, &self.credential, |line| {
            if line.time < from || line.event.verdict != Some(Verdict::Allowed) {
                return;
            }
            let Some(by) = caller(&line.event) else { return };
            if self.subject.as_ref().is_none_or(|subject| is(subject, by)) {
                asked.extend(name(by));
                taken.push(line);
            }
        })?;
        let subject = self.one(asked)?;
        // A line has no room for every request, and no secret parameters: what is cut off may not be a request any
        // more.
        let again = |line: &Line| {
            let request = Replay::of_line(&line.event)?;
            request.planned(&profile, |plan| seen_in(plan, line.time)).ok()
        };
        let seen: Vec<Seen<'_>> = taken.iter().filter_map(again).collect();
        let count = seen.len();
        let Least { grants, left_out, accepted } = least(&profile, &self.id, &subject, seen)?;
        let mut text = format!("# From {count} allowed requests since {from:.0}.\n");
        match taken.len().saturating_sub(count) {
            0 => {}
            cut => text.push_str(&format!("# Not in it: {cut} requests that the log has only in part.\n")),
        }
        for left_out in left_out {
            text.push_str(&format!("# Left out: {left_out}.\n"));
        }
        for finding in accepted {
            let Finding { grant, reason, remedy, .. } = finding;
            text.push_str(&format!("# `accept_unbound` of {grant}: {reason}.\n# Without it: {remedy}.\n"));
        }
        text.push_str(&grants.to_toml());
        output::data(text.trim_end());
        Ok(())
    }

    /// The subject that was asked for, or the only one that there was.
    fn one(&self, asked: BTreeSet<Subject>) -> Result<Subject, Fault> {
        if let Some(subject) = &self.subject {
            return Ok(subject.clone());
        }
        let list: Vec<String> = asked.iter().map(ToString::to_string).collect();
        let mut asked = asked.into_iter();
        match (asked.next(), asked.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => {
                let message = "nothing was allowed in that time".to_owned();
                Err(Fault::new(ErrorCode::NotFound, message, "look further back with --for"))
            }
            (Some(_), Some(_)) => {
                let message = format!("there were several: {}", list.join(", "));
                Err(Fault::new(ErrorCode::Invalid, message, "choose one with --as"))
            }
        }
    }
}

/// The least that allows what was seen.
struct Least {
    grants: Grants,
    left_out: Vec<&'static str>,
    /// What of it the venue's signatures do not keep.
    accepted: Vec<Finding>,
}

/// One grant, or a second one for lists of orders where the venue's signatures do not keep one for both. Each accepts
/// what they do not keep, so that it is taken as it is.
fn least(profile: &Profile, id: &GrantId, subject: &Subject, seen: Vec<Seen<'_>>) -> Result<Least, Fault> {
    let one = accepting(profile, learnt([(id.clone(), seen.as_slice())], subject)?)?;
    if one.accepted.iter().all(|finding| finding.accept == [Part::Parameterless]) {
        return Ok(one);
    }
    let (lists, others): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|request| scope::carries_orders(profile, &request.names));
    let second = format!("{id}-lists").parse().ok().filter(|_| !lists.is_empty() && !others.is_empty());
    match second {
        Some(second) => {
            let two = learnt([(id.clone(), others.as_slice()), (second, lists.as_slice())], subject)?;
            accepting(profile, two)
        }
        None => Ok(one),
    }
}

/// The same with `accept_unbound` where grants would be refused without it.
fn accepting(profile: &Profile, least: Least) -> Result<Least, Fault> {
    let accepted = scope::check(profile, &least.grants);
    let grants: Vec<Grant> = least.grants.into();
    let accepts = grants.into_iter().map(|grant| {
        let mut terms = grant.into_terms();
        let own = accepted.iter().filter(|finding| finding.grant == terms.id);
        let parts: BTreeSet<Part> = own.flat_map(|finding| finding.accept.iter().copied()).collect();
        terms.accept_unbound = parts.into_iter().collect();
        Grant::new(terms)
    });
    let grants: Vec<Grant> = accepts.collect::<Result<_, _>>().map_err(Fault::defect)?;
    Ok(Least { grants: Grants::new(grants).map_err(Fault::from)?, accepted, ..least })
}

fn learnt<'s, 'a: 's>(
    parts: impl IntoIterator<Item = (GrantId, &'s [Seen<'a>])>,
    subject: &Subject,
) -> Result<Least, Fault> {
    let (mut grants, mut left_out) = (Vec::new(), Vec::new());
    for (id, seen) in parts {
        let learnt = learn(id, subject.clone(), seen).map_err(|error| {
            let hint = "look further back with --for, or name another subject with --as";
            Fault::new(ErrorCode::NotFound, error.to_string(), hint)
        })?;
        grants.push(learnt.grant);
        left_out.extend(learnt.left_out);
    }
    Ok(Least { grants: Grants::new(grants).map_err(Fault::from)?, left_out, accepted: Vec::new() })
}

/// Whether a grant to this subject is one to this caller.
fn is(subject: &Subject, caller: Caller<'_>) -> bool {
    match (subject, caller) {
        (Subject::Client(name), Caller::Client(client)) => name == client,
        (Subject::Unit(name), Caller::Process { unit: Some(unit), .. }) => name == unit,
        (Subject::User(wanted), Caller::Process { uid, .. }) => *wanted == uid,
        _ => false,
    }
}

/// The closest name of a caller.
fn name(caller: Caller<'_>) -> Option<Subject> {
    match caller {
        Caller::Client(name) => format!("client:{name}").parse().ok(),
        Caller::Process { unit: Some(unit), .. } => format!("unit:{unit}").parse().ok(),
        Caller::Process { uid, unit: None } => Some(Subject::User(uid)),
    }
}

fn seen_in(plan: &Plan<'_>, at: Timestamp) -> Seen<'static> {
    let classified = plan.classified();
    let mut stands_in = classified.stands_in.clone();
    if plan.recut().is_some() {
        stands_in.push(Action::Unknown);
    }
    Seen {
        at,
        action: classified.action,
        stands_in,
        names: plan.names().map(str::to_owned).collect(),
        orders: plan.orders().ok().map(|orders| orders.into_iter().map(owned).collect()),
    }
}

fn owned(order: Order<'_>) -> Order<'static> {
    let text = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    Order {
        action: order.action,
        symbol: text(order.symbol),
        side: order.side,
        kind: text(order.kind),
        quantity: text(order.quantity),
        quote_quantity: text(order.quote_quantity),
        price: text(order.price),
        stop: text(order.stop),
        contracts: order.contracts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(action: Action, names: &[&str]) -> Seen<'static> {
        let trade = action == Action::Trade;
        let order = Order {
            action,
            symbol: Some("BTCUSDT".into()),
            side: Some(strongroom_venues::Side::Buy),
            kind: Some("Limit".into()),
            quantity: Some("1".into()),
            quote_quantity: None,
            price: Some("2".into()),
            stop: None,
            contracts: false,
        };
        Seen {
            at: Timestamp::UNIX_EPOCH,
            action,
            stands_in: if trade { vec![Action::Cancel] } else { Vec::new() },
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            orders: Some(if trade { vec![order] } else { Vec::new() }),
        }
    }

    /// One list of names for both would let the holder of a signature choose which of them is placed.
    #[test]
    fn learns_lists_of_orders_into_a_grant_of_their_own_where_the_path_is_free() {
        let one = ["category", "symbol", "side", "orderType", "qty", "price"];
        let what = || {
            vec![
                seen(Action::Read, &[]),
                seen(Action::Trade, &one),
                seen(Action::Trade, &["category", "request"]),
            ]
        };
        for (venue, ids) in [("bybit", &["learnt", "learnt-lists"][..]), ("okx", &["learnt"])] {
            let profile = strongroom_venues::builtin(venue).unwrap().unwrap();
            let (id, subject) = ("learnt".parse().unwrap(), "client:bot".parse().unwrap());
            let least = least(&profile, &id, &subject, what()).unwrap();
            assert_eq!(scope::check(&profile, &least.grants), [], "{venue}");
            let found: Vec<&str> = least.grants.iter().map(|grant| grant.id.as_str()).collect();
            assert_eq!(found, ids);
            assert!(least.grants.iter().all(|grant| grant.max_notional.is_some()), "{venue}");
        }
    }
}
