//! The processes of an installation, and dumps of those that live for a moment only.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use strongroom_scanner::Dump;
use strongroom_scanner::chance::Chance;

/// One process below this one.
struct Member {
    pid: u32,
    parent: u32,
    command: String,
}

/// As it stands in the tables.
fn role(member: &Member, family: &[Member], front: u32) -> Option<&'static str> {
    let parent = family.iter().find(|other| other.pid == member.parent);
    let parent = parent.map_or("", |parent| parent.command.as_str());
    Some(match member.command.as_str() {
        "strongroom" if member.pid == front => "front",
        // A child that has not become its program yet is a copy of its parent.
        "strongroom" if member.parent == front => "front",
        "strongroom" => "command line",
        "strongroom-keep" if parent.starts_with("strongroom-keep") => "guard",
        "strongroom-keep" => "keeper",
        "strongroom-toke" if parent.starts_with("strongroom-toke") => "guard",
        "strongroom-toke" => "token worker",
        other if other.ends_with("-guard") => "guard",
        _ => return None,
    })
}

/// All processes below this one.
fn family() -> Vec<Member> {
    let mut found = Vec::new();
    let mut parents = vec![std::process::id()];
    while let Some(parent) = parents.pop() {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            let children: Vec<Member> = children.filter_map(member).collect();
            parents.extend(children.iter().map(|child| child.pid));
            found.extend(children);
        }
    }
    found
}

fn member(pid: u32) -> Option<Member> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (begin, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let command = begin.split_once('(')?.1.to_owned();
    Some(Member { pid, parent: fields.next()?.parse().ok()?, command })
}

/// Dumps of each role that are kept until their secrets are known.
const MOST: usize = 6;
const MOST_OF_WORKER: usize = 30;

/// Does `work`, and dumps meanwhile, at random moments, the processes of these roles.
pub(crate) fn watched<R: Send>(
    front: Option<u32>,
    roles: &[&str],
    work: impl FnOnce() -> R + Send,
) -> (R, Vec<(&'static str, Dump)>) {
    let done = AtomicBool::new(false);
    let watch = || {
        let mut chance = Chance::new();
        let mut dumps: Vec<(&'static str, Dump)> = Vec::new();
        let mut turn = 0_u32;
        while !done.load(Relaxed) {
            let family = family();
            let wanted: Vec<_> = family
                .iter()
                .filter_map(|member| Some((role(member, &family, front.unwrap_or_default())?, member.pid)))
                .filter(|(role, _)| roles.contains(role))
                .collect();
            chance.sleep(Duration::from_millis(1));
            // In turns the one that lives shortest, and the one that was seen least.
            let seen = |role: &str| dumps.iter().filter(|(other, _)| *other == role).count();
            let worker = wanted.iter().find(|(role, _)| *role == "token worker");
            let least =
                wanted.iter().filter(|(role, _)| seen(role) < MOST).min_by_key(|(role, _)| seen(role));
            let of_worker = turn.is_multiple_of(2) && seen("token worker") < MOST_OF_WORKER;
            turn += 1;
            let Some((role, pid)) = worker.filter(|_| of_worker).or(least) else { continue };
            // It may have ended meanwhile.
            if let Ok(dump) = Dump::of_memory(*pid) {
                dumps.push((role, dump));
            }
        }
        dumps
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(watch);
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Relaxed);
        let dumps = watching.join().expect("dumps");
        match worked {
            Ok(worked) => (worked, dumps),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
