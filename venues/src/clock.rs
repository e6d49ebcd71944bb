//! Time, nonces and random identifiers as text.

use std::ops::Range;

use crate::rule::{Clock, NonceKind, TimeFormat};
use crate::template::{Values, Var, VarSet};

/// What the engine needs to know about now. The agent supplies it; the engine has no clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
    /// The strictly rising nonce in the unit that [`TimeNeeds`](crate::TimeNeeds) names; 0 where none
    /// is needed.
    pub nonce: u64,
    /// The 16 bytes of a random (version 4) UUID.
    pub uuid: [u8; 16],
    /// 16 random bytes.
    pub random16: [u8; 16],
}

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;
const S_PER_DAY: u64 = 86_400;

/// Puts `ts`, `nonce` and the random identifiers that a rule uses into `values`.
pub(crate) fn put(moment: &Moment, clock: Clock, used: VarSet, values: &mut Values) {
    if used.contains(Var::Ts) {
        values.put_with(Var::Ts, |out| time(moment.unix_ns, clock, out));
    }
    if used.contains(Var::Hex16) || clock.nonce == NonceKind::Hex16 {
        values.put_with(Var::Hex16, |out| crate::codec::hex(&moment.random16, out));
    }
    let from_uuid = [Var::Uuid, Var::Uuid16, Var::Uuid22].iter().any(|var| used.contains(*var));
    if from_uuid || matches!(clock.nonce, NonceKind::Uuid | NonceKind::Uuid16 | NonceKind::Uuid22) {
        uuid(moment.uuid, values);
    }
    match clock.nonce {
        NonceKind::Absent => {}
        NonceKind::Ms | NonceKind::Ns | NonceKind::S | NonceKind::Us => {
            values.put_with(Var::Nonce, |out| number(moment.nonce, out));
        }
        NonceKind::Hex16 => values.alias(Var::Nonce.slot(), Var::Hex16.slot()),
        NonceKind::Uuid => values.alias(Var::Nonce.slot(), Var::Uuid.slot()),
        NonceKind::Uuid16 => values.alias(Var::Nonce.slot(), Var::Uuid16.slot()),
        NonceKind::Uuid22 => values.alias(Var::Nonce.slot(), Var::Uuid22.slot()),
    }
}

/// The UUID with hyphens, and the two cuts of its digits that venues ask for.
fn uuid(uuid: [u8; 16], values: &mut Values) {
    const DIGITS_16: Range<usize> = 8..24;
    const DIGITS_22: Range<usize> = 0..22;
    values.put_with(Var::Uuid, |out| crate::codec::hex(&uuid, out));
    values.put_cut(Var::Uuid16, Var::Uuid, DIGITS_16);
    values.put_cut(Var::Uuid22, Var::Uuid, DIGITS_22);
    values.put_with(Var::Uuid, |out| {
        for (at, byte) in uuid.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            crate::codec::hex(&[*byte], out);
        }
    });
}

/// Appends `value` in decimal.
pub(crate) fn number(value: u64, out: &mut Vec<u8>) {
    // Twenty digits hold every u64.
    let mut digits = [0_u8; 20];
    let mut rest = value;
    let mut count = 0_usize;
    for place in digits.iter_mut().rev() {
        let [digit, ..] = (rest % 10).to_le_bytes();
        *place = b'0'.wrapping_add(digit);
        rest /= 10;
        count = count.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(count)..).unwrap_or_default());
}

fn time(unix_ns: u64, clock: Clock, out: &mut Vec<u8>) {
    let ns = unix_ns.saturating_add(clock.plus_s.saturating_mul(NS_PER_S));
    match clock.ts {
        TimeFormat::Ns => number(ns, out),
        TimeFormat::Ms => number(ns / NS_PER_MS, out),
        TimeFormat::S => number(ns / NS_PER_S, out),
        TimeFormat::Us => number(ns / NS_PER_US, out),
        TimeFormat::IsoS => iso(ns, out),
        TimeFormat::IsoMs => {
            iso(ns, out);
            out.push(b'.');
            padded(ns % NS_PER_S / NS_PER_MS, 3, out);
            out.push(b'Z');
        }
    }
}

/// Appends `2025-07-31T22:15:23`.
fn iso(ns: u64, out: &mut Vec<u8>) {
    let s = ns / NS_PER_S;
    let (year, month, day) = civil(s / S_PER_DAY);
    padded(year, 4, out);
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', s / 3600 % 24), (b':', s / 60 % 60), (b':', s % 60)]
    {
        out.push(mark);
        padded(value, 2, out);
    }
}

/// Appends the last `width` digits of `value`, which has no more.
fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = value;
    out.resize(start.saturating_add(width), b'0');
    for place in out.iter_mut().skip(start).rev() {
        let [digit, ..] = (rest % 10).to_le_bytes();
        *place = b'0'.wrapping_add(digit);
        rest /= 10;
    }
}

/// The date that is `days` after 1970-01-01, counted in eras of 400 years that start in March
/// (H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
#[expect(clippy::arithmetic_side_effects, reason = "days of a u64 of nanoseconds are fewer than 213,504")]
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let january_or_february = if month <= 2 { 1 } else { 0 };
    (year + era * 400 + january_or_february, month, day)
}

/// Why a caller's own time or nonce is not one.
pub(crate) const fn expected(format: TimeFormat) -> &'static str {
    match format {
        TimeFormat::Ms => "whole milliseconds since 1970",
        TimeFormat::Ns => "whole nanoseconds since 1970",
        TimeFormat::S => "whole seconds since 1970",
        TimeFormat::Us => "whole microseconds since 1970",
        TimeFormat::IsoMs | TimeFormat::IsoS => "left to the agent",
    }
}

/// The nanoseconds since 1970 that a caller's own timestamp means.
pub(crate) fn read_time(text: &str, clock: Clock) -> Option<u64> {
    let unit = match clock.ts {
        TimeFormat::Ms => NS_PER_MS,
        TimeFormat::Ns => 1,
        TimeFormat::S => NS_PER_S,
        TimeFormat::Us => NS_PER_US,
        TimeFormat::IsoMs | TimeFormat::IsoS => return None,
    };
    read_number(text)?.checked_mul(unit)?.checked_sub(clock.plus_s.checked_mul(NS_PER_S)?)
}

/// Whether two times are written the same.
pub(crate) fn same_text(a: u64, b: u64, clock: Clock) -> bool {
    let text = |ns| {
        let mut out = Vec::with_capacity(32);
        time(ns, clock, &mut out);
        out
    };
    text(a) == text(b)
}

/// A whole number in the one way in which the engine writes it.
pub(crate) fn read_number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_ns: u64, ts: TimeFormat, plus_s: u64) -> String {
        let mut out = Vec::new();
        time(unix_ns, Clock { ts, plus_s, nonce: NonceKind::Absent, skew_ms: 0 }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_time_as_venues_do() {
        let now = 1_754_000_123_456_789_012;
        for (format, plus_s, expected) in [
            (TimeFormat::Ms, 0, "1754000123456"),
            (TimeFormat::S, 60, "1754000183"),
            (TimeFormat::Us, 0, "1754000123456789"),
            (TimeFormat::Ns, 0, "1754000123456789012"),
            (TimeFormat::IsoMs, 0, "2025-07-31T22:15:23.456Z"),
            (TimeFormat::IsoS, 0, "2025-07-31T22:15:23"),
        ] {
            assert_eq!(text(now, format, plus_s), expected);
        }
        for (s, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(text(s * NS_PER_S, TimeFormat::IsoS, 0), expected);
        }
    }

    #[test]
    fn reads_back_only_what_it_would_write() {
        let clock = Clock { ts: TimeFormat::S, plus_s: 60, nonce: NonceKind::Absent, skew_ms: 0 };
        assert_eq!(read_time("1754000183", clock), Some(1_754_000_123 * NS_PER_S));
        for wrong in ["", "+1", "01", "1.0", "59", "99999999999999999999", " 1"] {
            assert_eq!(read_time(wrong, clock), None, "{wrong}");
        }
        for value in [0, 9, 10, u64::MAX] {
            let mut out = Vec::new();
            number(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
