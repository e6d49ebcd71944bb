//! `[actions]` and `[[order]]`: what endpoints do, and where orders have their fields.

use super::MAX_ENTRIES;
use super::document::{self, Entry, Fields, Item, Node};
use super::near::did_you_mean;
use super::rule::methods;
use crate::actions::{
    Action, ActionRule, ActionTable, Batch, Binds, Condition, Field, OrderTable, Paths, Step, Telling, Words,
    signed_as_bound,
};
use crate::builtin::{self, builtin_profiles};
use crate::error::ProfileError;
use crate::request::Method;
use crate::rule::{Rule, Sign, When};
use crate::template::check_pattern;

const TABLE_KEYS: &[&str] = &["of", "rules"];
const RULE_KEYS: &[&str] = &["action", "method", "path", "needs", "when"];
const ORDER_KEYS: &[&str] = &[
    "path",
    "when",
    "symbol",
    "numbered",
    "side",
    "buy",
    "sell",
    "type",
    "quantity",
    "quote_quantity",
    "price",
    "stop",
    "signed",
    "in_quote",
    "contracts",
    "unread",
    "batch",
    "operation",
    "operations",
];
/// Actions that a rule may have; `unknown` is what no rule says.
const ACTIONS: &[(&str, Action)] = &[
    ("admin", Action::Admin),
    ("cancel", Action::Cancel),
    ("config", Action::Config),
    ("read", Action::Read),
    ("session", Action::Session),
    ("trade", Action::Trade),
    ("transfer", Action::Transfer),
];

/// Compiles the action table of the profile `id`, whose signing rules are `base` and `cases`.
pub(super) fn actions(
    fields: &Fields<'_, '_>,
    id: &str,
    base: &Rule,
    cases: &[(When, Rule)],
) -> Result<ActionTable, ProfileError> {
    let table = fields.table("actions", "`actions`", TABLE_KEYS)?;
    let (mut rules, orders) = match table.text("of")? {
        None => (rules(&table)?, orders(fields)?),
        Some(of) => named(fields, &table, id, of)?,
    };
    for rule in &mut rules {
        rule.binds = binds(rule.methods.as_deref(), base, cases);
    }
    let of_rules = || rules.iter().map(|rule| rule.path.as_str());
    let of_orders = || orders.iter().map(|table| table.path.as_str());
    let paths = set(fields, table.at, of_rules(), of_orders())?;
    let order_paths = set(fields, fields.place("order"), of_orders(), std::iter::empty())?;
    let (telling, binds) = (Telling::of(&orders), binds(None, base, cases));
    Ok(ActionTable { rules, paths, orders, order_paths, telling, binds })
}

/// The rules of the shipped profile `of`, and its orders unless the profile `id` has some of its own.
///
/// Only one that ships names another: who pins a text pins all that it means.
fn named(
    fields: &Fields<'_, '_>,
    table: &Fields<'_, '_>,
    id: &str,
    of: &str,
) -> Result<(Vec<ActionRule>, Vec<OrderTable>), ProfileError> {
    let error = |message: String| Err(fields.error(table.place("of"), message));
    if table.get("rules").is_some() {
        return error("a profile has `rules` of its own, or those `of` another".to_owned());
    }
    let Some(text) = builtin::text(of) else {
        let near = did_you_mean(of, builtin_profiles().iter().map(|(known, _)| *known));
        return error(format!("no profile `{of}` ships{near}"));
    };
    if builtin::text(id).is_none() {
        return error(format!(
            "only a profile that ships names the actions of another: copy `actions` and `order` from \
             `strongroom venue show {of} --toml`"
        ));
    }
    let root = document::read(text)?;
    let Item::Table(entries) = &root.item else { return error(format!("`{of}` is no table")) };
    let other = super::whole(text, root.at, entries)?;
    let actions = other.table("actions", "`actions`", TABLE_KEYS)?;
    if let Some(further) = actions.text("of")? {
        return error(format!("`{of}` has the actions of `{further}`: name that one"));
    }
    let orders_of = if fields.get("order").is_some() { fields } else { &other };
    Ok((rules(&actions)?, orders(orders_of)?))
}

fn rules(table: &Fields<'_, '_>) -> Result<Vec<ActionRule>, ProfileError> {
    let mut rules: Vec<ActionRule> = Vec::new();
    for node in list(table, "rules")? {
        let mut rule = rule(&entry(table, node, "a rule", RULE_KEYS)?)?;
        let before = rules.iter().filter(|other| other.action == rule.action).count();
        rule.id = format!("{}-{}", rule.action, before.saturating_add(1));
        rules.push(rule);
    }
    Ok(rules)
}

fn orders(fields: &Fields<'_, '_>) -> Result<Vec<OrderTable>, ProfileError> {
    list(fields, "order")?.iter().map(|node| order(&entry(fields, node, "an order", ORDER_KEYS)?)).collect()
}

fn set<'p>(
    fields: &Fields<'_, '_>,
    at: usize,
    paths: impl Iterator<Item = &'p str>,
    others: impl Iterator<Item = &'p str>,
) -> Result<Paths, ProfileError> {
    let message = "these paths are too large together: their table is limited to 1 MiB, and those that are \
                   spelled out to a `$` are not in it";
    Paths::compile(paths, others).ok_or_else(|| fields.error(at, message))
}

fn list<'d, 't>(fields: &Fields<'d, 't>, key: &str) -> Result<&'d [Node<'t>], ProfileError> {
    match fields.get(key) {
        None => Ok(&[]),
        Some(Node { item: Item::List(nodes), .. }) if nodes.len() <= MAX_ENTRIES => Ok(nodes),
        Some(node) => {
            Err(fields.error(node.at, format!("`{key}` must be a list of at most {MAX_ENTRIES} tables")))
        }
    }
}

fn entry<'d, 't>(
    fields: &Fields<'d, 't>,
    node: &'d Node<'t>,
    what: &'static str,
    known: &[&str],
) -> Result<Fields<'d, 't>, ProfileError> {
    match &node.item {
        Item::Table(entries) => Fields::of(fields.text, node.at, what, entries, known),
        _ => Err(fields.error(node.at, format!("{what} is a table"))),
    }
}

/// The pattern at `path`, which must compile by itself: what closes a group that it did not open is none.
fn path<'d>(fields: &Fields<'d, '_>) -> Result<&'d str, ProfileError> {
    let text = fields.required_text("path")?;
    check_pattern(text).map_err(|message| fields.error(fields.place("path"), message))?;
    Ok(text)
}

fn rule(fields: &Fields<'_, '_>) -> Result<ActionRule, ProfileError> {
    let action = fields.choice("action", ACTIONS)?;
    let action = action.ok_or_else(|| fields.error(fields.at, "a rule needs the key `action`"))?;
    let methods = match fields.texts("method")? {
        None => None,
        Some(names) => Some(methods(fields, "method", &names)?),
    };
    let needs: Option<Vec<String>> =
        fields.texts("needs")?.map(|names| names.into_iter().map(str::to_owned).collect());
    if needs.iter().flatten().any(String::is_empty) {
        return Err(fields.error(fields.place_in("needs", ""), "a parameter has a name"));
    }
    let path = path(fields)?.to_owned();
    let when = conditions(fields, "when")?;
    Ok(ActionRule { id: String::new(), action, methods, path, needs, when, binds: Binds::NONE })
}

/// What is bound whatever signing rule a request with one of `methods` gets.
fn binds(methods: Option<&[Method]>, base: &Rule, cases: &[(When, Rule)]) -> Binds {
    let mut all = Binds::ALL;
    for (_, method) in Method::ALL.iter().filter(|(_, m)| methods.is_none_or(|methods| methods.contains(m))) {
        let may = |when: &When| when.methods.as_ref().is_none_or(|methods| methods.contains(method));
        let mut left = true;
        for (when, rule) in cases.iter().filter(|(when, _)| may(when)) {
            // What is not signed binds nothing, and there is no signature to take elsewhere either.
            if left && !matches!(rule.sign, Sign::Absent) {
                all = all.and(signed_as_bound(rule));
            }
            left &= !when.is_method_only();
        }
        if left {
            all = all.and(signed_as_bound(base));
        }
    }
    all
}

fn order(fields: &Fields<'_, '_>) -> Result<OrderTable, ProfileError> {
    let path = path(fields)?;
    Ok(OrderTable {
        path: path.to_owned(),
        when: conditions(fields, "when")?,
        symbol: places(fields, "symbol")?,
        numbered: fields.flag("numbered")?.unwrap_or(false),
        side: places(fields, "side")?,
        buy: word(fields, "buy")?,
        sell: word(fields, "sell")?,
        kind: places(fields, "type")?,
        quantity: places(fields, "quantity")?,
        quote_quantity: places(fields, "quote_quantity")?,
        price: places(fields, "price")?,
        stop: places(fields, "stop")?,
        signed: fields.flag("signed")?.unwrap_or(false),
        in_quote: conditions(fields, "in_quote")?,
        contracts: conditions(fields, "contracts")?,
        unread: places(fields, "unread")?,
        batch: batch(fields)?,
    })
}

/// The words for one side; the key itself if the profile says nothing.
fn word(fields: &Fields<'_, '_>, key: &str) -> Result<Words, ProfileError> {
    words(fields, fields.place(key), fields.text(key)?.unwrap_or(key))
}

fn words(fields: &Fields<'_, '_>, at: usize, text: &str) -> Result<Words, ProfileError> {
    Words::compile(text).map_err(|message| fields.error(at, message))
}

fn places(fields: &Fields<'_, '_>, key: &str) -> Result<Vec<Field>, ProfileError> {
    let texts = fields.texts(key)?.unwrap_or_default();
    texts.into_iter().map(|text| place(fields, fields.place_in(key, text), text)).collect()
}

/// `name`, `name.member`, `name.*.member`, `name.*` or `/4`.
fn place(fields: &Fields<'_, '_>, at: usize, text: &str) -> Result<Field, ProfileError> {
    if let Some(digits) = text.strip_prefix('/') {
        let segment = digits.parse().ok().filter(|segment| (1..=16).contains(segment));
        return segment.map(Field::Segment).ok_or_else(|| {
            fields.error(at, format!("`{text}` is no segment of a path: `/1` is the first, up to `/16`"))
        });
    }
    let mut parts = text.split('.');
    let name = parts.next().unwrap_or_default().to_owned();
    let mut steps: Vec<Step> =
        parts.map(|part| if part == "*" { Step::Only } else { Step::Member(part.to_owned()) }).collect();
    if let Some(last) = steps.last_mut()
        && *last == Step::Only
    {
        *last = Step::OnlyName;
    }
    if name.is_empty() || name == "*" || steps.contains(&Step::Member(String::new())) {
        let message = format!("`{text}` is no place: a name, and after a point the name of a member or `*`");
        return Err(fields.error(at, message));
    }
    Ok(Field::Param { name, steps })
}

/// A list of tables: name of a parameter, and the pattern of its value, or nothing if it is absent.
fn conditions(fields: &Fields<'_, '_>, key: &str) -> Result<Vec<Condition>, ProfileError> {
    let condition = |node: &Node<'_>| match &node.item {
        Item::Table(entries) => entries.iter().map(|entry| test(fields, entry)).collect(),
        _ => Err(fields.error(node.at, format!("`{key}` is a list of tables"))),
    };
    list(fields, key)?.iter().map(condition).collect()
}

fn test(fields: &Fields<'_, '_>, entry: &Entry<'_>) -> Result<(Field, Option<Words>), ProfileError> {
    let field = place(fields, entry.at, &entry.name)?;
    match &entry.value.item {
        Item::Text(text) if text.is_empty() => Ok((field, None)),
        Item::Text(text) => Ok((field, Some(words(fields, entry.value.at, text)?))),
        _ => Err(fields.error(entry.value.at, "a condition is the pattern of a value, as text")),
    }
}

fn batch(fields: &Fields<'_, '_>) -> Result<Option<Batch>, ProfileError> {
    let operation = match fields.text("operation")? {
        None => None,
        Some(text) => Some(place(fields, fields.place("operation"), text)?),
    };
    let mut operations = Vec::new();
    for entry in fields.entries("operations")? {
        let action = match &entry.value.item {
            Item::Text(name) => ACTIONS.iter().find(|(known, _)| known == name),
            _ => None,
        };
        let Some((_, action)) = action else {
            return Err(fields.error(entry.value.at, "an operation is one of the actions, as text"));
        };
        operations.push((entry.name.to_string(), *action));
    }
    let Some(text) = fields.text("batch")? else {
        if operation.is_some() || !operations.is_empty() {
            return Err(fields.error(fields.at, "operations are those of a `batch`, which is missing"));
        }
        return Ok(None);
    };
    let list = if text == "*" { Vec::new() } else { text.split('.').map(str::to_owned).collect() };
    if list.iter().any(String::is_empty) {
        return Err(fields.error(fields.place("batch"), "`batch` is `*` for the body, or names with points"));
    }
    if operation.is_some() && operations.is_empty() {
        return Err(fields.error(fields.place("operation"), "`operation` needs `operations`"));
    }
    Ok(Some(Batch { list, operation, operations }))
}
