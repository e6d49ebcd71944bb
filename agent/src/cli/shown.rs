//! A credential as the command line shows it, whether an agent told of it or the disk.

use serde_json::{Value, json};
use strongroom_client::Credential;

use super::output;
use crate::signer::profiles::{Profiles, Standing};
use crate::signer::report::{CUSTODY, CredentialReport};

/// One credential; what is not known is empty.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) venue: String,
    pub(super) key_id: String,
    base_url: String,
    algorithm: String,
    custody: String,
    rung: String,
    token_serial: String,
    enrolled: String,
    pub(super) ready: bool,
    pub(super) fault: String,
    /// 0 where the record cannot be read.
    revision: u64,
    grants: u32,
    accept_unbound: Vec<String>,
    honey: bool,
    /// SHA-256 of the user's own profile that it signs by; empty where it signs by one that ships.
    profile: String,
}

impl From<Credential> for Shown {
    fn from(told: Credential) -> Self {
        Self {
            name: told.name,
            venue: told.venue,
            key_id: told.key_id,
            base_url: told.base_url,
            algorithm: told.algorithm,
            custody: told.custody,
            rung: told.rung,
            token_serial: told.token_serial,
            // 0 where the record cannot be read.
            enrolled: if told.enrolled_unix == 0 { String::new() } else { output::when(told.enrolled_unix) },
            ready: told.ready,
            fault: told.fault,
            revision: told.revision,
            grants: told.grants,
            accept_unbound: told.accept_unbound,
            honey: told.honey,
            profile: told.profile,
        }
    }
}

impl From<CredentialReport> for Shown {
    fn from(report: CredentialReport) -> Self {
        let unbound = report.accept_unbound();
        let known = report.meta.map_or_else(Self::default, |meta| Self {
            revision: meta.revision,
            grants: u32::try_from(meta.grants.len()).unwrap_or(u32::MAX),
            accept_unbound: unbound.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            venue: meta.venue.clone(),
            key_id: meta.key_id.clone(),
            base_url: meta.base_url.clone(),
            algorithm: meta.algorithm.to_string(),
            rung: meta.rung.to_string(),
            token_serial: meta.token_serial.clone(),
            enrolled: meta.enrolled.to_string(),
            honey: meta.honey,
            ..Self::default()
        });
        Self {
            name: report.name.to_string(),
            custody: CUSTODY.to_owned(),
            ready: report.ready,
            fault: report.fault,
            profile: report.profile,
            ..known
        }
    }
}

impl Shown {
    /// What stands in the last column of a list.
    pub(super) fn state(&self) -> &str {
        match (self.honey, self.ready) {
            (true, _) => "honey: any use is denied and raises an alarm",
            (false, true) => "ready",
            (false, false) => &self.fault,
        }
    }

    /// What it signs by, where that is a profile of the user's.
    fn profile(&self, profiles: &Profiles) -> String {
        let Ok(hash) = self.profile.parse() else { return String::new() };
        let standing = profiles.standing(&self.venue, hash);
        match (&standing, standing.behind(&self.name)) {
            (_, Some(behind)) => format!("{hash}: it {behind}"),
            (Standing::Current(path), None) => format!("{hash}: as {} is now", path.display()),
            (_, None) => hash.to_string(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "venue": self.venue,
            "key_id": self.key_id,
            "base_url": self.base_url,
            "algorithm": self.algorithm,
            "custody": self.custody,
            "rung": self.rung,
            "token_serial": self.token_serial,
            "enrolled": self.enrolled,
            "ready": self.ready,
            "fault": self.fault,
            "revision": self.revision,
            "grants": self.grants,
            "accept_unbound": self.accept_unbound,
            "honey": self.honey,
            "profile": self.profile,
        })
    }

    pub(super) fn facts(&self, profiles: &Profiles) -> String {
        let grants = match self.revision {
            0 => String::new(),
            _ => self.grants.to_string(),
        };
        output::facts(&[
            ("name", &self.name),
            ("venue", &self.venue),
            ("profile", &self.profile(profiles)),
            ("key id", &self.key_id),
            ("host", &self.base_url),
            ("algorithm", &self.algorithm),
            ("custody", &self.custody),
            ("rung", &self.rung),
            ("token", &self.token_serial),
            ("enrolled", &self.enrolled),
            ("grants", &grants),
            ("unbound", &self.accept_unbound.join(", ")),
            ("state", self.state()),
        ])
    }
}
