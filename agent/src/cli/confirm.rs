//! `strongroom confirm`: where a human says yes or no to what bots want signed.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use serde_json::{Value, json};
use strongroom_client::{Client, Question};
use strongroom_protocol::ErrorCode;

use super::pinentry::{self, PinentryError};
use super::{Json, Stop, client, output};
use crate::config::Places;
use crate::fault::{Fault, chain};

/// Ask a human about requests whose grants want one (`confirm = true`).
///
/// Waits for such requests and asks about one after the other, until Ctrl-C or Ctrl-D ends it. What nobody has
/// answered when its time is up is denied. Needs a running agent, and an admin.
#[derive(Debug, Args)]
pub(super) struct Confirm {
    /// Print what waits, and end
    #[arg(long, conflicts_with = "pinentry")]
    list: bool,
    /// Ask with a pinentry program, not at the terminal
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, default_missing_value = "pinentry")]
    pinentry: Option<String>,
    #[command(flatten)]
    json: Json,
}

/// What a human has made of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    /// Nothing until its time was up.
    Nothing,
    /// Nobody could be asked in this way; it waits on.
    Unasked,
    /// To be asked no more.
    Leave,
}

impl Confirm {
    pub(super) fn run(self, places: &Places) -> Result<(), Stop> {
        let agent = client(places)?;
        if self.list {
            self.print(&agent.pending()?);
            return Ok(());
        }
        // Before anything waits: one whom nobody can ask would wait for ever, and then lose the first question.
        match &self.pinentry {
            None => drop(terminal()?),
            Some(program) => pinentry::check(program).map_err(no_pinentry)?,
        }
        let mut after = 0;
        loop {
            // One at a time: while a human reads it, others come, are answered elsewhere, or run out of time.
            let Some(question) = agent.wait_for_pending(after)?.into_iter().next() else { continue };
            after = question.number;
            let until = Instant::now().checked_add(question.left);
            let said = match &self.pinentry {
                None => ask_at_terminal(&question, until)?,
                Some(program) => ask_by_pinentry(program, &question)?,
            };
            match said {
                Said::Yes => self.answer(&agent, &question, true)?,
                Said::No => self.answer(&agent, &question, false)?,
                Said::Nothing => self.tell(&question, "none", "denied: nobody has answered in time"),
                Said::Unasked => {}
                Said::Leave => return Ok(()),
            }
        }
    }

    fn print(&self, questions: &[Question]) {
        if self.json.json {
            output::json(&Value::Array(questions.iter().map(question_json).collect()));
        } else if questions.is_empty() {
            output::talk("nothing waits for a human");
        } else {
            for question in questions {
                output::data(&text(question));
            }
        }
    }

    /// Tells the agent, and the human what came of it. That it was too late, or came to nothing, ends nothing here.
    fn answer(&self, agent: &Client, question: &Question, yes: bool) -> Result<(), Stop> {
        let word = if yes { "yes" } else { "no" };
        match agent.confirm(question.number, yes) {
            Ok(()) => self.tell(question, word, if yes { "signed" } else { "denied" }),
            Err(error) if matches!(error.code(), Some(ErrorCode::Denied | ErrorCode::NotFound)) => {
                self.tell(question, word, &chain(&error));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn tell(&self, question: &Question, answer: &str, outcome: &str) {
        if self.json.json {
            let mut told = question_json(question);
            if let Value::Object(members) = &mut told {
                members.insert("answer".to_owned(), answer.into());
                members.insert("outcome".to_owned(), outcome.into());
            }
            // One line each, because they go on for ever.
            output::data(&told.to_string());
        } else {
            output::data(&format!("{}: {outcome}", question.number));
        }
    }
}

fn question_json(question: &Question) -> Value {
    json!({
        "number": question.number,
        "principal": question.principal,
        "credential": question.credential,
        "venue": question.venue,
        "action": question.action,
        "grant": question.grant,
        "left_s": question.left.as_secs(),
        "lines": question.lines,
    })
}

/// All that a human is shown.
fn text(question: &Question) -> String {
    let mut text = format!("request {}, {} s left:", question.number, question.left.as_secs());
    for line in &question.lines {
        let mut begin = "\n  ";
        for part in parts(line) {
            text.push_str(begin);
            text.push_str(&part);
            begin = "\n      | ";
        }
    }
    text
}

/// A line in pieces that a terminal does not break, so that the bot's text never begins a row. An agent sends
/// printable ASCII; nothing else is shown, whoever sends it.
fn parts(line: &str) -> Vec<String> {
    let shown: Vec<char> = line.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    shown.chunks(COLUMNS).map(|part| part.iter().collect()).collect()
}

/// Narrower than most terminals, with what stands before.
const COLUMNS: usize = 70;

fn terminal() -> Result<File, Fault> {
    File::options().read(true).write(true).open("/dev/tty").map_err(|error| no_terminal(&error))
}

fn no_terminal(error: &io::Error) -> Fault {
    let message = format!("there is no terminal to ask at: {error}");
    Fault::new(ErrorCode::Invalid, message, "use --pinentry, or --list")
}

fn ask_at_terminal(question: &Question, until: Option<Instant>) -> Result<Said, Fault> {
    let failed = |error: io::Error| no_terminal(&error);
    let mut terminal = terminal()?;
    // What was typed before the question stood there is no answer to it.
    tcflush(&terminal, QueueSelector::IFlush).map_err(|error| failed(error.into()))?;
    let prompt = format!("\n{}\nsign this? [y/N] ", text(question));
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    loop {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        let left = Timespec::try_from(left).map_err(Fault::defect)?;
        match poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&left)) {
            Ok(0) => {
                terminal.write_all(b"\n").map_err(failed)?;
                return Ok(Said::Nothing);
            }
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    // The terminal gives whole lines.
    let mut typed = [0; 256];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&terminal, &mut typed))
        .map_err(|error| failed(error.into()))?;
    let line = typed.get(..count).unwrap_or_default().trim_ascii();
    Ok(if count == 0 {
        Said::Leave
    } else if line.eq_ignore_ascii_case(b"y") || line.eq_ignore_ascii_case(b"yes") {
        Said::Yes
    } else {
        Said::No
    })
}

fn ask_by_pinentry(program: &str, question: &Question) -> Result<Said, Fault> {
    let text = text(question);
    if !pinentry::fits(&text) {
        let number = question.number;
        output::talk(&format!(
            "request {number} is too long for a pinentry; `strongroom confirm` asks at a terminal"
        ));
        return Ok(Said::Unasked);
    }
    match pinentry::confirm(program, "Strongroom: sign this?", &text, question.left) {
        Ok(true) => Ok(Said::Yes),
        Ok(false) => Ok(Said::No),
        Err(PinentryError::Nobody) => Ok(Said::Nothing),
        Err(error) => Err(no_pinentry(error)),
    }
}

fn no_pinentry(error: PinentryError) -> Fault {
    let hint = "name another program with --pinentry, or ask at the terminal without it";
    Fault::new(ErrorCode::Invalid, chain(&error), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_lines_itself_and_shows_nothing_but_printable_ascii() {
        assert_eq!(parts("query symbol = BTCUSDT"), ["query symbol = BTCUSDT"]);
        assert_eq!(parts(&"x".repeat(141)), ["x".repeat(70), "x".repeat(70), "x".to_owned()]);
        assert_eq!(parts("a\u{1b}[2J\nb\u{202e}\u{9b}"), ["a?[2J?b??"]);
    }
}
