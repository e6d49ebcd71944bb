//! `strongroom grant edit`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::json;
use strongroom_policy::Grants;
use strongroom_protocol::ErrorCode;

use super::{Desk, Held};
use crate::cli::pin::PinSource;
use crate::cli::secret::apart;
use crate::cli::{Json, Stop, output};
use crate::config::Places;
use crate::fault::Fault;
use crate::signer::grants::read;

/// Change the grants of a credential in an editor ($VISUAL, else $EDITOR, else vi), or take them from a file.
#[derive(Debug, Args)]
pub(super) struct Edit {
    /// Name of the credential
    credential: String,
    /// Take all grants from this TOML file, - for standard input, instead of an editor
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take all grants away where the text has none; without it such a text is refused
    #[arg(long)]
    none: bool,
    /// Take a record over that is older than one that was in force. Read its grants first
    #[arg(long)]
    accept_older: bool,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    json: Json,
}

impl Edit {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        apart(&[("grants", self.file.as_deref().and_then(by_stdin)), ("PIN", self.pin.descriptor())])?;
        let desk = Desk::open(places, &self.credential)?;
        let held = desk.read()?;
        let changed = match &self.file {
            Some(file) => {
                let grants = read(&text_of(file)?)?;
                self.write(&desk, &held, &grants)?
            }
            None => {
                // The one that nobody has named needs a terminal, and without one takes what it reads for commands.
                if named_editor().is_none() && !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
                    let message =
                        "there is no terminal for the editor `vi`, and $VISUAL and $EDITOR name none";
                    return Err(Fault::new(ErrorCode::Invalid, message, "use --file").into());
                }
                self.by_hand(&desk, &held)?
            }
        };
        let Some(grants) = changed else {
            output::talk("nothing was changed");
            return Ok(());
        };
        if self.json.json {
            output::json(&json!({ "credential": self.credential, "grants": grants }));
        } else {
            let noun = if grants == 1 { "grant" } else { "grants" };
            output::data(&format!("{} has {grants} {noun} now", self.credential));
        }
        Ok(())
    }

    /// Gives how many there are then; `None` where they are as they were.
    fn write(&self, desk: &Desk<'_>, held: &Held, grants: &Grants) -> Result<Option<usize>, Stop> {
        if *grants == held.grants && !self.accept_older {
            return Ok(None);
        }
        if grants.is_empty() && !self.none {
            let message = format!("the text has no grant, and {} has {}", self.credential, held.grants.len());
            return Err(
                Fault::new(ErrorCode::Invalid, message, "to take all of them away, use --none").into()
            );
        }
        desk.write(held.revision, grants, self.accept_older, &self.pin)?;
        Ok(Some(grants.len()))
    }

    /// Lets a person edit until the text says something. Whatever goes wrong then, the text is kept.
    fn by_hand(&self, desk: &Desk<'_>, held: &Held) -> Result<Option<usize>, Stop> {
        let failed = |source: io::Error| {
            let message = format!("there is no file to edit: {source}");
            Fault::new(ErrorCode::Unavailable, message, "make room in the folder for temporary files")
        };
        let mut draft = tempfile::Builder::new()
            .prefix("strongroom-grants-")
            .suffix(".toml")
            .tempfile()
            .map_err(failed)?;
        let header = HEADER.replace("{credential}", &self.credential);
        let begun = format!("{header}{}", held.grants.to_toml());
        draft.write_all(begun.as_bytes()).map_err(failed)?;
        let outcome = self.edit_until_good(desk, held, draft.path());
        // Not where nobody has written anything: an editor that does not start leaves no files behind.
        let is_written = || std::fs::read(draft.path()).is_ok_and(|text| text != begun.as_bytes());
        if outcome.is_err()
            && is_written()
            && let Ok((_, path)) = draft.keep()
        {
            output::talk(&format!(
                "your text is kept: `strongroom grant edit {} --file {}` takes it",
                self.credential,
                path.display()
            ));
        }
        outcome
    }

    fn edit_until_good(&self, desk: &Desk<'_>, held: &Held, draft: &Path) -> Result<Option<usize>, Stop> {
        loop {
            editor(draft)?;
            match text_of(draft).and_then(|text| read(&text)) {
                Ok(grants) => return self.write(desk, held, &grants),
                Err(fault) if !again(&fault) => return Err(fault.into()),
                Err(_) => {}
            }
        }
    }
}

const HEADER: &str = "# The grants of {credential}. What none of them allows is denied; a denial wins over all others.\n\
                      # For example:\n\
                      #\n\
                      # [[grant]]\n\
                      # id = \"grid\"\n\
                      # to = \"client:grid-bot\"\n\
                      # allow = [\"read\", \"trade\", \"cancel\"]\n\
                      # symbols = [\"BTCUSDT\", \"ETH*\"]\n\
                      # max_notional = \"500\"\n\n";

/// The editor that the environment names.
fn named_editor() -> Option<OsString> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("VISUAL").or_else(|| set("EDITOR"))
}

/// Runs the person's editor on a file, and waits.
fn editor(file: &Path) -> Result<(), Fault> {
    let program = named_editor().unwrap_or_else(|| "vi".into());
    // By the shell, as other programs do it: the variable may hold arguments.
    let mut command = Command::new("/bin/sh");
    let mut script = program.clone();
    script.push(" \"$1\"");
    command.arg("-c").args([&script, &program]).arg(file);
    let refused = |fact: String| {
        let message = format!("the editor `{}` {fact}", program.display());
        Fault::new(ErrorCode::Invalid, message, "set $EDITOR, or use --file")
    };
    let status = command.status().map_err(|error| refused(format!("does not start: {error}")))?;
    if status.success() { Ok(()) } else { Err(refused(format!("has ended with {status}"))) }
}

/// Whether a person wants to go on with a text that is not good yet.
fn again(fault: &Fault) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    output::fault(fault);
    output::talk("Press Enter to go on editing, or type q to stop:");
    let mut typed = String::new();
    matches!(io::stdin().lock().read_line(&mut typed), Ok(1..)) && typed.trim() != "q"
}

/// The descriptor of standard input, where a file is named `-`.
pub(in crate::cli) fn by_stdin(file: &Path) -> Option<u32> {
    (file == Path::new("-")).then_some(0)
}

/// The text of a file; - is standard input. No more is read than grants can be: what is read may have no end.
pub(in crate::cli) fn text_of(file: &Path) -> Result<String, Fault> {
    let whole = |from: &mut dyn io::Read| {
        let mut text = String::new();
        from.take(MAX_TEXT_BYTES.saturating_add(1)).read_to_string(&mut text)?;
        match u64::try_from(text.len()) {
            Ok(0..=MAX_TEXT_BYTES) => Ok(text),
            _ => Err(io::Error::other(format!("it has more than {MAX_TEXT_BYTES} bytes"))),
        }
    };
    let read = if by_stdin(file).is_some() {
        whole(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut file| whole(&mut file))
    };
    read.map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Fault::new(ErrorCode::Invalid, message, "name a file of TOML, or - for standard input")
    })
}

/// Grants have at most 192 KiB; comments may have as much again, and more.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;
