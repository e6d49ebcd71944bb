//! `strongroom venue list`: what can be enrolled for, where each profile comes from, and which credentials sign by an
//! older text than that of the file.

use clap::Args;
use serde_json::{Value, json};
use strongroom_venues::{Login, Profile, SendOnly, builtin_profiles, send_only_profiles};

use super::{SHIPPED, about, about_send_only, put};
use crate::cli::{Json, Stop, output, running};
use crate::config::Places;
use crate::fault::Fault;
use crate::signer::profiles::{Chosen, Profiles};
use crate::store;
use crate::store::profiles::ProfileHash;

/// List the venues that ship, and those of your own.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    json: Json,
}

/// A credential that signs by a user's own profile.
struct Pinned {
    name: String,
    venue: String,
    hash: ProfileHash,
}

impl List {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let profiles = Profiles::new(places);
        let (mut values, mut rows) = (Vec::new(), Vec::new());
        for (_, text) in builtin_profiles() {
            let profile = Profile::compile(text).map_err(Fault::defect)?;
            rows.push(row(&profile, SHIPPED));
            values.push(shown(&profile, SHIPPED));
        }
        for (_, text) in send_only_profiles() {
            let Some(venue) = SendOnly::compile(text).map_err(Fault::defect)? else { continue };
            rows.push(
                [venue.id(), venue.name(), "static", "none", "", "shipped, send mode only"]
                    .map(str::to_owned)
                    .to_vec(),
            );
            let mut value = about_send_only(&venue);
            put(&mut value, "from", SHIPPED.into());
            values.push(value);
        }
        let pinned = pinned(places);
        let own = profiles.own()?;
        for (path, chosen) in &own {
            let from = path.display().to_string();
            match chosen {
                Ok(Chosen { profile, own }) => {
                    rows.push(row(profile, &from));
                    let mut value = shown(profile, &from);
                    let hash = own.as_ref().map(|own| own.hash);
                    put(&mut value, "sha256", hash.map(|hash| hash.to_string()).into());
                    let mine = pinned.iter().filter(|pinned| pinned.venue == profile.id());
                    let credential = |pinned: &Pinned| {
                        json!({
                            "name": pinned.name,
                            "sha256": pinned.hash.to_string(),
                            "current": Some(pinned.hash) == hash,
                        })
                    };
                    put(&mut value, "credentials", mine.map(credential).collect());
                    values.push(value);
                }
                Err(fault) => values.push(json!({ "from": from, "fault": fault.message })),
            }
        }
        rows.sort();
        if self.json.json {
            output::json(&Value::Array(values));
            return Ok(());
        }
        output::data(&output::table(&["ID", "NAME", "ALGORITHM", "COVERS", "WS", "FROM"], &rows));
        for (_, chosen) in &own {
            if let Err(fault) = chosen {
                output::talk(&format!("warning: {}; {}", fault.message, fault.hint));
            }
        }
        for Pinned { name, venue, hash } in &pinned {
            if let Some(standing) = profiles.standing(venue, *hash).behind(name) {
                output::talk(&format!("warning: {name} {standing}"));
            }
        }
        Ok(())
    }
}

fn row(profile: &Profile, from: &str) -> Vec<String> {
    let algorithm = profile.key_spec().algorithm.to_string();
    let logins = profile.logins().iter().map(Login::name).collect::<Vec<_>>().join(" ");
    [profile.id(), profile.name(), &algorithm, profile.covers().name(), &logins, from]
        .map(str::to_owned)
        .to_vec()
}

fn shown(profile: &Profile, from: &str) -> Value {
    let mut value = about(profile);
    put(&mut value, "from", from.into());
    value
}

/// The credentials that sign by a user's own profile: as the data folder says, or else as the agent does.
fn pinned(places: &Places) -> Vec<Pinned> {
    if let Ok(found) = store::read_records(&places.data)
        && !found.is_empty()
    {
        let metas = found.into_iter().filter_map(|(_, record)| Some(record.ok()?.meta));
        return metas
            .filter_map(|meta| {
                Some(Pinned { hash: meta.profile?, name: meta.name.to_string(), venue: meta.venue.clone() })
            })
            .collect();
    }
    let listed = running(places).ok().flatten().and_then(|agent| agent.list().ok()).unwrap_or_default();
    listed
        .into_iter()
        .filter_map(|told| {
            Some(Pinned { hash: told.profile.parse().ok()?, name: told.name, venue: told.venue })
        })
        .collect()
}
