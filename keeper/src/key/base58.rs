//! Base58, in which wallets of NEAR and Solana write keys: a number in digits without `0`, `O`, `I` and `l`.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Decodes a number of 32 or 64 bytes into the front of `room`; says how many, or nothing where `text` is no such
/// number.
pub(super) fn decode(text: &[u8], room: &mut [u8]) -> Option<usize> {
    [32, 64].into_iter().find(|length| {
        // Each byte of zeros in front is written as one `1`, and no other digit in front is.
        let zeros = text.iter().take_while(|digit| **digit == b'1').count();
        let Some(number) = room.get_mut(..*length) else { return false };
        number.fill(0);
        let fits = text.iter().all(|digit| times_58_plus(number, *digit));
        fits && number.iter().take_while(|byte| **byte == 0).count() == zeros
    })
}

/// Puts one more digit behind those of `number`; `false` where it is no digit, or the number has no room for it.
fn times_58_plus(number: &mut [u8], digit: u8) -> bool {
    let Some(value) = ALPHABET.iter().position(|known| *known == digit) else { return false };
    let mut carry = u16::try_from(value).unwrap_or_default();
    for byte in number.iter_mut().rev() {
        // At most 255 * 58 + 255.
        let [low, high] = u16::from(*byte).wrapping_mul(58).wrapping_add(carry).to_le_bytes();
        *byte = low;
        carry = high.into();
    }
    carry == 0
}
