//! `strongroom client`: who may say who they are by a token.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use strongroom_client::Client;
use strongroom_policy::{Grants, Subject};

use super::{Json, Stop, client, output};
use crate::config::Places;

/// Make, list and revoke client tokens.
///
/// A bot that shows its token is the client of that name, and nobody else: for containers and for bots that share
/// a user. It gives the token in STRONGROOM_TOKEN, or in a file that STRONGROOM_TOKEN_FILE names. Needs a running
/// agent, locked or not, and an admin.
#[derive(Debug, Args)]
pub(super) struct ClientCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a client, and print its token, this once
    Add {
        /// Name of the client, for example grid-bot
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// List all clients
    List {
        #[command(flatten)]
        json: Json,
    },
    /// Revoke a client's token, and end its connections
    Remove {
        /// Name of the client
        name: String,
        #[command(flatten)]
        json: Json,
    },
}

impl ClientCommand {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let agent = client(places)?;
        match self.verb {
            Verb::Add { name, json } => {
                let token = agent.add_client(&name)?;
                if json.json {
                    output::json(&json!({ "name": name, "token": token.reveal() }));
                } else {
                    output::data(token.reveal());
                    output::talk("this is shown once: only a hash of it is kept");
                }
            }
            Verb::List { json } => {
                let clients = agent.clients()?;
                if json.json {
                    output::json(&Value::Array(clients.iter().map(entry_json).collect()));
                } else if clients.is_empty() {
                    output::talk("there are no clients; `strongroom client add` makes one");
                } else {
                    let rows: Vec<_> = clients.iter().map(row).collect();
                    output::data(&output::table(&["NAME", "CREATED", "LAST USED", "CONNECTIONS"], &rows));
                }
            }
            Verb::Remove { name, json } => {
                agent.remove_client(&name)?;
                let left = grants_left(&agent, &name);
                if json.json {
                    output::json(&json!({ "removed": name, "grants_left": left }));
                } else {
                    output::data(&format!("removed {name}; its token is no good any more"));
                    if !left.is_empty() {
                        output::talk(
                            "its grants stay, for a client of that name to come; these take them back:",
                        );
                    }
                    for Left { credential, grant } in left {
                        output::talk(&format!("  strongroom grant remove {credential} {grant}"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A grant to a client that is no more.
#[derive(Debug, Serialize)]
struct Left {
    credential: String,
    grant: String,
}

/// What was granted to this client and still is, as far as the agent tells it.
fn grants_left(agent: &Client, name: &str) -> Vec<Left> {
    let to = Subject::Client(name.to_owned());
    let mut left = Vec::new();
    for credential in agent.list().unwrap_or_default() {
        let told = agent.grants(&credential.name).ok();
        let Some(grants) = told.and_then(|told| Grants::parse(&told.toml).ok()) else { continue };
        let own = grants.iter().filter(|grant| grant.to == to);
        left.extend(
            own.map(|grant| Left { credential: credential.name.clone(), grant: grant.id.to_string() }),
        );
    }
    left
}

fn entry_json(entry: &strongroom_client::ClientEntry) -> Value {
    json!({
        "name": entry.name,
        "created": output::when(entry.created_unix),
        "used": entry.used_unix.map(output::when),
        "connections": entry.connections,
    })
}

fn row(entry: &strongroom_client::ClientEntry) -> Vec<String> {
    vec![
        entry.name.clone(),
        output::when(entry.created_unix),
        entry.used_unix.map_or_else(|| "never".to_owned(), output::when),
        entry.connections.to_string(),
    ]
}
