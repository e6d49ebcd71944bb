//! Every message that there can be. Texts are leaked, because messages borrow: a test run has few of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{
    Body, ClientEntry, ClientToken, Credential, Enroll, LoggedIn, Login, Operation, Param, Progress,
    Protection, Question, Refusal, Repin, Reply, Request, Response, SetGrants, Sign, Signed, Status, Token,
    WsLogin,
};

type Text = &'static str;

pub(super) fn request() -> impl Strategy<Value = Request<'static>> {
    (number(), operation()).prop_map(|(id, operation)| Request { id, operation })
}

pub(super) fn response() -> impl Strategy<Value = Response<'static>> {
    (number(), reply()).prop_map(|(id, reply)| Response { id, reply })
}

/// Near the borders of the integer encoding as often as elsewhere.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..600,
        prop::sample::select(vec![250, 251, 65_535, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX]),
    ]
}

fn small_number() -> impl Strategy<Value = u32> {
    number().prop_map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        8 => any::<String>(),
        1 => (248_usize..255).prop_map(|length| "é".repeat(length)),
    ]
    .prop_map(|text| &*text.leak())
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..400).prop_map(|bytes| &*bytes.leak())
}

fn param() -> impl Strategy<Value = Param<'static>> {
    prop_oneof![text().prop_map(Param::Text), text().prop_map(Param::Json)]
}

fn params() -> impl Strategy<Value = Vec<(Text, Param<'static>)>> {
    vec((text(), param()), 0..12)
}

fn body() -> impl Strategy<Value = Body<'static>> {
    prop_oneof![Just(Body::Empty), params().prop_map(Body::Form), bytes().prop_map(Body::Json)]
}

fn operation() -> impl Strategy<Value = Operation<'static>> {
    let sign =
        (text(), text(), text(), params(), body()).prop_map(|(credential, method, path, query, body)| {
            Operation::Sign(Sign { credential, method, path, query, body })
        });
    let ids = (option::of(text()), option::of(text()));
    let enroll = (proptest::array::uniform4(text()), ids, any::<[bool; 3]>(), login()).prop_map(
        |([credential, venue, key_id, grants], (uid, base_url), [replace, passphrase, honey], login)| {
            Operation::Enroll(Enroll {
                credential,
                venue,
                key_id,
                uid,
                base_url,
                replace,
                passphrase,
                grants,
                honey,
                login,
            })
        },
    );
    prop_oneof![
        4 => sign,
        2 => enroll,
        1 => Just(Operation::Status),
        1 => text().prop_map(|after| Operation::List { after }),
        1 => text().prop_map(|credential| Operation::Show { credential }),
        1 => Just(Operation::Lock),
        1 => login().prop_map(Operation::Unlock),
        1 => Just(Operation::Token),
        1 => set_grants(),
        1 => text().prop_map(|credential| Operation::Remove { credential }),
        1 => text().prop_map(|token| Operation::Hello { token: ClientToken(token) }),
        1 => text().prop_map(|name| Operation::AddClient { name }),
        1 => Just(Operation::Clients),
        1 => text().prop_map(|name| Operation::RemoveClient { name }),
        1 => Just(Operation::Metrics),
        1 => (number(), any::<bool>()).prop_map(|(after, wait)| Operation::Pending { after, wait }),
        1 => (number(), any::<bool>()).prop_map(|(number, yes)| Operation::Confirm { number, yes }),
        2 => (text(), option::of(text()), params())
            .prop_map(|(credential, name, params)| Operation::WsLogin(WsLogin { credential, name, params })),
        1 => repin(),
        1 => Just(Operation::AuditHead),
    ]
}

fn set_grants() -> impl Strategy<Value = Operation<'static>> {
    (text(), number(), text(), any::<bool>(), login()).prop_map(
        |(credential, revision, grants, accept_older, login)| {
            Operation::SetGrants(SetGrants { credential, revision, grants, accept_older, login })
        },
    )
}

fn repin() -> impl Strategy<Value = Operation<'static>> {
    (text(), number(), text(), option::of(text()), login()).prop_map(
        |(credential, revision, profile, base_url, login)| {
            Operation::Repin(Repin { credential, revision, profile, base_url, login })
        },
    )
}

fn login() -> impl Strategy<Value = Login> {
    any::<[bool; 2]>().prop_map(|[pin, final_try]| Login { pin, final_try })
}

fn reply() -> impl Strategy<Value = Reply<'static>> {
    let refusal = (any::<u8>(), text(), text())
        .prop_map(|(code, message, hint)| Reply::Error(Refusal { code, message, hint }));
    let signed = (text(), text(), vec((text(), text()), 0..8), bytes())
        .prop_map(|(method, url, headers, body)| Reply::Signed(Signed { method, url, headers, body }));
    prop_oneof![
        1 => Just(Reply::Done),
        2 => refusal,
        4 => signed,
        1 => (vec(credential(), 0..5), any::<bool>()).prop_map(|(page, more)| Reply::Credentials { page, more }),
        1 => (credential(), text()).prop_map(|(credential, grants)| Reply::Credential { credential, grants }),
        2 => status().prop_map(Reply::Status),
        1 => (small_number(), small_number()).prop_map(|(done, total)| Reply::Progress(Progress { done, total })),
        1 => token().prop_map(Reply::Token),
        1 => text().prop_map(|token| Reply::ClientAdded { token: ClientToken(token) }),
        1 => vec(client(), 0..5).prop_map(Reply::Clients),
        1 => text().prop_map(|text| Reply::Metrics { text }),
        1 => vec(question(), 0..4).prop_map(Reply::Pending),
        2 => logged_in().prop_map(Reply::WsLogin),
        1 => (text(), text()).prop_map(|(head, folder)| Reply::AuditHead { head, folder }),
    ]
}

fn logged_in() -> impl Strategy<Value = LoggedIn<'static>> {
    let texts = (text(), option::of(text()), text());
    (texts, vec((text(), text()), 0..8), bytes(), any::<bool>(), number()).prop_map(
        |((name, url, signature), headers, frame, whole, expires_unix_ms)| LoggedIn {
            name,
            url,
            headers,
            frame,
            whole,
            signature,
            expires_unix_ms,
        },
    )
}

fn question() -> impl Strategy<Value = Question<'static>> {
    let numbers = (number(), number());
    (numbers, proptest::array::uniform5(text()), vec(text(), 0..4)).prop_map(
        |((number, left_ms), [principal, credential, venue, action, grant], lines)| Question {
            number,
            principal,
            credential,
            venue,
            action,
            grant,
            left_ms,
            lines,
        },
    )
}

fn client() -> impl Strategy<Value = ClientEntry<'static>> {
    (text(), number(), number(), small_number()).prop_map(|(name, created_unix, used_unix, connections)| {
        ClientEntry { name, created_unix, used_unix, connections }
    })
}

/// Boxed, because strategies lie on the stack, and this one is in others twice.
fn credential() -> BoxedStrategy<Credential<'static>> {
    let numbers = (number(), number(), small_number());
    (proptest::array::uniform11(text()), numbers, any::<[bool; 2]>())
        .prop_map(|(texts, (enrolled_unix, revision, grants), [ready, honey])| {
            let [
                name,
                venue,
                key_id,
                base_url,
                algorithm,
                custody,
                rung,
                token_serial,
                fault,
                accept_unbound,
                profile,
            ] = texts;
            Credential {
                name,
                venue,
                key_id,
                base_url,
                algorithm,
                custody,
                rung,
                token_serial,
                enrolled_unix,
                ready,
                fault,
                revision,
                grants,
                accept_unbound,
                honey,
                profile,
            }
        })
        .boxed()
}

fn token() -> impl Strategy<Value = Token<'static>> {
    (proptest::array::uniform4(text()), any::<[bool; 3]>()).prop_map(
        |([serial, label, model, tries], [initialised, pad, kept])| Token {
            serial,
            label,
            model,
            initialised,
            pad,
            tries,
            kept,
        },
    )
}

fn status() -> impl Strategy<Value = Status<'static>> {
    let numbers =
        (small_number(), [number(), number(), number()], small_number(), small_number(), small_number());
    let lists = (vec(text(), 0..4), vec(protection(), 0..3), vec(text(), 0..3));
    (proptest::array::uniform6(text()), numbers, any::<bool>(), lists).prop_map(
        |(
            texts,
            (pid, [since_unix, checkpoint, checkpoint_unix], credentials, ready, keeper_pid),
            locked,
            (weaknesses, protection, admins),
        )| {
            let [version, reason, token_serial, token_label, rung, principal] = texts;
            Status {
                version,
                pid,
                locked,
                reason,
                since_unix,
                credentials,
                ready,
                keeper_pid,
                token_serial,
                token_label,
                rung,
                weaknesses,
                protection,
                principal,
                admins,
                checkpoint,
                checkpoint_unix,
            }
        },
    )
}

fn protection() -> impl Strategy<Value = Protection<'static>> {
    (text(), small_number(), any::<[bool; 2]>(), text()).prop_map(
        |(process, pid, [secret_memory, guarded], landlock)| Protection {
            process,
            pid,
            secret_memory,
            guarded,
            landlock,
        },
    )
}
