use super::*;

fn text(event: &Event<'_>) -> String {
    let mut out = Vec::new();
    write(7, "2026-11-21T21:53:01.000042Z", &[0xab; 32], |pen| event.write(pen), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn writes_a_line_in_one_spelling_and_reads_it_back() {
    let query = RawValue::from_string(r#"{"symbol":"BTCUSDT"}"#.to_owned()).unwrap();
    let event = Event {
        uid: Some(1000),
        path: Some("/api/v3/order".into()),
        query: Some(Cow::Borrowed(&query)),
        canonical: Some([1; 32]),
        verdict: Some(Verdict::Allowed),
        cause: Some("a \"quoted\" \u{202e}\u{1b}[31m\u{7f}".into()),
        ..Event::of(Kind::Sign)
    };
    let line = text(&event);
    assert_eq!(
        line,
        format!(
            "{{\"seq\":7,\"time\":\"2026-11-21T21:53:01.000042Z\",\"prev\":\"{}\",\"kind\":\"sign\",\"uid\":1000,\
             \"path\":\"/api/v3/order\",\"query\":{{\"symbol\":\"BTCUSDT\"}},\"canonical\":\"{}\",\
             \"verdict\":\"allowed\",\"cause\":\"a \\\"quoted\\\" \\u202e\\u001b[31m\\u007f\"}}\n",
            "ab".repeat(32),
            "01".repeat(32)
        )
    );
    let read = Line::parse(line.trim_end().as_bytes()).unwrap();
    assert_eq!((read.seq, read.prev), (7, [0xab; 32]));
    assert_eq!(read.event.cause.as_deref(), event.cause.as_deref());
    assert_eq!(text(&read.event), line);
}

#[test]
fn refuses_every_other_spelling() {
    let line = text(&Event { uid: Some(5), ..Event::of(Kind::Lock) });
    let line = line.trim_end();
    assert!(Line::parse(line.as_bytes()).is_some());
    for (from, to) in [
        ("\"uid\":5", "\"uid\": 5"),
        ("\"uid\":5", "\"uid\":05"),
        ("\"uid\":5", "\"uid\":5,\"uid\":5"),
        ("\"uid\":5", "\"uid\":5,\"more\":1"),
        ("\"uid\":5", "\"uid\":null"),
        ("\"kind\":\"lock\",\"uid\":5", "\"uid\":5,\"kind\":\"lock\""),
        ("lock", "l\\u006fck"),
        ("\"seq\":7", "\"seq\":07"),
        ("\"seq\":7", "\"seq\":+7"),
        (".000042Z", ".0000420Z"),
        (".000042Z", ".000042+00:00"),
        ("abab", "ABAB"),
        ("}", "} "),
        ("}", ""),
    ] {
        let other = line.replacen(from, to, 1);
        assert_ne!(other, line);
        assert!(Line::parse(other.as_bytes()).is_none(), "{other}");
    }
}

#[test]
fn reads_back_the_longest_line_that_a_client_can_cause() {
    let text = "\u{1}".repeat(100_000);
    let params = serde_json::to_string(&clip(&"\\\"".repeat(50_000), 1024)).unwrap();
    let params = RawValue::from_string(params).unwrap();
    let line = self::text(&Event {
        uid: Some(u32::MAX),
        pid: Some(i32::MIN),
        credential: Some(clip(&text, crate::audit::log::MAX_TEXT_BYTES)),
        venue: Some("a-venue-with-a-long-name".into()),
        method: Some(clip(&text, 16)),
        path: Some(clip(&text, crate::audit::log::MAX_TEXT_BYTES)),
        query: Some(Cow::Borrowed(&params)),
        body: Some(Cow::Borrowed(&params)),
        canonical: Some([1; 32]),
        verdict: Some(Verdict::Refused),
        rule: Some("own-user".into()),
        cause: Some(clip(&text, crate::audit::log::MAX_CAUSE_BYTES)),
        micros: Some(u64::MAX),
        ..Event::of(Kind::Sign)
    });
    assert!(line.len() > MAX_LINE_BYTES / 2, "{}", line.len());
    assert!(Line::parse(line.trim_end().as_bytes()).is_some(), "{}", line.len());
}

#[test]
fn writes_what_grants_are_in_force_and_reads_it_back() {
    for (grants, accepted) in [(vec![], None), (vec!["a".into(), "b-2".into()], Some(vec!["a:path".into()]))]
    {
        let event = Event {
            revision: Some(3),
            grants: Some(grants),
            accept_unbound: accepted,
            accept_older: Some(true),
            profile: Some([7; 32]),
            ..Event::of(Kind::Grants)
        };
        let line = text(&event);
        assert!(Line::parse(line.trim_end().as_bytes()).is_some(), "{line}");
        let other = line.replace("\"revision\":3,\"grants\":[", "\"revision\":3,\"grants\":[ ");
        assert!(other != line && Line::parse(other.trim_end().as_bytes()).is_none(), "{other}");
    }
}

#[test]
fn cuts_a_list_behind_a_whole_text() {
    let list = |bytes| clip_list(["abc".to_owned(), "de".to_owned()], bytes);
    assert_eq!(list(5), ["abc", "de"]);
    assert_eq!(list(4), ["abc", "..."]);
    assert_eq!(list(0), ["..."]);
}

#[test]
fn cuts_a_text_between_characters() {
    assert_eq!(clip("abc", 3), "abc");
    assert_eq!(clip("a\u{e4}b", 2), "a...");
}
