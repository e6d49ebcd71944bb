//! `strongroom venue`: the exchanges that are known, and whether a profile of one's own holds what it says.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_link::key::PassphraseUse;
use strongroom_protocol::ErrorCode;
use strongroom_venues::{ActionRule, Binds, Finding, Login, LoginFinding, Profile, builtin_profiles};

use super::skew::VenueSkew;
use super::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::signer::profiles::Profiles;

/// List, show and check venue profiles, and say how far their clocks are off. Nothing of this needs an agent, a token or
/// a network.
#[derive(Debug, Args)]
pub(super) struct Venue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the venues that ship
    List(List),
    /// Show one venue: its hosts, its secret, what its signature binds, and what its endpoints do
    Show(Show),
    /// Show or set how far a venue's clock is from this machine's
    Skew(VenueSkew),
    /// Check a profile: its grammar, and by changing requests whether its signature binds what `covers` says
    Check(Check),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    json: Json,
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

#[derive(Debug, Args)]
struct Check {
    /// The profile, in TOML
    file: PathBuf,
    #[command(flatten)]
    json: Json,
}

impl Venue {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        match self.command {
            Command::Check(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Skew(command) => command.run(places),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Stop> {
        let profiles =
            builtin_profiles().iter().map(|(_, text)| Profile::compile(text).map_err(Fault::defect));
        let profiles = profiles.collect::<Result<Vec<Profile>, Fault>>()?;
        if self.json.json {
            output::json(&Value::Array(profiles.iter().map(about).collect()));
            return Ok(());
        }
        let row = |profile: &Profile| {
            let algorithm = profile.key_spec().algorithm.to_string();
            vec![
                profile.id().to_owned(),
                profile.name().to_owned(),
                algorithm,
                profile.covers().name().to_owned(),
                profile.logins().iter().map(Login::name).collect::<Vec<_>>().join(" "),
            ]
        };
        let rows: Vec<_> = profiles.iter().map(row).collect();
        output::data(&output::table(&["ID", "NAME", "ALGORITHM", "COVERS", "WS"], &rows));
        Ok(())
    }
}

impl Show {
    fn run(self) -> Result<(), Stop> {
        let profile = Profiles::default().get(&self.id)?;
        if self.toml {
            let text = builtin_profiles().iter().find(|(id, _)| *id == self.id).map_or("", |(_, text)| text);
            output::data(text.trim_end());
        } else if self.json.json {
            output::json(&with_rules(&profile, &profile.probe()));
        } else {
            output::data(&facts(&profile));
            output::data(&rules(&profile.probe()));
            actions(&profile);
            logins(&profile);
        }
        Ok(())
    }
}

impl Check {
    fn run(self) -> Result<(), Stop> {
        let shown = self.file.display();
        let text = read(&self.file)?;
        let profile = Profile::compile(&text).map_err(|error| {
            let place = format!("{shown}:{}:{}", error.line(), error.column());
            let hint =
                "docs/reference/profiles.md has the grammar; `strongroom venue show ID --toml` an example";
            Fault::new(ErrorCode::Invalid, format!("{place}: {}", error.message()), hint)
        })?;
        let findings = profile.probe();
        if self.json.json {
            output::json(&with_rules(&profile, &findings));
        } else {
            output::data(&facts(&profile));
            output::data(&rules(&findings));
            actions(&profile);
            logins(&profile);
        }
        for finding in
            findings.iter().filter(|finding| finding.tried == 0 && finding.claimed.name() != "none")
        {
            output::talk(&format!("warning: {}: no request reaches it, so nothing was tried", rule(finding)));
        }
        for finding in findings.iter().filter(|finding| finding.recut) {
            output::talk(&format!(
                "warning: {}: values are signed unescaped, so that one value can be signed like two parameters",
                rule(finding)
            ));
        }
        check_logins(&shown.to_string(), &profile)?;
        let Some((finding, unseen)) = findings.iter().find_map(|f| Some((f, f.unseen.as_ref()?))) else {
            return Ok(());
        };
        let claimed = finding.claimed.name();
        let message = format!("{shown}: {} claims `covers = \"{claimed}\"`, but {unseen}", rule(finding));
        let hint = format!("sign more, or write `covers = \"{}\"`", finding.found.name());
        Err(Fault::new(ErrorCode::Invalid, message, hint).into())
    }
}

fn read(file: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Fault::new(ErrorCode::NotFound, message, "name a profile: a file of TOML")
    })
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

fn facts(profile: &Profile) -> String {
    let spec = profile.key_spec();
    let secret = format!("{}, {} to {} bytes", spec.form, spec.min_bytes, spec.max_bytes);
    output::facts(&[
        ("id", profile.id()),
        ("name", profile.name()),
        ("hosts", &profile.hosts().join(" ")),
        ("algorithm", &spec.algorithm.to_string()),
        ("secret", &secret),
        ("passphrase", passphrase(spec.passphrase)),
        ("user id", if profile.needs_uid() { "needed" } else { "" }),
        ("documented at", profile.docs()),
        ("compared", profile.checked()),
    ])
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
