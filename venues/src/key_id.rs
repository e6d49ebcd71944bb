//! What a venue's key ids look like, so that a wrong one is found when it is enrolled and not at the venue.

use sha3::{Digest as _, Keccak256};

use crate::codec;
use crate::error::KeyIdError;
use crate::template::Pattern;

/// `[key_id]`
#[derive(Debug)]
pub(crate) struct KeyIdShape {
    /// What they are, for people.
    pub(crate) is: String,
    /// All of it fits this. Where there is none it is an address: `0x` and 40 hexadecimal digits, whose capitals are a
    /// checksum where there are small letters too.
    pub(crate) pattern: Option<Pattern>,
}

impl KeyIdShape {
    /// Whether `key_id` has it.
    pub(crate) fn check(&self, key_id: &str) -> Result<(), KeyIdError> {
        let fits = match &self.pattern {
            None => {
                let digits = key_id.strip_prefix("0x").filter(|digits| digits.len() == 40);
                match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                    Some(digits) if !is_as_written(digits) => return Err(KeyIdError::Slip),
                    digits => digits.is_some(),
                }
            }
            Some(pattern) => pattern.is_match(key_id.as_bytes()),
        };
        if fits { Ok(()) } else { Err(KeyIdError::Shape { is: self.is.clone() }) }
    }
}

/// Whether the capitals of an address are right: none, all, or those of <https://eips.ethereum.org/EIPS/eip-55>.
fn is_as_written(digits: &str) -> bool {
    let has = |of: fn(&u8) -> bool| digits.bytes().any(|byte| of(&byte));
    if !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_uppercase) {
        return true;
    }
    let mut hash = Vec::new();
    codec::hex(&Keccak256::digest(digits.to_ascii_lowercase()), &mut hash);
    let mut pairs = digits.bytes().zip(hash);
    pairs.all(|(digit, hash)| !digit.is_ascii_alphabetic() || digit.is_ascii_uppercase() == (hash >= b'8'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_examples_of_eip_55() {
        let shape = KeyIdShape { is: "an address".to_owned(), pattern: None };
        let examples = [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x27b1fdb04752bbc536007a920d24acb045561c26",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ];
        for good in examples {
            assert_eq!(shape.check(good), Ok(()), "{good}");
        }
        for slip in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee",
            "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ] {
            assert_eq!(shape.check(slip), Err(KeyIdError::Slip), "{slip}");
        }
        let other = Err(KeyIdError::Shape { is: "an address".to_owned() });
        for wrong in [
            "",
            "0x",
            "0x1234",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            assert_eq!(shape.check(wrong), other, "{wrong}");
        }
        assert_eq!(shape.check(&format!("0x{}", "g".repeat(40))), other);
        assert_eq!(shape.check(&format!("0x{}", "a".repeat(41))), other);
    }

    #[test]
    fn holds_a_pattern_for_the_whole_key_id() {
        let pattern = Pattern::compile("^(?:a|bc)$").unwrap();
        let shape = KeyIdShape { is: "a letter".to_owned(), pattern: Some(pattern) };
        for (key_id, fits) in
            [("a", true), ("bc", true), ("ab", false), ("abc", false), ("a\n", false), ("", false)]
        {
            assert_eq!(shape.check(key_id).is_ok(), fits, "{key_id:?}");
        }
    }
}
