//! When the secrets are gone: after a lock, after a wrong PIN, after a credential was removed.

use strongroom_scanner::{Class, Dump, Needles};
use strongroom_softhsm_tests::load::{orders, token_of};
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::Agent;

use crate::report::{Expected, Report};
use crate::site::{Site, keeper_and_guard, word};

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    let agent = site.room.start_unlocked();
    let mut tokens = Vec::new();
    for order in orders() {
        let signed = site.room.client().sign(&order).expect("signs");
        tokens.extend(token_of(&signed).map(str::to_owned));
    }
    assert_eq!(tokens.len(), 2, "one of ES256, one of Ed25519");
    let nonces = site.nonces(&tokens);
    look(report, &site, &agent, "memory, after signing with each", Some(&nonces));
    site.room.client().remove(site.secrets[0].name).expect("removes");
    look(report, &site, &agent, "memory, after a removal", None);

    let wrong = word::<32>();
    let mut needles = Needles::new();
    needles.secret(Class::Pin, "wrong PIN", wrong.as_bytes());
    let locked = |report: &mut Report, what: &str, needles| {
        let none = || agent.children("strongroom-keeper").iter().all(|keeper| !runs(*keeper));
        wait_until("the keeper ends", SOON, none);
        look(report, &site, &agent, what, needles);
    };
    site.room.client().lock().expect("locks");
    locked(report, "memory, after a lock", None);
    let run = site.unlock_with(&wrong);
    assert!(!run.status.success());
    locked(report, "memory, after a wrong PIN", Some(&needles));
    let _ = site.room.unlock().ok();
    look(report, &site, &agent, "memory, unlocked after a wrong PIN", Some(&needles));

    // Its next login fails.
    let away = site.room.folder().join("tokens-taken-away");
    std::fs::rename(site.room.token.tokens(), &away).expect("the same file system");
    site.room.client().lock().expect("locks");
    assert!(!site.room.unlock().status.success());
    locked(report, "memory, after the token was taken away", Some(&needles));
    std::fs::rename(&away, site.room.token.tokens()).expect("the same file system");
}

fn look(report: &mut Report, site: &Site, agent: &Agent, what: &str, more: Option<&Needles>) {
    let mut processes = vec![("front", agent.pid())];
    if agent.children("strongroom-keeper").iter().any(|keeper| runs(*keeper)) {
        let (keeper, guard) = keeper_and_guard(agent);
        processes.extend([("keeper", keeper), ("guard", guard)]);
    }
    let needles: Vec<_> = [&site.needles].into_iter().chain(more).collect();
    for _ in 0..report.samples(2, 10) {
        for (process, pid) in &processes {
            let dump = Dump::of_memory(*pid).expect("root may");
            report.sample(what, process, Expected::Nothing, &needles, &dump);
        }
    }
}
