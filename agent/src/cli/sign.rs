//! `strongroom sign`: one signature from the command line.

use std::io::{self, Read};

use clap::Args;
use serde_json::{Map, Value, json};
use strongroom_client::{SignRequest, SignedRequest, Value as Param};
use strongroom_protocol::{ErrorCode, MAX_FRAME_BYTES};

use super::{Stop, client, output};
use crate::config::Places;
use crate::fault::Fault;

/// Sign one request and print it: as JSON, or as a curl command.
///
/// Parameters keep their order. `-q name=value` is text; `-q name:=JSON` is a JSON value, for example
/// `-q limit:=5` or `-q symbols:='["A","B"]'`. The agent adds time, nonce, key and signature.
#[derive(Debug, Args)]
#[command(after_help = "Example: strongroom sign binance-main POST /api/v3/order \\\n  \
                        -q symbol=LTCBTC -q side=BUY -q type=LIMIT -q timeInForce=GTC -q quantity=1 -q price=0.1")]
pub(super) struct Sign {
    /// Name of the credential
    name: String,
    /// HTTP method
    method: String,
    /// Path of the endpoint, without host and query
    path: String,
    #[command(flatten)]
    params: Params,
    /// Print a curl command instead of JSON. It holds the signature: whoever sees it can send it
    #[arg(long, conflicts_with = "json")]
    curl: bool,
    /// Print JSON, which is the default
    #[arg(long)]
    json: bool,
}

/// The parameters of a request, as they are given on the command line.
#[derive(Debug, Args)]
pub(super) struct Params {
    /// A query parameter [may be repeated]
    #[arg(short, long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// A body parameter [may be repeated]
    #[arg(short, long, value_name = "NAME=VALUE", conflicts_with = "body")]
    form: Vec<String>,
    /// A JSON body; @FILE reads it from a file, - from standard input
    #[arg(short, long, value_name = "JSON")]
    body: Option<String>,
}

impl Params {
    /// The query.
    pub(super) fn query(&self) -> Result<Vec<(&str, Param<'_>)>, Fault> {
        self.query.iter().map(|text| parameter(text)).collect()
    }

    /// The body, if it is a form.
    pub(super) fn form(&self) -> Result<Vec<(&str, Param<'_>)>, Fault> {
        self.form.iter().map(|text| parameter(text)).collect()
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Result<Option<Vec<u8>>, Fault> {
        self.body.as_deref().map(read_body).transpose()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.query.is_empty() && self.form.is_empty() && self.body.is_none()
    }
}

impl Sign {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let method = self.method.to_ascii_uppercase();
        let mut request = SignRequest::new(self.name.as_str(), method, self.path.as_str());
        for (name, value) in self.params.query()? {
            request = request.query(name, value);
        }
        for (name, value) in self.params.form()? {
            request = request.form(name, value);
        }
        if let Some(body) = self.params.json()? {
            request = request.json(body);
        }
        let signed = client(places)?.sign(&request)?;
        if self.curl {
            output::data(&curl(&signed));
        } else {
            let headers: Map<String, Value> =
                signed.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            output::json(&json!({
                "method": signed.method,
                "url": signed.url,
                "headers": headers,
                "body": String::from_utf8_lossy(&signed.body),
            }));
        }
        Ok(())
    }
}

/// `name=text` or `name:=json`.
pub(super) fn parameter(text: &str) -> Result<(&str, Param<'_>), Fault> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        let message = format!("`{text}` is no parameter");
        Fault::new(ErrorCode::Invalid, message, "write it as name=value, or as name:=JSON")
    })?;
    if name.is_empty() || name == ":" {
        let message = format!("`{text}` has no name before the `=`");
        return Err(Fault::new(ErrorCode::Invalid, message, "write it as name=value, or as name:=JSON"));
    }
    match name.strip_suffix(':') {
        Some(name) => match serde_json::from_str::<serde::de::IgnoredAny>(value) {
            Ok(_) => Ok((name, Param::Json(value.into()))),
            Err(error) => {
                let message = format!("the value of `{name}` is not JSON: {error}");
                Err(Fault::new(ErrorCode::Invalid, message, "for text, write name=value"))
            }
        },
        None => Ok((name, Param::Text(value.into()))),
    }
}

fn read_body(body: &str) -> Result<Vec<u8>, Fault> {
    let read = match body.strip_prefix('@') {
        Some(path) => std::fs::File::open(path).and_then(whole),
        None if body == "-" => whole(io::stdin()),
        None => Ok(body.as_bytes().to_vec()),
    };
    read.map_err(|error| {
        let hint = "give it as JSON, as @FILE, or as - for standard input";
        Fault::new(ErrorCode::Invalid, format!("the body cannot be read: {error}"), hint)
    })
}

/// Reads all of a body, and no more than a frame can carry: what is read may have no end.
fn whole(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FRAME_BYTES).unwrap_or(u64::MAX);
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_FRAME_BYTES} bytes")));
    }
    Ok(bytes)
}

fn curl(signed: &SignedRequest) -> String {
    let mut words = vec!["curl".to_owned(), "-X".to_owned(), signed.method.clone()];
    for (name, value) in &signed.headers {
        words.extend(["-H".to_owned(), quoted(&format!("{name}: {value}"))]);
    }
    if !signed.body.is_empty() {
        words.extend(["--data-binary".to_owned(), quoted(&String::from_utf8_lossy(&signed.body))]);
    }
    words.push(quoted(&signed.url));
    words.join(" ")
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_and_json_parameters() {
        let text = |value: &str| Param::Text(value.to_owned().into());
        let json = |value: &str| Param::Json(value.to_owned().into());
        for (given, name, value) in [
            ("symbol=LTCBTC", "symbol", text("LTCBTC")),
            ("cursor=a=b", "cursor", text("a=b")),
            ("empty=", "empty", text("")),
            ("limit:=5", "limit", json("5")),
            ("ids:=[1,\"2\"]", "ids", json("[1,\"2\"]")),
        ] {
            assert_eq!(parameter(given).unwrap(), (name, value), "{given}");
        }
    }

    #[test]
    fn refuses_what_is_no_parameter() {
        assert_eq!(parameter("symbol").unwrap_err().message, "`symbol` is no parameter");
        for nameless in ["=1", ":=1"] {
            let message = parameter(nameless).unwrap_err().message;
            assert_eq!(message, format!("`{nameless}` has no name before the `=`"));
        }
        assert!(
            parameter("limit:=five").unwrap_err().message.starts_with("the value of `limit` is not JSON")
        );
    }

    #[test]
    fn quotes_for_a_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
