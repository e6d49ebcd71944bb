//! What a compiled profile says: one [`Rule`] for the base, and one for each case.

use std::collections::HashMap;

use strongroom_link::key::Separator;

use crate::body_path::BodyPath;
use crate::by_host::HostWords;
use crate::codec::Escape;
use crate::eip712::TypedData;
use crate::error::Position;
use crate::request::Method;
use crate::template::{Beside, KvForm, Pattern, Slot, Template, VarSet, View};

/// How requests of one kind are signed: the base of a profile, or the base with a case laid over it.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) clock: Clock,
    pub(crate) encode: Encode,
    pub(crate) body_methods: Vec<Method>,
    /// The venue takes signatures at one endpoint, and nothing else is signed: none holds elsewhere.
    pub(crate) one_endpoint: bool,
    pub(crate) inject: Vec<Inject>,
    pub(crate) map: Option<HashMap<String, String>>,
    pub(crate) lets: Vec<(Slot, Template)>,
    pub(crate) sign: Sign,
    pub(crate) attach: Attach,
    pub(crate) covers: Covers,
    /// Where the profile says so.
    pub(crate) covers_at: Position,
    /// Whether the signed text reads the method, the query, and the body.
    pub(crate) signs_method: bool,
    pub(crate) signs_query: bool,
    pub(crate) signs_body: bool,
    /// Every variable that some template reads.
    pub(crate) used: VarSet,
    /// The forms of all parameters that templates use.
    pub(crate) kv: Vec<KvForm>,
    /// Where the signed text has a number beside what the caller says.
    pub(crate) beside: Beside,
    /// The parameters of the body that templates use.
    pub(crate) views: Vec<View>,
    /// Where only some members of the body are signed: those that are, besides the fields of typed data. Nothing
    /// else may be in a body then.
    pub(crate) members: Option<Vec<BodyPath>>,
    /// The words of the host that templates use, and where they go.
    pub(crate) host_words: Vec<(Box<str>, Slot)>,
    pub(crate) by_host: HostWords,
    /// The first slot that is not in use.
    pub(crate) slots: Slot,
}

/// What of a request a venue's signature binds, and so what a policy can enforce by signing alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covers {
    /// Method, path and all parameters.
    Full,
    /// Neither method, path nor parameters.
    Nothing,
    /// The parameters, but neither path nor method: the signature holds for other endpoints too.
    Params,
    /// The path (perhaps with the method), but not the parameters.
    Path,
    /// Path and parameters, but not the method.
    PathAndParams,
}

impl Covers {
    /// Every value with its name in profiles, from much to little.
    pub const ALL: &[(&'static str, Self)] = &[
        ("full", Self::Full),
        ("path+params", Self::PathAndParams),
        ("params", Self::Params),
        ("path", Self::Path),
        ("none", Self::Nothing),
    ];

    /// The name in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, covers)| *covers == self).map_or("none", |(name, _)| name)
    }

    /// Whether the parameters are bound.
    #[must_use]
    pub const fn params(self) -> bool {
        matches!(self, Self::Full | Self::Params | Self::PathAndParams)
    }
}

/// The unit in which time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// `2025-07-31T22:15:23.456Z`
    IsoMs,
    /// `2025-07-31T22:15:23`
    IsoS,
    Ms,
    Ns,
    S,
    Us,
}

/// What a plan needs as its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NonceKind {
    /// No nonce.
    Absent,
    /// 16 random bytes, written in hexadecimal.
    Hex16,
    /// A strictly rising number near the clock's milliseconds.
    Ms,
    /// A strictly rising number near the clock's nanoseconds.
    Ns,
    /// A strictly rising number near the clock's seconds.
    S,
    /// A strictly rising number near the clock's microseconds.
    Us,
    /// A random UUID.
    Uuid,
    /// 16 hexadecimal digits from the middle of a random UUID.
    Uuid16,
    /// The first 22 hexadecimal digits of a random UUID.
    Uuid22,
}

impl NonceKind {
    /// Whether the nonce is a number that must rise from request to request.
    #[must_use]
    pub const fn rises(self) -> bool {
        matches!(self, Self::Ms | Self::Ns | Self::S | Self::Us)
    }
}

/// `[clock]`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) ts: TimeFormat,
    pub(crate) plus_s: u64,
    pub(crate) nonce: NonceKind,
    pub(crate) skew_ms: u32,
}

/// `[encode]`
#[derive(Debug)]
pub(crate) struct Encode {
    pub(crate) query: Escape,
    pub(crate) signed_query: Escape,
    pub(crate) body: BodyForm,
    pub(crate) body_escape: Escape,
    pub(crate) arrays: Arrays,
    pub(crate) sort_query: bool,
    pub(crate) sort_body: bool,
    pub(crate) empty_body: String,
    /// Characters that stay unescaped in a query.
    pub(crate) query_keep: String,
    /// The query is sent as the caller gave it.
    pub(crate) query_as_given: bool,
    pub(crate) json_ascii: bool,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyForm {
    Form,
    Json,
}

/// How a list or an object is written in a query or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrays {
    /// `a[]=1&a[]=2`
    Bracket,
    /// `a[0]=1&a[1]=2`, `a[b]=c`
    Index,
    /// `a=["x","y"]`
    Json,
    /// `a=1&a=2`
    Repeat,
    /// `a=[x,y]`
    Tight,
}

/// One entry of `inject`.
#[derive(Debug)]
pub(crate) struct Inject {
    pub(crate) to: Target,
    pub(crate) at: At,
    pub(crate) name: String,
    /// The way to it, where it goes into an object of the body.
    pub(crate) inside: Option<BodyPath>,
    pub(crate) value: Template,
    /// Written without quotes in JSON.
    pub(crate) bare: bool,
    pub(crate) given: IfGiven,
}

/// Where among the caller's parameters an injected one goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// Behind the one of this name; behind all, if there is none.
    After(String),
    Back,
    Front,
}

/// What happens where the caller has set an injected parameter itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfGiven {
    /// The caller's stays.
    Keep,
    /// The request is refused, unless it is a time or a nonce.
    Refuse,
    /// The caller's stays if it is what the agent would set.
    Same,
}

/// Where an injected parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Body,
    /// Where this request has its parameters.
    Params,
    Query,
}

/// `[sign]`
#[derive(Debug)]
pub(crate) enum Sign {
    /// Nothing is signed: the request only carries the key id, or nothing at all.
    Absent,
    /// ECDSA over the curve of Ethereum's wallets.
    Eip712 {
        data: TypedData,
        out: Output,
    },
    Jwt {
        header: JsonTemplate,
        claims: JsonTemplate,
    },
    Text {
        /// What `{each}` is made of, once for each element of a body that is a list.
        each: Option<Template>,
        message: Template,
        out: Output,
        /// The secret is part of the text that is hashed.
        hash: bool,
    },
}

impl Sign {
    /// Where the values are that the signed text reads.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.templates().into_iter().flat_map(Template::slots).collect()
    }

    /// The domains of typed data, where such is signed.
    pub(crate) fn separators(&self) -> &[Separator] {
        match self {
            Self::Eip712 { data, .. } => &data.separators,
            Self::Absent | Self::Jwt { .. } | Self::Text { .. } => &[],
        }
    }

    /// The templates that the signed text is made of.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Absent => Vec::new(),
            Self::Eip712 { data, .. } => data.templates().collect(),
            Self::Jwt { header, claims } => {
                [header, claims].into_iter().flat_map(JsonTemplate::templates).collect()
            }
            Self::Text { each, message, .. } => each.iter().chain([message]).collect(),
        }
    }
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Base64,
    Base64Url,
    Hex,
    HexBase64,
    HexUpper,
}

/// A JSON value with templates in it.
#[derive(Debug)]
pub(crate) enum JsonTemplate {
    Array(Vec<Self>),
    /// A whole number with something added.
    Int {
        template: Template,
        plus: i64,
    },
    /// JSON text as it is.
    Literal(String),
    Object(Vec<(String, Self)>),
    /// A member that is left out where its value is empty.
    Optional(Box<Self>),
    /// A template that yields JSON.
    Raw(Template),
    Text(Template),
}

impl JsonTemplate {
    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Int { template, .. } | Self::Raw(template) | Self::Text(template) => vec![template],
            Self::Array(values) => values.iter().flat_map(Self::templates).collect(),
            Self::Optional(value) => value.templates(),
            Self::Object(members) => members.iter().flat_map(|(_, value)| value.templates()).collect(),
        }
    }
}

/// `[attach]`
#[derive(Debug, Default)]
pub(crate) struct Attach {
    /// `let`s that need the passphrase, then `late`.
    pub(crate) late: Vec<(Slot, Template)>,
    pub(crate) headers: Vec<(String, Template)>,
    /// The same with `headers_if_body` laid over.
    pub(crate) headers_with_body: Vec<(String, Template)>,
    pub(crate) query: Option<Template>,
    pub(crate) query_if_no_body: Option<Template>,
    pub(crate) query_replace: Option<Template>,
    pub(crate) body: Option<Template>,
    pub(crate) body_append: Option<Template>,
    pub(crate) body_json: Option<BodyJson>,
    /// The members of `body_json` go behind the last of these members, where this names some.
    pub(crate) body_json_after: Vec<String>,
    pub(crate) body_form_sorted: Option<Vec<(String, Template)>>,
    /// Parameters that these templates add and a caller may not.
    pub(crate) reserved: Vec<String>,
}

/// `attach.body_json`
#[derive(Debug)]
pub(crate) struct BodyJson {
    pub(crate) members: Vec<(String, JsonTemplate)>,
    /// The members are all there is, because one of them holds the parameters.
    pub(crate) envelope: bool,
}

/// `when` of a case.
#[derive(Debug, Clone, Default)]
pub(crate) struct When {
    pub(crate) methods: Option<Vec<Method>>,
    pub(crate) path: Option<Pattern>,
    pub(crate) has_param: Option<Vec<String>>,
    pub(crate) param_suffix: Vec<(String, String)>,
    pub(crate) query_only: Option<bool>,
    pub(crate) empty: Option<bool>,
    /// Members of the body, and the texts of which each must be one.
    pub(crate) param: Vec<(BodyPath, Vec<String>)>,
}

impl When {
    /// Whether nothing but the method decides.
    pub(crate) const fn is_method_only(&self) -> bool {
        self.path.is_none()
            && self.has_param.is_none()
            && self.param_suffix.is_empty()
            && self.query_only.is_none()
            && self.empty.is_none()
            && self.param.is_empty()
    }
}
