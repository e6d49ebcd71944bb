//! Where things are, and what `strongroom.toml` says.

mod confirm;
mod locks;
mod patience;
mod skew;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_link::token::{KekId, Rung};
use strongroom_protocol::ErrorCode;

pub(crate) use self::confirm::ConfirmWithin;
pub(crate) use self::locks::{IdleLimit, OnTokenRemoved, WatchEvery};
pub(crate) use self::patience::Patience;
pub(crate) use self::skew::{Skew, Skews};
use crate::audit::vouch::Fingerprint;
use crate::fault::Fault;
use crate::policy::Admin;
use crate::store::atomic;

/// The three places of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The folder of records and nonces.
    pub(crate) data: PathBuf,
    /// The agent's socket; absent where nothing says where it could be.
    pub(crate) socket: Option<PathBuf>,
}

impl Places {
    /// What the options say, else the variables of our own, else what the XDG base directory specification says. They
    /// are not read with the options: whoever has mistyped one is told of the options that he gave.
    ///
    /// # Errors
    /// Where neither an option nor the environment names a place.
    pub(crate) fn new(
        config: Option<PathBuf>,
        data: Option<PathBuf>,
        socket: Option<PathBuf>,
    ) -> Result<Self, Fault> {
        let home = |variable: &str, below: &str| {
            absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below)))
        };
        let named =
            |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let missing = |what: &str, option: &str| {
            let message = format!("nothing says where the {what} is: $HOME is not set");
            Fault::new(ErrorCode::Invalid, message, format!("set $HOME, or use {option}"))
        };
        Ok(Self {
            config: config
                .or_else(|| named("STRONGROOM_CONFIG"))
                .or_else(|| Some(home("XDG_CONFIG_HOME", ".config")?.join("strongroom/strongroom.toml")))
                .ok_or_else(|| missing("configuration", "--config"))?,
            data: data
                .or_else(|| named("STRONGROOM_DATA"))
                .or_else(|| absolute("STATE_DIRECTORY"))
                .or_else(|| Some(home("XDG_DATA_HOME", ".local/share")?.join("strongroom")))
                .ok_or_else(|| missing("data folder", "--data"))?,
            socket: socket
                .or_else(|| named("STRONGROOM_SOCKET"))
                .or_else(|| Some(absolute("XDG_RUNTIME_DIR")?.join("strongroom/agent.sock"))),
        })
    }

    /// The folder of the user's own profiles: beside the configuration.
    pub(crate) fn venues(&self) -> PathBuf {
        self.config.with_file_name("venues")
    }

    /// The agent's socket.
    ///
    /// # Errors
    /// Where nothing says where it is.
    pub(crate) fn socket(&self) -> Result<&Path, Fault> {
        self.socket.as_deref().ok_or_else(|| {
            Fault::new(
                ErrorCode::Invalid,
                "nothing says where the agent's socket is: $XDG_RUNTIME_DIR is not set",
                "set $STRONGROOM_SOCKET, or use --socket",
            )
        })
    }
}

/// A variable that holds an absolute path; others are ignored, as the XDG specification asks.
fn absolute(variable: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os(variable)?)).filter(|path| path.is_absolute())
}

/// `strongroom.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) token: TokenConfig,
    #[serde(default)]
    pub(crate) agent: AgentConfig,
    #[serde(default)]
    pub(crate) audit: AuditConfig,
    #[serde(default, skip_serializing_if = "AlertConfig::is_empty")]
    pub(crate) alert: AlertConfig,
    /// By how many milliseconds the clocks of venues are ahead of ours.
    #[serde(default, skip_serializing_if = "Skews::is_empty")]
    pub(crate) venue_skew_ms: Skews,
}

/// The name of [`Config::venue_skew_ms`] in the file.
pub(crate) const SKEWS: &str = "venue_skew_ms";

/// Which token, which KEK in it, and how it protects seeds. Written by `strongroom init`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenConfig {
    pub(crate) module: PathBuf,
    pub(crate) serial: String,
    pub(crate) label: String,
    pub(crate) kek_label: String,
    #[serde(with = "kek_id")]
    pub(crate) kek_id: KekId,
    #[serde(with = "by_name")]
    pub(crate) rung: Rung,
    /// The token's own key, which signs a checkpoint of the audit log at each unlock. Absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit_key: Option<Fingerprint>,
    /// How long the token may take for one thing before its worker is ended.
    #[serde(default)]
    pub(crate) patience_s: Patience,
    /// What happens to loaded keys when the token is pulled out.
    #[serde(default)]
    pub(crate) on_token_removed: OnTokenRemoved,
    /// How often it is looked whether the token is still there, while the agent is unlocked.
    #[serde(default)]
    pub(crate) watch_every_s: WatchEvery,
    /// The keeper keeps the PIN of the last unlock until the next lock, so that enrolling needs none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) relogin: bool,
    /// All that the token worker's environment holds.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
}

/// How the agent behaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentConfig {
    /// Who may do everything but sign. Written by `strongroom init`.
    pub(crate) admins: Vec<Admin>,
    /// Sign requests that bring their own timestamp or nonce however far it is from the clock. For
    /// replaying published examples; with it, a bot can obtain signatures for any time to come.
    pub(crate) danger_accept_any_caller_time: bool,
    /// Keep secrets in memory that root can read where the kernel has no other.
    pub(crate) danger_allow_weak_memory: bool,
    /// Lock before the machine goes to sleep.
    pub(crate) lock_on_suspend: bool,
    /// Lock when nothing was signed for so long; never where it is absent.
    pub(crate) lock_after_idle_s: Option<IdleLimit>,
    /// How long a request waits for a human where its grant asks for one.
    pub(crate) confirm_s: ConfirmWithin,
    /// Unlock at the start by the PIN that a person enters on the token's pad.
    pub(crate) pad_at_start: bool,
    /// The program that asks a person for the PIN; `none` for the terminal. Where nothing is said, the
    /// `pinentry` of a graphical session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pinentry: Option<String>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            admins: Vec::new(),
            danger_accept_any_caller_time: false,
            danger_allow_weak_memory: false,
            lock_on_suspend: true,
            lock_after_idle_s: None,
            confirm_s: ConfirmWithin::default(),
            pad_at_start: false,
            pinentry: None,
        }
    }
}

/// Whom to tell when a honey credential is used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlertConfig {
    pub(crate) command: AlertCommand,
}

impl AlertConfig {
    fn is_empty(&self) -> bool {
        self.command.0.is_empty()
    }
}

/// A program by its whole path, and its arguments; none where nobody is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct AlertCommand(pub(crate) Vec<String>);

impl TryFrom<Vec<String>> for AlertCommand {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Self, &'static str> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err("an alert command holds no byte 0");
        }
        match words.first() {
            Some(program) if !program.starts_with('/') => {
                Err("an alert command begins with the whole path of a program")
            }
            _ => Ok(Self(words)),
        }
    }
}

/// How what was decided is written down.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuditConfig {
    pub(crate) durability: Durability,
    pub(crate) rotate_mib: RotateMib,
    /// So many files are kept; 0 keeps all.
    pub(crate) keep_files: u32,
    /// Give a copy of each line to the system's journal.
    pub(crate) journald: bool,
}

impl AuditConfig {
    /// Bytes after which a new file is begun.
    pub(crate) fn rotate_bytes(self) -> u64 {
        u64::from(self.rotate_mib.0).saturating_mul(1024 * 1024)
    }
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// For the kernel to have its line; the disk has it 100 ms later.
    #[default]
    Group,
    /// For the disk.
    Sync,
}

/// MiB of one file of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct RotateMib(u32);

impl Default for RotateMib {
    fn default() -> Self {
        Self(64)
    }
}

impl TryFrom<u32> for RotateMib {
    type Error = &'static str;

    fn try_from(mib: u32) -> Result<Self, &'static str> {
        if (1..=4096).contains(&mib) {
            Ok(Self(mib))
        } else {
            Err("a file of the audit log has 1 to 4096 MiB")
        }
    }
}

impl Config {
    /// Every setting that makes the agent weaker than it is by default.
    pub(crate) fn weaknesses(&self) -> Vec<&'static str> {
        let weak = [
            (self.agent.danger_accept_any_caller_time, "danger_accept_any_caller_time"),
            (self.agent.danger_allow_weak_memory, "danger_allow_weak_memory"),
            (!self.agent.lock_on_suspend, "no_lock_on_suspend"),
            (self.token.on_token_removed == OnTokenRemoved::Keep, "keys_outlive_token"),
        ];
        weak.into_iter().filter_map(|(is_on, name)| is_on.then_some(name)).collect()
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// Where there is none, or it is not as documented; the message has the line.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            let message = format!("the configuration {} cannot be read: {source}", path.display());
            let hint = if source.kind() == std::io::ErrorKind::NotFound {
                "run `strongroom init` first, or name the file with --config"
            } else {
                "make it readable for this user"
            };
            Fault::new(ErrorCode::Unavailable, message, hint)
        })?;
        toml::from_str(&text).map_err(|error| {
            let message = format!("the configuration {} is not valid: {error}", path.display());
            Fault::new(ErrorCode::Invalid, message.trim_end(), "see docs/reference/configuration.md")
        })
    }

    /// Writes the configuration, atomically and durably.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Fault> {
        let text = toml::to_string(self).map_err(Fault::defect)?;
        Self::write_text(path, &format!("{HEADER}{text}"))
    }

    /// Writes a configuration that was edited, atomically and durably.
    ///
    /// # Errors
    /// Where the disk refuses, or it is none; nothing has changed then.
    pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Fault> {
        toml::from_str::<Self>(text).map_err(Fault::defect)?;
        atomic::make_folder(atomic::folder_of(path))
            .and_then(|()| atomic::write_named(path, text.as_bytes()))
            .map_err(Fault::from)
    }
}

const HEADER: &str =
    "# Written by `strongroom init`; docs/reference/configuration.md explains it. No secrets here.\n\n";

/// A KEK id as 32 hexadecimal digits.
pub(crate) mod kek_id {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use strongroom_link::token::KekId;

    pub(crate) fn serialize<S: Serializer>(id: &KekId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(id))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KekId, D::Error> {
        let text = String::deserialize(from)?;
        base16ct::lower::decode_vec(&text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| D::Error::custom("a KEK id is 32 hexadecimal digits"))
    }

    pub(crate) fn text(id: &KekId) -> String {
        base16ct::lower::encode_string(id)
    }
}

/// A closed set of names, by its texts.
pub(crate) mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
