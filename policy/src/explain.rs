//! Why a request is allowed or denied, grant by grant.

use std::fmt;

use strongroom_venues::{Action, Order};

use crate::ask::Ask;
use crate::decide::{Decision, Policy};
use crate::grant::{Effect, GrantId};
use crate::meters::Meters;
use crate::reason::{Reason, Shown};

/// What every grant of a caller says about one request, and what follows.
#[derive(Debug, Clone)]
#[must_use]
pub struct Explanation {
    /// What was asked, in words.
    pub asked: Vec<String>,
    /// The grants of this caller, in their order.
    pub looked_at: Vec<(GrantId, Says)>,
    /// How many grants are for others.
    pub of_others: usize,
    /// The decision.
    pub decision: Decision,
}

/// What one grant says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It allows it.
    Allows,
    /// It allows it if a human does.
    Asks,
    /// It takes it away.
    Denies(Reason),
    /// It does not allow it.
    No(Reason),
    /// It takes away other things.
    Nothing,
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allows => f.write_str("allows it"),
            Self::Asks => f.write_str("allows it if a human does (`confirm`)"),
            Self::Denies(_) => f.write_str("denies it, whatever others allow"),
            Self::No(Reason::Action { action, .. }) => write!(f, "says nothing of `{action}`"),
            Self::No(reason) => write!(f, "does not allow it: {reason}"),
            Self::Nothing => f.write_str("denies other things, and this is none of them"),
        }
    }
}

impl Policy {
    /// Decides without counting, and tells what each grant of the caller had to say.
    pub fn explain(&self, meters: &Meters, ask: &Ask<'_>) -> Explanation {
        let looked_at: Vec<(GrantId, Says)> = self
            .of_caller(ask.caller)
            .map(|rule| {
                let says = match rule.effect {
                    Effect::Deny => rule.forbids(ask).map_or(Says::Nothing, Says::Denies),
                    Effect::Allow => match rule.permits(meters, ask) {
                        Ok(_) if rule.confirm => Says::Asks,
                        Ok(_) => Says::Allows,
                        Err(reason) => Says::No(reason),
                    },
                };
                (rule.id.clone(), says)
            })
            .collect();
        let of_others = self.len().saturating_sub(looked_at.len());
        let decision = self.decide(&mut meters.clone(), ask);
        Explanation { asked: in_words(ask), looked_at, of_others, decision }
    }
}

impl Explanation {
    /// All of it, line by line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.asked.clone();
        lines.extend(self.looked_at.iter().map(|(grant, says)| format!("grant `{grant}` {says}")));
        if self.of_others > 0 {
            let (many, are) =
                if self.of_others == 1 { ("grant is", "it was") } else { ("grants are", "they were") };
            lines.push(format!("{} {many} for others; {are} not looked at", self.of_others));
        }
        lines.push(match &self.decision {
            Decision::Allow { grant, charges } => format!("allowed by grant `{grant}`{}", paid(charges)),
            Decision::Confirm { grant, charges } => {
                format!("allowed by grant `{grant}` once a human has said yes{}", paid(charges))
            }
            Decision::Deny { grant: Some(grant), reason } => format!("denied, grant `{grant}`: {reason}"),
            Decision::Deny { grant: None, reason } => format!("denied: {reason}"),
        });
        lines
    }
}

fn paid(charges: &[crate::decide::Charge]) -> String {
    let paid = charges.iter().map(|charge| {
        let hours = charge.window.as_secs().div_euclid(3600);
        format!(", and takes {} of the {} of any {hours} hours", charge.amount, charge.limit)
    });
    paid.collect()
}

fn in_words(ask: &Ask<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} asks for `{}`", ask.caller, ask.action)];
    if !ask.stands_in.is_empty() {
        let others: Vec<&str> = ask.stands_in.iter().map(|action| action.name()).collect();
        lines.push(format!("its signature would also do for `{}`", others.join("`, `")));
    }
    match ask.orders {
        Ok(orders) => lines.extend(orders.iter().map(|order| format!("it has {}", order_in_words(order)))),
        Err(fact) => lines.push(Reason::from(fact).to_string()),
    }
    lines
}

/// One order for people, briefly.
#[must_use]
pub fn order_in_words(order: &Order<'_>) -> String {
    let shown =
        |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(|text| Shown::new(text).to_string());
    if order.action != Action::Trade {
        return format!("a {}", order.action);
    }
    let side = order.side.map_or("order", |side| side.name());
    let quantity = shown(&order.quantity);
    let quote = shown(&order.quote_quantity).map(|quote| format!("worth {quote}"));
    let parts = [
        Some(format!("{} {side}", shown(&order.kind).unwrap_or_else(|| "untyped".to_owned()))),
        quantity.or(quote),
        shown(&order.symbol),
        shown(&order.price).map(|price| format!("at {price}")),
        shown(&order.stop).map(|stop| format!("from {stop} on")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("a {}", parts.join(" "))
}
