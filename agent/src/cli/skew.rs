//! `strongroom venue skew`: how far the clock of a venue is from this machine's.

use clap::Args;
use serde_json::{Map, Value, json};
use strongroom_protocol::ErrorCode;
use toml_edit::{DocumentMut, Item, Table};

use super::{Json, Stop, output};
use crate::config::{Config, Places, SKEWS, Skew};
use crate::fault::Fault;
use crate::signer::profiles::Profiles;

/// Show or set by how many milliseconds a venue's clock is ahead of this machine's. Timestamps and nonces for the venue
/// are given by its clock then. Takes effect when the agent is started anew.
#[derive(Debug, Args)]
pub(super) struct VenueSkew {
    /// Id of the venue [default: all that have one]
    id: Option<String>,
    /// Milliseconds, -60000 to 60000; less than zero where the venue's clock is behind, 0 for none
    #[arg(allow_negative_numbers = true, requires = "id")]
    ms: Option<Skew>,
    #[command(flatten)]
    json: Json,
}

impl VenueSkew {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let config = Config::read(&places.config)?;
        let Some(id) = self.id else {
            let all = config.venue_skew_ms.0.into_iter().map(|(id, skew)| (id, skew.into()));
            self.json.print(&all.collect::<Vec<_>>());
            return Ok(());
        };
        let _known = Profiles::new(places).look(&id)?;
        let Some(skew) = self.ms else {
            let ms = config.venue_skew_ms.of(&id);
            self.json.print(&[(id, ms)]);
            return Ok(());
        };
        let text = std::fs::read_to_string(&places.config).map_err(Fault::defect)?;
        Config::write_text(&places.config, &with_skew(&text, &id, skew)?)?;
        if !self.json.json {
            output::talk("the agent takes it over when it is started anew");
        }
        self.json.print(&[(id, skew.into())]);
        Ok(())
    }
}

impl Json {
    fn print(&self, skews: &[(String, i64)]) {
        if self.json {
            let skews: Map<String, Value> = skews.iter().map(|(id, ms)| (id.clone(), json!(ms))).collect();
            output::json(&Value::Object(skews));
        } else if skews.is_empty() {
            output::talk(
                "every venue is taken to have this machine's clock; `strongroom venue skew VENUE MS` says otherwise",
            );
        } else {
            let rows: Vec<_> = skews.iter().map(|(id, ms)| vec![id.clone(), format!("{ms:+}")]).collect();
            output::data(&output::table(&["VENUE", "MS AHEAD"], &rows));
        }
    }
}

/// The configuration with another skew; all else in it stays as it was written.
fn with_skew(text: &str, id: &str, skew: Skew) -> Result<String, Fault> {
    let mut document: DocumentMut = text.parse().map_err(Fault::defect)?;
    let table = document.entry(SKEWS).or_insert(Item::Table(Table::new()));
    let Some(table) = table.as_table_like_mut() else {
        return Err(Fault::new(
            ErrorCode::Invalid,
            format!("`{SKEWS}` is no table"),
            "see docs/reference/configuration.md",
        ));
    };
    match i64::from(skew) {
        0 => drop(table.remove(id)),
        ms => drop(table.insert(id, toml_edit::value(ms))),
    }
    if table.is_empty() {
        document.remove(SKEWS);
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_the_rest_of_the_configuration_as_it_is() {
        let text = "# mine\n[token]\nlabel = 'a' # and why\n";
        let skew = |ms: i64| Skew::try_from(ms).unwrap();
        let set = with_skew(text, "okx", skew(-250)).unwrap();
        assert_eq!(set, format!("{text}\n[venue_skew_ms]\nokx = -250\n"));
        let both = with_skew(&set, "binance", skew(60_000)).unwrap();
        assert_eq!(both, format!("{set}binance = 60000\n"));
        assert_eq!(with_skew(&set, "okx", skew(0)).unwrap().trim_end(), text.trim_end());
    }

    #[test]
    fn refuses_more_than_a_minute() {
        for text in ["60001", "-60001", "1.5", "", "1s"] {
            assert!(text.parse::<Skew>().is_err(), "{text}");
        }
    }
}
