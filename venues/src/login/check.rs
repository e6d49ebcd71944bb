//! Whether the text of a login is that of a REST request as well, found by trying.

use std::fmt::Write as _;

use super::Login;
use crate::actions::Action;
use crate::canonical::Account;
use crate::clock::Moment;
use crate::plan::LOGIN;
use crate::probe::example;
use crate::profile::Profile;
use crate::request::{Body, Method, Param, Request};
use crate::template::Var;

/// A REST request whose signature is a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFinding {
    /// The login.
    pub login: String,
    /// The request, as `GET /path`.
    pub request: String,
    /// What the request does.
    pub action: Action,
    /// Who may log in must be allowed `action`, and the profile does not say so (`also`).
    pub undeclared: bool,
    /// Who may have the request signed must be allowed `session`, and the profile does not say so (`rest`).
    pub unguarded: bool,
}

/// What paths of venues begin with.
const VERSIONS: [&str; 4] = ["/api/v1", "/v1", "/v2", "/v3"];

const ACCOUNT_KEY: &str = "TEST0key1AAAA";
const MOMENT: Moment =
    Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, uuid: [7; 16], random16: [9; 16] };

impl Profile {
    /// Looks for REST requests that have the signed text of a login: at the same time, with the same key.
    #[must_use]
    pub fn check_logins(&self) -> Vec<LoginFinding> {
        let mut findings: Vec<LoginFinding> = Vec::new();
        let mut hosts: Vec<&str> = self.hosts().iter().map(String::as_str).collect();
        if !self.signs_hosts() {
            hosts.truncate(1);
        }
        if hosts.is_empty() {
            hosts.push("https://api.example.com");
        }
        // What is signed request by request does there what it does here.
        for login in self.logins().iter().filter(|login| login.requests.is_none()) {
            for base_url in &hosts {
                let account = Account { key_id: ACCOUNT_KEY, uid: Some("7"), base_url };
                let Some(text) = self.login_text(login, &account) else { continue };
                for found in self.same_text(login, &text, &account) {
                    if !findings.contains(&found) {
                        findings.push(found);
                    }
                }
            }
        }
        findings
    }

    /// Whether some text differs from host to host.
    fn signs_hosts(&self) -> bool {
        let cases = self.compiled.cases.iter().map(|(_, rule)| rule);
        let mut rules =
            cases.chain([&self.compiled.base]).chain(self.logins().iter().map(|login| &login.rule));
        rules.any(|rule| rule.used.contains_any(&[Var::Base, Var::Host]))
    }

    /// The text of `login` with made-up parameters; nothing where there is none.
    fn login_text(&self, login: &Login, account: &Account<'_>) -> Option<Vec<u8>> {
        let values: Vec<(&str, String)> = login
            .params
            .iter()
            .filter(|param| !param.is_optional())
            .map(|param| {
                let word = login.requests().next().map(|(word, _)| word.to_owned());
                let made = match (param.pattern.is_some(), param.name == super::REQUEST) {
                    (_, true) => word.unwrap_or_default(),
                    (true, false) => example(&param.shape),
                    (false, false) => "[]".to_owned(),
                };
                (param.name.as_str(), made)
            })
            .collect();
        let query = values.iter().map(|(name, value)| (*name, Param::Text(value))).collect();
        self.text_of(&Request { method: LOGIN, path: &login.name, query, body: Body::Empty }, account)
    }

    fn text_of(&self, request: &Request<'_>, account: &Account<'_>) -> Option<Vec<u8>> {
        let canonical = self.plan(request).ok()?.canonicalise(account, &MOMENT).ok()?;
        canonical.needs_signature().then(|| canonical.message().to_vec())
    }

    fn same_text(&self, login: &Login, text: &[u8], account: &Account<'_>) -> Vec<LoginFinding> {
        let pairs = pairs(text);
        let query: Vec<(&str, Param<'_>)> =
            pairs.iter().map(|(name, value)| (name.as_str(), Param::Text(value))).collect();
        let mut found = Vec::new();
        for path in self.paths_near(login, text, account) {
            for (method, _) in Method::ALL {
                for query in [Vec::new(), query.clone()] {
                    let mut shown = format!("{method} {path}");
                    for (at, (name, _)) in query.iter().enumerate() {
                        let _ = write!(shown, "{}{name}=…", if at == 0 { '?' } else { '&' });
                    }
                    let request = Request { method, path: &path, query, body: Body::Empty };
                    let same = |found: Vec<u8>| {
                        if login.free.is_empty() { found == text } else { found.starts_with(text) }
                    };
                    if !self.text_of(&request, account).is_some_and(same) {
                        continue;
                    }
                    let Ok(plan) = self.plan(&request) else { continue };
                    let classified = plan.classified();
                    let action = classified.action;
                    // Where any path would do, the engine knows what an endpoint needs only if the table says so.
                    if !plan.binds().path && action != Action::Read {
                        continue;
                    }
                    let is_session = action == Action::Session;
                    // A sender that ends the text as it likes needs a request to begin with; the agent signs none so.
                    let undeclared = !is_session && login.free.is_empty() && !login.also.contains(&action);
                    let guarded = login.push_only || classified.stands_in.contains(&Action::Session);
                    let unguarded = !is_session && !guarded;
                    found.push(LoginFinding {
                        login: login.name.clone(),
                        request: shown,
                        action,
                        undeclared,
                        unguarded,
                    });
                }
            }
        }
        found
    }

    /// Paths that the profile speaks of, and those that the text could have in it.
    fn paths_near(&self, login: &Login, text: &[u8], account: &Account<'_>) -> Vec<String> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let url = login.url(account.base_url).unwrap_or_default();
        let mut paths: Vec<String> = self.actions().rules().iter().map(|rule| example(rule.path())).collect();
        let cases = self.compiled.cases.iter().filter_map(|(when, _)| when.path.as_ref());
        paths.extend(cases.map(|path| example(path.as_str())));
        let ends = shown.match_indices('/').filter_map(|(at, _)| shown.get(at..));
        let mut fragments: Vec<String> = ends.map(path_at_start).collect();
        let host_end = url.get(6..).and_then(|rest| Some(rest.find('/')?.saturating_add(6)));
        fragments.extend(host_end.and_then(|at| url.get(at..)).map(path_at_start));
        // Without what comes before it in the text, a name may follow a prefix of the venue's.
        let bare =
            shown.split(|c: char| !(c.is_ascii_alphabetic() || c == '/')).filter(|word| word.len() > 2);
        let bare: Vec<String> = bare.map(|word| word.trim_matches('/').to_owned()).collect();
        let versions = VERSIONS.iter().map(|path| (*path).to_owned());
        for path in paths.clone().into_iter().chain(versions).chain(fragments.clone()) {
            let mut prefix = String::new();
            for segment in path.split('/').skip(1).take(3) {
                prefix = format!("{prefix}/{segment}");
                paths.extend(bare.iter().map(|word| format!("{prefix}/{word}")));
            }
        }
        paths.append(&mut fragments);
        paths.retain(|path| path.starts_with('/'));
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// The path with which a text begins.
fn path_at_start(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c)).collect()
}

/// What a text would be as the parameters of a query.
fn pairs(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let pairs = text.split('&').map(|pair| pair.split_once('='));
    let pairs: Option<Vec<(&str, &str)>> = pairs.collect();
    pairs.unwrap_or_default().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
