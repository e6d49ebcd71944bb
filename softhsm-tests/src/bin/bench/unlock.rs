//! How long an unlock takes with many credentials, and what front and keeper hold then.

use std::io::{PipeReader, Write as _};
use std::time::Instant;

use strongroom_client::{Client, Enrollment};
use strongroom_softhsm_tests::room::{Agent, Room, everything};

use crate::KEY;
use crate::report::{Goal, Report, talk};

/// How many credentials, how many seconds an unlock with them may take, and how much memory all may hold.
const STEPS: [(u32, f64, Goal); 2] = [(1_000, 1.0, Goal::AtMost(20.0)), (9_998, 8.0, Goal::None)];

/// Keys that the keeper holds. Two are those of the audit log's checkpoints and of the floors, so one credential more
/// would be too many.
const LIMIT: u32 = 10_000;

#[expect(clippy::expect_used, reason = "a figure with fewer credentials is another figure")]
pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    let client = room.client();
    // Those of the other benches are there already.
    let mut enrolled = client.status().expect("a status").ready;
    for (credentials, seconds, mib) in STEPS {
        let missing = credentials.saturating_sub(enrolled);
        talk(&format!("enrolling {missing} credentials"));
        let began = Instant::now();
        for number in enrolled..credentials {
            enroll(room, &client, number).expect("an enrolment");
        }
        let each = began.elapsed().as_secs_f64() * 1e3 / f64::from(missing);
        enrolled = credentials;
        report.line(&format!("one of {credentials} enrolments"), each, each, "ms", Goal::None);

        // As after a restart, not as after so many enrolments.
        client.lock().expect("a lock");
        let began = Instant::now();
        client.unlock(pipe(&room.token.pin)).expect("an unlock");
        let took = began.elapsed().as_secs_f64();
        let what = format!("unlock with {credentials} credentials");
        report.line(&what, took, took, "s", Goal::AtMost(seconds));
        let ready = client.status().expect("a status").ready;
        assert_eq!(ready, credentials, "that many are ready");
        memory(agent, credentials, mib, report);
    }
    let refused = enroll(room, &client, LIMIT).expect_err("one too many");
    talk(&format!("one credential more: {refused}; {}", refused.hint()));
    assert!(refused.to_string().contains(&LIMIT.to_string()) && !refused.hint().is_empty(), "{refused}");
}

fn enroll(room: &Room, client: &Client, number: u32) -> Result<(), strongroom_client::Error> {
    let name = format!("binance-{number}");
    let wanted = Enrollment::new(name, KEY.venue, KEY.key_id).grants(everything());
    client.enroll(&wanted, pipe(&room.token.pin), pipe(KEY.secret), None)
}

/// The read end of a pipe that gives `text`.
#[expect(clippy::expect_used, reason = "a few bytes fit every pipe")]
fn pipe(text: &str) -> PipeReader {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(text.as_bytes()).expect("room in the pipe");
    reader
}

fn memory(agent: &Agent, credentials: u32, goal: Goal, report: &mut Report) {
    let keeper = agent.children("strongroom-keeper").first().copied().unwrap_or_default();
    let (front, own) = (resident(agent.pid()), resident(keeper));
    // The kernel does not count secret memory as resident; all of it is taken as if it were in use.
    let secret = status_mib(keeper, "VmLck:");
    report.line("resident, front", front, front, "MiB", Goal::None);
    report.line("resident, keeper", own, own, "MiB", Goal::None);
    report.line("secret memory, keeper", secret, secret, "MiB", Goal::None);
    let all = front + own + secret;
    report.line(&format!("all of it, with {credentials} credentials"), all, all, "MiB", goal);
}

/// Resident memory, in MiB.
pub(crate) fn resident(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
