//! Amounts of money and goods: decimals, read in one way only, and exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A decimal of up to 15 digits before and 12 behind the point, not negative. Counted in whole units of 10⁻¹², so that
/// every sum and comparison is one of integers; what exceeds the range is an overflow and never wraps or rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u128);

/// The text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an amount is written as text with 1 to 15 digits, and up to 12 more behind a point: \"250\" or \"0.05\"; \
     no sign, no exponent, no separators"
)]
pub struct NotAnAmount;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of that many units of 10⁻¹².
    #[must_use]
    pub const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// How many units of 10⁻¹² this is.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; nothing on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// How far they are apart.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }

    /// The product, rounded up to the next unit; nothing on overflow.
    #[must_use]
    pub fn checked_mul_up(self, other: Self) -> Option<Self> {
        self.product(other, u128::div_ceil)
    }

    /// The product, rounded down to the last unit; nothing on overflow.
    #[must_use]
    pub fn checked_mul_down(self, other: Self) -> Option<Self> {
        self.product(other, |a, b| a.checked_div(b).unwrap_or_default())
    }

    /// (a + b/U)(c + d/U) = ac + (ad + bc)/U + bd/U², all in units of 1/U: only the last part is rounded.
    fn product(self, other: Self, divide: impl Fn(u128, u128) -> u128) -> Option<Self> {
        let ((a, b), (c, d)) = (self.split()?, other.split()?);
        let whole = a.checked_mul(c)?.checked_mul(UNITS)?;
        let mixed = a.checked_mul(d)?.checked_add(b.checked_mul(c)?)?;
        // Both are below U, so this cannot overflow.
        let rest = divide(b.checked_mul(d)?, UNITS);
        whole.checked_add(mixed)?.checked_add(rest).map(Self)
    }

    fn split(self) -> Option<(u128, u128)> {
        Some((self.0.checked_div(UNITS)?, self.0.checked_rem(UNITS)?))
    }

    /// Rounds up to two significant digits, so that a limit made from what was seen is a number for people.
    #[must_use]
    pub fn rounded_up(self) -> Self {
        let mut step = 1_u128;
        while self.0.div_ceil(step) >= 100 {
            step = step.saturating_mul(10);
        }
        Self(self.0.div_ceil(step).saturating_mul(step))
    }
}

/// How many units make one.
const UNITS: u128 = 1_000_000_000_000;
const WHOLE_DIGITS: usize = 15;
const FRACTION_DIGITS: usize = 12;

/// `^\d{1,15}(\.\d{1,12})?$`, and nothing that any venue could read as another number.
impl FromStr for Amount {
    type Err = NotAnAmount;
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, fraction) = match text.split_once('.') {
            None => (text, None),
            Some((whole, fraction)) => (whole, Some(fraction)),
        };
        let whole = digits(whole, WHOLE_DIGITS)?;
        let fraction = match fraction {
            None => 0,
            Some(fraction) => {
                let missing = FRACTION_DIGITS.saturating_sub(fraction.len());
                let scale = u32::try_from(missing).ok().and_then(|places| 10_u128.checked_pow(places));
                scale
                    .and_then(|scale| digits(fraction, FRACTION_DIGITS).ok()?.checked_mul(scale))
                    .ok_or(NotAnAmount)?
            }
        };
        whole.checked_mul(UNITS).and_then(|units| units.checked_add(fraction)).map(Self).ok_or(NotAnAmount)
    }
}

fn digits(text: &str, most: usize) -> Result<u128, NotAnAmount> {
    if text.is_empty() || text.len() > most || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAnAmount);
    }
    text.parse().map_err(|_not_digits| NotAnAmount)
}

impl TryFrom<String> for Amount {
    type Error = NotAnAmount;
    fn try_from(text: String) -> Result<Self, NotAnAmount> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

/// Without zeros that say nothing: `250`, `0.05`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.split().unwrap_or_default();
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:012}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}
