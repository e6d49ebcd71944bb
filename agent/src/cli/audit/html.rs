//! The report as one page: no script, nothing loaded, every text escaped.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::report::{Report, Tally, Timeline, time};
use crate::audit::line::Verdict;

/// Columns of a timeline.
const COLUMNS: i64 = 120;
/// Height and width of a timeline in its own units.
const HEIGHT: u64 = 60;
const COLUMN: i64 = 6;

/// Nothing may be loaded or run, whatever stands in the log.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Strongroom: who has used which key</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2430; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dde3ea; vertical-align: top }
th { font-weight: 600 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
td, li { overflow-wrap: anywhere }
ul { list-style: none; padding: 0; font: 13px/1.5 ui-monospace, monospace }
svg { width: 100%; height: 60px; background: #f4f6f9; display: block }
.allowed { fill: #2f855a; color: #22683f } .denied { fill: #c53030; color: #b02121; font-weight: 600 }
.honey { fill: #6b21a8; color: #6b21a8; font-weight: 600 }
.changed { border: 3px solid #b02121; background: #fdecec; padding: .6rem 1rem; font-weight: 600 }
.axis { display: flex; justify-content: space-between; margin: .1rem 0 0; font-size: 12px }
.refused { fill: #d69e2e; color: #8a5a00 } .muted { color: #5b6675 }
.key span { margin-right: 1.2rem }
</style>
</head>
<body>
"#;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut out = HEAD.to_owned();
    let (from, to) = (report.all.first, report.all.last);
    out.push_str("<h1>Who has used which key</h1>\n");
    out.push_str(&banner(&report.findings));
    out.push_str(&format!(
        "<p class=\"muted\">{} to {} (UTC)</p>\n<p class=\"key\"><span class=\"allowed\">&#9632; signed</span>\
         <span class=\"denied\">&#9632; denied</span><span class=\"honey\">&#9632; honey: somebody has used a trap</span>\
         <span class=\"refused\">&#9632; refused (not signed: locked, not a request that can be signed, or something failed)</span></p>\n",
        time(from),
        time(to)
    ));
    if report.ways.is_empty() {
        out.push_str("<p>Nothing was signed, denied or refused in this time.</p>\n");
    }
    let begin = from.map_or(0, |time| time.as_second());
    let end = to.map_or(0, |time| time.as_second());
    for (way, (tally, timeline)) in &report.ways {
        let venue = if way.venue.is_empty() { String::new() } else { format!(" at {}", escape(&way.venue)) };
        out.push_str(&format!("<h2>{}: {}{venue}</h2>\n", escape(&way.client), escape(&way.credential)));
        out.push_str(&format!("<p>{}</p>\n", counts(tally)));
        out.push_str(&chart(timeline, begin, end));
    }
    out.push_str("<h2>What was asked for</h2>\n<table><tr><th>credential</th><th>endpoint</th><th class=\"n\">signed</th><th class=\"n\">denied</th><th class=\"n\">honey</th><th class=\"n\">refused</th><th>last</th></tr>\n");
    for (endpoint, tally) in &report.endpoints {
        let [allowed, denied, honey, refused] = tally.counts;
        out.push_str(&format!(
            "<tr><td>{}</td><td>{} {}</td><td class=\"n\">{allowed}</td>{}{}{}<td>{}</td></tr>\n",
            escape(&endpoint.credential),
            escape(&endpoint.method),
            escape(&endpoint.path),
            cell("denied", denied),
            cell("honey", honey),
            cell("refused", refused),
            time(tally.last)
        ));
    }
    out.push_str("</table>\n");
    list(&mut out, "Not signed", report.stopped.iter().map(|(verdict, line)| (Some(*verdict), line)));
    list(&mut out, "Events", report.events.iter().map(|(verdict, line)| (*verdict, line)));
    out.push_str("</body>\n</html>\n");
    out
}

fn cell(class: &str, count: u64) -> String {
    let class = if count > 0 { format!("n {class}") } else { "n".to_owned() };
    format!("<td class=\"{class}\">{count}</td>")
}

fn counts(tally: &Tally) -> String {
    let [allowed, denied, honey, refused] = tally.counts;
    let honey = if honey == 0 {
        String::new()
    } else {
        format!("<span class=\"honey\">{honey} on a trap (honey)</span>, ")
    };
    format!(
        "<span class=\"allowed\">{allowed} signed</span>, <span class=\"denied\">{denied} denied</span>, {honey}\
         <span class=\"refused\">{refused} refused</span>; first {}, last {}",
        time(tally.first),
        time(tally.last)
    )
}

/// Bars of what was signed and what was not, over the whole time of the report, which stands below.
fn chart(timeline: &Timeline, begin: i64, end: i64) -> String {
    let seconds = end.saturating_sub(begin).saturating_add(1).max(1);
    let mut columns: BTreeMap<i64, [u64; 4]> = BTreeMap::new();
    for (step, counts) in &timeline.steps {
        let at =
            step.saturating_mul(timeline.width).saturating_sub(begin).clamp(0, seconds.saturating_sub(1));
        let column = at.saturating_mul(COLUMNS).checked_div(seconds).unwrap_or_default();
        for (into, count) in columns.entry(column).or_default().iter_mut().zip(counts) {
            *into = into.saturating_add(*count);
        }
    }
    let highest = columns.values().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or_default().max(1);
    let mut out = format!(
        "<svg viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"requests over time\">\n",
        COLUMNS.saturating_mul(COLUMN)
    );
    for (column, counts) in columns {
        let mut floor = HEIGHT;
        for (class, count) in ["allowed", "denied", "honey", "refused"].into_iter().zip(counts) {
            if count == 0 {
                continue;
            }
            // What was denied once among thousands is still seen.
            let scaled = count.saturating_mul(HEIGHT).checked_div(highest).unwrap_or_default();
            let height = scaled.max(3).min(floor);
            floor = floor.saturating_sub(height);
            out.push_str(&format!(
                "<rect class=\"{class}\" x=\"{}\" y=\"{floor}\" width=\"5\" height=\"{height}\"><title>{count} {class}</title></rect>\n",
                column.saturating_mul(COLUMN)
            ));
        }
    }
    out.push_str("</svg>\n");
    let at = |second| time(Timestamp::from_second(second).ok());
    out.push_str(&format!(
        "<p class=\"axis muted\"><span>{}</span><span>{}</span></p>\n",
        at(begin),
        at(end)
    ));
    out
}

/// Nobody may take a report of a changed log for one of what has happened.
fn banner(findings: &[String]) -> String {
    let Some(first) = findings.first() else { return String::new() };
    let more = match findings.len() {
        1 => "1 finding".to_owned(),
        many => format!("{many} findings, the first"),
    };
    format!(
        "<p class=\"changed\">The audit log is not as it was written, so this report may be wrong. {more}: {}. \
         `strongroom audit verify` has all.</p>\n",
        escape(first)
    )
}

fn list<'l>(out: &mut String, heading: &str, lines: impl Iterator<Item = (Option<Verdict>, &'l String)>) {
    let items: Vec<String> = lines
        .map(|(verdict, line)| {
            let class = verdict.map_or("muted", |verdict| verdict.name());
            format!("<li class=\"{class}\">{}</li>", escape(line))
        })
        .collect();
    if !items.is_empty() {
        out.push_str(&format!("<h2>{heading}</h2>\n<ul>\n{}\n</ul>\n", items.join("\n")));
    }
}

/// Text in the place of text, and between double quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
