//! The agent's own user, who is not root: every way that root has, and none of them open.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use strongroom_softhsm_tests::slow::SlowToken;

use crate::control::{NaiveSigner, secrets};
use crate::report::Report;
use crate::site::{Site, copies, keeper_and_guard};

const NOBODY: u32 = 65_534;

/// Which ways into a process must be open.
#[derive(Clone, Copy)]
enum Ways {
    /// All: a control.
    Open,
    None,
    /// Whichever are; they are told.
    Told,
}

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    let slow = SlowToken::new(&site.room);
    slow.go_on();
    let programs = copies(site.room.folder());
    let [prying, naive] =
        [env!("CARGO_BIN_EXE_prying-user"), env!("CARGO_BIN_EXE_naive-signer")].map(|from| {
            let copied = Command::new("cp").arg(from).arg(&programs).status();
            assert!(copied.expect("cp starts").success());
            programs.join(Path::new(from).file_name().expect("a program"))
        });
    std::fs::write(site.room.folder().join(PIN), &site.room.token.pin).expect("a file");
    let config = std::fs::read_to_string(site.room.config()).expect("a configuration");
    let (own, both) = ("admins = [\"user:0\"]", format!("admins = [\"user:0\", \"user:{NOBODY}\"]"));
    assert!(config.contains(own), "{config}");
    std::fs::write(site.room.config(), config.replace(own, &both)).expect("a configuration");
    for folder in [site.room.folder(), site.room.token.dir.path()] {
        let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder).status();
        assert!(given.expect("chown starts").success());
    }
    let strongroom = programs.join("strongroom");
    let mut command = as_nobody(&strongroom);
    command.arg("agent");
    // Waited for by its socket alone: nobody asks it before its own user does.
    let agent = site.room.start_until(command, || site.room.listens());
    let user = |arguments: &[&str]| {
        let mut command = as_nobody(&strongroom);
        site.room.surround(&mut command);
        command.args(arguments).stdin(File::open(site.room.folder().join(PIN)).expect("a file"));
        let run = command.output().expect("it starts");
        assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stderr), agent.log());
    };
    let mut tell = |process: &str, pid: u32, expected: Ways| {
        let outcome = pry(&prying, site.room.folder(), pid);
        let ways = outcome.len();
        let open: Vec<_> = outcome.iter().filter_map(|line| line.strip_suffix(": got in")).collect();
        let holds = match expected {
            // Links to files that are mapped are for root only, whoever's they are.
            Ways::Open => open.len() >= ways - 1,
            Ways::None => open.is_empty(),
            Ways::Told => true,
        };
        let names = if holds { String::new() } else { format!(": {}", open.join(", ")) };
        let what = format!("own user, not root: ways into {process}");
        report.fact(&what, format!("{} of {ways} open{names}", open.len()), holds);
    };
    let (lines, _) = secrets();
    let signer = NaiveSigner::start(&mut as_nobody(&naive), "zeroize", "idle", &lines);
    tell("a naive signer (control)", signer.id(), Ways::Open);

    user(&["unlock", "--pin-stdin"]);
    let (keeper, guard) = keeper_and_guard(&agent);
    tell("the front, which holds no secret", agent.pid(), Ways::Told);
    tell("the keeper", keeper, Ways::None);
    tell("the guard", guard, Ways::None);
    user(&["lock"]);
    slow.hold_on();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| user(&["unlock", "--pin-stdin"]));
        slow.wait_for_login();
        tell("the token worker in its login", agent.children("strongroom-token")[0], Ways::None);
        slow.go_on();
        unlocking.join().expect("it unlocks");
    });
}

/// In the room's folder.
const PIN: &str = "pin";

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
