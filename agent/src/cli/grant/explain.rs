//! `strongroom grant explain`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use strongroom_policy::{Ask, Caller, Decision, Explanation, GrantId, Meters, Policy, Subject};
use strongroom_protocol::ErrorCode;
use strongroom_venues::{Action, Plan};

use super::replay::{Replay, about, as_caller, caller, credential};
use crate::audit::line::{Kind, Line, Verdict};
use crate::cli::audit::plain;
use crate::cli::sign::Params;
use crate::cli::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::store::record::Meta;

/// Say which grant decides about a request, and why: one that you write, or one of the audit log.
///
/// Reads the record on the disk; no agent is needed and nothing is signed. Rates, budgets and last prices are the
/// agent's: it is explained as if nothing had been asked before.
#[derive(Debug, Args)]
#[command(after_help = "Examples: strongroom grant explain binance-main --line 4711\n  \
                        strongroom grant explain binance-main --as client:grid-bot POST /api/v3/order -q symbol=BTCUSDT")]
pub(super) struct Explain {
    /// Name of the credential
    credential: String,
    /// HTTP method
    #[arg(requires = "path", required_unless_present = "line")]
    method: Option<String>,
    /// Path of the endpoint, without host and query
    path: Option<String>,
    /// Who asks: client:NAME, unit:system/NAME.service, unit:user@UID/NAME.service or user:UID; this user if not given
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<Subject>,
    #[command(flatten)]
    params: Params,
    /// A line of the audit log instead: its number, or the `canonical` hash in it
    #[arg(long, value_name = "NUMBER|HASH", conflicts_with = "method")]
    line: Option<String>,
    #[command(flatten)]
    json: Json,
}

impl Explain {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let (meta, profile) = credential(places, &self.credential)?;
        let policy = Policy::compile(&meta.grants);
        let subject = self.subject.as_ref().map(as_caller);
        let mut lines = Vec::new();
        let (explanation, recorded) = if let Some(wanted) = &self.line {
            if !self.params.is_empty() {
                let fault = "--line takes the parameters from the log";
                return Err(Fault::new(ErrorCode::Invalid, fault, "leave -q, -f and --body out").into());
            }
            let recorded = self.find(places, wanted)?;
            let (event, nobody) = (&recorded.line.event, || nothing(wanted, "tells of no request"));
            let by = subject.or_else(|| caller(event)).ok_or_else(nobody)?;
            let request = Replay::of_line(event).ok_or_else(nobody)?;
            match request.planned(&profile, |plan| explain(&policy, by, recorded.line.time, plan)) {
                Ok(explanation) => (Some(explanation), Some(recorded)),
                Err(fault) => {
                    lines.push(format!("refused while it was read, so no grant is asked: {}", fault.message));
                    (None, Some(recorded))
                }
            }
        } else {
            let method = self.method.as_deref().unwrap_or_default().to_ascii_uppercase();
            let path = self.path.as_deref().unwrap_or_default();
            let (query, form, json) = (self.params.query()?, self.params.form()?, self.params.json()?);
            let request = Replay::by_hand(&method, path, &query, &form, json.as_deref());
            let this = Caller::Process { uid: rustix::process::getuid().as_raw(), unit: None };
            let by = subject.unwrap_or(this);
            (Some(request.planned(&profile, |plan| explain(&policy, by, Timestamp::now(), plan))?), None)
        };
        lines.extend(explanation.iter().flat_map(Explanation::lines));
        let outcome = if meta.honey {
            lines.push(
                "denied all the same: the credential is a trap (honey), whatever its grants say".to_owned(),
            );
            Outcome { verdict: "denied", grant: None }
        } else {
            explanation.as_ref().map_or(Outcome::REFUSED, |explanation| Outcome::of(&explanation.decision))
        };
        if let Some(recorded) = &recorded {
            lines.extend(recorded.told(&meta, &outcome, self.subject.is_none()));
        }
        if self.json.json {
            output::json(&json!({
                "verdict": outcome.verdict,
                "grant": outcome.grant.map(GrantId::as_str),
                "log": recorded.as_ref().map(|recorded| json!({
                    "verdict": recorded.verdict().map(Verdict::name),
                    "rule": recorded.line.event.rule,
                })),
                "lines": lines,
            }));
        } else {
            output::data(&lines.join("\n"));
        }
        Ok(())
    }

    fn find(&self, places: &Places, wanted: &str) -> Result<Recorded, Stop> {
        let seq: Option<u64> = wanted.parse().ok();
        let (mut found, mut revision) = (None, None);
        about(places, &self.credential, |line| {
            let event = &line.event;
            let hash = || event.canonical.map(|hash| base16ct::lower::encode_string(&hash));
            if event.kind != Kind::Sign {
                revision = event.revision.or(revision);
            } else if seq == Some(line.seq) || hash().is_some_and(|hash| hash.eq_ignore_ascii_case(wanted)) {
                found = Some(Recorded { line, revision });
            }
        })?;
        found.ok_or_else(|| nothing(wanted, "is no line about a signature with this credential").into())
    }
}

/// What would be said now.
struct Outcome<'a> {
    verdict: &'static str,
    grant: Option<&'a GrantId>,
}

impl<'a> Outcome<'a> {
    /// It does not come to a decision.
    const REFUSED: Self = Self { verdict: "refused", grant: None };

    const fn of(decision: &'a Decision) -> Self {
        let (verdict, grant) = match decision {
            Decision::Allow { grant, .. } => ("allowed", Some(grant)),
            Decision::Confirm { grant, .. } => ("confirm", Some(grant)),
            Decision::Deny { grant, .. } => ("denied", grant.as_ref()),
        };
        Self { verdict, grant }
    }
}

/// A line of the log.
struct Recorded {
    line: Line,
    /// Of the credential's record at that time, where the log tells it.
    revision: Option<u64>,
}

impl Recorded {
    const fn verdict(&self) -> Option<Verdict> {
        self.line.event.verdict
    }

    /// What was decided at that time, and why it may be something else now. `same` says that the same one asks.
    fn told(&self, meta: &Meta, now: &Outcome<'_>, same: bool) -> Vec<String> {
        let verdict = self.verdict().map_or("no verdict", Verdict::name);
        let rule = self.line.event.rule.as_deref().unwrap_or("no rule");
        let mut told = vec![format!("the log has: {verdict}, {}", plain(rule))];
        match self.revision {
            Some(then) if then != meta.revision => told.push(format!(
                "the grants may have changed since: the record had revision {then}, and has {} now",
                meta.revision
            )),
            _ if same && self.is_another(now) => told.push(
                "the outcome was another: rates, budgets and last prices are not in this, or the grants have changed since"
                    .to_owned(),
            ),
            _ => {}
        }
        told
    }

    fn is_another(&self, now: &Outcome<'_>) -> bool {
        let by = now.grant.map(|grant| format!("grant:{grant}"));
        match self.verdict() {
            Some(Verdict::Allowed) => {
                now.verdict == "denied" || by.as_deref() != self.line.event.rule.as_deref()
            }
            Some(Verdict::Denied) => now.verdict == "allowed",
            Some(Verdict::Honey) => now.verdict != "denied",
            // It did not come to a decision, or not to this one.
            Some(Verdict::Refused) | None => false,
        }
    }
}

fn nothing(wanted: &str, fact: &str) -> Fault {
    let message = format!("`{wanted}` {fact}");
    Fault::new(ErrorCode::NotFound, message, "`strongroom audit show --kind sign` shows what there is")
}

/// Asks the grants as the agent does, but for what it has counted.
fn explain(policy: &Policy, caller: Caller<'_>, now: Timestamp, plan: &Plan<'_>) -> Explanation {
    let classified = plan.classified();
    let mut stands_in = classified.stands_in.clone();
    if plan.recut().is_some() {
        stands_in.push(Action::Unknown);
    }
    let names: Vec<&str> = plan.names().collect();
    let orders = plan.orders();
    let ask = Ask {
        caller,
        now,
        uptime: LONG,
        action: classified.action,
        stands_in: &stands_in,
        names: &names,
        orders: orders.as_deref(),
    };
    policy.explain(&Meters::new(Duration::ZERO), &ask)
}

/// So long that every rate has its whole burst.
const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
