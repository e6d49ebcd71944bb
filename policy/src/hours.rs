//! When a grant holds: hours and weekdays of a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A time of day from a minute on and up to another, which is no longer part of it: `08:00-17:30`. One that ends
/// before it begins goes past midnight and belongs to the day on which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: u16,
    until: u16,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Weekdays(u8);

/// A time zone of the IANA database, of the copy that is compiled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// The text says no time of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotATime {
    /// Hours.
    #[error(
        "hours are written as \"08:00-17:30\", from 00:00 to 24:00, and begin at another time than they end"
    )]
    Hours,
    /// Weekdays.
    #[error(
        "weekdays are a list of mon, tue, wed, thu, fri, sat and sun, or of ranges such as \"mon-fri\", none twice"
    )]
    Weekdays,
    /// A zone.
    #[error("`{0}` is no time zone; one is written as \"Europe/Berlin\" or \"UTC\"")]
    Zone(String),
}

impl Hours {
    /// Whether a moment that is this many minutes into its day lies in these hours, and if so whether they began on
    /// that day or on the day before.
    const fn began(self, minute: u16) -> Option<Began> {
        if self.from < self.until {
            if self.from <= minute && minute < self.until { Some(Began::Today) } else { None }
        } else if self.from <= minute {
            Some(Began::Today)
        } else if minute < self.until {
            Some(Began::Yesterday)
        } else {
            None
        }
    }
}

enum Began {
    Today,
    Yesterday,
}

/// Whether `now` lies in these hours of these days. Each moment has exactly one reading on a zone's clock, so where
/// the clock is put back the hour that comes twice counts twice, and where it is put forward the hour that is left out
/// cannot be asked for.
pub(crate) fn holds(
    hours: Option<Hours>,
    weekdays: Option<Weekdays>,
    zone: &TimeZone,
    now: Timestamp,
) -> bool {
    let local = zone.to_datetime(now);
    let minute = u16::try_from(local.hour()).unwrap_or_default().saturating_mul(60);
    let minute = minute.saturating_add(u16::try_from(local.minute()).unwrap_or_default());
    let began = match hours {
        None => Some(Began::Today),
        Some(hours) => hours.began(minute),
    };
    let day = match began {
        None => return false,
        Some(Began::Today) => local.weekday(),
        Some(Began::Yesterday) => local.weekday().previous(),
    };
    weekdays.is_none_or(|days| days.contains(day))
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if two { text.parse::<u16>().ok() } else { None }
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= MINUTES).then_some(total)
}

/// Minutes of a day.
const MINUTES: u16 = 24 * 60;

impl FromStr for Hours {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (from, until) = text.split_once('-').ok_or(NotATime::Hours)?;
        let (from, until) = (minute_of_day(from), minute_of_day(until));
        match (from, until) {
            (Some(from), Some(until)) if from != until && from < MINUTES => Ok(Self { from, until }),
            _ => Err(NotATime::Hours),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |minute: u16| (minute.div_euclid(60), minute.rem_euclid(60));
        let ((a, b), (c, d)) = (part(self.from), part(self.until));
        write!(f, "{a:02}:{b:02}-{c:02}:{d:02}")
    }
}

impl TryFrom<String> for Hours {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Weekdays {
    const fn contains(self, day: Weekday) -> bool {
        self.0 & day_bit(day) != 0
    }

    /// By name, Monday first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        DAYS.into_iter().filter(move |(_, day)| self.contains(*day)).map(|(name, _)| name)
    }
}

const fn day_bit(day: Weekday) -> u8 {
    match day {
        Weekday::Monday => 1,
        Weekday::Tuesday => 1 << 1,
        Weekday::Wednesday => 1 << 2,
        Weekday::Thursday => 1 << 3,
        Weekday::Friday => 1 << 4,
        Weekday::Saturday => 1 << 5,
        Weekday::Sunday => 1 << 6,
    }
}

impl TryFrom<Vec<String>> for Weekdays {
    type Error = NotATime;
    fn try_from(words: Vec<String>) -> Result<Self, NotATime> {
        let day = |word: &str| DAYS.into_iter().find(|(name, _)| *name == word).map(|(_, day)| day);
        let mut set = 0_u8;
        for word in &words {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = day(first).zip(day(last)).ok_or(NotATime::Weekdays)?;
            // A range may go past the week's end: fri-mon.
            let mut next = first;
            loop {
                if set & day_bit(next) != 0 {
                    return Err(NotATime::Weekdays);
                }
                set |= day_bit(next);
                if next == last {
                    break;
                }
                next = next.next();
            }
        }
        if set == 0 { Err(NotATime::Weekdays) } else { Ok(Self(set)) }
    }
}

impl From<Weekdays> for Vec<String> {
    fn from(days: Weekdays) -> Self {
        days.names().map(str::to_owned).collect()
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Zone {
    /// The rules of the zone.
    pub(crate) const fn rules(&self) -> &TimeZone {
        &self.zone
    }
}

impl FromStr for Zone {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let unknown = || NotATime::Zone(text.chars().take(64).collect());
        let zone = TimeZoneDatabase::bundled().get(text).map_err(|_unknown| unknown())?;
        // The database does not mind case; the name that is shown and authenticated is its own.
        let name = zone.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, zone })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}
