//! The page of the book with all figures.

use std::fmt::Write as _;
use std::path::Path;

use strongroom_scanner::Class;
use strongroom_scanner::needles::WINDOW;
use strongroom_softhsm_tests::machine;

use crate::report::{Expected, Report};

const HEAD: &str = "# Leak test\n\nWritten by `./x leaktest`, the program that measures; not by hand.\n";

pub(crate) fn write(path: &Path, report: &Report) -> std::io::Result<()> {
    std::fs::write(path, text(report))
}

fn text(report: &Report) -> String {
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let mut text = format!(
        "{HEAD}\n{date}; {}; {build} build {}.\n\n",
        machine::description(),
        env!("CARGO_PKG_VERSION"),
    );
    let _ = write!(text, "{INTRODUCTION}");
    let _ = writeln!(
        text,
        "Pieces shorter than {WINDOW} bytes, and forms that the arithmetic of a curve goes through, are not seen.\n"
    );
    let _ = writeln!(text, "## Samples with a hit\n");
    let _ = write!(text, "| | process | samples | MiB each |");
    for class in Class::ALL {
        let _ = write!(text, " {} |", class.name());
    }
    let _ = writeln!(text, " |\n|---|---|--:|--:|{}---|", "--:|".repeat(Class::ALL.len()));
    for row in &report.rows {
        let _ = write!(text, "| {} | {} | {} | {:.1} |", row.what, row.process, row.samples, row.mebibytes());
        for hit in row.hit {
            let _ = write!(text, " {hit} |");
        }
        let _ = writeln!(text, " {} |", row.verdict());
    }
    let nothing = report.rows.iter().filter(|row| row.expected == Expected::Nothing);
    let (samples, hit) = nothing.fold((0, 0), |(all, hit), row| (all + row.samples, hit + row.any));
    let _ = writeln!(text, "\nWhere nothing must be found: {hit} of {samples} samples with a hit.\n");
    let _ = writeln!(text, "## What was tried\n\n| | |\n|---|---|");
    for fact in &report.facts {
        let verdict = if fact.holds { "" } else { " (**not as it must be**)" };
        let _ = writeln!(text, "| {} | {}{verdict} |", fact.what, fact.outcome);
    }
    let _ = write!(text, "{ELSEWHERE}");
    if report.faults() > 0 {
        let _ = writeln!(text, "\n```text\n{}```", report.details());
    }
    text
}

const INTRODUCTION: &str = "\
An attacker who is root looks into every process of the real programs, on a fresh SoftHSM token with random secrets.\n\
A sample is one look: the process is stopped at a random moment and every page that is there is read, or its registers,\n\
or a core, or a file. Numbers under the classes are samples in which something of that class was found.\n\
\n\
- *plain*: a secret or a passphrase as it is, reversed, in hex, in base64 at each offset, in UTF-16; \
the blocks of HMAC; of P-256 also the form of Montgomery's multiplication, of RSA the exponents and primes.\n\
- *key-equivalent*: the states of HMAC for SHA-256, SHA-384 and SHA-512, as they lie in memory, big-endian, and in the order of \
SHA-NI's lanes; expanded keys.\n\
- *nonce*: those of the ES256 and Ed25519 signatures that are made at that moment, computed from the signatures and the key.\n\
- *seed*: the seed of a record, in the same spellings as a secret, and the key that is extracted from it.\n\
- *PIN*: the token's, in the same spellings.\n\
\n\
Controls must be found in every sample, in each class that their row demands, or the run fails. The credentials use every \
algorithm of the shipped venues: HMAC\n\
with three hashes, SHA-256 over a text with the secret in it, ES256, Ed25519, secp256k1 and RSA. The keeper's own tests look for the same without the agent.\n\
A passphrase that the venue wants in clear goes to the client, so it is not looked for.\n\
";

const ELSEWHERE: &str = "
## What other tests look for

| | test |
|---|---|
| Ed25519, hashed secrets, a wallet's key, and the nonces of signatures by each curve, in the keeper alone | `keeper/tests/process/leak.rs` |
| what is left in the keeper's own memory when it forgets, read in ordinary memory, where the same code lays it out and \
wipes it | `leaves_nothing_in_its_own_memory_when_it_forgets` |
| attaching to the keeper, calls injected into it, killing its guard | `keeper/tests/process/guard.rs`, `confine.rs` |
| descriptors and environment that keeper and token worker inherit | `softhsm-tests/tests/outside/processes.rs` |
| token workers left after an unlock | `runs_a_keeper_and_a_watcher_without_a_session_only_while_unlocked` |
| too little memory to lock | `says_which_limit_to_raise_where_the_keeper_may_lock_too_little` |
| other users, forged credentials, connections that are handed on | `softhsm-tests/tests/outside/peers.rs`, `socket.rs` |

Not looked into: the terminal and the shell into which something is typed; a module's own daemon, such as pcscd; a panic in the
middle of a signature, whose one line names a place in the code and nothing else; processors without AVX-512, where the
keeper wipes fewer registers (only the C library was held to AVX2 here).
";
