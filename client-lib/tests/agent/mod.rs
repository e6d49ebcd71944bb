//! A small agent that speaks the protocol over a real socket, and does what a test tells it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "a test may panic")]

use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use strongroom_protocol::{
    Body, FrameBuffer, Operation, Param, Progress, Refusal, Reply, Request, Response, Signed, decode, encode,
};

/// An agent in a folder of its own. Each connection gets a thread that runs the test's script.
pub struct Agent {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<dyn Fn(&mut Peer) + Send + Sync>,
    connections: AtomicUsize,
    stopping: AtomicBool,
    streams: Mutex<Vec<UnixStream>>,
}

/// One request, as it came.
#[derive(Debug)]
pub struct Asked {
    pub id: u64,
    /// `Sign`, or the operation as `Debug` prints it.
    pub what: String,
    /// For `Sign`: path and query, as a venue that does not sort would have it.
    pub url: String,
    pub credential: String,
    pub body: Vec<u8>,
}

/// One client, seen from the agent.
pub struct Peer {
    pub stream: UnixStream,
    /// 1 for the first connection that the agent ever accepted.
    pub number: usize,
    pub descriptors: Vec<OwnedFd>,
    frames: FrameBuffer,
}

impl Agent {
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let mut agent = Self {
            folder: tempfile::tempdir().unwrap(),
            shared: Arc::new(Shared {
                script: Box::new(script),
                connections: AtomicUsize::new(0),
                stopping: AtomicBool::new(false),
                streams: Mutex::default(),
            }),
            acceptor: None,
        };
        agent.listen();
        agent
    }

    /// One that answers everything at once.
    pub fn answering() -> Self {
        Self::start(|peer| {
            while let Some(asked) = peer.next() {
                peer.answer(&asked);
            }
        })
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends all connections and removes the socket.
    pub fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        let waker = UnixStream::connect(self.path());
        acceptor.join().unwrap();
        drop(waker);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            // The script may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        std::fs::remove_file(self.path()).unwrap();
        self.shared.stopping.store(false, Ordering::SeqCst);
    }

    pub fn restart(&mut self) {
        self.stop();
        self.listen();
    }

    pub fn restart_stopped(&mut self) {
        assert!(self.acceptor.is_none(), "it runs");
        self.listen();
    }

    fn listen(&mut self) {
        let listener = UnixListener::bind(self.path()).unwrap();
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                shared.streams.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let mut peer =
                        Peer { stream, number, descriptors: Vec::new(), frames: FrameBuffer::new() };
                    (shared.script)(&mut peer);
                    // The clone that `stop` needs keeps the socket open.
                    let _ = peer.stream.shutdown(Shutdown::Both);
                });
            }
        }));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Peer {
    /// The next request; `None` where the client has closed.
    pub fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(frame) = self.frames.take().unwrap() {
                let request: Request<'_> = decode(frame).unwrap();
                return Some(Asked::new(&request));
            }
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let room = self.frames.room();
            let received =
                recvmsg(&self.stream, &mut [IoSliceMut::new(room)], &mut control, RecvFlags::CMSG_CLOEXEC);
            let count = received.map_or(0, |message| message.bytes);
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    self.descriptors.extend(descriptors);
                }
            }
            if count == 0 {
                return None;
            }
            self.frames.filled(count);
        }
    }

    pub fn reply(&mut self, id: u64, reply: Reply<'_>) {
        let mut bytes = Vec::new();
        encode(&Response { id, reply }, &mut bytes).unwrap();
        self.raw(&bytes);
    }

    pub fn refuse(&mut self, id: u64, code: u8, message: &str, hint: &str) {
        self.reply(id, Reply::Error(Refusal { code, message, hint }));
    }

    /// The client may be gone.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// What a good agent would say.
    pub fn answer(&mut self, asked: &Asked) {
        let reply = match asked.what.as_str() {
            "Sign" => Reply::Signed(Signed {
                method: "POST",
                url: &asked.url,
                headers: vec![("X-Key", &asked.credential), ("X-Pid", "1")],
                body: &asked.body,
            }),
            "Status" => Reply::Status(status()),
            list if list.starts_with("List") => {
                Reply::Credentials { page: vec![credential("a"), credential("b")], more: false }
            }
            show if show.starts_with("Show") => {
                Reply::Credential { credential: credential("a"), grants: "[[grant]]\n" }
            }
            _ => Reply::Done,
        };
        self.reply(asked.id, reply);
    }
}

impl Asked {
    fn new(request: &Request<'_>) -> Self {
        let mut asked = Self {
            id: request.id,
            what: format!("{:?}", request.operation),
            url: String::new(),
            credential: String::new(),
            body: Vec::new(),
        };
        if let Operation::Sign(sign) = &request.operation {
            asked.what = "Sign".to_owned();
            asked.credential = sign.credential.to_owned();
            asked.url = format!("https://venue.test{}?{}", sign.path, joined(&sign.query));
            asked.body = match &sign.body {
                Body::Empty => Vec::new(),
                Body::Form(pairs) => joined(pairs).into_bytes(),
                Body::Json(json) => json.to_vec(),
            };
        }
        asked
    }
}

fn joined(pairs: &[(&str, Param<'_>)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| match value {
            Param::Text(text) => format!("{name}={text}"),
            Param::Json(json) => format!("{name}:={json}"),
        })
        .collect();
    pairs.join("&")
}

pub fn credential(name: &str) -> strongroom_protocol::Credential<'_> {
    strongroom_protocol::Credential {
        name,
        venue: "binance",
        key_id: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        base_url: "https://api.binance.com",
        algorithm: "HMAC-SHA256",
        custody: "keeper",
        rung: "aes-gcm",
        token_serial: "8f2c01d4",
        enrolled_unix: 1_700_000_000,
        ready: true,
        fault: "",
        revision: 4,
        grants: 1,
        accept_unbound: "method,path",
        honey: false,
        profile: "",
    }
}

/// Tells three times how far it is, whatever was asked, and then answers. One PIN is wrong.
pub fn unlocking(peer: &mut Peer) {
    while let Some(asked) = peer.next() {
        for done in 1..=3 {
            peer.reply(asked.id, Reply::Progress(Progress { done, total: 3 }));
        }
        match peer.descriptors.pop().map(drained) {
            Some(pin) if pin == b"wrong" => peer.refuse(asked.id, 8, "the PIN is wrong", ""),
            _ => peer.answer(&asked),
        }
    }
}

pub fn status() -> strongroom_protocol::Status<'static> {
    strongroom_protocol::Status {
        version: "0.1.0",
        pid: 4_711,
        locked: false,
        reason: "",
        since_unix: 1_700_000_000,
        credentials: 2,
        ready: 1,
        keeper_pid: 0,
        token_serial: "8f2c01d4",
        token_label: "strongroom",
        rung: "aes-gcm",
        weaknesses: vec!["danger_accept_any_caller_time"],
        protection: vec![strongroom_protocol::Protection {
            process: "keeper",
            pid: 0,
            secret_memory: true,
            guarded: false,
            landlock: "full",
        }],
        principal: "user:1000",
        admins: vec!["user:1000"],
        checkpoint: 4_242,
        checkpoint_unix: 1_700_000_003,
    }
}

/// The read end of a pipe that holds `value` and whose write end is closed.
pub fn pipe_with(value: &[u8]) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe().unwrap();
    assert_eq!(rustix::io::write(&write, value).unwrap(), value.len());
    read
}

/// What is in a pipe.
pub fn drained(descriptor: OwnedFd) -> Vec<u8> {
    let mut value = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(descriptor), &mut value).unwrap();
    value
}
