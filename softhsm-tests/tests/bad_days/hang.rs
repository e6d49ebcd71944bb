//! A call that never returns, and somebody who does not want to wait for it.

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::mock::Fault;
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::signal;

use crate::case::{HANGING_S, WORKING_S};
use crate::site::{FIRST, Site, THIRD};

impl Site {
    /// Does something while an unlock hangs in its login; gives the worker.
    fn hanging<T>(&self, work: impl FnOnce(u32) -> T) -> T {
        self.mock.set(&[Fault::new("C_Login", 1, "hang")]);
        self.mock.forget_calls();
        std::thread::scope(|scope| {
            scope.spawn(|| self.unlock());
            wait_until("the login is reached", SOON, || self.mock.logins() == 1);
            work(self.agent.children("strongroom-token")[0])
        })
    }
}

#[test]
fn says_how_long_it_has_waited() {
    let site = Site::new(HANGING_S);
    site.mock.set(&[Fault::new("C_Login", 1, "hang")]);
    let told = site.unlock().unwrap_err().to_string();
    assert_eq!(told, format!("the token worker did not answer within {HANGING_S} s and was ended"));
    assert_eq!(site.mock.logins(), 1);
}

#[test]
fn tells_others_that_the_token_is_busy() {
    let site = Site::new(WORKING_S);
    site.hanging(|worker| {
        for refused in [site.unlock(), site.enroll(&THIRD), site.client().remove(FIRST.name)] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
            assert_eq!(refused.to_string(), "the agent is working with the token already");
        }
        site.client().lock().unwrap();
        assert!(runs(worker), "nobody has waited for what hangs");
        signal(worker, Signal::KILL);
    });
    site.mock.clear();
    site.unlock().unwrap();
    site.signs(&FIRST).unwrap();
}

#[test]
fn ends_with_its_worker_when_it_is_told_to() {
    let site = Site::new(WORKING_S);
    let worker = site.hanging(|worker| {
        signal(site.agent.pid(), Signal::TERM);
        wait_until("the agent ends", SOON, || !runs(site.agent.pid()));
        worker
    });
    wait_until("the worker ends", SOON, || !runs(worker));
}

#[test]
fn leaves_no_worker_behind_where_it_is_killed() {
    let site = Site::new(WORKING_S);
    let worker = site.hanging(|worker| {
        signal(site.agent.pid(), Signal::KILL);
        wait_until("the agent ends", SOON, || !runs(site.agent.pid()));
        worker
    });
    wait_until("the worker ends", SOON, || !runs(worker));
}
