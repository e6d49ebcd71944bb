//! From a canonical request and its signature to the request that can be sent.

use crate::canonical::CanonicalRequest;
use crate::codec;
use crate::error::RequestError;
use crate::json;
use crate::login::LoginFacts;
use crate::rule::{Attach, BodyJson, JsonTemplate, Output, Rule, Sign};
use crate::template::{Template, Values, Var};

/// A request that is ready to be sent, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers that the venue wants to see, in the profile's order.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none. Of a login, the frame.
    pub body: Vec<u8>,
    /// What else there is to say of a login.
    pub login: Option<LoginFacts>,
}

impl CanonicalRequest {
    /// Puts the raw `signature` where the venue expects it. `passphrase` is what the keeper released:
    /// the passphrase itself, or its raw MAC where the profile's key spec says so.
    ///
    /// # Errors
    /// Where a header or the URL would hold what it cannot: a passphrase with control characters, or
    /// a value that the profile does not escape.
    pub fn finish(mut self, signature: &[u8], passphrase: &[u8]) -> Result<SignedRequest, RequestError> {
        let compiled = std::sync::Arc::clone(&self.compiled);
        let rule = compiled.rule(self.at);
        if rule.used.contains(Var::Passphrase) {
            self.values.put_var(Var::Passphrase, passphrase);
        }
        self.put_signature(rule, signature);
        for (slot, template) in &rule.attach.late {
            self.values.put_template(*slot, template)?;
        }
        let body = self.body(rule)?;
        let headers = if body.is_empty() { &rule.attach.headers } else { &rule.attach.headers_with_body };
        let mut written = Vec::with_capacity(headers.len());
        for (name, template) in headers {
            written.push((name.clone(), self.header(name, template)?));
        }
        let method = text(self.values.var(Var::Method))?.to_owned();
        let url = match &self.login {
            None => self.url(rule)?,
            Some(login) => login.url.clone().unwrap_or_default(),
        };
        let mut login = self.login.take();
        if let Some(login) = &mut login {
            login.signature = text(self.values.var(Var::Sig))?.to_owned();
        }
        Ok(SignedRequest { method, url, headers: written, body, login })
    }

    fn header(&self, name: &str, template: &Template) -> Result<String, RequestError> {
        let refuse = |fact| RequestError::Header { name: name.to_owned(), fact };
        let mut value = Vec::with_capacity(96);
        template.render(&self.values, &mut value)?;
        if !value.iter().all(is_header_byte) {
            return Err(refuse("a control character"));
        }
        // A passphrase is bytes to the keeper.
        String::from_utf8(value).map_err(|_| refuse("bytes that are not text"))
    }

    fn put_signature(&mut self, rule: &Rule, signature: &[u8]) {
        match &rule.sign {
            Sign::Absent => {}
            Sign::Jwt { .. } => {
                let message = std::mem::take(&mut self.message);
                self.values.put_with(Var::Sig, |out| {
                    out.extend_from_slice(&message);
                    out.push(b'.');
                    codec::base64url(signature, out);
                });
            }
            Sign::Text { out: form, .. } => {
                self.values.put_with(Var::Sig, |out| written(signature, *form, out))
            }
            Sign::Eip712 { out: form, .. } => {
                self.values.put_with(Var::Sig, |out| written(signature, *form, out));
                // 65 bytes: r, s and the recovery number.
                let (r, rest) = signature.split_at_checked(32).unwrap_or_default();
                let (s, v) = rest.split_at_checked(32).unwrap_or_default();
                self.values.put_with(Var::SigR, |out| codec::hex(r, out));
                self.values.put_with(Var::SigS, |out| codec::hex(s, out));
                let v = v.first().copied().unwrap_or_default();
                self.values.put_with(Var::SigV, |out| crate::clock::number(v.into(), out));
            }
        }
    }

    fn url(&self, rule: &Rule) -> Result<String, RequestError> {
        let values = &self.values;
        let mut url = Vec::with_capacity(256);
        url.extend_from_slice(values.var(Var::Base));
        url.extend_from_slice(values.var(Var::Path));
        if let Some(template) = &rule.attach.query_replace {
            let mut query = Vec::new();
            template.render(values, &mut query)?;
            if !query.is_empty() && !query.starts_with(b"?") {
                url.push(b'?');
            }
            url.append(&mut query);
        } else {
            let sent = values.get(self.sent_query());
            let mut separator: &[u8] = b"?";
            if !sent.is_empty() {
                url.push(b'?');
                url.extend_from_slice(sent);
                separator = b"&";
            }
            if let Some(template) = self.added_to_query(&rule.attach) {
                append(template, values, separator, &mut url)?;
            }
        }
        // The escapes and the check of raw values see to this; a template of the profile might not.
        if !url.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
            return Err(RequestError::Url);
        }
        String::from_utf8(url).map_err(|_| RequestError::Url)
    }

    fn added_to_query<'r>(&self, attach: &'r Attach) -> Option<&'r Template> {
        match (&attach.query, &attach.query_if_no_body) {
            (Some(template), _) => Some(template),
            (None, Some(template)) if self.values.var(Var::Body).is_empty() => Some(template),
            _ => None,
        }
    }

    fn body(&self, rule: &Rule) -> Result<Vec<u8>, RequestError> {
        let (attach, values) = (&rule.attach, &self.values);
        let mut body = Vec::with_capacity(values.var(Var::Body).len().saturating_add(128));
        if let Some(template) = &attach.body {
            template.render(values, &mut body)?;
        } else if let Some(json) = attach.body_json.as_ref().filter(|_| !attach.body_json_after.is_empty()) {
            let (front, rest) = values.var(Var::Body).split_at_checked(self.insert_at).unwrap_or_default();
            body.extend_from_slice(front);
            let behind = front.len() > 1;
            let some = self.members(rule, json, behind, &mut body)?;
            if some && !behind && rest.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(rest);
        } else if let Some(json) = &attach.body_json {
            body.push(b'{');
            let some = self.members(rule, json, false, &mut body)?;
            if some && !self.members_json.is_empty() {
                body.push(b',');
            }
            body.extend_from_slice(&self.members_json);
            body.push(b'}');
        } else if let Some(pairs) = &attach.body_form_sorted {
            self.sorted_form(rule, pairs, &mut body)?;
        } else {
            body.extend_from_slice(values.var(Var::Body));
        }
        if let Some(template) = attach.body_append.as_ref().filter(|_| !body.is_empty()) {
            append(template, values, b"&", &mut body)?;
        }
        Ok(body)
    }

    /// The members of `attach.body_json`, with neither brace; says whether there are some. `behind` says that
    /// another is in front of them.
    fn members(
        &self,
        rule: &Rule,
        json: &BodyJson,
        behind: bool,
        body: &mut Vec<u8>,
    ) -> Result<bool, RequestError> {
        let mut some = false;
        for (name, value) in &json.members {
            if is_left_out(value, &self.values)? {
                continue;
            }
            if std::mem::replace(&mut some, true) || behind {
                body.push(b',');
            }
            json::write_string(name, rule.encode.json_ascii, body);
            body.push(b':');
            render_json(value, &self.values, body)?;
        }
        Ok(some)
    }

    /// The caller's pairs and the profile's, sorted by name.
    fn sorted_form(
        &self,
        rule: &Rule,
        pairs: &[(String, Template)],
        body: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        let mut form = self.form.clone();
        for (name, template) in pairs {
            let mut text = Vec::new();
            codec::escape(rule.encode.body_escape, "", name.as_bytes(), &mut text);
            text.push(b'=');
            codec::escape(rule.encode.body_escape, "", template.text(&self.values)?.as_bytes(), &mut text);
            form.push((name.clone(), text));
        }
        form.sort_by(|a, b| a.0.cmp(&b.0));
        let texts: Vec<Vec<u8>> =
            form.into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect();
        body.extend_from_slice(&texts.join(&b'&'));
        Ok(())
    }
}

fn written(signature: &[u8], form: Output, out: &mut Vec<u8>) {
    match form {
        Output::Base64 => codec::base64(signature, out),
        Output::Base64Url => codec::base64url(signature, out),
        Output::Hex => codec::hex(signature, out),
        Output::HexUpper => codec::hex_upper(signature, out),
        Output::HexBase64 => {
            let mut hex = Vec::new();
            codec::hex(signature, &mut hex);
            codec::base64(&hex, out);
        }
    }
}

/// Appends what `template` yields behind `separator`, or nothing at all.
fn append(
    template: &Template,
    values: &Values,
    separator: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let start = out.len();
    out.extend_from_slice(separator);
    let filled = out.len();
    template.render(values, out)?;
    if out.len() == filled {
        out.truncate(start);
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, RequestError> {
    std::str::from_utf8(bytes).map_err(|_| RequestError::Bug("a value that is not UTF-8"))
}

/// `field-content` of RFC 9110: a header never carries a line break.
const fn is_header_byte(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}

/// Refuses what cannot stand in JSON without quotes.
pub(crate) fn check_whole_number(text: &[u8]) -> Result<(), RequestError> {
    let whole = std::str::from_utf8(text).ok().and_then(crate::clock::read_number);
    match whole {
        Some(_) => Ok(()),
        None => Err(RequestError::Account { field: "uid", fact: "must be a whole number for this venue" }),
    }
}

/// Whether this member is not there, because it is optional and has no value.
fn is_left_out(value: &JsonTemplate, values: &Values) -> Result<bool, RequestError> {
    match value {
        JsonTemplate::Optional(inner) => match &**inner {
            JsonTemplate::Raw(template) | JsonTemplate::Text(template) => {
                Ok(template.text(values)?.is_empty())
            }
            _ => Ok(false),
        },
        _ => Ok(false),
    }
}

/// Appends the JSON that `template` describes.
pub(crate) fn render_json(
    template: &JsonTemplate,
    values: &Values,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    match template {
        JsonTemplate::Literal(text) => out.extend_from_slice(text.as_bytes()),
        JsonTemplate::Raw(template) => {
            template.render(values, out)?;
        }
        JsonTemplate::Text(template) => json::write_string(&template.text(values)?, false, out),
        JsonTemplate::Int { template, plus } => {
            let text = template.text(values)?;
            let sum = text.parse::<i64>().ok().and_then(|number| number.checked_add(*plus));
            let Some(sum) = sum else {
                return Err(RequestError::Account {
                    field: "uid",
                    fact: "must be a whole number for this venue",
                });
            };
            out.extend_from_slice(sum.to_string().as_bytes());
        }
        JsonTemplate::Array(list) => {
            out.push(b'[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                render_json(value, values, out)?;
            }
            out.push(b']');
        }
        JsonTemplate::Object(members) => {
            out.push(b'{');
            let mut first = true;
            for (name, value) in members {
                if is_left_out(value, values)? {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                json::write_string(name, false, out);
                out.push(b':');
                render_json(value, values, out)?;
            }
            out.push(b'}');
        }
        JsonTemplate::Optional(value) => render_json(value, values, out)?,
    }
    Ok(())
}
