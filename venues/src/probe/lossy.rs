//! Filters that leave something of a request out of the signed text. Changing requests finds them only where a made-up
//! request happens to hold what they take, so they are looked for in the templates.

use super::Part;
use crate::profile::{Profile, RuleAt};
use crate::rule::Rule;
use crate::template::{Filter, Slot, Template, Var};

/// A part of a request that is in the signed text, but not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) part: Part,
    /// Which filter takes what.
    pub(super) why: String,
}

/// What the signed text of a rule leaves out. A method is not looked at: there are few, and each is tried.
pub(super) fn losses(profile: &Profile, at: RuleAt) -> Vec<Loss> {
    let rule = profile.compiled.rule(at);
    let mut found = Found { rule, front_unsigned: profile.compiled.front_unsigned, reads: Vec::new() };
    for template in rule.sign.templates() {
        found.template(template, None);
    }
    let whole: Vec<Slot> =
        found.reads.iter().filter(|(_, loss)| loss.is_none()).map(|(slot, _)| *slot).collect();
    // What is signed whole as well is bound, whatever else is made of it.
    let lost = found.reads.into_iter().filter(|(slot, _)| !whole.contains(slot));
    lost.filter_map(|(_, loss)| loss).collect()
}

struct Found<'r> {
    rule: &'r Rule,
    front_unsigned: bool,
    /// The values that are read, and what is lost of each.
    reads: Vec<(Slot, Option<Loss>)>,
}

impl Found<'_> {
    /// Follows a template into the templates that it reads; `lossy` is the filter behind it that takes something.
    fn template(&mut self, template: &Template, lossy: Option<&Filter>) {
        for (slot, filters) in template.values() {
            let own = self.rule.lets.iter().find(|(known, _)| *known == slot).map(|(_, template)| template);
            let digits = own.is_some_and(|template| {
                let mut values = template.values();
                values.next().is_some_and(|(_, filters)| ends_in_digits(filters)) && values.next().is_none()
            });
            let here = first_lossy(filters, digits);
            if let Some(own) = own {
                self.template(own, here.or(lossy));
                continue;
            }
            let Some((part, name)) = self.part(slot) else { continue };
            let fronted = part == Part::Path && self.front_unsigned;
            let here = here.filter(|_| !(fronted && takes_front(filters)));
            let loss = here.or(lossy).map(|filter| Loss { part, why: why(part, name, filter) });
            self.reads.push((slot, loss));
        }
    }

    fn part(&self, slot: Slot) -> Option<(Part, &'static str)> {
        let of = |var: Var| (Part::Params, var.name());
        if slot == Var::Path.slot() {
            return Some((Part::Path, Var::Path.name()));
        }
        if let Some(form) = self.rule.kv.iter().find(|form| form.slot == slot) {
            return Some(of(if form.escaped { Var::KvQuery } else { Var::Kv }));
        }
        if let Some(view) = self.rule.views.iter().find(|view| view.slot == slot) {
            return Some(of(if view.packed { Var::Msgpack } else { Var::Param }));
        }
        let vars = [Var::Body, Var::Each, Var::Item, Var::KvConcat, Var::ParamsJson, Var::Query];
        vars.into_iter().find(|var| var.slot() == slot).map(of)
    }
}

/// The first filter that makes one value of two.
fn first_lossy(filters: &[Filter], mut digits: bool) -> Option<&Filter> {
    for filter in filters {
        match filter {
            Filter::Cut(_) => return Some(filter),
            Filter::Lower | Filter::Upper if !digits => return Some(filter),
            Filter::Hex | Filter::HexUpper => digits = true,
            Filter::Lower | Filter::Upper => {}
            _ => digits = false,
        }
    }
    None
}

/// Whether it yields hexadecimal digits, which mean the same in either case.
fn ends_in_digits(filters: &[Filter]) -> bool {
    let mut behind =
        filters.iter().rev().skip_while(|filter| matches!(filter, Filter::Lower | Filter::Upper));
    matches!(behind.next(), Some(Filter::Hex | Filter::HexUpper))
}

/// Whether nothing is taken but what stands at the front.
fn takes_front(filters: &[Filter]) -> bool {
    match filters.split_first() {
        Some((Filter::Cut(cut), rest)) => cut.is_at_front() && first_lossy(rest, false).is_none(),
        _ => false,
    }
}

fn why(part: Part, name: &str, filter: &Filter) -> String {
    match filter {
        Filter::Cut(cut) if part == Part::Path && cut.is_at_front() => format!(
            "`cut:{}` takes the front off `{{{name}}}`: with it and without it a path is signed alike; if each call of \
             the venue has one front alone, say `front_unsigned = true`",
            cut.as_str()
        ),
        Filter::Cut(cut) => format!("what `cut:{}` takes out of `{{{name}}}` is not signed", cut.as_str()),
        Filter::Lower => format!("`lower` signs capitals in `{{{name}}}` like small letters"),
        _ => format!("`upper` signs small letters in `{{{name}}}` like capitals"),
    }
}
