//! What a decision costs, alone: grants of one credential, an order with a symbol, a size and a budget.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_policy::{Ask, Caller, Decision, Grants, Meters, Policy};
use strongroom_venues::{Action, Order, Side};

use crate::report::{Goal, Report, least, median};

const ROUNDS: usize = 21;
const DECISIONS: u32 = 20_000;

pub(crate) fn measure(report: &mut Report) {
    for (whose, subjects) in [("of as many clients", true), ("of one client", false)] {
        for count in [1, 100, 1000] {
            let text: String = (0..count).map(|at| grant(at, subjects)).collect();
            let grants = match Grants::parse(&text) {
                Ok(grants) => grants,
                Err(error) => {
                    crate::report::talk(&format!("the grants of the bench are none: {error}"));
                    continue;
                }
            };
            let policy = Policy::compile(&grants);
            let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&policy, count, subjects)).collect();
            let best = least(&rounds);
            let plural = if count == 1 { "" } else { "s" };
            let goal = if count == 1000 { Goal::AtMost(1.0) } else { Goal::None };
            report.line(
                &format!("decision, {count} grant{plural} {whose}"),
                median(&mut rounds),
                best,
                "µs",
                goal,
            );
        }
    }
}

/// One of many grants: each to a client of its own, or all to one, each for a symbol of its own.
fn grant(at: usize, subjects: bool) -> String {
    let client = if subjects { at } else { 0 };
    format!(
        "[[grant]]\nid = \"g{at}\"\nto = \"client:c{client}\"\nallow = [\"trade\"]\nsymbols = [\"S{at}USDT\"]\n\
         max_notional = \"250\"\nmax_notional_day = \"2000\"\n"
    )
}

/// Microseconds for one decision. The last grant is the one that allows.
fn round(policy: &Policy, count: usize, subjects: bool) -> f64 {
    let client = format!("c{}", if subjects { count.saturating_sub(1) } else { 0 });
    let symbol = format!("S{}USDT", count.saturating_sub(1));
    let orders = [Order {
        action: Action::Trade,
        symbol: Some(symbol.as_str().into()),
        side: Some(Side::Buy),
        kind: Some("LIMIT".into()),
        quantity: Some("0.00100000".into()),
        quote_quantity: None,
        price: Some("61234.50".into()),
        stop: None,
        contracts: false,
    }];
    let names = ["symbol", "side", "type", "timeInForce", "quantity", "price"];
    let ask = Ask {
        caller: Caller::Client(&client),
        now: Timestamp::UNIX_EPOCH,
        uptime: Duration::ZERO,
        action: Action::Trade,
        stands_in: &[],
        names: &names,
        orders: Ok(&orders),
    };
    let mut meters = Meters::new(Duration::ZERO);
    let began = Instant::now();
    let mut allowed = 0_u32;
    for _ in 0..DECISIONS {
        let decision = policy.decide(&mut meters, black_box(&ask));
        allowed = allowed.saturating_add(u32::from(matches!(decision, Decision::Allow { .. })));
    }
    let spent = began.elapsed();
    // A denial would be cheaper.
    if allowed == DECISIONS { spent.as_secs_f64() * 1e6 / f64::from(DECISIONS) } else { f64::NAN }
}
