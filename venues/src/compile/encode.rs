//! `[clock]`, `[encode]` and `[map]`.

use std::collections::HashMap;

use super::document::{Fields, Item};
use crate::codec::Escape;
use crate::error::ProfileError;
use crate::request::Method;
use crate::rule::{Arrays, BodyForm, Clock, Encode, NonceKind, TimeFormat};

/// Most words of a `map`.
const MAX_WORDS: usize = 512;

pub(super) fn clock(fields: &Fields<'_, '_>) -> Result<Clock, ProfileError> {
    let clock = fields.table("clock", "`clock`", &["ts", "plus_s", "nonce", "skew_ms"])?;
    let ts = clock.choice(
        "ts",
        &[
            ("ms", TimeFormat::Ms),
            ("s", TimeFormat::S),
            ("us", TimeFormat::Us),
            ("ns", TimeFormat::Ns),
            ("iso-ms", TimeFormat::IsoMs),
            ("iso-s", TimeFormat::IsoS),
        ],
    )?;
    let nonce = clock.choice(
        "nonce",
        &[
            ("none", NonceKind::Absent),
            ("ms", NonceKind::Ms),
            ("s", NonceKind::S),
            ("us", NonceKind::Us),
            ("ns", NonceKind::Ns),
            ("uuid", NonceKind::Uuid),
            ("uuid16", NonceKind::Uuid16),
            ("uuid22", NonceKind::Uuid22),
            ("hex16", NonceKind::Hex16),
        ],
    )?;
    Ok(Clock {
        ts: ts.unwrap_or(TimeFormat::Ms),
        plus_s: clock.number("plus_s", 0, 3600)?.unwrap_or(0),
        nonce: nonce.unwrap_or(NonceKind::Absent),
        skew_ms: clock.number("skew_ms", 0, 60_000)?.unwrap_or(5_000),
    })
}

pub(super) fn encode(fields: &Fields<'_, '_>) -> Result<Encode, ProfileError> {
    const ESCAPES: &[(&str, Escape)] =
        &[("pct", Escape::Pct), ("raw", Escape::Raw), ("js", Escape::Js), ("form", Escape::Form)];
    let known = [
        "query",
        "signed_query",
        "body",
        "body_enc",
        "arrays",
        "sort",
        "empty_body",
        "query_keep",
        "query_as_given",
        "json_ascii",
    ];
    let encode = fields.table("encode", "`encode`", &known)?;
    let query = encode.choice("query", ESCAPES)?.unwrap_or(Escape::Pct);
    let body = encode.choice("body", &[("json", BodyForm::Json), ("form", BodyForm::Form)])?;
    let arrays = encode.choice(
        "arrays",
        &[
            ("json", Arrays::Json),
            ("repeat", Arrays::Repeat),
            ("bracket", Arrays::Bracket),
            ("index", Arrays::Index),
            ("tight", Arrays::Tight),
        ],
    )?;
    let sort =
        [("none", (false, false)), ("key", (true, true)), ("query", (true, false)), ("body", (false, true))];
    let (sort_query, sort_body) = encode.choice("sort", &sort)?.unwrap_or_default();
    Ok(Encode {
        query,
        signed_query: encode.choice("signed_query", ESCAPES)?.unwrap_or(query),
        body: body.unwrap_or(BodyForm::Json),
        body_escape: encode.choice("body_enc", ESCAPES)?.unwrap_or(Escape::Pct),
        arrays: arrays.unwrap_or(Arrays::Json),
        sort_query,
        sort_body,
        empty_body: encode.text("empty_body")?.unwrap_or_default().to_owned(),
        query_keep: query_keep(&encode)?,
        query_as_given: encode.flag("query_as_given")?.unwrap_or(false),
        json_ascii: encode.flag("json_ascii")?.unwrap_or(false),
    })
}

/// Characters that a venue wants to see unescaped; none that would change the structure of a URL.
fn query_keep(encode: &Fields<'_, '_>) -> Result<String, ProfileError> {
    let keep = encode.text("query_keep")?.unwrap_or_default();
    if keep.bytes().all(|b| b.is_ascii_graphic() && !b"&#%+=\"<>\\".contains(&b)) {
        Ok(keep.to_owned())
    } else {
        let message =
            "`query_keep` has only characters that change nothing in a URL, such as `$`, `,` and `:`";
        Err(encode.error(encode.place("query_keep"), message))
    }
}

pub(super) fn map(fields: &Fields<'_, '_>) -> Result<Option<HashMap<String, String>>, ProfileError> {
    if fields.get("map").is_none() {
        return Ok(None);
    }
    let entries = fields.entries("map")?;
    if entries.len() > MAX_WORDS {
        return Err(fields.error(fields.place("map"), format!("a map has at most {MAX_WORDS} words")));
    }
    let words = entries.iter().map(|entry| {
        let endpoint = entry.name.split_once(' ');
        let fits =
            endpoint.is_some_and(|(method, path)| Method::parse(method).is_some() && path.starts_with('/'));
        if !fits {
            let message = format!("`{}` must look like `POST /path`", entry.name);
            return Err(fields.error(entry.at, message));
        }
        match &entry.value.item {
            Item::Text(word) => Ok((entry.name.to_string(), word.to_string())),
            _ => Err(fields.error(entry.value.at, "a word of the map must be text")),
        }
    });
    words.collect::<Result<_, _>>().map(Some)
}
