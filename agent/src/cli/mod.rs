//! The command line.

mod agent;
mod audit;
mod bar;
mod client;
mod confirm;
mod credentials;
mod doctor;
mod enroll;
mod grant;
mod init;
mod install;
mod metrics;
mod output;
mod pin;
mod pinentry;
mod restore;
mod secret;
mod shown;
mod sign;
mod skew;
mod terminal;
mod usage;
mod venue;
mod ws_login;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use strongroom_client::{Client, default_token};
use strongroom_protocol::ErrorCode;
use tokio::runtime::LocalOptions;

use crate::config::Places;
use crate::fault::Fault;

/// Signs exchange requests for bots. The bot can trade; it cannot leak the key.
///
/// Secrets are wrapped by a key in a PKCS#11 token and unwrapped in one locked process only. Bots ask for
/// signatures over a unix socket.
///
/// First steps: `strongroom init`, `strongroom enroll`, `strongroom agent`, `strongroom unlock`.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// The configuration file [default: $STRONGROOM_CONFIG, else $XDG_CONFIG_HOME/strongroom/strongroom.toml]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of records and nonces [default: $STRONGROOM_DATA, else $XDG_DATA_HOME/strongroom]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The agent's socket [default: $STRONGROOM_SOCKET, else $XDG_RUNTIME_DIR/strongroom/agent.sock]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Choose a token, make the wrapping key (KEK) in it, and write the configuration
    Init(init::Init),
    /// Wrap an exchange secret and keep it under a name
    Enroll(enroll::Enroll),
    /// Say who may do what with a credential
    Grant(grant::Grant),
    /// Serve bots: the agent itself, in the foreground
    Agent(agent::Agent),
    /// Log in to the token with its PIN and load all secrets into the keeper
    Unlock(credentials::Unlock),
    /// Forget all secrets until the next unlock
    Lock(credentials::Lock),
    /// Sign one request and print it
    Sign(sign::Sign),
    /// Build and sign a WebSocket login, and print it
    WsLogin(ws_login::WsLogin),
    /// Tell how the agent is
    Status(credentials::Status),
    /// Tell what protects this installation and what does not
    Doctor(doctor::Doctor),
    /// List all credentials
    List(credentials::List),
    /// Show one credential; never its secret
    Show(credentials::Show),
    /// Delete a credential
    Remove(credentials::Remove),
    /// Take over a data folder that was restored from a backup
    AcceptRestore(restore::AcceptRestore),
    /// Read the audit log: verify it, show it, report who has used which key
    Audit(audit::Audit),
    /// Print what the agent has counted, for Prometheus
    Metrics(metrics::Metrics),
    /// Ask a human about requests whose grants want one
    Confirm(confirm::Confirm),
    /// Make, list and revoke the tokens by which clients say who they are
    Client(client::ClientCommand),
    /// List, show and check venue profiles
    Venue(venue::Venue),
    /// Write systemd units
    Install(install::Install),
}

/// `--json`.
#[derive(Debug, Clone, Copy, Args)]
struct Json {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Over the options that every command has.
const GLOBAL: &str = "Global options";
const EXIT_CODES: &str = "Exit codes: 0 done · 1 failed (a defect; please report it) · 2 wrong usage · 3 invalid request or \
                          secret · 4 not found · 5 locked · 6 denied · 7 unavailable (token, keeper or disk refuse) · 8 no \
                          agent answers · 9 exists already · 10 weaker than configured (doctor) · 11 as it was written but for \
                          accepted gaps (audit verify)";

/// No agent answers at the socket.
const NO_AGENT: u8 = 8;
/// Something is weaker than the configuration promises.
const WEAK: u8 = 10;
/// Nothing is found in the audit log but gaps that its owner has accepted.
const ACCEPTED: u8 = 11;

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => usage::unsaid(error, &words).exit(),
    };
    let done = run(cli);
    let done = match (output::finish(), done) {
        // What went wrong before says more; that it is weak was not said where it was not written.
        (Err(fault), Ok(()) | Err(Stop::Accepted | Stop::Weak)) => Err(Stop::Fault(fault)),
        (_, done) => done,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Fault(fault)) => {
            output::fault(&fault);
            ExitCode::from(exit_code(fault.code))
        }
        Err(Stop::NoAgent(fault)) => {
            output::fault(&fault);
            ExitCode::from(NO_AGENT)
        }
        Err(Stop::Accepted) => ExitCode::from(ACCEPTED),
        Err(Stop::Weak) => ExitCode::from(WEAK),
    }
}

/// Why a command has not done what it was asked.
#[derive(Debug)]
enum Stop {
    /// `audit verify` has found, and said, that lines are missing as its owner has accepted.
    Accepted,
    Fault(Fault),
    NoAgent(Fault),
    /// `doctor` has found, and said, that something is weaker than the configuration promises.
    Weak,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<crate::crew::CrewError> for Stop {
    fn from(error: crate::crew::CrewError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<crate::store::StoreError> for Stop {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<strongroom_client::Error> for Stop {
    fn from(error: strongroom_client::Error) -> Self {
        use strongroom_client::Error;
        let message = crate::fault::chain(&error);
        let code = error.code().unwrap_or(ErrorCode::Unavailable);
        let fault = Fault::new(code, message, error.hint());
        match error {
            Error::NoAgent { .. } | Error::NoSocketPath => Self::NoAgent(fault),
            _ => Self::Fault(fault),
        }
    }
}

const fn exit_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::Invalid | ErrorCode::Malformed | ErrorCode::Version => 3,
        ErrorCode::NotFound => 4,
        ErrorCode::Locked => 5,
        ErrorCode::Denied => 6,
        ErrorCode::Unavailable => 7,
        ErrorCode::Exists => 9,
        _ => 1,
    }
}

fn run(cli: Cli) -> Result<(), Stop> {
    let places = Places::new(cli.config, cli.data, cli.socket)?;
    match cli.command {
        Command::AcceptRestore(command) => command.run(&places),
        Command::Agent(command) => command.run(&places),
        Command::Audit(command) => command.run(&places),
        Command::Client(command) => command.run(&places),
        Command::Confirm(command) => command.run(&places),
        Command::Doctor(command) => command.run(&places),
        Command::Enroll(command) => command.run(&places),
        Command::Grant(command) => command.run(&places),
        Command::Init(command) => command.run(&places),
        Command::Install(command) => command.run(&places),
        Command::List(command) => command.run(&places),
        Command::Lock(command) => command.run(&places),
        Command::Metrics(command) => command.run(&places),
        Command::Remove(command) => command.run(&places),
        Command::Show(command) => command.run(&places),
        Command::Sign(command) => command.run(&places),
        Command::Status(command) => command.run(&places),
        Command::Unlock(command) => command.run(&places),
        Command::Venue(command) => command.run(&places),
        Command::WsLogin(command) => command.run(&places),
    }
}

/// A client of the agent at the configured socket, with the token of the environment. Nothing is connected yet.
fn client(places: &Places) -> Result<Client, Stop> {
    Ok(with_token(Client::at(places.socket()?))?)
}

fn with_token(client: Client) -> Result<Client, strongroom_client::Error> {
    Ok(match default_token()? {
        Some(token) => client.with_token(token),
        None => client,
    })
}

/// Whether an agent answers. One that is there and refuses is an error, not an absence.
fn running(places: &Places) -> Result<Option<Client>, Stop> {
    let Some(socket) = &places.socket else { return Ok(None) };
    let client = with_token(Client::at(socket))?;
    match client.status() {
        Ok(_) => Ok(Some(client)),
        Err(strongroom_client::Error::NoAgent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// For what an agent must not do meanwhile.
fn demand_no_agent(places: &Places) -> Result<(), Stop> {
    if running(places)?.is_some() {
        let message = "an agent runs on this data folder";
        let hint = "stop it, then run this as the user that it runs as";
        return Err(Fault::new(ErrorCode::Unavailable, message, hint).into());
    }
    Ok(())
}

/// Runs `work` on a runtime of this thread, with local tasks.
fn block_on<T, E: From<Fault>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(LocalOptions::default()).map_err(Fault::defect)?;
    let done = runtime.block_on(work);
    // Not for ever, as dropping it would: a disk or a descriptor that hangs keeps a thread.
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

/// How long the end of a command waits for what its threads still write.
const LAST_WRITES: Duration = Duration::from_secs(5);
