//! The keeper's end of the wire on which seeds arrive from the token worker.

use std::cmp::Ordering;
use std::io;
use std::os::fd::OwnedFd;

use strongroom_link::keeper::Refusal;
use strongroom_link::seed::{self, Arrived, Seed};
use strongroom_locked::ForeignPage;

/// The only end from which seeds can be taken, or none yet.
pub(crate) struct SeedPort {
    socket: Option<OwnedFd>,
    /// Where the worker puts them.
    page: ForeignPage,
    /// A seed that came for a job that has not been asked about yet.
    early: Option<(u64, Seed)>,
}

impl SeedPort {
    pub(crate) const fn new(page: ForeignPage) -> Self {
        Self { socket: None, page, early: None }
    }

    /// Makes a new wire and gives the worker's end away. An older one is closed, and with it goes what
    /// it still held.
    pub(crate) fn open(&mut self) -> io::Result<OwnedFd> {
        self.close();
        let (ours, theirs) = seed::pair()?;
        self.socket = Some(ours);
        Ok(theirs)
    }

    /// Closes the wire and wipes what it held.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.early = None;
        self.page.clear();
    }

    /// The same, and gives the number of bytes of the page that are not zero then.
    pub(crate) fn erase(&mut self) -> u64 {
        let left = self.page.erase();
        self.close();
        left
    }

    /// Takes the seed for `job`, without waiting: the worker sends it before it tells the front, so
    /// it is there when the front asks. Seeds for older jobs were for questions that the front gave
    /// up; they are wiped.
    pub(crate) fn take(&mut self, job: u64) -> Result<Seed, Refusal> {
        loop {
            let (tag, seed) = match self.early.take() {
                Some((tag, seed)) => (tag, Some(seed)),
                None => self.receive()?,
            };
            match (tag.cmp(&job), seed) {
                (Ordering::Less, _) => {}
                (Ordering::Equal, seed) => return seed.ok_or(Refusal::SeedMissing),
                (Ordering::Greater, seed) => {
                    self.early = seed.map(|seed| (tag, seed));
                    return Err(Refusal::SeedMissing);
                }
            }
        }
    }

    /// The next seed, or the job of one that was overwritten.
    fn receive(&mut self) -> Result<(u64, Option<Seed>), Refusal> {
        let received = self.try_receive();
        if received.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            // The worker is gone, or what it sent is none of ours; nothing after it can be trusted.
            self.close();
        }
        received.map_err(|_| Refusal::SeedMissing)
    }

    fn try_receive(&mut self) -> io::Result<(u64, Option<Seed>)> {
        loop {
            let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            match (seed::receive(socket)?, self.page.words()) {
                // Here `WouldBlock` would say that nothing more may be locked, not that nothing has come.
                (Arrived::Page(file), None) => self.page.map(file).map_err(io::Error::other)?,
                (Arrived::Seed { job, slot }, Some(page)) => return Ok((job, seed::take(page, slot, job))),
                (Arrived::Page(_), Some(_)) | (Arrived::Seed { .. }, None) => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::AsFd as _;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    use strongroom_link::seed::{SLOTS, Sender};
    use strongroom_locked::SharedPage;
    use strongroom_locked::memory::WeakMemory;

    use super::*;

    fn port() -> SeedPort {
        SeedPort::new(ForeignPage::reserve(WeakMemory::Refused).unwrap())
    }

    fn worker(port: &mut SeedPort) -> Sender<SharedPage> {
        let (page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        Sender::begin(port.open().unwrap(), page, file).unwrap()
    }

    fn seed(byte: u8) -> Seed {
        Seed::new([byte; 32])
    }

    fn taken(port: &mut SeedPort, job: u64) -> Result<u8, Refusal> {
        port.take(job).map(|seed| seed[0])
    }

    #[test]
    fn skips_the_seeds_of_older_jobs() {
        let mut port = port();
        let mut worker = worker(&mut port);
        for job in 1..=3 {
            worker.send(job, &seed(u8::try_from(job).unwrap())).unwrap();
        }
        assert_eq!(taken(&mut port, 3), Ok(3));
        assert_eq!(taken(&mut port, 3), Err(Refusal::SeedMissing), "a seed is given once");
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing));
        let left = port
            .page
            .words()
            .unwrap()
            .iter()
            .filter(|word| word.load(std::sync::atomic::Ordering::Relaxed) != 0);
        assert_eq!(left.count(), 0, "what is skipped is wiped");
    }

    #[test]
    fn keeps_a_seed_that_came_early_for_its_job() {
        let mut port = port();
        let mut worker = worker(&mut port);
        worker.send(5, &seed(5)).unwrap();
        assert_eq!(taken(&mut port, 4), Err(Refusal::SeedMissing));
        assert_eq!(taken(&mut port, 5), Ok(5));
    }

    #[test]
    fn never_takes_a_seed_that_was_overwritten_for_another() {
        let mut port = port();
        let mut worker = worker(&mut port);
        let last = u64::from(SLOTS) + 3;
        for job in 1..=last {
            worker.send(job, &seed(u8::try_from(job).unwrap())).unwrap();
        }
        assert_eq!(taken(&mut port, 3), Err(Refusal::SeedMissing), "its slot has that of another job");
        assert_eq!(taken(&mut port, 4), Ok(4));
        assert_eq!(taken(&mut port, last), Ok(u8::try_from(last).unwrap()));
    }

    #[test]
    fn never_waits() {
        let mut port = port();
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing), "no port");
        let mut worker = worker(&mut port);
        assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing), "nothing sent");
        worker.send(1, &seed(1)).unwrap();
        assert_eq!(taken(&mut port, 1), Ok(1), "still open");
        drop(worker);
        assert_eq!(taken(&mut port, 2), Err(Refusal::SeedMissing), "worker gone");
    }

    #[test]
    fn forgets_the_older_port_and_what_came_by_it() {
        let mut port = port();
        let mut older = worker(&mut port);
        older.send(5, &seed(5)).unwrap();
        assert_eq!(taken(&mut port, 4), Err(Refusal::SeedMissing));
        let mut newer = worker(&mut port);
        assert_eq!(taken(&mut port, 5), Err(Refusal::SeedMissing));
        assert_eq!(older.send(6, &seed(6)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        newer.send(6, &seed(6)).unwrap();
        assert_eq!(taken(&mut port, 6), Ok(6));
    }

    /// Sends one message as a worker that was taken over might.
    fn sent(socket: &OwnedFd, message: &[u8], files: &[&OwnedFd]) {
        let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(files.is_empty() || control.push(SendAncillaryMessage::ScmRights(&files)));
        let sent = rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(message.len()));
    }

    #[test]
    fn trusts_nothing_after_a_message_that_is_none() {
        let (_page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        let ordinary: OwnedFd = std::fs::File::open("/proc/self/exe").unwrap().into();
        let seed_at = |job: u64, slot: u32| [&job.to_le_bytes()[..], &slot.to_le_bytes()].concat();
        for (case, messages) in [
            ("cut short", &[(seed_at(1, 0)[..11].to_vec(), vec![])][..]),
            ("too long", &[(vec![0; 13], vec![&file])]),
            ("no page", &[(seed_at(0, 0), vec![])]),
            ("a seed before the page", &[(seed_at(1, 0), vec![])]),
            ("another file", &[(seed_at(0, 0), vec![&ordinary])]),
            ("two files", &[(seed_at(0, 0), vec![&file, &file])]),
            ("a file beside a seed", &[(seed_at(0, 0), vec![&file]), (seed_at(1, 0), vec![&file])]),
            ("a second page", &[(seed_at(0, 0), vec![&file]), (seed_at(0, 0), vec![&file])]),
            ("no such slot", &[(seed_at(0, 0), vec![&file]), (seed_at(1, SLOTS), vec![])]),
        ] {
            let mut port = port();
            let socket = port.open().unwrap();
            for (message, files) in messages {
                sent(&socket, message, files);
            }
            assert_eq!(taken(&mut port, 1), Err(Refusal::SeedMissing), "{case}");
            assert!(port.socket.is_none() && port.page.words().is_none(), "{case}");
        }
    }

    /// Whoever passes the worker's end on, the front, cannot take seeds from it.
    #[test]
    fn gives_away_an_end_from_which_nothing_can_be_read() {
        use std::io::Read as _;
        use std::os::fd::AsRawFd as _;

        let again = |file: &OwnedFd| std::fs::File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let mut port = port();
        let socket = port.open().unwrap();
        let kept = socket.try_clone().unwrap();
        let (page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        let mut worker = Sender::begin(socket, page, file).unwrap();
        worker.send(1, &seed(1)).unwrap();
        assert_eq!(again(&kept).unwrap_err().raw_os_error(), Some(6 /* ENXIO */));
        let mut byte = [0];
        assert_eq!(rustix::io::read(&kept, &mut byte), Ok(0), "its end");
        assert_eq!(taken(&mut port, 1), Ok(1));

        // The control: the write end of a pipe gives what was written into it.
        let (_read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, &[1]).unwrap();
        assert_eq!(rustix::io::read(&write, &mut byte), Err(rustix::io::Errno::BADF));
        again(&write).unwrap().read_exact(&mut byte).unwrap();
        assert_eq!(byte, [1]);
    }
}
