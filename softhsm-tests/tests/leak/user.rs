//! The agent's own user, who is not root: every way that root has, and none of them open.

use std::path::Path;
use std::process::Command;

use strongroom_scanner::descriptors::stolen;

use crate::control::{NaiveSigner, secrets};
use crate::report::Report;
use crate::site::{Site, copies, keeper_and_guard};

const NOBODY: u32 = 65_534;

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    let programs = copies(site.room.folder());
    let [prying, naive] =
        [env!("CARGO_BIN_EXE_prying-user"), env!("CARGO_BIN_EXE_naive-signer")].map(|from| {
            let copied = Command::new("cp").arg(from).arg(&programs).status();
            assert!(copied.expect("cp starts").success());
            programs.join(Path::new(from).file_name().expect("a program"))
        });
    for folder in [site.room.folder(), site.room.token.dir.path()] {
        let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder).status();
        assert!(given.expect("chown starts").success());
    }
    let mut command = as_nobody(&programs.join("strongroom"));
    command.arg("agent");
    let agent = start(&site, command);
    let (keeper, guard) = keeper_and_guard(&agent);

    let (lines, _) = secrets();
    let signer = NaiveSigner::start(&mut as_nobody(&naive), "zeroize", "idle", &lines);
    let mut processes = vec![("control: a naive signer", signer.id())];
    processes.extend([("the keeper", keeper), ("the guard", guard)]);
    for (process, pid) in processes {
        let outcome = pry(&prying, site.room.folder(), pid);
        let ways = outcome.len();
        let open: Vec<_> = outcome.iter().filter_map(|line| line.strip_suffix(": got in")).collect();
        let is_control = process.starts_with("control");
        let what = format!("own user, not root: ways into {process}");
        // Links to files that are mapped are for root only, whoever's they are.
        let holds = if is_control { open.len() >= ways - 1 } else { open.is_empty() };
        let names =
            if open.is_empty() || is_control { String::new() } else { format!(": {}", open.join(", ")) };
        report.fact(&what, format!("{} of {ways} open{names}", open.len()), holds);
    }
    // Root, for comparison, so that refusals are not for want of a process.
    assert!(!stolen(keeper).is_empty());
}

/// Unlocked by the user itself, whom alone the agent serves.
fn start(site: &Site, command: Command) -> strongroom_softhsm_tests::room::Agent {
    let mut unlock = as_nobody(&site.room.folder().join("programs/strongroom"));
    site.room.surround(&mut unlock);
    // The agent answers its own user only, so root cannot wait for its answer.
    let agent = site.room.start_until(command, || site.room.socket().exists());
    unlock.args(["unlock", "--pin-stdin"]).stdin(pin_file(site));
    let run = unlock.output().expect("it starts");
    assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stderr), agent.log());
    agent
}

fn pin_file(site: &Site) -> std::fs::File {
    let path = site.room.folder().join("pin");
    std::fs::write(&path, &site.room.token.pin).expect("a file");
    std::fs::File::open(path).expect("a file")
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
    command
}

fn pry(prying: &Path, folder: &Path, pid: u32) -> Vec<String> {
    let run = as_nobody(prying).arg(pid.to_string()).current_dir(folder).output().expect("it starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).lines().map(str::to_owned).collect()
}
