//! `strongroom audit accept-cut`.

use clap::Args;
use serde_json::json;
use strongroom_protocol::ErrorCode;

use super::super::pin::{Facts, PinSource};
use super::super::{Json, Stop, block_on, demand_no_agent, output};
use super::{known, no_log};
use crate::audit::accepted::Gap;
use crate::audit::chain::{Fault as Broken, Finding, Verified, Verifier};
use crate::audit::reader;
use crate::config::{Config, Places};
use crate::crew::token;
use crate::fault::Fault;
use crate::policy::Permit;
use crate::signer::Signer;
use crate::signer::accept::AcceptCut;
use crate::signer::profiles::Profiles;
use crate::store::{self, Store};

/// Accept that lines of the log are missing, because you have restored an older one.
///
/// Only what the agent itself has found missing and written down, at its start or at an unlock. The token signs a
/// line that says which lines, who and when, so it takes the PIN; `verify` shows them for ever, as accepted, and
/// exits with 11. No agent may run meanwhile. If it was not you who has restored a backup, do not: somebody hides
/// what was done.
#[derive(Debug, Args)]
pub(super) struct Accept {
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Accept {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        demand_no_agent(places)?;
        let config = Config::read(&places.config)?;
        let Some(key) = config.token.audit_key else {
            let message = "the token does not sign for the audit log, so nobody can tell who accepts";
            return Err(Fault::new(ErrorCode::Invalid, message, "run `strongroom init` again").into());
        };
        let mut verifier = Verifier::new(true);
        verifier.demand_token(key);
        if config.audit.keep_files > 0 {
            verifier.take_carried();
        }
        let folder = store::audit_folder(&places.data);
        let read = reader::read(&folder, verifier, &known(places)?, drop).map_err(Fault::from)?;
        if read.is_nothing() {
            return Err(no_log(&folder).into());
        }
        let verified = read.verified;
        let gaps = acceptable(&verified)?;
        for finding in &verified.findings {
            output::talk(&format!("to be accepted: {}", finding.fault));
        }
        let facts = || block_on(async { Ok(Facts::from(&token::look(&config).await?)) });
        let login = self.pin.road(config.agent.pinentry.as_deref(), facts)?.login()?;
        let store = Store::open(&places.data)?;
        let line = block_on(async {
            let signer = Signer::new(config, store, Profiles::new(places))?;
            let audit = std::rc::Rc::clone(signer.audit());
            let order = Permit::of_the_owner().order(AcceptCut {
                login,
                gaps: gaps.clone(),
                last: verified.head,
                key,
            });
            let line = signer.accept_cut(order).await;
            audit.close();
            line
        })?;
        if self.json.json {
            let gaps: Vec<_> = gaps.iter().map(|gap| json!({ "from": gap.from, "to": gap.to })).collect();
            output::json(&json!({ "line": line, "missing": gaps }));
        } else {
            output::data(&format!("accepted, in line {line}"));
        }
        Ok(())
    }
}

/// The gaps, where all that is found is what the agent has written down itself.
fn acceptable(verified: &Verified) -> Result<Vec<Gap>, Fault> {
    let findings = &verified.findings;
    let is_told = |gap: &Gap| {
        let next = gap.to.saturating_add(1);
        findings.iter().any(|told| matches!(told.fault, Broken::Cut { seq, .. } if seq == next))
    };
    let fits = |finding: &&Finding| match finding.fault {
        Broken::Cut { .. } => true,
        Broken::Missing { from, to } => {
            verified.gaps.iter().any(|gap| gap.from == from && gap.to == to && is_told(gap))
        }
        _ => false,
    };
    if let Some(other) = findings.iter().find(|finding| !fits(finding)) {
        let message =
            format!("the audit log has more than what the agent has found missing: {}", other.fault);
        let hint = "unlock the agent, which writes down what is missing since the last unlock, and stop it; \
                    what it does not write down nobody accepts";
        return Err(Fault::new(ErrorCode::Invalid, message, hint));
    }
    if findings.is_empty() {
        let message = "there is nothing to accept: no line is missing that was not accepted";
        return Err(Fault::new(ErrorCode::Invalid, message, "run `strongroom audit verify`"));
    }
    Ok(verified.gaps.clone())
}
