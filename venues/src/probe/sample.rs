//! Requests that a rule is tried with, and the changes that are made to them.

use std::fmt;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Part, shaped};
use crate::profile::{Profile, RuleAt};
use crate::request::{Body, Method, Param, Request};
use crate::rule::When;
use crate::template::KvForm;

/// A parameter: its name, and its value as JSON.
pub(super) type Pair = (String, String);

/// A made-up request.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    method: &'static str,
    path: String,
    query: Vec<Pair>,
    body: Shape,
}

/// A made-up body.
#[derive(Debug, Clone)]
enum Shape {
    List(Vec<Vec<Pair>>),
    Members(Vec<Pair>),
    None,
}

/// A path where the profile asks for none.
const PATH: &str = "/probe/one/two";
/// A name that no request has of itself.
const ADDED: &str = "omega";

/// Requests that are signed by the case with this number, or by the base.
pub(super) fn samples(profile: &Profile, at: RuleAt) -> Vec<Sample> {
    let any = When::default();
    let case = match at {
        RuleAt::Case(at) => profile.compiled.cases.get(at),
        RuleAt::Base | RuleAt::Login(_) => None,
    };
    let when = case.map_or(&any, |(when, _)| when);
    let mut samples = Vec::new();
    for (method, known) in Method::ALL {
        if when.methods.as_ref().is_some_and(|methods| !methods.contains(known)) {
            continue;
        }
        for path in paths(profile, when, method) {
            let bodies = shaped::bodies(profile, at, when).into_iter();
            let shaped = bodies.map(|pairs| (Vec::new(), Shape::Members(pairs)));
            for (query, body) in parameters(when).into_iter().chain(shaped) {
                samples.push(Sample { method, path: path.clone(), query, body });
            }
        }
    }
    samples.retain(|sample| profile.plan(&sample.request(&sample.list())).is_ok_and(|plan| plan.at == at));
    samples
}

/// The one path of the profile, or any.
fn any_path(profile: &Profile) -> &str {
    profile.compiled.endpoint.as_ref().map_or(PATH, |(_, path)| path)
}

/// Paths that fit the pattern of a case, or are in the map.
fn paths(profile: &Profile, when: &When, method: &str) -> Vec<String> {
    let mut paths: Vec<String> = endpoints(profile)
        .filter_map(|endpoint| endpoint.split_once(' '))
        .filter(|(known, _)| *known == method)
        .map(|(_, path)| path.to_owned())
        .collect();
    paths.sort_unstable();
    match &when.path {
        None if paths.is_empty() => paths.push(any_path(profile).to_owned()),
        None => {}
        Some(pattern) => {
            let text = example(pattern.as_str());
            let made =
                [text.clone(), format!("/probe{text}"), format!("{text}probe"), format!("/probe{text}probe")];
            paths.extend(made.into_iter().filter(|path| path.starts_with('/')));
            paths.retain(|path| pattern.is_match(path.as_bytes()));
        }
    }
    paths.dedup();
    paths
}

/// What the map of the base and of its cases has words for.
fn endpoints(profile: &Profile) -> impl Iterator<Item = &str> {
    let cases = profile.compiled.cases.iter().map(|(_, rule)| rule);
    let rules = std::iter::once(&profile.compiled.base).chain(cases);
    rules.filter_map(|rule| rule.map.as_ref()).flat_map(|map| map.keys().map(String::as_str))
}

/// Parameters in the query, in the body, in both, and none.
fn parameters(when: &When) -> Vec<(Vec<Pair>, Shape)> {
    let pair = |name: &str, text: &str| (name.to_owned(), format!("\"{text}\""));
    let mut pairs = vec![pair("alpha", "1"), pair("beta", "two")];
    pairs.extend(when.has_param.iter().flatten().map(|name| pair(name, "3")));
    pairs.extend(when.param_suffix.iter().map(|(name, suffix)| pair(name, &format!("4{suffix}"))));
    let mut nested = pairs.clone();
    nested.push(("gamma".to_owned(), r#"{"delta":["x"]}"#.to_owned()));
    let other = vec![pair("eta", "5")];
    vec![
        (pairs.clone(), Shape::None),
        (Vec::new(), Shape::Members(pairs.clone())),
        (Vec::new(), Shape::Members(nested)),
        (Vec::new(), Shape::List(vec![pairs.clone(), other.clone()])),
        (other, Shape::Members(pairs)),
        (Vec::new(), Shape::None),
    ]
}

impl Sample {
    /// A request with this body.
    pub(super) fn with_body(profile: &Profile, pairs: Vec<Pair>) -> Self {
        Self {
            method: "POST",
            path: any_path(profile).to_owned(),
            query: Vec::new(),
            body: Shape::Members(pairs),
        }
    }

    pub(super) fn is_one_of(&self, methods: &[Method]) -> bool {
        Method::ALL.iter().any(|(method, known)| *method == self.method && methods.contains(known))
    }

    /// The body as JSON, if it is a list; for [`request`](Self::request).
    pub(super) fn list(&self) -> Vec<u8> {
        let Shape::List(list) = &self.body else { return Vec::new() };
        format!("[{}]", list.iter().map(|pairs| object(pairs)).collect::<Vec<_>>().join(",")).into_bytes()
    }

    pub(super) fn request<'s>(&'s self, list: &'s [u8]) -> Request<'s> {
        Request {
            method: self.method,
            path: &self.path,
            query: params(&self.query),
            body: match &self.body {
                Shape::None => Body::Empty,
                Shape::Members(pairs) => Body::Form(params(pairs)),
                Shape::List(_) => Body::Json(list),
            },
        }
    }

    /// The same request, changed in one place.
    pub(super) fn changes(&self, profile: &Profile) -> Vec<(Part, Self)> {
        let mut changes = Vec::new();
        let others = Method::ALL.iter().map(|(method, _)| *method).filter(|method| *method != self.method);
        changes.extend(others.map(|method| (Part::Method, Self { method, ..self.clone() })));
        changes.extend(
            self.other_paths(profile).into_iter().map(|path| (Part::Path, Self { path, ..self.clone() })),
        );
        for query in changed(&self.query) {
            changes.push((Part::Params, Self { query, ..self.clone() }));
        }
        let bodies: Vec<Shape> = match &self.body {
            Shape::None => Vec::new(),
            Shape::Members(pairs) => changed(pairs).into_iter().map(Shape::Members).collect(),
            Shape::List(list) => {
                let (first, rest) = list.split_first().map_or((&[][..], &[][..]), |(f, r)| (f.as_slice(), r));
                let mut lists: Vec<Shape> = changed(first)
                    .into_iter()
                    .map(|pairs| Shape::List(std::iter::once(pairs).chain(rest.iter().cloned()).collect()))
                    .collect();
                lists.push(Shape::List(list.iter().rev().cloned().collect()));
                lists.push(Shape::List(rest.to_vec()));
                lists
            }
        };
        changes.extend(bodies.into_iter().map(|body| (Part::Params, Self { body, ..self.clone() })));
        changes
    }

    /// The same request, with a query or a body where it has none.
    pub(super) fn added(&self) -> Vec<Self> {
        let query = self.query.is_empty().then(|| Self { query: vec![more()], ..self.clone() });
        let body = matches!(self.body, Shape::None)
            .then(|| Self { body: Shape::Members(vec![more()]), ..self.clone() });
        query.into_iter().chain(body).collect()
    }

    /// Each segment made longer, one segment more, and the other paths of the map.
    fn other_paths(&self, profile: &Profile) -> Vec<String> {
        let segments: Vec<&str> = self.path.split('/').collect();
        let mut paths: Vec<String> = (1..segments.len())
            .map(|longer| {
                let texts = segments.iter().enumerate();
                let texts = texts
                    .map(|(at, text)| if at == longer { format!("{text}x") } else { (*text).to_owned() });
                texts.collect::<Vec<_>>().join("/")
            })
            .collect();
        paths.push(format!("{}/more", self.path.trim_end_matches('/')));
        let same = endpoints(profile).filter_map(|endpoint| endpoint.split_once(' '));
        paths.extend(same.filter(|(method, _)| *method == self.method).map(|(_, path)| path.to_owned()));
        paths.retain(|path| *path != self.path);
        paths
    }

    /// Pairs of requests: one value that reads like the end of a parameter and another parameter, and
    /// those two parameters.
    pub(super) fn cuts(&self, forms: &[KvForm]) -> Vec<(Self, Self)> {
        let place = |pairs: Vec<Pair>| match &self.body {
            Shape::None if !self.query.is_empty() => Some(Self { query: pairs, ..self.clone() }),
            Shape::Members(_) => Some(Self { body: Shape::Members(pairs), ..self.clone() }),
            _ => None,
        };
        let rest = match &self.body {
            Shape::Members(pairs) => pairs,
            _ => &self.query,
        };
        let rest: Vec<Pair> = rest.iter().filter(|(name, _)| name != "alpha").cloned().collect();
        let with = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, text)| ((*name).to_owned(), format!("\"{text}\"")));
            place(pairs.chain(rest.iter().cloned()).collect())
        };
        let two = with(&[("alpha", "1"), ("alpha2", "2")]);
        // With what stands between parameters in a query, with nothing, and with what the profile itself puts there.
        let own = forms
            .iter()
            .map(|form| format!("1{}alpha2=2", form.separator))
            .filter(|one| !one.contains(['"', '\\']));
        let ones = ["1&alpha2=2", "1alpha22"].map(str::to_owned).into_iter().chain(own);
        ones.map(|value| with(&[("alpha", &value)])).filter_map(|one| Some((one?, two.clone()?))).collect()
    }
}

/// `pairs` with another value, another name, one less, one more.
fn changed(pairs: &[Pair]) -> Vec<Vec<Pair>> {
    let mut all = Vec::new();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let with = |pair: Option<Pair>| {
            let mut changed = pairs.to_vec();
            changed.splice(at..=at, pair);
            changed
        };
        all.extend(shaped::changed(value).into_iter().map(|value| with(Some((name.clone(), value)))));
        all.push(with(Some((format!("{name}z"), value.clone()))));
        all.push(with(None));
    }
    if !pairs.is_empty() {
        all.push(pairs.iter().cloned().chain([more()]).collect());
    }
    all
}

/// A parameter that no request has of itself.
fn more() -> Pair {
    (ADDED.to_owned(), "\"1\"".to_owned())
}

fn params(pairs: &[Pair]) -> Vec<(&str, Param<'_>)> {
    pairs.iter().map(|(name, value)| (name.as_str(), Param::Json(value))).collect()
}

/// `pairs` as a JSON object.
pub(super) fn object(pairs: &[Pair]) -> String {
    let members: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// The shortest text that a pattern asks for.
pub(crate) fn example(pattern: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(hir) = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern) {
        write_example(&hir, &mut bytes);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn write_example(hir: &Hir, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => out.push(member(class)),
        HirKind::Repetition(repetition) => {
            (0..repetition.min.min(8)).for_each(|_| write_example(&repetition.sub, out))
        }
        HirKind::Capture(capture) => write_example(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write_example(part, out)),
        HirKind::Alternation(parts) => parts.iter().take(1).for_each(|part| write_example(part, out)),
    }
}

/// A character of the class, a letter or digit if it has one.
fn member(class: &Class) -> u8 {
    let has = |byte: u8| match class {
        Class::Bytes(class) => class.iter().any(|range| range.start() <= byte && byte <= range.end()),
        Class::Unicode(class) => {
            class.iter().any(|range| range.start() <= char::from(byte) && char::from(byte) <= range.end())
        }
    };
    let plain = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z').chain(b'!'..=b'~');
    plain.into_iter().find(|byte| has(*byte)).unwrap_or(b'x')
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (at, (name, value)) in self.query.iter().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { '?' } else { '&' })?;
        }
        match &self.body {
            Shape::None => Ok(()),
            Shape::Members(pairs) => write!(f, " {}", object(pairs)),
            Shape::List(_) => write!(f, " {}", String::from_utf8_lossy(&self.list())),
        }
    }
}
