//! The PIN: whether it may be tried at all, and how it is read.

use std::os::fd::OwnedFd;

use cryptoki::types::AuthPin;
use rustix::io::Errno;
use strongroom_link::text::without_line_break;
use strongroom_link::token::{TokenRefusal, Tries};
use zeroize::Zeroizing;

/// Longest PIN, in bytes. Longer than any token takes; what is longer is no PIN.
const MAX_PIN_BYTES: usize = 255;

/// Whether a PIN may be sent. The last try belongs to a person who has been told that it is the last
/// (`final_try`); a service must not be what locks a token.
pub(crate) fn permit_one(tries: Tries, final_try: bool) -> Result<(), TokenRefusal> {
    match tries {
        Tries::Unremarkable | Tries::CountLow => Ok(()),
        Tries::Final if final_try => Ok(()),
        Tries::Final => Err(TokenRefusal::PinFinalTry),
        Tries::Locked => Err(TokenRefusal::PinLocked),
    }
}

/// The end of the sentence that tells of a wrong PIN.
pub(crate) const fn after_a_wrong_pin(tries: Tries) -> &'static str {
    match tries {
        Tries::Unremarkable => "",
        Tries::CountLow => ", and the token says that its count is low",
        Tries::Final => ", and the next wrong PIN locks the token",
        Tries::Locked => ", and the token has locked its PIN",
    }
}

/// Reads a PIN from a descriptor to its end; one line break at the end, LF or CRLF, is not part of it.
///
/// An empty PIN is refused here because one vendor's module crashes on it.
pub(crate) fn read(from: &OwnedFd) -> Result<AuthPin, TokenRefusal> {
    let missing = |reason: &str| TokenRefusal::PinMissing { reason: reason.to_owned() };
    // Room for the line break, and for one byte that shows that there are too many.
    let mut buffer = Zeroizing::new([0_u8; MAX_PIN_BYTES + 3]);
    let mut filled = 0_usize;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(missing("more than 255 bytes came"));
        }
        match rustix::io::read(from, room) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(missing(&format!("reading its descriptor failed: {error}"))),
        }
    }
    let pin = without_line_break(buffer.get(..filled).unwrap_or_default());
    if pin.is_empty() {
        return Err(missing("it is empty"));
    }
    if pin.len() > MAX_PIN_BYTES {
        return Err(missing("more than 255 bytes came"));
    }
    let pin = std::str::from_utf8(pin).map_err(|_| missing("it is not UTF-8"))?;
    // One exact allocation, which `AuthPin` wipes.
    Ok(AuthPin::from(Box::<str>::from(pin)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use secrecy::ExposeSecret;

    use super::*;

    fn read_back(bytes: &[u8]) -> Result<String, TokenRefusal> {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        std::fs::File::from(writer).write_all(bytes).unwrap();
        read(&reader).map(|pin| pin.expose_secret().to_owned())
    }

    #[test]
    fn takes_a_pin_without_the_one_line_break_at_its_end() {
        for (sent, pin) in [
            (&b"123456"[..], "123456"),
            (b"123456\n", "123456"),
            (b"123456\r\n", "123456"),
            (b"123456\n\n", "123456\n"),
            (b"123456\r\n\r\n", "123456\r\n"),
            (b"123456\r", "123456\r"),
            (b" 1 \n", " 1 "),
            ("pässwort\n".as_bytes(), "pässwort"),
        ] {
            assert_eq!(read_back(sent), Ok(pin.to_owned()));
        }
        let longest = "9".repeat(MAX_PIN_BYTES);
        assert_eq!(read_back(longest.as_bytes()), Ok(longest.clone()));
        assert_eq!(read_back(format!("{longest}\n").as_bytes()), Ok(longest.clone()));
        assert_eq!(read_back(format!("{longest}\r\n").as_bytes()), Ok(longest));
    }

    #[test]
    fn refuses_what_is_no_pin() {
        for (sent, reason) in [
            (Vec::new(), "it is empty"),
            (b"\n".to_vec(), "it is empty"),
            (b"\r\n".to_vec(), "it is empty"),
            (b"12\xFF".to_vec(), "it is not UTF-8"),
            (vec![b'9'; MAX_PIN_BYTES + 1], "more than 255 bytes came"),
            (vec![b'9'; MAX_PIN_BYTES + 2], "more than 255 bytes came"),
            (vec![b'9'; 4000], "more than 255 bytes came"),
        ] {
            assert_eq!(read_back(&sent), Err(TokenRefusal::PinMissing { reason: reason.to_owned() }));
        }
    }

    #[test]
    fn refuses_to_spend_the_last_try() {
        for final_try in [false, true] {
            assert_eq!(permit_one(Tries::Unremarkable, final_try), Ok(()));
            assert_eq!(permit_one(Tries::CountLow, final_try), Ok(()));
            assert_eq!(permit_one(Tries::Locked, final_try), Err(TokenRefusal::PinLocked));
        }
        assert_eq!(permit_one(Tries::Final, false), Err(TokenRefusal::PinFinalTry));
        assert_eq!(permit_one(Tries::Final, true), Ok(()), "a person has said so");
    }
}
