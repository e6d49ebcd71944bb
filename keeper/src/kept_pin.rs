//! The token's PIN, kept from an unlock to the next lock where the configuration asks for it.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use strongroom_link::keeper::Refusal;

use crate::secret_pipe::PinText;

/// The PIN, or none. Wiped when replaced or dropped.
#[derive(Default)]
pub(crate) struct KeptPin {
    pin: Option<PinText>,
}

impl KeptPin {
    /// Takes the PIN that this pipe gives. Whether it is right only the token can tell.
    pub(crate) fn keep(&mut self, pipe: OwnedFd) -> Result<(), Refusal> {
        self.pin = None;
        let pin = PinText::read(pipe).map_err(|_| Refusal::PinUnfit)?;
        if pin.as_bytes().is_empty() || pin.is_too_long() {
            return Err(Refusal::PinUnfit);
        }
        self.pin = Some(pin);
        Ok(())
    }

    /// Sends the PIN into a socket, without waiting, and closes that. As it was written: the worker takes the line
    /// break off, as it does where the PIN comes by no keeper.
    pub(crate) fn give(&self, to: OwnedFd) -> Result<(), Refusal> {
        let pin = self.pin.as_ref().ok_or(Refusal::PinAbsent)?.as_written();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(&to, &[IoSlice::new(pin)], &mut SendAncillaryBuffer::default(), flags)
        });
        if sent == Ok(pin.len()) { Ok(()) } else { Err(Refusal::PinNotSent) }
    }

    /// Wipes it.
    pub(crate) fn forget(&mut self) {
        self.pin = None;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn keep(pin: &mut KeptPin, text: &[u8]) -> Result<(), Refusal> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(text).unwrap();
        drop(writer);
        pin.keep(reader.into())
    }

    fn given(pin: &KeptPin) -> Result<String, Refusal> {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        pin.give(theirs.into())?;
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn gives_a_pin_as_often_as_it_is_asked_until_it_is_forgotten() {
        let mut pin = KeptPin::default();
        assert_eq!(given(&pin), Err(Refusal::PinAbsent));
        keep(&mut pin, b"123456").unwrap();
        assert_eq!(given(&pin).unwrap(), "123456");
        assert_eq!(given(&pin).unwrap(), "123456");
        keep(&mut pin, &[b'9'; 255]).unwrap();
        assert_eq!(given(&pin).unwrap(), "9".repeat(255));
        pin.forget();
        assert_eq!(given(&pin), Err(Refusal::PinAbsent));
    }

    /// The worker reads it as if it had come by no keeper, so one line break is taken off, not two.
    #[test]
    fn gives_a_pin_as_it_was_written() {
        for text in ["123456\n", "123456\r\n", "123456\n\n", "123456\r\n\r\n", "123456\r"] {
            let mut pin = KeptPin::default();
            keep(&mut pin, text.as_bytes()).unwrap();
            assert_eq!(given(&pin).unwrap(), text);
        }
        let longest = "9".repeat(255) + "\r\n";
        let mut pin = KeptPin::default();
        keep(&mut pin, longest.as_bytes()).unwrap();
        assert_eq!(given(&pin).unwrap(), longest);
    }

    #[test]
    fn keeps_none_where_the_new_one_is_no_pin() {
        for text in [&b""[..], b"\n", b"\r\n", &[b'9'; 256], &[b'9'; 2000]] {
            let mut pin = KeptPin::default();
            keep(&mut pin, b"123456").unwrap();
            assert_eq!(keep(&mut pin, text), Err(Refusal::PinUnfit), "{} bytes", text.len());
            assert_eq!(given(&pin), Err(Refusal::PinAbsent), "the old one is gone all the same");
        }
    }

    #[test]
    fn never_waits() {
        let mut pin = KeptPin::default();
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(pin.keep(reader.into()), Err(Refusal::PinUnfit), "a writer that has not closed");
        keep(&mut pin, b"123456").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        while rustix::net::send(&theirs, &[0; 4096], SendFlags::empty()).is_ok() {}
        theirs.set_nonblocking(false).unwrap();
        assert_eq!(pin.give(theirs.into()), Err(Refusal::PinNotSent), "a socket that is full");
        drop(ours);
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(pin.give(theirs.into()), Err(Refusal::PinNotSent), "a worker that is gone");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(pin.give(file.into()), Err(Refusal::PinNotSent), "no socket");
    }
}
