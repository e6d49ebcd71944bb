//! `strongroom init`: token, KEK, configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use strongroom_link::token::{Rung, TokenDescription, TokenRefusal};
use strongroom_protocol::ErrorCode;

use super::pin::{Facts, PinSource};
use super::{Json, Stop, block_on, output};
use crate::audit::vouch::Fingerprint;
use crate::config::{AgentConfig, Config, Patience, Places, TokenConfig, kek_id};
use crate::crew::CrewError;
use crate::crew::token::TokenWorker;
use crate::fault::Fault;
use crate::policy::Admin;

/// Choose a token, make the wrapping key (KEK) in it, and write the configuration.
///
/// The token is found by serial and label, never by its slot. The KEK is an AES-256 key that is born in
/// the token and cannot leave it; its attributes are read back, and a key that lacks one is refused. Then
/// it is tried out how the token can protect a seed. Run again, it checks the same token once more.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The PKCS#11 module, for example /usr/lib/softhsm/libsofthsm2.so
    #[arg(long, value_name = "PATH")]
    module: PathBuf,
    /// Serial of the token; may be left out where the rest names one token only
    #[arg(long)]
    serial: Option<String>,
    /// Label of the token; may be left out where the rest names one token only
    #[arg(long)]
    label: Option<String>,
    /// Label of the KEK
    #[arg(long, default_value = "strongroom", value_name = "LABEL")]
    kek_label: String,
    /// Use this rung only, instead of the best that works: aes-gcm or aes-cbc
    #[arg(long)]
    rung: Option<Rung>,
    /// How long the token may take for one thing before it is given up: 1 to 50, 30 if never given
    #[arg(long, value_name = "SECONDS")]
    patience: Option<Patience>,
    /// A variable that the module needs, with its value, or with that of this shell [may be repeated]
    #[arg(long, value_name = "NAME[=VALUE]")]
    module_env: Vec<String>,
    /// Go on where the kernel has no memory that root cannot read, and write that into the configuration
    #[arg(long)]
    danger_allow_weak_memory: bool,
    /// Who may do everything but sign, as user:UID; whoever runs this if never given [may be repeated]
    #[arg(long, value_name = "user:UID")]
    admin: Vec<Admin>,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

/// Variables by which well-known modules find their tokens: for the hint when none is found.
const MODULE_VARIABLES: &[&str] = &[
    "SOFTHSM2_CONF",
    "KRYOPTIC_CONF",
    "YUBIHSM_PKCS11_CONF",
    "TPM2_PKCS11_STORE",
    "TPM2_PKCS11_TCTI",
    "P11_KIT_SERVER_ADDRESS",
];

impl Init {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        // Links stay as they are: they outlive the versions that they point to.
        let module = std::path::absolute(&self.module).map_err(Fault::defect)?;
        let before = places.config.exists().then(|| Config::read(&places.config)).transpose()?;
        let environment = match &before {
            Some(config) if self.module_env.is_empty() => config.token.environment.clone(),
            _ => self.environment()?,
        };
        let known = before.as_ref().map(|config| config.token.patience_s);
        let patience = self.patience.or(known).unwrap_or_default();
        let mut agent = before.as_ref().map_or_else(AgentConfig::default, |config| config.agent.clone());
        agent.danger_allow_weak_memory |= self.danger_allow_weak_memory;
        agent
            .admins
            .extend(self.admin.iter().filter(|admin| !agent.admins.contains(admin)).collect::<Vec<_>>());
        if agent.admins.is_empty() {
            agent.admins.push(Admin::this_user());
        }
        let admins: Vec<_> = agent.admins.iter().map(ToString::to_string).collect();
        let weak = agent.danger_allow_weak_memory;
        let pinentry = before.as_ref().and_then(|config| config.agent.pinentry.as_deref());
        let wanted = Wanted { init: &self, module, environment, patience, pinentry, weak };
        let token = block_on(wanted.prepare(before.as_ref().map(|config| &config.token)))?;
        let (audit, alert, venue_skew_ms) =
            before.map(|config| (config.audit, config.alert, config.venue_skew_ms)).unwrap_or_default();
        Config { token: token.clone(), agent, audit, alert, venue_skew_ms }.write(&places.config)?;
        if self.json.json {
            output::json(&json!({
                "config": places.config,
                "token_serial": token.serial,
                "token_label": token.label,
                "kek_label": token.kek_label,
                "kek_id": kek_id::text(&token.kek_id),
                "rung": token.rung.name(),
                "audit_key": token.audit_key.map(|key| key.to_string()),
                "admins": admins,
            }));
        } else {
            output::data(&output::facts(&[
                ("token", &format!("{} (serial {})", token.label, token.serial)),
                ("KEK", &format!("{} (id {})", token.kek_label, kek_id::text(&token.kek_id))),
                ("rung", token.rung.name()),
                ("audit key", &token.audit_key.map(|key| key.to_string()).unwrap_or_default()),
                ("admins", &admins.join(", ")),
                ("written", &places.config.display().to_string()),
            ]));
            output::talk("next: strongroom enroll NAME --venue VENUE --key-id KEY");
        }
        Ok(())
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Fault> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => std::env::var(text).map(|value| (text.clone(), value)).map_err(|_| {
                let message = format!("--module-env {text}: this shell has no such variable");
                Fault::new(ErrorCode::Invalid, message, "give its value too: --module-env NAME=VALUE")
            }),
        };
        self.module_env.iter().map(pair).collect()
    }
}

/// What `init` is to make, with all that was said.
struct Wanted<'a> {
    init: &'a Init,
    module: PathBuf,
    environment: BTreeMap<String, String>,
    patience: Patience,
    /// The configured program.
    pinentry: Option<&'a str>,
    /// Whether memory will do that root can read.
    weak: bool,
}

impl Wanted<'_> {
    async fn prepare(self, before: Option<&TokenConfig>) -> Result<TokenConfig, Stop> {
        let mut worker = TokenWorker::start(&self.environment, self.patience, self.weak).await?;
        let module = self.module.to_string_lossy().into_owned();
        let tokens = worker.tokens(&module).await?;
        let token = self.choose(&tokens)?;
        if let Some(before) = before {
            self.check_same(before, token)?;
        }
        let login = self.init.pin.road(self.pinentry, || Ok(Facts::from(token)))?.login()?;
        worker.open(&module, &token.serial, &token.label, login, None).await?;
        let kek_label = &self.init.kek_label;
        let kek = match worker.find_kek(kek_label, before.map(|before| before.kek_id)).await {
            Err(CrewError::Token(TokenRefusal::KekAbsent { .. })) if before.is_none() => {
                worker.make_kek(kek_label).await?
            }
            found => found?,
        };
        let rung = worker.probe(kek, self.init.rung.or(before.map(|before| before.rung))).await?;
        let audit_key = self.audit_key(&mut worker, before.and_then(|before| before.audit_key)).await?;
        let (serial, label) = (token.serial.clone(), token.label.clone());
        worker.end().await;
        Ok(TokenConfig {
            module: self.module,
            serial,
            label,
            kek_label: kek_label.clone(),
            kek_id: kek,
            rung,
            audit_key,
            patience_s: self.patience,
            on_token_removed: before.map(|before| before.on_token_removed).unwrap_or_default(),
            watch_every_s: before.map(|before| before.watch_every_s).unwrap_or_default(),
            relogin: before.is_some_and(|before| before.relogin),
            environment: self.environment,
        })
    }

    /// The key of the token that signs checkpoints of the audit log: the one that is there, or a new one.
    async fn audit_key(
        &self,
        worker: &mut TokenWorker,
        before: Option<Fingerprint>,
    ) -> Result<Option<Fingerprint>, Fault> {
        let label = &self.init.kek_label;
        let mut verb = "has";
        let asked = match worker.signing_key(label, false).await {
            Ok(None) => {
                verb = "has made";
                worker.signing_key(label, true).await
            }
            asked => asked,
        };
        let key = match asked {
            Ok(key) => key.as_ref().map(Fingerprint::of),
            Err(CrewError::Token(refusal)) if before.is_none() => {
                let why = match &refusal {
                    TokenRefusal::SigningKeyUnfit { .. } => "the token's key for the audit log is not used",
                    _ => "the token makes no key that signs",
                };
                output::talk(&format!(
                    "warning: {why}, so the keeper alone vouches for the audit log: {refusal}"
                ));
                None
            }
            Err(error) => return Err(error.into()),
        };
        match (before, key) {
            (Some(before), Some(key)) if before != key => output::talk(&format!(
                "warning: the token's key for the audit log is another than before: the token {verb} {key}, not {before}; \
                 what the old one has signed is verified with `audit verify --token-key {before}`"
            )),
            (None, Some(key)) if verb == "has" => output::talk(&format!(
                "warning: the token had a key for the audit log already, which this configuration did not name: {key}; it was \
                 born in the token, and whoever has the PIN may have had it make one"
            )),
            (None, Some(key)) => output::talk(&format!("the token has made a key for the audit log: {key}")),
            _ => {}
        }
        Ok(key)
    }

    /// The one token that fits all that was said.
    fn choose<'t>(&self, tokens: &'t [TokenDescription]) -> Result<&'t TokenDescription, Fault> {
        let fits = |token: &&TokenDescription| {
            self.init.serial.as_ref().is_none_or(|serial| *serial == token.serial)
                && self.init.label.as_ref().is_none_or(|label| *label == token.label)
        };
        let fitting: Vec<_> = tokens.iter().filter(fits).collect();
        if let [token] = fitting.as_slice() {
            return Ok(token);
        }
        let shown = |tokens: &[&TokenDescription]| {
            tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let (message, hint) = match (fitting.as_slice(), tokens) {
            ([], []) => ("the module shows no initialised token".to_owned(), self.absence_hint()),
            ([], all) => {
                let all: Vec<_> = all.iter().collect();
                (
                    format!("no token fits; the module shows: {}", shown(&all)),
                    "check --serial and --label".to_owned(),
                )
            }
            (several, _) => (
                format!("several tokens fit: {}", shown(several)),
                "say which with --serial (and --label)".to_owned(),
            ),
        };
        Err(Fault::new(ErrorCode::NotFound, message, hint))
    }

    fn absence_hint(&self) -> String {
        let set = MODULE_VARIABLES
            .iter()
            .find(|name| std::env::var_os(name).is_some() && !self.environment.contains_key(**name));
        match set {
            Some(name) => {
                format!("{name} is set here, but modules get an empty environment: add --module-env {name}")
            }
            None => "plug the token in, or initialise it with its own tool (softhsm2-util --init-token)"
                .to_owned(),
        }
    }

    /// Another token than the one that is configured would orphan the records.
    fn check_same(&self, before: &TokenConfig, token: &TokenDescription) -> Result<(), Fault> {
        let same = before.serial == token.serial
            && before.label == token.label
            && before.kek_label == self.init.kek_label
            && self.init.rung.is_none_or(|rung| rung == before.rung);
        if same {
            return Ok(());
        }
        let message = format!(
            "refusing to replace the configuration: it names token `{}` (serial {}), KEK `{}`, rung {}",
            before.label, before.serial, before.kek_label, before.rung
        );
        Err(Fault::new(
            ErrorCode::Exists,
            message,
            "records that it wrapped open with it only; move the file away, or use another --config and --data",
        ))
    }
}
