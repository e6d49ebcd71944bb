//! One installation on a mock token with a running agent, watched all the time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_client::{Client, Enrollment, Error, SignRequest};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, descriptors, wait_until};
use strongroom_softhsm_tests::room::{Agent, Key, Room, everything};
use strongroom_softhsm_tests::settings::set;

/// Two credentials whose venue has no nonces, so that signing writes nothing.
pub(crate) const FIRST: Key<'static> = Key {
    name: "first",
    venue: "binance",
    key_id: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    passphrase: None,
};
pub(crate) const SECOND: Key<'static> = Key { name: "second", ..FIRST };
pub(crate) const THIRD: Key<'static> = Key { name: "third", ..FIRST };

/// More than an agent at rest has, and less than one that forgets some at each failure.
const MOST_DESCRIPTORS: usize = 40;

pub(crate) struct Site {
    pub(crate) room: Room,
    pub(crate) mock: Mock,
    /// Ends with this value.
    pub(crate) agent: Agent,
}

impl Site {
    /// Both credentials are enrolled; the agent runs and is locked.
    pub(crate) fn new(patience_s: u32) -> Self {
        // Who watches over the token calls the module too: here only what a test asks for is to happen.
        Self::new_watched(patience_s, 3_600)
    }

    /// The same, whose token is looked at so often while it is unlocked.
    pub(crate) fn new_watched(patience_s: u32, watch_every_s: u32) -> Self {
        let (token, mock) = Mock::token();
        let room = Room::with(token);
        let _ = room.init(&["--patience", &patience_s.to_string()]).ok();
        set(&room, "token", "watch_every_s", &watch_every_s.to_string());
        for key in [FIRST, SECOND] {
            let _ = room.enroll(&key, &[]).ok();
        }
        let agent = room.start();
        mock.forget_calls();
        Self { room, mock, agent }
    }

    pub(crate) fn client(&self) -> Client {
        self.room.client()
    }

    /// How many warnings and errors stand in its log.
    pub(crate) fn warnings(&self) -> usize {
        let log = self.agent.log();
        ["WARN", "ERROR"].iter().map(|level| log.matches(level).count()).sum()
    }

    pub(crate) fn unlock(&self) -> Result<(), Error> {
        self.client().unlock(text(&self.room.token.pin))
    }

    pub(crate) fn enroll(&self, key: &Key<'_>) -> Result<(), Error> {
        let enrollment = Enrollment::new(key.name, key.venue, key.key_id).grants(everything());
        self.client().enroll(&enrollment, text(&self.room.token.pin), text(key.secret), None)
    }

    pub(crate) fn signs(&self, key: &Key<'_>) -> Result<(), String> {
        let request = SignRequest::new(key.name, "GET", "/api/v3/account");
        let signed = self.client().sign(&request).map_err(|error| format!("{}: {error}", key.name))?;
        if signed.url.contains("signature=") {
            Ok(())
        } else {
            Err(format!("{} has no signature: {}", key.name, signed.url))
        }
    }

    /// The names of the credentials that can sign.
    pub(crate) fn ready(&self) -> Vec<String> {
        let all = self.client().list().unwrap();
        all.into_iter().filter(|one| one.ready).map(|one| one.name).collect()
    }

    /// Everything on the disk that must survive: records, nonces, configuration.
    pub(crate) fn disk(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        disk(&self.room)
    }

    /// Checks that a failure has left nothing behind: no worker, one keeper, no descriptors.
    pub(crate) fn is_tidy(&self, fault: &Fault) -> Result<(), String> {
        // To look at all processes takes time, and only these could leave one.
        if !matches!(fault.act, "crash" | "exit" | "hang" | "remove") {
            return Ok(());
        }
        let pid = self.agent.pid();
        wait_until("the workers end", SOON, || self.agent.children("strongroom-token").is_empty());
        wait_until("unused keepers end", SOON, || self.agent.children("strongroom-keeper").len() == 1);
        // Some are another connection's that is just being closed.
        let open = descriptors(pid);
        if open.len() > MOST_DESCRIPTORS {
            Err(format!("{} descriptors: {open:?}", open.len()))
        } else {
            Ok(())
        }
    }

    /// Does something while another thread asks for the status again and again, and for signatures of
    /// these: all must be answered, also before that is done.
    pub(crate) fn watched<T>(&self, signing: &[Key<'_>], work: impl FnOnce() -> T) -> Result<T, String> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let client = self.client();
                loop {
                    client.status().map_err(|error| format!("no status meanwhile: {error}"))?;
                    signing.iter().try_for_each(|key| self.signs(key))?;
                    if done.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let result = work();
            done.store(true, Ordering::Relaxed);
            watch.join().unwrap().map(|()| result)
        })
    }
}

/// The read end of a pipe that holds a text.
pub(crate) fn text(text: &str) -> OwnedFd {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    reader.into()
}

pub(crate) fn disk(room: &Room) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [room.data(), room.config().parent().unwrap().to_owned()] {
        read_all(&folder, &mut found);
    }
    found
}

fn read_all(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if ["audit", "floors", "removed.toml"].iter().any(|name| entry.file_name() == *name) {
            // Every failure is a line there; every enrolment raises a floor, which stays; a removal while locked is
            // noted.
        } else if entry.path().is_dir() {
            read_all(&entry.path(), found);
        } else {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
}
