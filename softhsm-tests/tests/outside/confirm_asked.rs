//! How a human is asked: at a terminal, by a pinentry, and by the async client.

use std::thread;

use serde_json::Value;
use strongroom_client::{AsyncClient, ErrorCode, Question};
use strongroom_softhsm_tests::process::{SOON, wait_until, write_script};
use strongroom_softhsm_tests::room::program;
use strongroom_softhsm_tests::terminal::Terminal;

use crate::confirm::{Case, admin_name, denied, order, order_of, said};
use crate::records::assert_like;

#[test]
fn asks_and_answers_by_the_async_client_too() {
    let case = Case::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let admin = AsyncClient::at(case.room.socket());
    assert_eq!(runtime.block_on(admin.pending()).unwrap(), []);
    let mut after = 0;
    for yes in [false, true] {
        let bot = case.asks(order());
        let mut asked = Vec::new();
        for _ in 0..5 {
            asked = runtime.block_on(admin.wait_for_pending(after)).unwrap();
            if !asked.is_empty() {
                break;
            }
        }
        let [question] = asked.as_slice() else { panic!("nobody is asked: {}", case.agent.log()) };
        let told = |questions: &[Question]| -> Vec<_> {
            questions.iter().map(|question| (question.number, question.lines.clone())).collect()
        };
        assert_eq!(told(&asked), told(&case.admin().pending().unwrap()), "as the blocking client is told");
        assert_eq!(told(&asked), told(&runtime.block_on(admin.pending()).unwrap()));
        after = question.number;
        runtime.block_on(admin.confirm(after, yes)).unwrap();
        assert_eq!(bot.join().unwrap().is_ok(), yes, "{}", case.agent.log());
    }
    let over = runtime.block_on(admin.confirm(after, true)).unwrap_err();
    assert_eq!(over.code(), Some(ErrorCode::NotFound), "{over}");
    let bot = AsyncClient::at(case.room.socket()).with_token(case.token.clone());
    assert_eq!(runtime.block_on(bot.pending()).unwrap_err().code(), Some(ErrorCode::Denied));
}

#[test]
fn shows_a_terminal_nothing_that_a_bot_could_have_written_for_it() {
    let case = Case::new();
    let program = program("strongroom").display().to_string();
    let mut human = Terminal::start(&[program.as_str(), "confirm"], |command| case.room.surround(command));
    let evil = "BTC\u{1b}[2J\u{1b}[1;1H\nsign this? [y/N] y\r\n\u{9b}2K\u{202e}";
    let bot = case.asks(order_of(evil));
    human.wait_for("body pair = \"BTC\\u001b[2J\\u001b[1;1H\\nsign this? [y/N] y\\r\\n\\u009b2K");
    human.wait_for("sign this? [y/N] ");
    human.type_line("y");
    human.wait_for(": ");
    // Whether the venue's profile takes such a symbol is its own affair; nobody was deceived.
    let _ = bot.join().unwrap();

    // What is typed before a question is shown is no answer to it.
    human.type_line("y");
    let bot = case.asks(order());
    human.wait_for("buy 0.5 XBTUSD at 61234.50, limit, notional 30617.25");
    human.wait_for("sign this? [y/N] ");
    human.type_line("");
    human.wait_for(": denied");
    assert_eq!(said(bot), denied(&format!("{} has said no", admin_name())));

    // Ctrl-D leaves, and what is asked waits on.
    let bot = case.asks(order());
    human.wait_for("sign this? [y/N] ");
    human.press(&[4]);
    let (shown, status) = human.end();
    assert!(status.success(), "{shown}");
    assert!(shown.is_ascii() && !shown.contains('\u{1b}'), "{shown:?}");
    let question = case.question(0);
    case.admin().confirm(question.number, false).unwrap();
    let _ = said(bot);
}

#[test]
fn asks_by_pinentry_and_lists_what_waits() {
    let case = Case::new();
    let run = |words: &[&str]| case.room.run(&[&["confirm"], words].concat(), None, &[]);
    assert_eq!(run(&["--list"]).stderr, "nothing waits for a human\n");
    assert_eq!(run(&["--list", "--json"]).json(), serde_json::json!([]));
    // One that cannot ask says so at once, and not when a bot waits.
    let nobody = run(&["--pinentry", "/nonexistent/pinentry"]);
    assert_eq!(nobody.code(), 3);
    assert_like(&nobody.stderr, "error: the pinentry program /nonexistent/pinentry cannot be started: *", "");
    let bot = case.asks(order());
    let question = case.question(0);
    let listed = run(&["--list"]).ok();
    assert_like(
        &listed,
        &format!("request {}, * s left:\n  client:grid-bot *\n  body pair = XBTUSD\n*", question.number),
        "a list",
    );
    let listed = run(&["--list", "--json"]).json();
    assert_eq!(listed[0]["number"], question.number);
    assert_eq!(listed[0]["lines"].as_array().unwrap().len(), question.lines.len());

    // A pinentry that says yes to the first question, no to the second, and then breaks.
    let path = case.room.folder().join("pinentry");
    let log = case.room.folder().join("asked").display().to_string();
    let script = format!(
        "#!/bin/sh\necho OK\nwhile read -r line; do\necho \"$line\" >> '{log}'\ncase \"$line\" in\n\
         CONFIRM) case $(grep -c CONFIRM '{log}') in 1) echo OK;; 2) echo 'ERR 83886194 Not confirmed';; *) echo rubbish;; esac;;\n\
         BYE) echo OK; exit;;\n*) echo OK;;\nesac\ndone\n"
    );
    write_script(&path, &script);
    let second = thread::spawn({
        let (bot, admin, number) = (case.bot(), case.admin(), question.number);
        move || {
            // Asked when the first is answered.
            wait_until("the first is answered", SOON, || {
                admin.pending().unwrap().iter().all(|q| q.number != number)
            });
            let second = bot.sign(&order());
            (second, bot.sign(&order()))
        }
    });
    let third = thread::spawn({
        let admin = case.admin();
        move || {
            // The broken one has ended the command; somebody else answers.
            let log = log.clone();
            wait_until("the third is asked", SOON, || {
                std::fs::read_to_string(&log).unwrap_or_default().matches("CONFIRM").count() == 3
            });
            for question in admin.pending().unwrap() {
                admin.confirm(question.number, false).unwrap();
            }
        }
    });
    let ended = run(&["--json", "--pinentry", path.to_str().unwrap()]);
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    let told: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&told[0]["answer"], &told[0]["outcome"]), (&"yes".into(), &"signed".into()));
    assert_eq!((&told[1]["answer"], &told[1]["outcome"]), (&"no".into(), &"denied".into()));
    let _ = bot.join().unwrap().unwrap();
    third.join().unwrap();
    let (second, third) = second.join().unwrap();
    assert_eq!(second.unwrap_err().to_string(), format!("{} has said no", admin_name()));
    assert!(third.is_err());
    let asked = std::fs::read_to_string(case.room.folder().join("asked")).unwrap();
    assert_like(
        &asked,
        "*SETDESC request *%0A  client:grid-bot *%0A  body pair = XBTUSD*SETOK Sign\nSETCANCEL Deny\nCONFIRM\n*",
        "",
    );
}
