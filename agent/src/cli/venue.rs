//! `strongroom venue`: the exchanges that are known, and whether a profile of one's own holds what it says.

mod check;
mod list;
mod repin;
mod rows;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_link::key::PassphraseUse;
use strongroom_protocol::ErrorCode;
use strongroom_venues::{
    ActionRule, Binds, Finding, Login, LoginFinding, Profile, SendOnly, builtin_profiles, send_only,
};

use super::skew::VenueSkew;
use super::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::signer::profiles::{Chosen, Profiles};

/// List, show and check venue profiles, and say how far their clocks are off. Nothing of this needs an agent, a token
/// or a network.
#[derive(Debug, Args)]
pub(super) struct Venue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the venues that ship, and those of your own
    List(list::List),
    /// Show one venue: its hosts, its secret, what its signature binds, and what its endpoints do
    Show(Show),
    /// Show or set how far a venue's clock is from this machine's
    Skew(VenueSkew),
    /// Check a profile: its grammar, what its signature binds, and requests that you trust
    Check(check::Check),
    /// Have a credential sign by your profile as it is now, where it was enrolled by an older text
    Repin(repin::Repin),
}

#[derive(Debug, Args)]
struct Show {
    /// Id of the venue, as `strongroom venue list` has it
    id: String,
    /// Print the profile itself
    #[arg(long, conflicts_with = "json")]
    toml: bool,
    #[command(flatten)]
    json: Json,
}

impl Venue {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        match self.command {
            Command::Check(command) => command.run(),
            Command::List(command) => command.run(places),
            Command::Repin(command) => command.run(places),
            Command::Show(command) => command.run(places),
            Command::Skew(command) => command.run(places),
        }
    }
}

impl Show {
    fn run(self, places: &Places) -> Result<(), Stop> {
        if let Some(venue) = send_only(&self.id) {
            let venue = venue.map_err(Fault::defect)?;
            if self.json.json {
                output::json(&about_send_only(&venue));
            } else {
                output::data(&facts_of_send_only(&venue));
            }
            return Ok(());
        }
        let Chosen { profile, own } = Profiles::new(places).look(&self.id)?;
        if self.toml {
            let shipped =
                builtin_profiles().iter().find(|(id, _)| *id == self.id).map_or("", |(_, text)| text);
            output::data(own.as_ref().map_or(shipped, |own| &own.text).trim_end());
            return Ok(());
        }
        let from = own.as_ref().map_or_else(|| SHIPPED.to_owned(), |own| own.path.display().to_string());
        let sha256 = own.as_ref().map(|own| own.hash.to_string()).unwrap_or_default();
        if self.json.json {
            let mut value = with_rules(&profile, &profile.probe());
            put(&mut value, "from", from.into());
            put(&mut value, "sha256", sha256.into());
            output::json(&value);
        } else {
            output::data(&facts(&profile, &[("from", &from), ("sha256", &sha256)]));
            output::data(&rules(&profile.probe()));
            actions(&profile);
            logins(&profile);
        }
        Ok(())
    }
}

/// Where a profile comes from that is part of the program.
const SHIPPED: &str = "shipped";

/// Why nobody can enrol a key of such a venue.
const SEND_ONLY: &str = "send mode only: the secret itself goes out with every request, so nothing is signed";

fn facts_of_send_only(venue: &SendOnly) -> String {
    output::facts(&[
        ("id", venue.id()),
        ("name", venue.name()),
        ("hosts", &venue.hosts().join(" ")),
        ("algorithm", SEND_ONLY),
        ("documented at", venue.docs()),
        ("compared", venue.checked()),
    ])
}

fn about_send_only(venue: &SendOnly) -> Value {
    json!({
        "id": venue.id(),
        "name": venue.name(),
        "hosts": venue.hosts(),
        "algorithm": "static",
        "docs": venue.docs(),
        "checked": venue.checked(),
        "covers": "none",
        "send_mode_only": true,
    })
}

/// Adds a member to an object.
fn put(value: &mut Value, name: &str, member: Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

/// How a rule is called.
fn rule(finding: &Finding) -> String {
    finding.case.map_or_else(|| "the base".to_owned(), |number| format!("case {number}"))
}

const fn passphrase(of: PassphraseUse) -> &'static str {
    match of {
        PassphraseUse::Absent => "none",
        PassphraseUse::Mac => "goes out as a MAC under the secret",
        PassphraseUse::Plain => "goes out as it is",
    }
}

fn facts(profile: &Profile, more: &[(&str, &str)]) -> String {
    let spec = profile.key_spec();
    let secret = format!("{}, {} to {} bytes", spec.form, spec.min_bytes, spec.max_bytes);
    let known = [
        ("id", profile.id()),
        ("name", profile.name()),
        ("hosts", &profile.hosts().join(" ")),
        ("algorithm", &spec.algorithm.to_string()),
        ("secret", &secret),
        ("passphrase", passphrase(spec.passphrase)),
        ("user id", if profile.needs_uid() { "needed" } else { "" }),
        ("documented at", profile.docs()),
        ("compared", profile.checked()),
    ];
    output::facts(&[&known, more].concat())
}

/// What the signature of each rule binds, as it claims and as it was found.
fn rules(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let found = if finding.tried == 0 { "not tried" } else { finding.found.name() };
        vec![rule(finding), finding.claimed.name().to_owned(), found.to_owned(), finding.tried.to_string()]
    };
    output::table(&["RULE", "COVERS", "FOUND", "REQUESTS"], &findings.iter().map(row).collect::<Vec<_>>())
}

/// Prints which endpoints do what, and where orders have their fields.
fn actions(profile: &Profile) {
    let table = profile.actions();
    if table.rules().is_empty() {
        output::data("actions: none are known, so that every request is `unknown`");
        return;
    }
    let row = |rule: &ActionRule| {
        let needs = rule.needs().join(" ");
        let path = [rule.path(), rule.when().as_str()].join(" ").trim_end().to_owned();
        vec![rule.id().to_owned(), bound(rule.binds()), rule.methods(), path, needs]
    };
    let rows: Vec<_> = table.rules().iter().map(row).collect();
    output::data(&output::table(&["ACTION", "BOUND", "METHODS", "PATH", "NEEDS"], &rows));
    let rows: Vec<_> = table
        .order_fields()
        .map(|(path, fields)| {
            let fields = fields.iter().map(|(name, place)| format!("{name}={place}"));
            vec![path.to_owned(), fields.collect::<Vec<_>>().join(", ")]
        })
        .collect();
    if !rows.is_empty() {
        output::data(&output::table(&["ORDERS UNDER", "FIELDS"], &rows));
    }
}

/// Prints the WebSocket logins, and what each is told.
fn logins(profile: &Profile) {
    let row = |login: &Login| {
        let params = login.params().iter().map(|param| {
            let name = param.name();
            match (param.default(), param.is_optional()) {
                (Some(default), _) => format!("{name}={default}"),
                (None, true) => format!("[{name}]"),
                (None, false) => name.to_owned(),
            }
        });
        let also: Vec<&str> = login.also().iter().map(|action| action.name()).collect();
        let about = login.by().map_or_else(|| login.about().to_owned(), |by| format!("by REST: sign {by}"));
        vec![
            login.rule_id().to_owned(),
            params.collect::<Vec<_>>().join(" "),
            also.join(" "),
            login.url(profile.hosts().first().map_or("*", String::as_str)).unwrap_or_default().to_owned(),
            about,
        ]
    };
    let rows: Vec<_> = profile.logins().iter().map(row).collect();
    if !rows.is_empty() {
        output::data(&output::table(&["WEBSOCKET", "TOLD", "ALSO GOOD FOR", "SOCKET", "WHAT IT IS"], &rows));
    }
}

/// Refuses logins whose text is that of a REST request, if the profile does not say so.
fn check_logins(shown: &str, profile: &Profile) -> Result<(), Fault> {
    let findings = profile.check_logins();
    let Some(LoginFinding { login, request, action, undeclared, .. }) =
        findings.iter().find(|finding| finding.undeclared || finding.unguarded)
    else {
        return Ok(());
    };
    let message = format!("{shown}: the WebSocket login `{login}` is signed like `{request}`");
    let hint = if *undeclared {
        format!(
            "write `also = [\"{action}\"]`, so that who logs in must be allowed that, or `rest` with what fits such requests"
        )
    } else {
        "write `rest` with conditions that fit such requests, so that who has them signed must be allowed `session`".to_owned()
    };
    Err(Fault::new(ErrorCode::Invalid, message, hint))
}

/// A login as JSON.
fn login(profile: &Profile, login: &Login) -> Value {
    let hosts = profile.hosts().iter().filter_map(|host| Some((host.clone(), login.url(host)?.into())));
    let params = login.params().iter().map(|param| {
        json!({
            "name": param.name(),
            "pattern": param.shape(),
            "default": param.default(),
            "optional": param.is_optional(),
        })
    });
    let requests = login.requests().map(|(word, like)| (word.to_owned(), like.into()));
    json!({
        "name": login.name(),
        "rule": login.rule_id(),
        "about": login.about(),
        "docs": login.docs(),
        "by": login.by(),
        "params": params.collect::<Value>(),
        "requests": requests.collect::<serde_json::Map<String, Value>>(),
        "also": login.also().iter().map(|action| action.name()).collect::<Vec<_>>(),
        "push_only": login.push_only(),
        "urls": hosts.collect::<serde_json::Map<String, Value>>(),
    })
}

/// What a signature binds, in short.
fn bound(binds: Binds) -> String {
    let parts =
        [("method", binds.method), ("path", binds.path), ("query", binds.query), ("body", binds.body)];
    let bound: Vec<&str> = parts.iter().filter(|(_, bound)| *bound).map(|(name, _)| *name).collect();
    if bound.is_empty() { "nothing".to_owned() } else { bound.join("+") }
}

/// A profile as JSON, with what was found of its rules.
fn with_rules(profile: &Profile, findings: &[Finding]) -> Value {
    let rules = findings.iter().map(|finding| {
        json!({
            "case": finding.case,
            "covers": finding.claimed.name(),
            "found": finding.found.name(),
            "recut": finding.recut,
            "requests": finding.tried,
            "unseen": finding.unseen,
        })
    });
    let mut value = about(profile);
    if let Some(members) = value.as_object_mut() {
        members.insert("rules".to_owned(), rules.collect());
        let actions = profile.actions().rules().iter().map(|rule| {
            let binds = rule.binds();
            json!({
                "rule": rule.id(),
                "action": rule.action().name(),
                "methods": rule.methods(),
                "path": rule.path(),
                "needs": rule.needs(),
                "binds": {
                    "method": binds.method,
                    "path": binds.path,
                    "query": binds.query,
                    "body": binds.body,
                },
            })
        });
        members.insert("actions".to_owned(), actions.collect());
        let orders = profile.actions().order_fields().map(|(path, fields)| {
            let fields = fields.into_iter().map(|(name, place)| (name.to_owned(), Value::String(place)));
            json!({ "path": path, "fields": fields.collect::<serde_json::Map<_, _>>() })
        });
        members.insert("orders".to_owned(), orders.collect());
    }
    value
}

fn about(profile: &Profile) -> Value {
    let spec = profile.key_spec();
    json!({
        "id": profile.id(),
        "name": profile.name(),
        "hosts": profile.hosts(),
        "algorithm": spec.algorithm.to_string(),
        "secret": {
            "form": spec.form.to_string(),
            "min_bytes": spec.min_bytes,
            "max_bytes": spec.max_bytes,
        },
        "passphrase": spec.passphrase.to_string(),
        "needs_uid": profile.needs_uid(),
        "docs": profile.docs(),
        "checked": profile.checked(),
        "covers": profile.covers().name(),
        "ws": profile.logins().iter().map(|one| login(profile, one)).collect::<Vec<_>>(),
    })
}
