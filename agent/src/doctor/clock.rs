//! The clock: whether somebody keeps it right, and whether it was set back.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Check;
use crate::config::Places;
use crate::fault::chain;
use crate::store;

/// A sequence reserves a minute ahead; what is further ahead than this has seen another clock.
const AHEAD_S: u64 = 120;
/// Behind this the agent refuses to sign.
const TOO_FAR_AHEAD_S: u64 = 366 * 24 * 3600;

pub(super) fn checks(places: &Places) -> Vec<Check> {
    let mut checks = vec![synchronised()];
    checks.extend(set_back(&places.data));
    checks
}

/// systemd's own client of time servers leaves a mark; the others have to be asked.
fn synchronised() -> Check {
    const ID: &str = "clock-synchronised";
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Check::ok(ID, "systemd-timesyncd has set the clock from the network");
    }
    Check::unknown(
        ID,
        "whether the clock is set from the network is not known: systemd-timesyncd has not marked it",
        "ask `timedatectl`, `chronyc tracking` or `ntpq -p`; venues refuse requests whose time is off",
    )
}

/// Compares the clock with what it was when nonces were reserved.
fn set_back(data: &Path) -> Vec<Check> {
    const ID: &str = "clock-set-back";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let sequences = match store::read_nonces(data) {
        Ok(sequences) => sequences,
        Err(error) => return vec![Check::unknown(ID, chain(&error), "run doctor as the agent's user")],
    };
    let count = sequences.len();
    let check = |(name, ceiling): store::Reserved| {
        let check = match ceiling.map(|ceiling| ahead(ceiling, now)) {
            Err(error) => Check::weak(ID, chain(&error), "see docs/reference/files.md about the nonce file"),
            Ok(Some(seconds)) if seconds <= AHEAD_S => return None,
            Ok(Some(seconds)) if seconds <= TOO_FAR_AHEAD_S => Check::notice(
                ID,
                format!(
                    "the nonces of {name} are {seconds} s ahead of the clock: it was set back, or stood ahead once"
                ),
                "set the clock; if it is right, the nonces go on from there and nothing need be done",
            ),
            Ok(_) => Check::weak(
                ID,
                format!("the nonces of {name} are more than a year off the clock, so it cannot sign"),
                "set the clock; if it is right, see docs/reference/files.md about the nonce file",
            ),
        };
        Some(check.about(name.to_string()))
    };
    let checks: Vec<Check> = sequences.into_iter().filter_map(check).collect();
    if checks.is_empty() {
        let fact = if count == 0 {
            "no nonce was reserved yet".to_owned()
        } else {
            format!("the clock is not behind the nonces of any of the {count} credentials that have some")
        };
        return vec![Check::ok(ID, fact)];
    }
    checks
}

/// How many seconds a ceiling is ahead of the clock, 0 where it is not. Its unit is that of the venue:
/// seconds, milliseconds or nanoseconds, which are so far apart that the clock tells which. `None` where it
/// is near none of them.
fn ahead(ceiling: u64, now_s: u64) -> Option<u64> {
    const FAR: u128 = 25;
    let near = |per_second: &u64| {
        let now = u128::from(now_s).saturating_mul(u128::from(*per_second));
        let ceiling = u128::from(ceiling);
        ceiling <= now.saturating_mul(FAR) && now <= ceiling.saturating_mul(FAR)
    };
    if ceiling < now_s {
        return Some(0);
    }
    let per_second = [1, 1_000, 1_000_000_000].into_iter().find(near)?;
    Some(ceiling.checked_div(per_second)?.saturating_sub(now_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_unit_of_a_nonce_by_the_clock() {
        let now = 1_790_000_000;
        for (ceiling, expected) in [
            (now - 5, Some(0)),
            (now + 60, Some(60)),
            (now * 1_000 + 60_000, Some(60)),
            ((now + 3_600) * 1_000_000_000, Some(3_600)),
            ((now - 9) * 1_000, Some(0)),
            ((now + 400 * 24 * 3_600) * 1_000, Some(400 * 24 * 3_600)),
            // A sequence that was started by hand, below every clock.
            (77, Some(0)),
            (u64::MAX, Some(u64::MAX / 1_000_000_000 - now)),
            (now * 100_000, None),
        ] {
            assert_eq!(ahead(ceiling, now), expected, "{ceiling}");
        }
    }
}
