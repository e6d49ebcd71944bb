//! EIP-712: typed data as Ethereum's wallets sign it. The structs are flat, as those of exchanges are.
//!
//! <https://eips.ethereum.org/EIPS/eip-712>

use sha3::{Digest as _, Keccak256};
use strongroom_link::key::Separator;

use crate::body_path::BodyPath;
use crate::codec;
use crate::error::RequestError;
use crate::json::{Member, Value};
use crate::template::{Template, Values};

/// 32 bytes, to which every value comes down.
pub(crate) type Word = [u8; 32];

/// `sign.eip712`
#[derive(Debug)]
pub(crate) struct TypedData {
    pub(crate) domain: Domain,
    /// The separators of the domain: one, or one for each host that has a word in it.
    pub(crate) separators: Vec<Separator>,
    /// The member of the body whose text names the type; nothing where there is but one.
    pub(crate) by: Option<BodyPath>,
    /// The types by these texts.
    pub(crate) types: Vec<(String, Struct)>,
    /// The object of the body whose members are the fields of the struct.
    pub(crate) of: Option<BodyPath>,
}

/// What says for whom the message is.
#[derive(Debug)]
pub(crate) enum Domain {
    /// The same for every request.
    Fixed(Separator),
    /// With words of the host.
    ByHost(Struct),
}

/// A struct type, and where its values come from.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) type_hash: Word,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: FieldType,
    pub(crate) source: Source,
}

/// Where a field has its value from.
#[derive(Debug)]
pub(crate) enum Source {
    Constant(Word),
    /// The member of this name of the object that is signed.
    Member,
    Template(Template),
}

/// The types that a field may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Address,
    Bool,
    Bytes,
    /// `bytes1` to `bytes32`.
    FixedBytes(usize),
    Text,
    /// `uint8` to `uint256`, by the number of bytes.
    Uint(usize),
}

/// Length of what [`TypedData::write`] appends.
const MESSAGE_BYTES: usize = 66;

impl TypedData {
    /// Appends the message: `19 01`, the domain separator, and the hash of the struct. Its Keccak-256 is signed.
    pub(crate) fn write(
        &self,
        body: &[Member<'_>],
        values: &Values,
        venue: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        out.reserve_exact(MESSAGE_BYTES);
        out.extend_from_slice(&[0x19, 0x01]);
        match &self.domain {
            Domain::Fixed(separator) => out.extend_from_slice(separator),
            Domain::ByHost(domain) => out.extend_from_slice(&domain.hash(None, values, venue)?),
        }
        let object = match &self.of {
            None => None,
            Some(path) => {
                let object = path.find(body).filter(|value| matches!(value, Value::Object(_)));
                Some((path, object.ok_or_else(|| typed(path.to_string(), "a JSON object", venue))?))
            }
        };
        out.extend_from_slice(&self.chosen(body, venue)?.hash(object, values, venue)?);
        Ok(())
    }

    /// The templates that it is made of.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let domain = match &self.domain {
            Domain::Fixed(_) => None,
            Domain::ByHost(domain) => Some(domain),
        };
        let structs = domain.into_iter().chain(self.types.iter().map(|(_, chosen)| chosen));
        structs.flat_map(|structure| &structure.fields).filter_map(|field| match &field.source {
            Source::Template(template) => Some(template),
            Source::Constant(_) | Source::Member => None,
        })
    }

    /// The members of the body that the struct has.
    pub(crate) fn bound(&self, body: &[Member<'_>], venue: &str) -> Result<Vec<BodyPath>, RequestError> {
        let fields = self.chosen(body, venue)?.fields.iter();
        let members = fields.filter(|field| matches!(field.source, Source::Member));
        let of = self.of.iter();
        Ok(of.flat_map(|of| members.clone().map(|field| of.member(&field.name))).collect())
    }

    fn chosen(&self, body: &[Member<'_>], venue: &str) -> Result<&Struct, RequestError> {
        let wanted = self.by.as_ref().map(|path| path.find(body).and_then(Value::as_text));
        let mut types = self.types.iter();
        let found = types.find(|(name, _)| wanted.is_none_or(|wanted| wanted == Some(name)));
        found.map(|(_, chosen)| chosen).ok_or_else(|| {
            let by = self.by.as_ref().map(ToString::to_string).unwrap_or_default();
            typed(by, "the name of one of the profile's types", venue)
        })
    }
}

impl Struct {
    pub(crate) fn hash(
        &self,
        object: Option<(&BodyPath, &Value<'_>)>,
        values: &Values,
        venue: &str,
    ) -> Result<Word, RequestError> {
        let mut hash = Keccak256::new_with_prefix(self.type_hash);
        let mut text = Vec::new();
        for field in &self.fields {
            let word = match (&field.source, object) {
                (Source::Constant(word), _) => Some(*word),
                (Source::Member, Some((_, object))) => {
                    object.get(&field.name).and_then(|v| field.kind.read(v))
                }
                (Source::Member, None) => None,
                (Source::Template(template), _) => {
                    text.clear();
                    template.render(values, &mut text)?;
                    field.kind.encode(&text)
                }
            };
            let name = || match object {
                Some((path, _)) => format!("{path}.{}", field.name),
                None => field.name.clone(),
            };
            hash.update(word.ok_or_else(|| typed(name(), field.kind.expected(), venue))?);
        }
        Ok(hash.finalize().into())
    }

    /// Its hash, where nothing of it depends on the request.
    pub(crate) fn constant(&self) -> Option<Word> {
        let mut hash = Keccak256::new_with_prefix(self.type_hash);
        for field in &self.fields {
            let Source::Constant(word) = field.source else { return None };
            hash.update(word);
        }
        Some(hash.finalize().into())
    }
}

fn typed(name: String, expected: &'static str, venue: &str) -> RequestError {
    RequestError::Typed { name, expected, venue: venue.to_owned() }
}

impl FieldType {
    /// The type called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let size = |digits: &str, most: usize| {
            let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|size| plain && (1..=most).contains(size))
        };
        Some(match name {
            "address" => Self::Address,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "string" => Self::Text,
            _ => match (name.strip_prefix("bytes"), name.strip_prefix("uint")) {
                (Some(digits), _) => Self::FixedBytes(size(digits, 32)?),
                (_, Some(digits)) => {
                    let bits = size(digits, 256).filter(|bits| bits.is_multiple_of(8))?;
                    Self::Uint(bits / 8)
                }
                _ => return None,
            },
        })
    }

    /// Whether its values are raw bytes in a template, and not text.
    pub(crate) const fn is_raw(self) -> bool {
        matches!(self, Self::Bytes | Self::FixedBytes(_))
    }

    /// What a value must be, for a message.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Address => "an address as text: 0x and 40 hexadecimal digits",
            Self::Bool => "true or false",
            Self::Bytes | Self::FixedBytes(_) => "bytes of that length as text: 0x and hexadecimal digits",
            Self::Text => "text",
            Self::Uint(_) => "a whole number in plain digits, and not too large",
        }
    }

    /// The word for a JSON value of this very type.
    pub(crate) fn read(self, value: &Value<'_>) -> Option<Word> {
        let digits = |text: &str| codec::unhex(text.strip_prefix("0x")?);
        match (self, value) {
            (Self::Text, Value::Text(text)) => Some(Keccak256::digest(text.as_bytes()).into()),
            (Self::Bool, Value::Bool(value)) => Some(small(u8::from(*value))),
            (Self::Address, Value::Text(text)) if text.starts_with("0x") => self.encode(text.as_bytes()),
            (Self::Bytes | Self::FixedBytes(_), Value::Text(text)) => self.encode(&digits(text)?),
            // Beyond 64 bits many programs cannot write a number as one.
            (Self::Uint(9..), Value::Text(text)) | (Self::Uint(_), Value::Number(text)) => {
                self.encode(text.as_bytes())
            }
            _ => None,
        }
    }

    /// The word for what a template yields.
    pub(crate) fn encode(self, value: &[u8]) -> Option<Word> {
        match self {
            Self::Address => {
                let mut word = [0; 32];
                word.last_chunk_mut::<20>()?.copy_from_slice(&codec::address(value)?);
                Some(word)
            }
            Self::Bool => match value {
                b"true" => Some(small(1)),
                b"false" => Some(small(0)),
                _ => None,
            },
            Self::Bytes | Self::Text => Some(Keccak256::digest(value).into()),
            Self::FixedBytes(size) => {
                let mut word = [0; 32];
                let bytes = word.get_mut(..size).filter(|_| value.len() == size)?;
                bytes.copy_from_slice(value);
                Some(word)
            }
            Self::Uint(size) => {
                let word = match value.strip_prefix(b"0x") {
                    Some(digits) => hexadecimal(digits)?,
                    None => decimal(value)?,
                };
                let over = word.len().saturating_sub(size);
                word.iter().take(over).all(|byte| *byte == 0).then_some(word)
            }
        }
    }
}

const fn small(value: u8) -> Word {
    let mut word = [0; 32];
    word[31] = value;
    word
}

/// The number that hexadecimal `digits` write: in small letters, and with no zero in front.
fn hexadecimal(digits: &[u8]) -> Option<Word> {
    let canonical =
        !digits.iter().any(u8::is_ascii_uppercase) && (digits == b"0" || !digits.starts_with(b"0"));
    let padded =
        format!("{:0>64}", std::str::from_utf8(digits).ok().filter(|_| canonical && !digits.is_empty())?);
    codec::unhex(&padded)?.try_into().ok()
}

/// The number that `digits` write, in the one way in which it is written.
fn decimal(digits: &[u8]) -> Option<Word> {
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    let mut word = [0_u8; 32];
    for digit in digits {
        let mut carry = u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        for byte in word.iter_mut().rev() {
            // 255 times ten and a carry below ten: far below 65,536, and below 256 times ten.
            let sum = u16::from(*byte).wrapping_mul(10).wrapping_add(carry);
            let [high, low] = sum.to_be_bytes();
            *byte = low;
            carry = u16::from(high);
        }
        if carry > 0 {
            return None;
        }
    }
    Some(word)
}
