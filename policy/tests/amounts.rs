//! Amounts against long multiplication, digit by digit.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail by a panic"
)]

use proptest::prelude::*;
use strongroom_policy::Amount;

/// Decimal digits of a whole number, the lowest first: as large as memory.
fn digits(number: u128) -> Vec<u8> {
    number.to_string().bytes().rev().map(|byte| byte - b'0').collect()
}

fn product(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut sum = vec![0_u32; one.len() + other.len()];
    for (i, a) in one.iter().enumerate() {
        for (j, b) in other.iter().enumerate() {
            sum[i + j] += u32::from(*a) * u32::from(*b);
        }
    }
    let mut carry = 0;
    sum.iter()
        .map(|digit| {
            let total = digit + carry;
            carry = total / 10;
            u8::try_from(total % 10).unwrap()
        })
        .collect()
}

/// The product of two amounts in units: its whole digits, and whether anything is behind them.
fn oracle(one: Amount, other: Amount) -> (String, bool) {
    let all = product(&digits(one.units()), &digits(other.units()));
    let rest = all.iter().take(12).any(|digit| *digit != 0);
    let whole: String = all.iter().skip(12).rev().map(|digit| char::from(b'0' + digit)).collect();
    (whole.trim_start_matches('0').to_owned(), rest)
}

fn text() -> impl Strategy<Value = String> {
    "[0-9]{1,15}(\\.[0-9]{1,12})?"
}

proptest! {
    #[test]
    fn multiplies_exactly_and_rounds_to_the_side_that_was_asked(one in text(), other in text()) {
        let (one, other): (Amount, Amount) = (one.parse().unwrap(), other.parse().unwrap());
        let (whole, rest) = oracle(one, other);
        let whole: Option<u128> = if whole.is_empty() { Some(0) } else { whole.parse().ok() };
        let shown = |amount: Option<Amount>| amount.map(Amount::units);
        prop_assert_eq!(shown(one.checked_mul_down(other)), whole);
        let up = whole.and_then(|whole| whole.checked_add(u128::from(rest)));
        prop_assert_eq!(shown(one.checked_mul_up(other)), up);
    }

    #[test]
    fn reads_one_form_only_and_keeps_every_digit(text in "\\PC{0,20}|[0-9+-]{0,3}[0-9_ ]{0,17}[.,e]?[0-9]{0,14}") {
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<Amount>() {
            Err(_) => prop_assert!(!(digits(whole, 15) && digits(fraction, 12)), "{}", text),
            Ok(amount) => {
                prop_assert!(digits(whole, 15) && digits(fraction, 12), "{}", text);
                let units = format!("{whole}{fraction:0<12}");
                prop_assert_eq!(amount.units(), units.parse::<u128>().unwrap());
                prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
            }
        }
    }

    #[test]
    fn rounds_up_to_two_digits(text in text()) {
        let amount: Amount = text.parse().unwrap();
        let rounded = amount.rounded_up();
        prop_assert!(rounded >= amount);
        let digits = rounded.units().to_string();
        prop_assert!(digits.trim_end_matches('0').len() <= 2, "{}", digits);
        // Not by more than a tenth.
        prop_assert!(rounded.units() - amount.units() <= amount.units() / 10 + 1);
    }
}
