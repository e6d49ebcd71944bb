//! The venues that this agent knows: those that ship, and those of the user's own, which are pinned at enrolment.
//!
//! A credential of a venue that ships signs by the profile of the running release. One of a user's own profile signs by
//! the text with which it was enrolled: its record names the SHA-256, and the store keeps the copy.

mod diff;
mod own;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use strongroom_protocol::ErrorCode;
use strongroom_venues::{Profile, SendOnly, builtin, builtin_profiles, send_only};

pub(crate) use self::own::{OwnFile, compiled_from};
use crate::config::Places;
use crate::fault::Fault;
use crate::store::profiles::{ProfileHash, read_copy};
use crate::store::record::Meta;

/// Profiles by where they come from.
pub(crate) struct Profiles {
    /// The folder of the user's own.
    own: PathBuf,
    /// The configuration beside it, whose owner may own profiles too.
    config: PathBuf,
    /// The data folder, which has the copies.
    data: PathBuf,
    shipped: RefCell<HashMap<String, Rc<Profile>>>,
}

/// A profile as an enrolment takes it.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) profile: Rc<Profile>,
    /// The user's own text, to which the credential is pinned; none where the profile ships.
    pub(crate) own: Option<OwnFile>,
}

impl Chosen {
    /// What a record says of it.
    pub(crate) fn hash(&self) -> Option<ProfileHash> {
        self.own.as_ref().map(|own| own.hash)
    }
}

/// A file in the folder of the user's own profiles, and what it holds or why it cannot be used.
pub(crate) type FoundFile = (PathBuf, Result<Chosen, Fault>);

/// How the text by which a credential signs stands to its venue's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no file to enrol by, and this is why.
    Alone(String),
    /// It is that of this file.
    Current(PathBuf),
    /// This file was changed since.
    Older(PathBuf),
    /// A profile of that name ships now.
    Shipped,
}

impl Standing {
    /// What to say of credential `name` where it does not sign as one that is enrolled now would.
    pub(crate) fn behind(&self, name: &str) -> Option<String> {
        let moves_on = format!("`strongroom venue repin {name}` shows what has changed and moves it on");
        match self {
            Self::Alone(why) => {
                Some(format!("signs by the copy of a profile that is no more to be had: {why}"))
            }
            Self::Current(_) => None,
            Self::Older(path) => Some(format!("signs by an older text of {}; {moves_on}", path.display())),
            Self::Shipped => {
                Some(format!("signs by a profile of yours, and one of that name ships now; {moves_on}"))
            }
        }
    }
}

impl Profiles {
    /// The profiles of an installation.
    pub(crate) fn new(places: &Places) -> Self {
        Self {
            own: places.venues(),
            config: places.config.clone(),
            data: places.data.clone(),
            shipped: RefCell::default(),
        }
    }

    /// The profile by which a new credential of that venue would sign.
    ///
    /// # Errors
    /// Where there is none; where the user's own may not be used, or is none: the message has the place.
    pub(crate) fn offered(&self, venue: &str) -> Result<Chosen, Fault> {
        let file = self.own_file(venue);
        match (self.shipped(venue)?, &file) {
            (Some(profile), None) => return Ok(Chosen { profile, own: None }),
            (Some(_), Some(path)) => return Err(shadows(venue, path)),
            (None, Some(path)) if send_only(venue).is_some() => return Err(shadows(venue, path)),
            (None, _) => {}
        }
        let Some(path) = file else { return Err(sends_secret(venue).unwrap_or_else(|| self.unknown(venue))) };
        let (profile, own) = self.read(&path)?;
        own::check(&profile, &path)?;
        Ok(Chosen { profile: Rc::new(profile), own: Some(own) })
    }

    /// The profile of that name, for whoever only wants to look: a user's own may be of no use for enrolment.
    ///
    /// # Errors
    /// Where there is none, or it does not compile.
    pub(crate) fn look(&self, venue: &str) -> Result<Chosen, Fault> {
        if let Some(profile) = self.shipped(venue)? {
            return Ok(Chosen { profile, own: None });
        }
        let Some(path) = self.own_file(venue) else { return Err(self.unknown(venue)) };
        let (profile, own) = self.read(&path)?;
        Ok(Chosen { profile: Rc::new(profile), own: Some(own) })
    }

    /// The profile by which the credential with this record signs.
    ///
    /// # Errors
    /// Where the copy of a user's own is not there, was changed, or does not compile any more; where no profile of that
    /// name ships any more.
    pub(crate) fn of(&self, meta: &Meta) -> Result<Rc<Profile>, Fault> {
        let found = self.pinned(&meta.venue, meta.profile);
        if meta.profile.is_none() {
            return found;
        }
        // Who is told of it later is told of the message alone.
        found.map_err(|fault| {
            let cure = format!(
                "`strongroom venue repin {}` has it sign by your profile as that is now",
                meta.name.as_str()
            );
            Fault { message: format!("{}; {cure}", fault.message), ..fault }
        })
    }

    /// The same, by what a record says of it.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn pinned(&self, venue: &str, hash: Option<ProfileHash>) -> Result<Rc<Profile>, Fault> {
        let Some(hash) = hash else {
            return self.shipped(venue)?.ok_or_else(|| self.unknown(venue));
        };
        let text = read_copy(&self.data, hash)?;
        let profile = Profile::compile(&text).map_err(|error| {
            let message = format!("this version does not take the profile that it signs by: {error}");
            let hint = "mend your file, and have it sign by that: `strongroom venue repin`";
            Fault::new(ErrorCode::Unavailable, message, hint)
        })?;
        Ok(Rc::new(profile))
    }

    /// What each line of a pinned text was, and is in the text that was chosen; none where either is not a user's own.
    pub(crate) fn changed_lines(&self, pinned: Option<ProfileHash>, chosen: &Chosen) -> Vec<String> {
        let old = pinned.and_then(|hash| read_copy(&self.data, hash).ok());
        match (old, &chosen.own) {
            (Some(old), Some(own)) => diff::lines(&old, &own.text),
            _ => Vec::new(),
        }
    }

    /// How the text to which a credential is pinned stands to the profile of its venue as that is now.
    pub(crate) fn standing(&self, venue: &str, pinned: ProfileHash) -> Standing {
        match self.offered(venue) {
            Ok(Chosen { own: Some(own), .. }) if own.hash == pinned => Standing::Current(own.path),
            Ok(Chosen { own: Some(own), .. }) => Standing::Older(own.path),
            Ok(Chosen { own: None, .. }) => Standing::Shipped,
            Err(fault) => Standing::Alone(fault.message),
        }
    }

    /// All files in the folder of the user's own profiles, sorted by name, and what each holds or why it cannot be
    /// used.
    ///
    /// # Errors
    /// Where the folder is there and cannot be read.
    pub(crate) fn own(&self) -> Result<Vec<FoundFile>, Fault> {
        let paths = own::files(&self.own)?;
        let read = |path: PathBuf| {
            let chosen = self.read(&path).and_then(|(profile, own)| {
                if builtin(profile.id()).is_some() || send_only(profile.id()).is_some() {
                    return Err(shadows(profile.id(), &path));
                }
                Ok(Chosen { profile: Rc::new(profile), own: Some(own) })
            });
            (path, chosen)
        };
        Ok(paths.into_iter().map(read).collect())
    }

    fn read(&self, path: &Path) -> Result<(Profile, OwnFile), Fault> {
        let own = own::read(path, &self.config)?;
        let profile = compiled_from(path, &own.text)?;
        own::named_after(path, &profile)?;
        Ok((profile, own))
    }

    /// The file of a user's own profile, where there is one.
    fn own_file(&self, venue: &str) -> Option<PathBuf> {
        let path = self.own.join(format!("{venue}.toml"));
        // What is no id leads to no other folder.
        (is_id(venue) && path.symlink_metadata().is_ok()).then_some(path)
    }

    fn shipped(&self, venue: &str) -> Result<Option<Rc<Profile>>, Fault> {
        if let Some(profile) = self.shipped.borrow().get(venue) {
            return Ok(Some(Rc::clone(profile)));
        }
        let Some(compiled) = builtin(venue) else { return Ok(None) };
        let profile = Rc::new(compiled.map_err(Fault::defect)?);
        self.shipped.borrow_mut().insert(venue.to_owned(), Rc::clone(&profile));
        Ok(Some(profile))
    }

    fn unknown(&self, venue: &str) -> Fault {
        let own = own::files(&self.own).unwrap_or_default();
        let own = own.iter().filter_map(|path| path.file_stem()?.to_str());
        let known: Vec<_> = builtin_profiles().iter().map(|(id, _)| *id).chain(own).collect();
        let hint = format!(
            "the venues are: {}; a profile of yours goes into {}",
            known.join(", "),
            self.own.display()
        );
        Fault::new(ErrorCode::NotFound, format!("there is no venue `{venue}`"), hint)
    }
}

/// Why no key of such a venue is enrolled, where `venue` ships as one.
fn sends_secret(venue: &str) -> Option<Fault> {
    let venue = send_only(venue)?;
    Some(venue.map_or_else(Fault::defect, |venue| send_only_fault(&venue)))
}

fn send_only_fault(venue: &SendOnly) -> Fault {
    let message = format!(
        "refusing {}: it takes key and secret as they are in every request, so a bot would have to be given the secret",
        venue.name()
    );
    let mut hint =
        "such keys need send mode, in which the agent sends the request itself; this version does not have it"
            .to_owned();
    if !venue.docs().is_empty() {
        hint.push_str(&format!(" ({})", venue.docs()));
    }
    Fault::new(ErrorCode::Invalid, message, hint)
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(plain) && text.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
}

/// A profile of the user's that has the name of one that ships. Neither of the two is guessed to be meant.
fn shadows(venue: &str, path: &Path) -> Fault {
    Fault::new(
        ErrorCode::Invalid,
        format!("refusing `{venue}`: {} has the name of a profile that ships", path.display()),
        format!(
            "give yours another name, `profile = \"{venue}-mine\"` in {venue}-mine.toml, or take it away"
        ),
    )
}
