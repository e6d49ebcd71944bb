//! Which lines are looked at.

use std::str::FromStr;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::audit::line::{Event, Kind, Line, Verdict};

/// Options that choose lines.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only of this credential
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Only of this venue
    #[arg(long)]
    venue: Option<String>,
    /// Only of this user
    #[arg(long, value_name = "UID", value_parser = uid)]
    uid: Option<u32>,
    /// Only of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)))]
    kind: Option<String>,
    /// Only with this verdict
    #[arg(long, value_parser = PossibleValuesParser::new(Verdict::ALL.map(Verdict::name)))]
    verdict: Option<String>,
    /// Only from this time on: 2026-11-21, 2026-11-21T09:30:00Z, or 90s, 15m, 2h, 7d, 4w ago
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
}

impl Filter {
    pub(super) fn takes(&self, line: &Line) -> bool {
        let Event { kind, uid, credential, venue, verdict, .. } = &line.event;
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        same(&self.credential, credential.as_deref())
            && same(&self.venue, venue.as_deref())
            && same(&self.kind, Some(kind.name()))
            && same(&self.verdict, verdict.map(|verdict| verdict.name()))
            && self.uid.is_none_or(|wanted| *uid == Some(wanted))
            && self.since.is_none_or(|When(since)| line.time >= since)
            && self.until.is_none_or(|When(until)| line.time < until)
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct When(Timestamp);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, Timestamp::now()).ok_or_else(|| {
            "a time is 2026-11-21, 2026-11-21T09:30:00Z (with its zone), or 2h for two hours ago".to_owned()
        })
    }
}

impl When {
    fn read(text: &str, now: Timestamp) -> Option<Self> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(Self(time));
        }
        // A day may have no time behind it, which would be left out without a word.
        if !text.contains([':', 'T', 't'])
            && let Ok(day) = text.parse::<Date>()
        {
            return format!("{day}T00:00:00Z").parse().ok().map(Self);
        }
        now.checked_sub(text.parse::<Age>().ok()?.0).ok().map(Self)
    }
}

/// How long ago: `90s`, `15m`, `2h`, `7d`, `4w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Age(pub(in crate::cli) SignedDuration);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let read = || {
            let unit = text.chars().last()?;
            let seconds: i64 = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return None,
            };
            let count =
                text.strip_suffix(unit).filter(|count| count.bytes().all(|digit| digit.is_ascii_digit()))?;
            let count: u32 = count.parse().ok()?;
            Some(Self(SignedDuration::from_secs(seconds.checked_mul(count.into())?)))
        };
        read().ok_or("a time is a number and s, m, h, d or w, such as 90s, 30m, 1h, 7d or 4w")
    }
}

fn uid(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "a user is the number that `id -u NAME` prints")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_ages() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-20", Some("2026-11-20T00:00:00Z")),
            ("2026-11-20T01:02:03Z", Some("2026-11-20T01:02:03Z")),
            ("2026-11-20T01:02:03+01:00", Some("2026-11-20T00:02:03Z")),
            ("90s", Some("2026-11-21T11:58:30Z")),
            ("2026-11-20T01:02:03", None),
            ("2026-11-20 01:02", None),
            ("2h", Some("2026-11-21T10:00:00Z")),
            ("+2h", None),
            ("1w", Some("2026-11-14T12:00:00Z")),
            ("", None),
            ("2", None),
            ("h", None),
            ("-2h", None),
            ("2y", None),
            ("4294967296s", None),
            ("4294967295w", None),
            ("yesterday", None),
            ("5\u{e4}", None),
        ] {
            let read = When::read(text, now).map(|When(time)| time.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
