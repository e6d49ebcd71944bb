//! The token by which a client says who it is, and where it is found.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use strongroom_protocol::{self as wire, Operation, Request, encode};
use zeroize::Zeroizing;

use crate::Error;

/// What `strongroom client add` has shown once. Wiped when the last copy is dropped; `Debug` does not show it.
#[derive(Clone)]
pub struct ClientToken(Arc<Zeroizing<String>>);

/// Longer than any token; a file that is longer is another one.
const MOST_BYTES: usize = 256;
const PREFIX: &str = "strongroom_";

impl ClientToken {
    /// Takes a token in its text form; a line end behind it is left out.
    ///
    /// # Errors
    /// [`Error::Token`] where it can be none.
    pub fn new(text: &str) -> Result<Self, Error> {
        let text = text.trim_end_matches(['\r', '\n']);
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if text.starts_with(PREFIX) && plain && text.len() <= MOST_BYTES {
            Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
        } else {
            Err(Error::Token { place: None, fault: "a client token begins with `strongroom_`".to_owned() })
        }
    }

    /// Reads a token from a file that nobody else may read: its owner alone, or root and by its rights the
    /// service that systemd gives it to.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let refused = |fault: String| Error::Token { place: Some(path.to_owned()), fault };
        let mut text = Zeroizing::new(Vec::with_capacity(MOST_BYTES.saturating_add(1)));
        let mut read = || -> io::Result<Result<(), String>> {
            let flags = i32::try_from((OFlags::CLOEXEC | OFlags::NONBLOCK).bits()).unwrap_or_default();
            let file = File::options().read(true).custom_flags(flags).open(path)?;
            let found = file.metadata()?;
            if !found.is_file() {
                return Ok(Err("is no file".to_owned()));
            }
            if !is_closed_to_others(found.mode(), found.uid(), found.gid()) {
                let mode = found.mode() & 0o7777;
                return Ok(Err(format!("can be read by others (mode {mode:04o}); make it 0600")));
            }
            let most = u64::try_from(MOST_BYTES).unwrap_or_default();
            file.take(most).read_to_end(&mut text)?;
            Ok(Ok(()))
        };
        read().map_err(|error| refused(error.to_string()))?.map_err(refused)?;
        let text = std::str::from_utf8(&text).map_err(|_| refused("holds no client token".to_owned()))?;
        Self::new(text).map_err(|_| refused("holds no client token".to_owned()))
    }

    /// The text, for the place where it is to be kept.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The frame that says hello with it. Wiped when dropped.
    pub(crate) fn hello(&self, id: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
        // So much that it is never moved, which would leave a copy behind.
        let mut frame = Zeroizing::new(Vec::with_capacity(MOST_BYTES.saturating_add(64)));
        let operation = Operation::Hello { token: wire::ClientToken(&self.0) };
        encode(&Request { id, operation }, &mut frame)?;
        Ok(frame)
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("ClientToken(..)")
    }
}

/// The token that this process was given: `$STRONGROOM_TOKEN`, else in the file `$STRONGROOM_TOKEN_FILE`. An empty
/// variable counts as one that is not set.
///
/// # Errors
/// [`Error::Token`] where what is set gives none.
pub fn default_token() -> Result<Option<ClientToken>, Error> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(text) = set("STRONGROOM_TOKEN") {
        return ClientToken::new(&Zeroizing::new(text.into_string().unwrap_or_default())).map(Some);
    }
    set("STRONGROOM_TOKEN_FILE").map(|path| ClientToken::read(PathBuf::from(path))).transpose()
}

/// Whether only the owner can read a file. systemd hands credentials over as files of root that root's group
/// may read by their mode, which there stands for one service in a list of access.
const fn is_closed_to_others(mode: u32, owner: u32, group: u32) -> bool {
    let allowed = if owner == 0 && group == 0 { 0o740 } else { 0o700 };
    mode & 0o777 & !allowed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn shows_no_token_in_debug_or_error() {
        let token = ClientToken::new("strongroom_0123abcd\n").unwrap();
        assert_eq!(token.reveal(), "strongroom_0123abcd");
        assert_eq!(format!("{token:?}"), "ClientToken(..)");
        for text in ["", "0123abcd", "strongroom_0123 abcd", &format!("strongroom_{}", "0".repeat(300))] {
            let error = ClientToken::new(text).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("0123"), "{error:?}");
        }
    }

    #[test]
    fn reads_a_token_only_from_a_file_that_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "strongroom_0123abcd\n").unwrap();
        for (mode, is_read) in [(0o600, true), (0o400, true), (0o604, false), (0o620, false), (0o644, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(ClientToken::read(&path).is_ok(), is_read, "{mode:o}");
        }
        assert!(matches!(ClientToken::read(folder.path()), Err(Error::Token { .. })));
        for (mode, owner, group, expected) in [
            (0o440, 0, 0, true),
            (0o440, 0, 1000, false),
            (0o440, 1000, 0, false),
            (0o460, 0, 0, false),
            (0o404, 0, 0, false),
        ] {
            assert_eq!(is_closed_to_others(mode, owner, group), expected, "{mode:o} {owner} {group}");
        }
    }
}
