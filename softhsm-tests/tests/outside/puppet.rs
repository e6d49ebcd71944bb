//! A client in Python that does as a test says, for what one process cannot do alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use strongroom_protocol::{FrameBuffer, Operation};
use strongroom_softhsm_tests::raw::{Heard, frame, told};

/// A program that does as the test says, line by line.
pub(crate) struct Puppet {
    pub(crate) child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Puppet {
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", &format!("{PRELUDE}{script}")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of its output.
    pub(crate) fn says(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What an agent has answered to it.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        heard(&self.says())
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The responses that these hexadecimal digits are.
pub(crate) fn heard(digits: &str) -> Vec<Heard> {
    let bytes = base16ct::mixed::decode_vec(digits).unwrap();
    let mut buffer = FrameBuffer::new();
    buffer.room()[..bytes.len()].copy_from_slice(&bytes);
    buffer.filled(bytes.len());
    let mut heard = Vec::new();
    while let Some(bytes) = buffer.take().unwrap() {
        heard.push(told(bytes));
    }
    heard
}

/// `go()` waits for a line, `all(s)` prints what comes until the connection ends.
pub(crate) const PRELUDE: &str = "
import os, socket, sys, signal
def go(): os.read(0, 1) or os._exit(3)
def say(text): os.write(1, (text + '\\n').encode())
def connect(path): s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(path); return s
def send(s, text):
    try: s.sendall(bytes.fromhex(text))
    except OSError: pass
def all(s):
    heard = b''
    try:
        while more := s.recv(65536): heard += more
    except ConnectionResetError: pass
    say(heard.hex())
";

/// The frame of a request in hexadecimal digits, for the command line of a puppet.
pub(crate) fn hex(operation: Operation<'_>, id: u64) -> String {
    base16ct::lower::encode_string(&frame(id, operation))
}
