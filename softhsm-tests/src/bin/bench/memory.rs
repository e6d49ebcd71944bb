//! What front and keeper hold with a thousand credentials.

use strongroom_client::Client;
use strongroom_softhsm_tests::room::{Agent, Key, Room};

use crate::KEY;
use crate::report::{Goal, Report, talk};

const CREDENTIALS: usize = 1_000;

#[expect(clippy::expect_used, reason = "a figure with fewer credentials is another figure")]
pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    talk(&format!("enrolling {CREDENTIALS} credentials"));
    for number in 0..CREDENTIALS {
        let name = format!("binance-{number}");
        let _ = room.enroll(&Key { name: &name, ..KEY }, &[]).ok();
    }
    // As after a restart, not as after a thousand enrolments.
    let client: Client = room.client();
    client.lock().expect("a lock");
    let began = std::time::Instant::now();
    let _ = room.unlock().ok();
    let seconds = began.elapsed().as_secs_f64();
    let ready = client.status().expect("a status").ready;
    report.line("unlock with 1,001 credentials", seconds, seconds, "s", Goal::None);
    assert!(usize::try_from(ready).is_ok_and(|ready| ready > CREDENTIALS), "{ready} credentials are ready");

    let keeper = agent.children("strongroom-keeper").first().copied().unwrap_or_default();
    let (front, own) = (status_mib(agent.pid(), "VmRSS:"), status_mib(keeper, "VmRSS:"));
    // The kernel does not count secret memory as resident; all of it is taken as if it were in use.
    let secret = status_mib(keeper, "VmLck:");
    report.line("resident, front", front, front, "MiB", Goal::None);
    report.line("resident, keeper", own, own, "MiB", Goal::None);
    report.line("secret memory, keeper", secret, secret, "MiB", Goal::None);
    let both = front + own + secret;
    report.line("all of it, with 1,001 credentials", both, both, "MiB", Goal::AtMost(20.0));
}

fn status_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
