//! Clients at full speed: one of the processes in which the leak tests look, and the load on the others.
//!
//! `busy-client SOCKET`: signs in batches, with every credential of the leak tests, without end, and prints
//! after each batch the bearer tokens of its ES256 and its Ed25519 signature. It knows no secret, and neither does its
//! code.

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "this is test support: what does not work fails the test")]

use std::io::Write as _;

use strongroom_client::Client;
use strongroom_softhsm_tests::load::{orders, token_of};

fn main() {
    let parent_dies = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(parent_dies).expect("a child");
    let client = Client::at(std::env::args_os().nth(1).expect("a socket"));
    let orders = orders();
    let mut stdout = std::io::stdout().lock();
    loop {
        let mut tokens = Vec::new();
        for signed in client.sign_many(&orders) {
            let signed = signed.expect("the agent is unlocked");
            tokens.extend(token_of(&signed).map(str::to_owned));
        }
        let line = tokens.join(" ");
        if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}
