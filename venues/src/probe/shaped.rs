//! Bodies for rules that sign single members: such a rule refuses a body that has not these members, or has others.

use super::sample::Pair;
use super::{Signed, signed};
use crate::eip712::{FieldType, Source, Struct};
use crate::json::{self, Value};
use crate::probe::sample::Sample;
use crate::profile::{Profile, RuleAt};
use crate::rule::{Inject, Sign, When};
use crate::template::View;

/// An object that grows; the leaves are JSON.
#[derive(Debug, Clone, Default)]
struct Tree(Vec<(String, Node)>);

#[derive(Debug, Clone)]
enum Node {
    Leaf(String),
    Object(Tree),
}

/// What a member may have to be: an address, a number, a text.
const TRIED: [&str; 3] = ["\"0x00112233445566778899aabbccddeeff00112233\"", "1754000123456", "\"one\""];

/// Bodies that this rule signs; none where it signs bodies as a whole.
pub(super) fn bodies(profile: &Profile, at: RuleAt, when: &When) -> Vec<Vec<Pair>> {
    let rule = profile.compiled.rule(at);
    if rule.members.is_none() {
        return Vec::new();
    }
    let types: Vec<Option<(&str, &Struct)>> = match &rule.sign {
        Sign::Eip712 { data, .. } => {
            data.types.iter().map(|(name, chosen)| Some((name.as_str(), chosen))).collect()
        }
        Sign::Absent | Sign::Jwt { .. } | Sign::Text { .. } => vec![None],
    };
    types.into_iter().map(|chosen| body(profile, at, when, chosen)).collect()
}

fn body(profile: &Profile, at: RuleAt, when: &When, chosen: Option<(&str, &Struct)>) -> Vec<Pair> {
    let rule = profile.compiled.rule(at);
    let mut tree = Tree::default();
    for (path, texts) in &when.param {
        tree.put(&path.to_string(), text(texts.first().map_or("", String::as_str)));
    }
    let bound = |view: &&View| rule.members.iter().flatten().any(|path| *path == view.path);
    for view in rule.views.iter().filter(bound).filter(|view| view.packed) {
        tree.put(&format!("{}.alpha", view.path), text("1"));
        tree.put(&format!("{}.gamma", view.path), r#"{"delta":["x",{"eta":[1,true]}]}"#.to_owned());
    }
    if let (Sign::Eip712 { data, .. }, Some((name, chosen))) = (&rule.sign, chosen) {
        if let Some(by) = &data.by {
            tree.put(&by.to_string(), text(name));
        }
        let set = |path: &str| rule.inject.iter().any(|Inject { name, .. }| name == path);
        for field in chosen.fields.iter().filter(|field| matches!(field.source, Source::Member)) {
            let path = data.of.as_ref().map(|of| of.member(&field.name).to_string()).unwrap_or_default();
            if !set(&path) {
                tree.put(&path, value(field.kind));
            }
        }
    }
    // What may be left out is there if some value of it is signed.
    for view in rule.views.iter().filter(bound).filter(|view| !view.packed) {
        let tried = TRIED.iter().map(|value| {
            let mut tree = tree.clone();
            tree.put(&view.path.to_string(), (*value).to_owned());
            tree
        });
        let fits = |tree: &Tree| {
            matches!(signed(profile, at, &Sample::with_body(profile, tree.pairs())), Signed::Text(_))
        };
        if let Some(found) = tried.into_iter().find(fits) {
            tree = found;
        }
    }
    tree.pairs()
}

fn text(text: &str) -> String {
    format!("\"{text}\"")
}

fn value(kind: FieldType) -> String {
    match kind {
        FieldType::Address => text("0x00112233445566778899aabbccddeeff00112233"),
        FieldType::Bool => "true".to_owned(),
        FieldType::Bytes => text("0x0102"),
        FieldType::FixedBytes(size) => text(&format!("0x{}", "01".repeat(size))),
        FieldType::Text => text("one"),
        FieldType::Uint(_) => "7".to_owned(),
    }
}

impl Tree {
    fn put(&mut self, path: &str, leaf: String) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Node::Object(Self::default())));
            self.0.len().saturating_sub(1)
        });
        match (self.0.get_mut(at), rest) {
            (Some((_, Node::Object(tree))), Some(rest)) => tree.put(rest, leaf),
            (Some((_, node)), None) => *node = Node::Leaf(leaf),
            _ => {}
        }
    }

    fn pairs(&self) -> Vec<Pair> {
        self.0.iter().map(|(name, node)| (name.clone(), node.json())).collect()
    }
}

impl Node {
    fn json(&self) -> String {
        match self {
            Self::Leaf(json) => json.clone(),
            Self::Object(tree) => super::sample::object(&tree.pairs()),
        }
    }
}

/// The JSON `value` with each of its leaves changed, and with each member of its objects renamed, gone, or one more.
pub(super) fn changed(value: &str) -> Vec<String> {
    let Ok(value) = json::parse(value.as_bytes()) else { return Vec::new() };
    variants(&value).iter().map(written).collect()
}

fn written(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    json::write(value, false, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn variants<'v>(value: &Value<'v>) -> Vec<Value<'v>> {
    match value {
        Value::Null => vec![Value::Bool(false)],
        Value::Bool(value) => vec![Value::Bool(!value)],
        Value::Number(digits) => vec![Value::Number(format!("{digits}1").into())],
        Value::Text(text) => {
            // At the front, so that a suffix stays one; at the end, so that an address stays one.
            let last = if text.ends_with('3') { '4' } else { '3' };
            let mut other: String = text.chars().collect();
            other.pop();
            other.push(last);
            vec![Value::Text(format!("9{text}").into()), Value::Text(other.into())]
        }
        Value::Array(values) => {
            let mut all = replaced(values, variants, |values, at, value| {
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            });
            all.push([values.as_slice(), &[Value::Null]].concat());
            all.push(values.get(1..).unwrap_or_default().to_vec());
            all.into_iter().map(Value::Array).collect()
        }
        Value::Object(members) => {
            let mut all = replaced(
                members,
                |(_, value)| variants(value),
                |members, at, value| {
                    if let Some((_, place)) = members.get_mut(at) {
                        *place = value;
                    }
                },
            );
            for at in 0..members.len() {
                let mut renamed = members.clone();
                if let Some((name, _)) = renamed.get_mut(at) {
                    *name = format!("{name}z").into();
                }
                let mut gone = members.clone();
                gone.remove(at);
                all.extend([renamed, gone]);
            }
            all.push([members.as_slice(), &[("omega".into(), Value::Null)]].concat());
            all.into_iter().map(Value::Object).collect()
        }
    }
}

/// `list` with one element after the other replaced by each of its variants.
fn replaced<'v, T: Clone>(
    list: &[T],
    variants: impl Fn(&T) -> Vec<Value<'v>>,
    put: impl Fn(&mut Vec<T>, usize, Value<'v>),
) -> Vec<Vec<T>> {
    let each = list.iter().enumerate();
    each.flat_map(|(at, element)| {
        variants(element).into_iter().map(move |value| (at, value)).collect::<Vec<_>>()
    })
    .map(|(at, value)| {
        let mut list = list.to_vec();
        put(&mut list, at, value);
        list
    })
    .collect()
}
