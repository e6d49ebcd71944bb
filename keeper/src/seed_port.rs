//! The keeper's end of the wire on which seeds arrive from the token worker.

use std::cmp::Ordering;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use strongroom_link::keeper::Refusal;
use strongroom_link::seed::{self, Seed};

/// The only read end of a pipe of seeds, or none yet.
#[derive(Default)]
pub(crate) struct SeedPort {
    pipe: Option<OwnedFd>,
    /// A seed that came for a job that has not been asked about yet.
    early: Option<(u64, Seed)>,
}

impl SeedPort {
    /// Makes a new pipe and gives its write end away. An older pipe is closed, and with it goes what
    /// it still held.
    pub(crate) fn open(&mut self) -> io::Result<OwnedFd> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Only this end: a worker that is faster than the keeper shall wait, and not lose seeds.
        rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
        *self = Self { pipe: Some(read), early: None };
        Ok(write)
    }

    /// Takes the seed for `job`, without waiting: the worker sends it before it tells the front, so
    /// it is there when the front asks. Seeds for older jobs were for questions that the front gave
    /// up; they are wiped.
    pub(crate) fn take(&mut self, job: u64) -> Result<Seed, Refusal> {
        loop {
            let (tag, seed) = match self.early.take() {
                Some(early) => early,
                None => self.receive()?,
            };
            match tag.cmp(&job) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(seed),
                Ordering::Greater => {
                    self.early = Some((tag, seed));
                    return Err(Refusal::SeedMissing);
                }
            }
        }
    }

    fn receive(&mut self) -> Result<(u64, Seed), Refusal> {
        let pipe = self.pipe.as_ref().ok_or(Refusal::SeedMissing)?;
        seed::receive(pipe).map_err(|error| {
            if error.kind() != io::ErrorKind::WouldBlock {
                // The worker is gone, or what it wrote is no message; nothing after it can be trusted.
                self.pipe = None;
            }
            Refusal::SeedMissing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(byte: u8) -> Seed {
        Seed::new([byte; 32])
    }

    fn taken(port: &mut SeedPort, job: u64) -> Result<u8, Refusal> {
        port.take(job).map(|seed| seed[0])
    }

    #[test]
    fn skips_the_seeds_of_older_jobs() {
        let mut port = SeedPort::default();
        let worker = port.open().unwrap();
        for job in 1..=3 {
            seed::send(&worker, job, &seed(u8::try_from(job).unwrap())).unwrap();
        }
        assert_eq!(taken(&mut port, 3), Ok(3));
        assert_eq!(taken(&mut port, 3), Err(Refusal::SeedMissing), "a seed is given once");
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing));
    }

    #[test]
    fn keeps_a_seed_that_came_early_for_its_job() {
        let mut port = SeedPort::default();
        let worker = port.open().unwrap();
        seed::send(&worker, 5, &seed(5)).unwrap();
        assert_eq!(taken(&mut port, 4), Err(Refusal::SeedMissing));
        assert_eq!(taken(&mut port, 5), Ok(5));
    }

    #[test]
    fn never_waits() {
        let mut port = SeedPort::default();
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing), "no port");
        let worker = port.open().unwrap();
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing), "nothing sent");
        seed::send(&worker, 1, &seed(1)).unwrap();
        assert_eq!(taken(&mut port, 1), Ok(1), "still open");
        drop(worker);
        assert_eq!(taken(&mut port, 2), Err(Refusal::SeedMissing), "worker gone");
    }

    #[test]
    fn forgets_the_older_port_and_what_came_by_it() {
        let mut port = SeedPort::default();
        let older = port.open().unwrap();
        seed::send(&older, 5, &seed(5)).unwrap();
        assert_eq!(taken(&mut port, 4), Err(Refusal::SeedMissing));
        let newer = port.open().unwrap();
        assert_eq!(taken(&mut port, 5), Err(Refusal::SeedMissing));
        let gone = seed::send(&older, 6, &seed(6)).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        seed::send(&newer, 6, &seed(6)).unwrap();
        assert_eq!(taken(&mut port, 6), Ok(6));
    }

    #[test]
    fn trusts_nothing_after_a_message_that_is_none() {
        let mut port = SeedPort::default();
        let worker = port.open().unwrap();
        rustix::io::write(&worker, &[0; 39]).unwrap();
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing));
        let gone = seed::send(&worker, 1, &seed(1)).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    }
}
