//! Each credential: where its secret is, and whether its record reads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use strongroom_client::{Client, Credential};

use super::{Check, Installation};
use crate::config::Config;
use crate::fault::chain;
use crate::signer::grants::{unbound, unbound_meaning};
use crate::signer::profiles::{FoundFile, Profiles};
use crate::signer::report::CUSTODY;
use crate::store::record::{CredentialName, Meta, Record};
use crate::store::{self, StoreError};

const ID: &str = "credential";

pub(super) fn checks(installation: &Installation<'_>) -> Vec<Check> {
    let found = match store::read_records(&installation.places.data) {
        Ok(found) => found,
        Err(error) => return vec![Check::unknown(ID, chain(&error), "run doctor as the agent's user")],
    };
    let config = installation.config.as_ref().ok();
    let told = told(installation);
    let check = |(name, record): store::Found| {
        let check = match &record {
            Err(error) => Check::weak(
                ID,
                chain(error),
                "restore the record from a backup, or enrol the credential again with --replace",
            ),
            Ok(record) => readable(&record.meta, config, told.get(name.as_str())),
        };
        check.about(name.to_string())
    };
    let accepted: Vec<Check> = found.iter().flat_map(|(name, record)| accepted(name, record)).collect();
    let profiles = Profiles::new(installation.places);
    let pinned: Vec<Check> =
        found.iter().filter_map(|(name, record)| pinned(&profiles, name, record)).collect();
    let budgets = budgets(&installation.places.data);
    found.into_iter().map(check).chain(accepted).chain(pinned).chain(own(&profiles)).chain(budgets).collect()
}

/// Whether what each credential's grants have spent can be read.
fn budgets(data: &Path) -> Vec<Check> {
    const ID: &str = "budget";
    let found = match store::read_budgets(data) {
        Ok(found) => found,
        Err(error) => return vec![Check::unknown(ID, chain(&error), "run doctor as the agent's user")],
    };
    let check = |(name, path, fault): (CredentialName, PathBuf, Option<String>)| {
        let check = match fault {
            None => Check::ok(ID, "what its grants have spent can be read"),
            Some(fault) => Check::weak(
                ID,
                format!("{} {fault}, so each grant of {name} that has a budget is denied", path.display()),
                "see docs/reference/files.md about budgets",
            ),
        };
        check.about(name.to_string())
    };
    found.into_iter().map(check).collect()
}

/// Whether a credential of a user's own profile signs as one that is enrolled now would.
fn pinned(profiles: &Profiles, name: &CredentialName, record: &Result<Record, StoreError>) -> Option<Check> {
    const ID: &str = "profile";
    let meta = &record.as_ref().ok()?.meta;
    let hash = meta.profile?;
    let check = match profiles.of(meta) {
        Err(fault) => Check::weak(ID, fault.message, fault.hint),
        Ok(_) => match profiles.standing(&meta.venue, hash).behind(name.as_str()) {
            Some(behind) => Check::notice(ID, format!("it {behind}"), ""),
            None => Check::ok(ID, "it signs by your profile as that is now"),
        },
    };
    Some(check.about(name.to_string()))
}

/// Files in the folder of the user's own profiles that no key can be enrolled by.
fn own(profiles: &Profiles) -> Vec<Check> {
    const ID: &str = "own-profile";
    let found = match profiles.own() {
        Ok(found) => found,
        Err(fault) => return vec![Check::unknown(ID, fault.message, "run doctor as the agent's user")],
    };
    let check = |(path, chosen): FoundFile| {
        let check = match chosen {
            Ok(_) => Check::ok(ID, "nobody else can change it, and it compiles"),
            Err(fault) => Check::weak(ID, fault.message, fault.hint),
        };
        check.about(path.display().to_string())
    };
    found.into_iter().map(check).collect()
}

/// What grants restrict although no signature binds it.
fn accepted(name: &CredentialName, record: &Result<Record, StoreError>) -> Vec<Check> {
    let Ok(record) = record else { return Vec::new() };
    let facts = unbound(name, &record.meta.grants).filter_map(|weakness| unbound_meaning(&weakness));
    let hint = "`strongroom grant edit` takes it back; docs/reference/grants.md says what would be kept";
    facts.map(|fact| Check::notice("accept-unbound", fact, hint).about(name.to_string())).collect()
}

/// What an unlocked agent says of each.
fn told(installation: &Installation<'_>) -> HashMap<String, Credential> {
    let unlocked = installation.status().is_some_and(|status| !status.locked);
    let Some(socket) = installation.places.socket.as_ref().filter(|_| unlocked) else {
        return HashMap::new();
    };
    let agent = Client::at(socket);
    let listed = agent.list().unwrap_or_default();
    if !agent.status().is_ok_and(|status| !status.locked) {
        // It was locked meanwhile, by the absence of its token for instance: that is no fault of a record.
        return HashMap::new();
    }
    listed.into_iter().map(|credential| (credential.name.clone(), credential)).collect()
}

fn readable(meta: &Meta, config: Option<&Config>, told: Option<&Credential>) -> Check {
    let fact = format!(
        "{} at {}; custody {CUSTODY}: the secret is wrapped on the disk ({}), and in memory in the keeper only",
        meta.algorithm, meta.venue, meta.rung
    );
    let of_another = config
        .is_some_and(|config| meta.token_serial != config.token.serial || meta.kek_id != config.token.kek_id);
    match told {
        _ if of_another => Check::weak(
            ID,
            format!(
                "its record was wrapped by token `{}` (serial {}), or by another KEK of it, and so does not open",
                meta.token_label, meta.token_serial
            ),
            "configure that token, or enrol the credential again with --replace",
        ),
        Some(told) if !told.ready => Check::weak(
            ID,
            format!("it cannot sign: {}", told.fault),
            if meta.profile.is_some() {
                "mend what that says, and run `strongroom unlock`"
            } else {
                "run `strongroom unlock`; `strongroom show` says more"
            },
        ),
        _ => Check::ok(ID, fact),
    }
}
