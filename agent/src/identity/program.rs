//! Whether a process still runs the program that it ran when it was looked at.

use std::cell::Cell;
use std::fs::File;
use std::time::{Duration, Instant};

use rustix::io::{pread, retry_on_intr};

/// The memory of a program. `execve(2)` gives a process another, and then nothing can be read from this one.
///
/// The environment is what is read: the kernel binds that file to the memory when it is opened, and a read of one
/// byte needs no lookup of a path.
#[derive(Debug)]
pub(super) struct Program {
    environment: File,
    looked: Cell<Instant>,
}

/// A look costs a microsecond, so a client that asks without a pause pays for one now and then.
const PAUSE: Duration = Duration::from_millis(10);

impl Program {
    /// The program that process `pid` runs now. `None` where this process may not look into that one: it is
    /// another user's, or in another user namespace, as seen from the sandbox of the units; or it has no environment.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let environment = File::open(format!("/proc/{pid}/environ")).ok()?;
        let program = Self { environment, looked: Cell::new(Instant::now()) };
        program.is_there().then_some(program)
    }

    /// Whether it still ran at the last look, which is at most 10 milliseconds old.
    pub(super) fn runs(&self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.looked.get()) < PAUSE {
            return true;
        }
        self.looked.set(now);
        self.is_there()
    }

    fn is_there(&self) -> bool {
        let mut byte = [0];
        retry_on_intr(|| pread(&self.environment, &mut byte, 0)) == Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};

    #[test]
    fn notices_another_program_in_the_same_process() {
        let script = "echo ready; read go; exec sh -c 'echo changed; read end'";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut output = BufReader::new(output);
        let mut says = || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line
        };
        // Not before: the kernel lets the parent of a new process go on while that is still being made.
        assert_eq!(says(), "ready\n");
        let program = Program::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(program.is_there());
        input.write_all(b"go\n").unwrap();
        assert_eq!(says(), "changed\n");
        assert!(!program.is_there());
        drop(input);
        child.wait().unwrap();
        assert!(!program.is_there());
    }
}
