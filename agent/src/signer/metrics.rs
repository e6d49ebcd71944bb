//! What the agent measures of itself, for an admin's Prometheus.

use jiff::Timestamp;

use super::watched::TokenSight;
use super::{Signer, State};
use crate::metrics::{Kind, Text};
use crate::policy::Authorized;

/// The order to tell what was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    /// Connections that are open.
    pub(crate) connections: usize,
}

impl Signer {
    /// What was counted, in the text format of Prometheus.
    pub(crate) fn metrics(&self, order: Authorized<Measure>) -> String {
        use Kind::{Counter, Gauge};
        let Measure { connections } = order.spend();
        let mut text = Text::default();
        text.family("strongroom_build_info", Gauge, "The version that runs.");
        text.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.counters().write(&mut text);
        text.one("strongroom_open_connections", Gauge, "Connections that are open.", connections);
        let (unlocked, ready) = match &*self.keyring.borrow() {
            State::Locked(_) => (0, 0),
            State::Unlocked(keyring) => (1, keyring.len()),
        };
        let stored = self.known().len();
        text.one("strongroom_unlocked", Gauge, "1 while secrets are in the keeper.", unlocked);
        text.family("strongroom_credentials", Gauge, "Credentials, by whether they can sign now.");
        text.sample("", &[("state", "ready")], ready);
        text.sample("", &[("state", "not-ready")], stored.saturating_sub(ready));
        self.write_budgets(&mut text);
        text.family("strongroom_token", Gauge, "1 at what is known of the token while unlocked.");
        let sight = self.token_sight.get();
        for (name, of) in
            [("present", TokenSight::Present), ("gone", TokenSight::Gone), ("unknown", TokenSight::Unknown)]
        {
            text.sample("", &[("state", name)], u8::from(sight == of));
        }
        let log = self.audit.state();
        text.one(
            "strongroom_audit_writable",
            Gauge,
            "0 while the audit log cannot be written and nothing is signed.",
            u8::from(log.writable),
        );
        text.one(
            "strongroom_audit_lines_total",
            Counter,
            "Number of the last line of the audit log.",
            log.lines,
        );
        text.one(
            "strongroom_audit_file_bytes",
            Gauge,
            "Size of the file of the audit log that is written to.",
            log.bytes,
        );
        text.one(
            "strongroom_audit_lag_writes",
            Gauge,
            "Writes of the audit log that are not on the disk yet.",
            log.lag,
        );
        text.one(
            "strongroom_audit_unsigned",
            Gauge,
            "1 while the agent is unlocked and its audit log gets no checkpoints.",
            u64::from(self.is_log_unsigned()),
        );
        text.one(
            "strongroom_audit_unsigned_lines",
            Gauge,
            "Lines of the audit log behind the last checkpoint.",
            log.unsigned,
        );
        text.one(
            "strongroom_audit_failures_total",
            Counter,
            "How often lines of the audit log were lost.",
            log.failures,
        );
        text.into_string()
    }

    /// What is left of each budget of a day.
    fn write_budgets(&self, text: &mut Text) {
        let State::Unlocked(keyring) = &*self.keyring.borrow() else { return };
        let now = Timestamp::now();
        text.family("strongroom_budget_left", Kind::Gauge, "What is left of a grant's max_notional_day.");
        for live in keyring.lives() {
            for grant in live.meta.grants.iter() {
                let Some(limit) = grant.max_notional_day else { continue };
                let left = live.budgets.left(&grant.id, limit, now);
                let labels = [("credential", live.meta.name.as_str()), ("grant", grant.id.as_str())];
                text.sample("", &labels, left);
            }
        }
    }
}
