//! `strongroom venue check`: does a profile hold what it says?

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_protocol::ErrorCode;
use strongroom_venues::{Finding, Profile, SendOnly, builtin_profiles, send_only_profiles};

use super::rows::{self, Compared};
use super::{
    SEND_ONLY, about_send_only, actions, check_logins, facts, facts_of_send_only, logins, put, rule, rules,
    with_rules,
};
use crate::cli::{Json, Stop, output};
use crate::fault::Fault;
use crate::signer::profiles::compiled_from;

/// Check a profile: its grammar, by changing requests whether its signature binds what `covers` says, and whether it
/// signs requests as you know that they are signed.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The profile, in TOML
    file: PathBuf,
    /// Signed requests that you trust, one JSON object a line (vectors/README.md has their form). Their secrets must be
    /// made up. May be given several times
    #[arg(long, value_name = "FILE")]
    vectors: Vec<PathBuf>,
    #[command(flatten)]
    json: Json,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Stop> {
        let text = read(&self.file)?;
        if let Ok(Some(venue)) = SendOnly::compile(&text) {
            if self.json.json {
                output::json(&about_send_only(&venue));
            } else {
                output::data(&facts_of_send_only(&venue));
            }
            output::talk(&format!("warning: {SEND_ONLY}, and no key can be enrolled"));
            return Ok(());
        }
        let profile = compiled_from(&self.file, &text)?;
        let findings = profile.probe();
        let compared =
            self.vectors.iter().map(|file| rows::compare(&profile, file)).collect::<Result<_, _>>();
        let compared = compared.map(Compared::all)?;
        if self.json.json {
            let mut value = with_rules(&profile, &findings);
            if !self.vectors.is_empty() {
                put(&mut value, "vectors", compared.json());
            }
            output::json(&value);
        } else {
            output::data(&facts(&profile, &[]));
            output::data(&rules(&findings));
            actions(&profile);
            logins(&profile);
            compared.print();
        }
        warn(&profile, &findings);
        warn_of_name(&profile, &text);
        check_logins(&self.file.display().to_string(), &profile)?;
        if let Some((finding, unseen)) = findings.iter().find_map(|f| Some((f, f.unseen.as_ref()?))) {
            return Err(self.overclaims(finding, unseen).into());
        }
        if !self.vectors.is_empty() {
            compared.verdict()?;
        }
        Ok(())
    }

    fn overclaims(&self, finding: &Finding, unseen: &str) -> Fault {
        let claimed = finding.claimed.name();
        let message = format!(
            "{}:{}: {} claims `covers = \"{claimed}\"`, but {unseen}",
            self.file.display(),
            finding.claimed_at,
            rule(finding)
        );
        let hint = format!("sign more, or write `covers = \"{}\"`", finding.found.name());
        Fault::new(ErrorCode::Invalid, message, hint)
    }
}

/// The text of a file that the user has named.
///
/// # Errors
/// Where it cannot be read, or has no end in sight.
pub(super) fn read(file: &Path) -> Result<String, Fault> {
    const HINT: &str = "name a file of text: a profile in TOML, or rows of JSON";
    let read = || {
        let mut bytes = Vec::new();
        File::open(file)?.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|bytes| bytes <= MAX_FILE_BYTES) {
            return Ok(bytes);
        }
        Err(io::Error::other(format!("it has more than {MAX_FILE_BYTES} bytes")))
    };
    let bytes = read().map_err(|error: io::Error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Fault::new(ErrorCode::NotFound, message, HINT)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let whole = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = whole.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let message = format!("{}:{line}: this is no text in UTF-8", file.display());
        Fault::new(ErrorCode::Invalid, message, HINT)
    })
}

/// More than any file of rows has: the compiler has a limit of its own for profiles.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Says so where nobody can enrol by the profile, because it has the name of another one that ships.
fn warn_of_name(profile: &Profile, text: &str) {
    let id = profile.id();
    let shipped = builtin_profiles().iter().chain(send_only_profiles()).find(|(shipped, _)| *shipped == id);
    if shipped.is_some_and(|(_, shipped)| *shipped != text) {
        output::talk(&format!(
            "warning: a profile `{id}` ships, and no key can be enrolled by another of that name: call it `{id}-mine`"
        ));
    }
}

/// Says what is no mistake, and yet worth knowing.
fn warn(profile: &Profile, findings: &[Finding]) {
    if profile.hosts().is_empty() {
        output::talk(
            "warning: it names no host, and so no key can be enrolled with it: add `hosts = [\"https://…\"]`",
        );
    }
    for finding in findings.iter().filter(|finding| finding.tried == 0 && finding.claimed.name() != "none") {
        output::talk(&format!("warning: {}: no request reaches it, so nothing was tried", rule(finding)));
    }
    for finding in findings.iter().filter(|finding| finding.recut) {
        output::talk(&format!(
            "warning: {}: values are signed unescaped, so that one value can be signed like two parameters",
            rule(finding)
        ));
    }
}
