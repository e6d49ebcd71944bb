//! `strongroom grant list`.

use clap::Args;
use serde_json::{Map, Value, json};
use strongroom_policy::Grant;

use super::{Desk, Held, held_by};
use crate::cli::{Json, Stop, output, running};
use crate::config::Places;
use crate::store;

/// List grants. Where no agent runs, those on the disk.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Name of the credential; all if not given
    credential: Option<String>,
    #[command(flatten)]
    json: Json,
}

impl List {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let held = match &self.credential {
            Some(credential) => vec![(credential.clone(), Desk::open(places, credential)?.read()?)],
            None => all(places)?,
        };
        if self.json.json {
            output::json(&held.iter().map(json).collect());
            return Ok(());
        }
        let rows: Vec<_> = held
            .iter()
            .flat_map(|(credential, held)| held.grants.iter().map(move |grant| row(credential, grant)))
            .collect();
        if rows.is_empty() {
            output::talk("there are no grants, so nobody may sign; `strongroom grant add` makes one");
        } else {
            output::data(&output::table(&["CREDENTIAL", "GRANT", "TO", "MAY", "LIMITS"], &rows));
        }
        Ok(())
    }
}

/// Of all credentials whose records can be read.
fn all(places: &Places) -> Result<Vec<(String, Held)>, Stop> {
    if let Some(agent) = running(places)? {
        let readable = agent.list()?.into_iter().filter(|credential| credential.revision > 0);
        return readable.map(|told| Ok((told.name.clone(), held_by(&agent, &told.name)?))).collect();
    }
    let records = store::read_records(&places.data)?.into_iter();
    let held = records.filter_map(|(name, record)| {
        let meta = record.ok()?.meta;
        Some((name.to_string(), Held { revision: meta.revision, grants: meta.grants.clone() }))
    });
    Ok(held.collect())
}

fn json((credential, held): &(String, Held)) -> Value {
    let grants: Vec<Value> = held.grants.iter().map(|grant| Value::Object(fields(grant))).collect();
    json!({ "credential": credential, "revision": held.revision, "grants": grants })
}

/// What a grant says, field by field.
fn fields(grant: &Grant) -> Map<String, Value> {
    match serde_json::to_value(grant) {
        Ok(Value::Object(fields)) => fields,
        // A grant is made of fields.
        _ => Map::new(),
    }
}

fn row(credential: &str, grant: &Grant) -> Vec<String> {
    let may = match grant.deny {
        Some(denied) => format!("not {denied}"),
        None => grant.actions().to_string(),
    };
    let limits: Vec<String> = fields(grant)
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "id" | "to" | "allow" | "deny"))
        .map(|(name, value)| format!("{name}={}", word(value)))
        .collect();
    vec![credential.to_owned(), grant.id.to_string(), grant.to.to_string(), may, limits.join(" ")]
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
