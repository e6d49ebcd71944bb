//! What outlives the process: the keys, the count of wrong PINs, and the log of calls.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use cryptoki_sys::{CK_OBJECT_HANDLE, CKR_DEVICE_ERROR};
use serde::{Deserialize, Serialize};

use crate::code::Outcome;
use crate::file::TomlFile;
use crate::key::Key;

static CONTENTS: TomlFile<Contents> = TomlFile::new();

/// The folder of one token. A failing disk is a failing device.
pub(crate) struct Store {
    folder: PathBuf,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Contents {
    wrong_pins: u32,
    /// By handle; TOML has texts as keys only.
    keys: BTreeMap<String, Key>,
}

impl Store {
    pub(crate) const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Adds one line to the log of calls.
    pub(crate) fn log(&self, line: &str) {
        let file = OpenOptions::new().create(true).append(true).open(self.folder.join("calls.log"));
        if let Ok(mut file) = file {
            // One write, so that lines of several processes do not mix.
            drop(file.write_all(format!("{} {line}\n", std::process::id()).as_bytes()));
        }
    }

    /// Notes that a fault happens once more, where that is not `most` times already; 0 sets no bound.
    pub(crate) fn spend(&self, most: usize) -> bool {
        let path = self.folder.join("spent.log");
        let spent = std::fs::read(&path).unwrap_or_default().len();
        if most > 0 && spent < most {
            let file = OpenOptions::new().create(true).append(true).open(path);
            return file.and_then(|mut file| file.write_all(b".")).is_ok();
        }
        most == 0
    }

    /// How many wrong PINs were entered since the last right one.
    pub(crate) fn wrong_pins(&self) -> Outcome<u32> {
        Ok(self.read()?.wrong_pins)
    }

    pub(crate) fn set_wrong_pins(&self, count: u32) -> Outcome<()> {
        self.change(|contents| contents.wrong_pins = count)
    }

    pub(crate) fn keys(&self) -> Outcome<BTreeMap<CK_OBJECT_HANDLE, Key>> {
        let by_handle = |(handle, key): (String, Key)| Some((handle.parse().ok()?, key));
        Ok(self.read()?.keys.into_iter().filter_map(by_handle).collect())
    }

    /// Keeps a key and gives its handle.
    pub(crate) fn add(&self, key: Key) -> Outcome<CK_OBJECT_HANDLE> {
        let last = self.keys()?.last_key_value().map_or(0, |(handle, _)| *handle);
        let handle = last.saturating_add(1);
        self.change(|contents| drop(contents.keys.insert(handle.to_string(), key)))?;
        Ok(handle)
    }

    pub(crate) fn remove(&self, handle: CK_OBJECT_HANDLE) -> Outcome<()> {
        self.change(|contents| drop(contents.keys.remove(&handle.to_string())))
    }

    fn read(&self) -> Outcome<Contents> {
        let path = self.folder.join("contents.toml");
        if !path.exists() {
            return Ok(Contents::default());
        }
        CONTENTS.read(&path).map_err(broken)
    }

    /// One process at a time; a reader sees the old contents or the new.
    fn change(&self, change: impl FnOnce(&mut Contents)) -> Outcome<()> {
        let lock = File::create(self.folder.join("lock")).map_err(broken)?;
        lock.lock().map_err(broken)?;
        let mut contents = self.read()?;
        change(&mut contents);
        let text = toml::to_string(&contents).map_err(broken)?;
        let new = self.folder.join("contents.new");
        std::fs::write(&new, text).map_err(broken)?;
        std::fs::rename(&new, Path::new(&self.folder).join("contents.toml")).map_err(broken)
    }
}

fn broken<E>(_: E) -> cryptoki_sys::CK_RV {
    CKR_DEVICE_ERROR
}
