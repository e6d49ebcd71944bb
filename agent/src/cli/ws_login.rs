//! `strongroom ws-login`: what opens a session at a venue's WebSocket.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value, json};
use strongroom_client::WsLoginRequest;

use super::sign::parameter;
use super::{Stop, client, output};
use crate::config::Places;

/// Build and sign a WebSocket login, and print it as JSON.
///
/// The agent builds the text itself; what a login may be told is in `strongroom venue show`. A grant must name
/// `session`: on most sockets, orders need no signature after it, so no limit of a grant holds for them.
#[derive(Debug, Args)]
#[command(after_help = "Examples: strongroom ws-login okx-main\n  \
                        strongroom ws-login futures --challenge 226aee50-88fc-4618-a42a-34f7709570b2\n  \
                        strongroom ws-login gate-main --name subscribe --param channel=spot.orders --param payload:='[\"BTC_USDT\"]'")]
pub(super) struct WsLogin {
    /// Name of the credential
    credential: String,
    /// Which login of the venue; the first if not given
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// The server's challenge, where the venue sends one: the same as --param challenge=TEXT
    #[arg(long, value_name = "TEXT")]
    challenge: Option<String>,
    /// What the login is told: NAME=VALUE, or NAME:=JSON [may be repeated]
    #[arg(short, long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Print JSON, which is the default
    #[arg(long)]
    json: bool,
}

impl WsLogin {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let mut request = WsLoginRequest::new(self.credential.as_str());
        if let Some(name) = &self.name {
            request = request.name(name.as_str());
        }
        if let Some(challenge) = &self.challenge {
            request = request.param("challenge", challenge.as_str());
        }
        for text in &self.param {
            let (name, value) = parameter(text)?;
            request = request.param(name, value);
        }
        let login = client(places)?.ws_login(request)?;
        let headers: Map<String, Value> =
            login.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        output::json(&json!({
            "name": login.name,
            "url": login.url,
            "headers": headers,
            "frame": login.frame,
            "whole": login.whole,
            "expires_unix_ms": login.expires_unix_ms,
        }));
        Ok(())
    }
}
