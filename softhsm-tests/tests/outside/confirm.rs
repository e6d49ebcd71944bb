//! Grants that ask a human: what waits, who may answer, what is decided then, and what is left behind.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use strongroom_client::{
    Client, ClientToken, Error, ErrorCode, Login, NewGrants, Question, SignRequest, SignedRequest,
};
use strongroom_protocol::{Body, Operation, Param, Sign};
use strongroom_softhsm_tests::process::{SOON, descriptors, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw};
use strongroom_softhsm_tests::room::{Agent, Room};

use crate::descriptors::at_rest;
use crate::keys::{KRAKEN, edit};
use crate::records::assert_like;

/// Longer than the agent lets a request wait for a human.
const PATIENT: Duration = Duration::from_secs(660);

/// The bot asks for a human for all but reading; two orders of these tests are over its day.
const GRANTS: &str = "[[grant]]\nid = \"reads\"\nto = \"client:grid-bot\"\nallow = [\"read\"]\n\n\
                      [[grant]]\nid = \"big\"\nto = \"client:grid-bot\"\nallow = [\"trade\"]\nmax_notional_day = \"40000\"\nconfirm = true\n";

pub(crate) type Answer = JoinHandle<Result<SignedRequest, Error>>;

/// An unlocked agent, and the token of a bot that must ask a human.
pub(crate) struct Case {
    pub(crate) room: Room,
    pub(crate) agent: Agent,
    pub(crate) token: ClientToken,
}

impl Case {
    /// A human has as long as can be configured: what happens by itself then is not what these tests are about.
    pub(crate) fn new() -> Self {
        Self::within(600)
    }

    /// A human has so many seconds.
    fn within(seconds: u64) -> Self {
        let room = Room::new();
        let grants = room.folder().join("grants.toml");
        std::fs::write(&grants, GRANTS).unwrap();
        let _ = room.enroll(&KRAKEN, &["--grants", grants.to_str().unwrap()]).ok();
        let to = format!("confirm_s = {seconds}");
        edit(&room.config(), |text| text.replace("confirm_s = 60", &to));
        let agent = room.start_unlocked();
        let token = room.client().add_client("grid-bot").unwrap();
        Self { room, agent, token }
    }

    pub(crate) fn admin(&self) -> Client {
        self.room.client()
    }

    pub(crate) fn bot(&self) -> Client {
        self.room.client().with_token(self.token.clone()).with_deadline(PATIENT)
    }

    /// The bot asks, and waits in a thread of its own.
    pub(crate) fn asks(&self, request: SignRequest<'static>) -> Answer {
        let bot = self.bot();
        thread::spawn(move || bot.sign(&request))
    }

    /// The next question with a number above `after`.
    pub(crate) fn question(&self, after: u64) -> Question {
        for _ in 0..5 {
            if let Some(question) = self.admin().wait_for_pending(after).unwrap().into_iter().next() {
                return question;
            }
        }
        panic!("nobody is asked: {}", self.agent.log())
    }

    fn wait_for_nothing(&self) {
        wait_until("nothing waits for a human", SOON, || self.admin().pending().unwrap().is_empty());
    }

    /// The lines of the audit log about orders, the last first.
    fn orders(&self) -> Vec<Value> {
        let run = self.room.run(&["audit", "show", "--json"], None, &[]).ok();
        let lines: Vec<Value> = match serde_json::from_str::<Value>(&run) {
            Ok(Value::Array(lines)) => lines,
            _ => run.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let is_order = |line: &Value| line["kind"] == "sign" && line["path"] == "/0/private/AddOrder";
        lines.into_iter().rev().filter(is_order).collect()
    }

    fn set_grants(&self, toml: &str) {
        let admin = self.admin();
        let revision = admin.grants("kraken-main").unwrap().revision;
        let path = self.room.folder().join("pin");
        std::fs::write(&path, &self.room.token.pin).unwrap();
        let login = Login::from(std::fs::File::open(path).unwrap());
        admin.set_grants(&NewGrants::new("kraken-main", revision, toml), login).unwrap();
    }
}

pub(crate) fn order() -> SignRequest<'static> {
    order_of("XBTUSD")
}

pub(crate) fn order_of(pair: &'static str) -> SignRequest<'static> {
    SignRequest::new("kraken-main", "POST", "/0/private/AddOrder")
        .form("pair", pair)
        .form("type", "buy")
        .form("ordertype", "limit")
        .form("volume", "0.5")
        .form("price", "61234.50")
}

pub(crate) fn said(answer: Answer) -> (Option<ErrorCode>, String) {
    match answer.join().unwrap() {
        Ok(signed) => panic!("it was signed: {signed:?}"),
        Err(error) => (error.code(), error.to_string()),
    }
}

pub(crate) fn denied(why: &str) -> (Option<ErrorCode>, String) {
    (Some(ErrorCode::Denied), why.to_owned())
}

pub(crate) fn admin_name() -> String {
    format!("user:{}", rustix::process::geteuid().as_raw())
}

#[test]
fn signs_what_a_human_has_said_yes_to_and_charges_it_once() {
    let case = Case::new();
    let (me, bot) = (std::process::id(), case.asks(order()));
    let question = case.question(0);
    let told = (question.principal.as_str(), question.credential.as_str(), question.venue.as_str());
    assert_eq!(told, ("client:grid-bot", "kraken-main", "kraken"));
    assert_eq!((question.action.as_str(), question.grant.as_str()), ("trade", "big"));
    assert!(question.left <= Duration::from_secs(600), "{question:?}");
    let asks = format!("client:grid-bot (user {}, process {me}", rustix::process::geteuid().as_raw());
    assert!(question.lines[0].starts_with(&asks), "{:?}", question.lines);
    let key = format!("credential kraken-main, key {}, at kraken (https://api.kraken.com)", KRAKEN.key_id);
    assert_eq!(question.lines[1..3], [key, "action trade; grant big asks for a human".to_owned()]);
    for line in [
        "buy 0.5 XBTUSD at 61234.50, limit, notional 30617.25",
        "POST /0/private/AddOrder",
        "body pair = XBTUSD",
        "body type = buy",
        "body ordertype = limit",
        "body volume = 0.5",
        "body price = 61234.50",
    ] {
        assert!(question.lines.iter().any(|told| told == line), "{line}: {:?}", question.lines);
    }
    assert!(case.orders().is_empty(), "nothing is decided yet");
    assert!(!bot.is_finished());

    // A no spends nothing, nor does what waits.
    case.admin().confirm(question.number, false).unwrap();
    assert_eq!(said(bot), denied(&format!("{} has said no", admin_name())));
    let bot = case.asks(order());
    let question = case.question(question.number);
    case.admin().confirm(question.number, true).unwrap();
    let signed = bot.join().unwrap().unwrap();
    assert!(String::from_utf8_lossy(&signed.body).contains("pair=XBTUSD&type=buy"), "{signed:?}");
    let lines = case.orders();
    let fact = |line: &Value| (line["verdict"].clone(), line["rule"].clone(), line["confirmed"].clone());
    assert_eq!(fact(&lines[0]), ("allowed".into(), "grant:big".into(), admin_name().into()));
    assert_eq!(fact(&lines[1]), ("denied".into(), "grant:big".into(), Value::Null));
    assert_eq!(lines[1]["cause"], format!("{} has said no", admin_name()));
    assert_eq!(lines.len(), 2);

    // The day has room for one.
    let bot = case.asks(order());
    let question = case.question(question.number);
    let over = case.admin().confirm(question.number, true).unwrap_err();
    assert_eq!(over.code(), Some(ErrorCode::Denied));
    assert_like(&over.to_string(), "it was not signed: *", "a yes over the budget");
    let (code, told) = said(bot);
    assert_eq!((code, over.to_string()), (Some(ErrorCode::Denied), format!("it was not signed: {told}")));
    assert_eq!(case.orders()[0]["confirmed"], admin_name());
}

#[test]
fn answers_each_question_once_and_lets_no_bot_answer() {
    let case = Case::new();
    let bot = case.asks(order());
    let question = case.question(0);
    let refused = |result: Result<(), Error>| result.unwrap_err().code();
    // Not by the bot itself, not under a number that none has; and it still waits.
    assert_eq!(refused(case.bot().confirm(question.number, true)), Some(ErrorCode::Denied));
    assert_eq!(case.bot().pending().unwrap_err().code(), Some(ErrorCode::Denied));
    assert_eq!(case.bot().wait_for_pending(0).unwrap_err().code(), Some(ErrorCode::Denied));
    for number in [0, 1, question.number - 1, question.number + 1, u64::MAX] {
        assert_eq!(refused(case.admin().confirm(number, true)), Some(ErrorCode::NotFound));
    }
    assert!(!bot.is_finished());
    assert_eq!(case.admin().pending().unwrap().len(), 1);
    // What an earlier agent has numbered hides nothing.
    assert_eq!(case.admin().wait_for_pending(u64::MAX).unwrap().len(), 1);

    // Two at once: one of them is too late.
    let both = [(); 2].map(|()| {
        let admin = case.admin();
        thread::spawn(move || admin.confirm(question.number, true).map_err(|error| error.code()))
    });
    let mut both = both.map(|one| one.join().unwrap());
    both.sort_unstable_by_key(Result::is_err);
    assert_eq!(both, [Ok(()), Err(Some(ErrorCode::NotFound))]);
    let _ = bot.join().unwrap().unwrap();
    for yes in [true, false] {
        assert_eq!(refused(case.admin().confirm(question.number, yes)), Some(ErrorCode::NotFound));
    }
    assert_eq!(case.orders().len(), 1, "signed once");
}

#[test]
fn denies_what_nobody_has_answered_when_its_time_is_up() {
    let case = Case::within(15);
    let bot = case.asks(order());
    let question = case.question(0);
    assert!(question.left <= Duration::from_secs(15));
    assert_eq!(said(bot), denied("nobody has said yes within 15 s"));
    assert_eq!(case.admin().confirm(question.number, true).unwrap_err().code(), Some(ErrorCode::NotFound));
    let line = &case.orders()[0];
    assert_eq!((&line["verdict"], &line["rule"]), (&"denied".into(), &"grant:big".into()));
    assert_eq!(line["cause"], "nobody has said yes within 15 s");
}

#[test]
fn decides_anew_by_what_is_in_force_when_a_human_says_yes() {
    let case = Case::new();
    let ask = |after| {
        let bot = case.asks(order());
        (bot, case.question(after))
    };
    // The control: a grant that still allows it.
    let (bot, question) = ask(0);
    case.set_grants(&GRANTS.replace("40000", "90000"));
    case.admin().confirm(question.number, true).unwrap();
    let _ = bot.join().unwrap().unwrap();

    let (bot, question) = ask(question.number);
    case.set_grants(
        &GRANTS.replace("[\"trade\"]", "[\"cancel\"]").replace("max_notional_day = \"40000\"\n", ""),
    );
    assert_eq!(case.admin().confirm(question.number, true).unwrap_err().code(), Some(ErrorCode::Denied));
    let (code, told) = said(bot);
    assert_eq!(code, Some(ErrorCode::Denied));
    assert!(told.contains("trade"), "{told}");
    assert_eq!(case.orders()[0]["verdict"], "denied");

    // A yes to one grant is none to another.
    case.set_grants(GRANTS);
    let (bot, question) = ask(question.number);
    case.set_grants(&GRANTS.replace("\"big\"", "\"other\""));
    let changed = "a human has said yes, but the credential or its grants were changed meanwhile, so that it means \
                   something else now";
    let over = case.admin().confirm(question.number, true).unwrap_err();
    assert_eq!(over.to_string(), format!("it was not signed: {changed}"));
    assert_eq!(said(bot), denied(changed));

    // Nor is it one to another key of the same name.
    case.set_grants(GRANTS);
    let (bot, question) = ask(question.number);
    let grants = case.room.folder().join("grants.toml");
    let key = strongroom_softhsm_tests::room::Key { key_id: "ANOTHERKEY", ..KRAKEN };
    let _ = case.room.enroll(&key, &["--replace", "--grants", grants.to_str().unwrap()]).ok();
    assert!(case.admin().confirm(question.number, true).is_err());
    assert_eq!(said(bot), denied(changed));

    // Nor while the agent is locked.
    let (bot, question) = ask(question.number);
    case.admin().lock().unwrap();
    assert!(case.admin().confirm(question.number, true).is_err());
    assert_eq!(said(bot).0, Some(ErrorCode::Locked));
}

#[test]
fn drops_the_questions_of_whoever_is_gone_or_revoked() {
    let case = Case::new();
    let mut raw = Raw::connect(&case.room.socket());
    speak_as(&mut raw, &case.token);
    raw.ask(2, asked("XBTUSD")).unwrap();
    let question = case.question(0);
    // What it has asked for besides is answered meanwhile, although the order came first.
    raw.ask(3, read()).unwrap();
    assert_eq!(raw.hear(SOON), Heard::Good(3));
    drop(raw);
    case.wait_for_nothing();
    assert_eq!(case.admin().confirm(question.number, true).unwrap_err().code(), Some(ErrorCode::NotFound));
    assert_eq!(case.orders()[0]["cause"], "the connection has ended, and nobody has said yes");

    let bot = case.asks(order());
    let question = case.question(question.number);
    case.admin().remove_client("grid-bot").unwrap();
    assert!(case.admin().confirm(question.number, true).is_err());
    assert!(bot.join().unwrap().is_err());
    case.wait_for_nothing();
    assert!(case.orders().iter().all(|line| line["verdict"] == "denied"));
}

#[test]
fn keeps_a_bounded_number_of_questions_and_nothing_of_those_that_are_over() {
    let case = Case::new();
    let speaks = |token: &ClientToken| {
        let mut raw = Raw::connect(&case.room.socket());
        speak_as(&mut raw, token);
        raw
    };
    let before = {
        let _one = speaks(&case.token);
        at_rest(&case.room, &case.agent, 1)
    };
    // Thousands of one bot: eight wait, the others hear so at once, and other requests go on.
    for round in 0..3_u64 {
        let mut raw = speaks(&case.token);
        for id in 2..1_002 {
            raw.ask(id, asked("XBTUSD")).unwrap();
            if id > 9 {
                let full =
                    "a human must say yes to this, and 8 requests of client:grid-bot wait for one already";
                assert_eq!(
                    raw.hear(SOON),
                    Heard::Error(id, ErrorCode::Unavailable, full.to_owned()),
                    "round {round}"
                );
            }
        }
        assert_eq!(case.admin().pending().unwrap().len(), 8);
        raw.ask(5_000, read()).unwrap();
        assert_eq!(raw.hear(SOON), Heard::Good(5_000));
        drop(raw);
        case.wait_for_nothing();
    }

    // And no more than 64 of all.
    let grants: String = (0..9)
        .map(|at| {
            GRANTS
                .replace("grid-bot", &format!("bot-{at}"))
                .replace("\"big\"", &format!("\"big-{at}\""))
                .replace("\"reads\"", &format!("\"reads-{at}\""))
        })
        .collect::<Vec<_>>()
        .join("\n");
    case.set_grants(&grants);
    let mut bots: Vec<Raw> =
        (0..9).map(|at| speaks(&case.admin().add_client(&format!("bot-{at}")).unwrap())).collect();
    for bot in bots.iter_mut().take(8) {
        for id in 2..10 {
            bot.ask(id, asked("XBTUSD")).unwrap();
        }
        bot.ask(10, read()).unwrap();
        assert_eq!(bot.hear(SOON), Heard::Good(10));
    }
    bots[8].ask(2, asked("XBTUSD")).unwrap();
    let full = "a human must say yes to this, and 64 requests wait for one already".to_owned();
    assert_eq!(bots[8].hear(SOON), Heard::Error(2, ErrorCode::Unavailable, full));
    let all = case.admin().pending().unwrap();
    assert_eq!(all.len(), 64);
    assert!(all.is_sorted_by(|one, other| one.number < other.number));
    // One answered makes room for one.
    case.admin().confirm(all[0].number, false).unwrap();
    bots[8].ask(3, asked("XBTUSD")).unwrap();
    wait_until("the 64th", SOON, || case.admin().pending().unwrap().len() == 64);
    drop(bots);
    case.wait_for_nothing();
    wait_until("no descriptor is left", SOON, || descriptors(case.agent.pid()).len() <= before);
}

#[test]
fn asks_nobody_about_what_is_too_long_to_be_read() {
    let case = Case::new();
    let long: &'static str = "x".repeat(17_000).leak();
    let bot = case.asks(order().form("userref", long));
    let (code, told) = said(bot);
    assert_eq!(code, Some(ErrorCode::Denied));
    assert_eq!(
        told,
        "a human must say yes to this, and its text has more than 16384 bytes: too many to be read"
    );
    assert!(case.admin().pending().unwrap().is_empty());
}

/// Says hello, and hears that it was heard.
fn speak_as(raw: &mut Raw, token: &ClientToken) {
    raw.ask(1, Operation::Hello { token: strongroom_protocol::ClientToken(token.reveal()) }).unwrap();
    assert_eq!(raw.hear(SOON), Heard::Good(1));
}

fn asked(pair: &str) -> Operation<'_> {
    let text = |name, value| (name, Param::Text(value));
    let form = vec![
        text("pair", pair),
        text("type", "buy"),
        text("ordertype", "limit"),
        text("volume", "0.5"),
        text("price", "61234.50"),
    ];
    kraken("/0/private/AddOrder", form)
}

fn read() -> Operation<'static> {
    kraken("/0/private/Balance", vec![])
}

fn kraken<'a>(path: &'a str, form: Vec<(&'a str, Param<'a>)>) -> Operation<'a> {
    Operation::Sign(Sign {
        credential: "kraken-main",
        method: "POST",
        path,
        query: vec![],
        body: Body::Form(form),
    })
}
