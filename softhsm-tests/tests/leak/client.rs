//! Clients at full speed, each a process of its own.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use strongroom_softhsm_tests::load::orders;
use strongroom_softhsm_tests::process::{SOON, wait_until};

/// One of them; killed when dropped.
pub(crate) struct BusyClient {
    process: Child,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    batches: u64,
    /// The bearer tokens of the last batches, a line each.
    tokens: VecDeque<String>,
}

/// More batches than are under way at once.
const KEPT: usize = 4;

impl BusyClient {
    pub(crate) fn start(socket: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_busy-client"))
            .arg(socket)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("busy-client starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let hearing = Arc::clone(&heard);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut heard = hearing.lock().expect("no reader panics");
                heard.batches += 1;
                heard.tokens.push_back(line);
                if heard.tokens.len() > KEPT {
                    heard.tokens.pop_front();
                }
            }
        });
        Self { process, heard, reader: Some(reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many signatures it has got.
    pub(crate) fn signatures(&self) -> u64 {
        let batches = self.heard.lock().expect("no reader panics").batches;
        batches * u64::try_from(orders().len()).expect("a number")
    }

    /// Waits until it has ended the batch that is under way; gives the bearer tokens around this moment.
    pub(crate) fn tokens_around_now(&self) -> Vec<String> {
        let batches = || self.heard.lock().expect("no reader panics").batches;
        let before = batches();
        wait_until("the clients sign", SOON, || batches() >= before + 2);
        self.heard
            .lock()
            .expect("no reader panics")
            .tokens
            .iter()
            .flat_map(|line| line.split(' '))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for BusyClient {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
