//! The public half of the token's own signing key, and the one form in which it is written.

/// A key pair that was born in the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// P-256: the point, uncompressed.
    P256([u8; POINT_BYTES]),
    /// RSA with 2,048 bits and the exponent 65,537: the modulus.
    Rsa2048(Box<[u8; MODULUS_BYTES]>),
}

/// Bytes of a point.
const POINT_BYTES: usize = 65;
/// Bytes of a modulus.
const MODULUS_BYTES: usize = 256;

/// `SubjectPublicKeyInfo` up to the point (RFC 5480).
const P256_BEFORE: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// The same up to the modulus (RFC 3279), whose first bit is set.
const RSA_BEFORE: &[u8] = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00";
/// The exponent behind it.
const RSA_BEHIND: &[u8] = b"\x02\x03\x01\x00\x01";

impl SigningKey {
    /// As `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        match self {
            Self::P256(point) => [P256_BEFORE, point].concat(),
            Self::Rsa2048(modulus) => [RSA_BEFORE, modulus.as_slice(), RSA_BEHIND].concat(),
        }
    }

    /// Reads that; `None` for every other key.
    #[must_use]
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        if let Some(point) = der.strip_prefix(P256_BEFORE) {
            return Self::p256(point);
        }
        Self::rsa(der.strip_prefix(RSA_BEFORE)?.strip_suffix(RSA_BEHIND)?)
    }

    /// The key of an uncompressed point.
    #[must_use]
    pub fn p256(point: &[u8]) -> Option<Self> {
        let point: [u8; POINT_BYTES] = point.try_into().ok()?;
        (point.first() == Some(&4)).then_some(Self::P256(point))
    }

    /// The key of a modulus, without zeros before it.
    #[must_use]
    pub fn rsa(modulus: &[u8]) -> Option<Self> {
        let modulus: [u8; MODULUS_BYTES] = modulus.try_into().ok()?;
        modulus.first().is_some_and(|first| first & 0x80 != 0).then(|| Self::Rsa2048(Box::new(modulus)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_has_written_and_no_other_key() {
        let keys = [SigningKey::p256(&[4; 65]), SigningKey::rsa(&[0x80; 256])];
        for key in keys {
            let der = key.as_ref().map(SigningKey::to_spki).unwrap_or_default();
            assert_eq!(SigningKey::from_spki(&der), key);
            assert_eq!(
                SigningKey::from_spki(der.split_last().map(|(_, rest)| rest).unwrap_or_default()),
                None
            );
            assert_eq!(SigningKey::from_spki(&[der.as_slice(), &[1]].concat()), None);
        }
        assert_eq!((SigningKey::p256(&[2; 65]), SigningKey::p256(&[4; 64])), (None, None));
        assert_eq!((SigningKey::rsa(&[0x7f; 256]), SigningKey::rsa(&[0x80; 257])), (None, None));
        assert_eq!(SigningKey::from_spki(&[]), None);
    }
}
