//! `strongroom client`: who may say who they are by a token.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
                if json.json {
                    output::json(&json!({ "removed": name }));
                } else {
                    output::data(&format!("removed {name}; its token is no good any more"));
                    output::talk(
                        "its grants stay, for a client of that name to come; `strongroom grant list` shows them",
                    );
                }
            }
        }
        Ok(())
    }
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
