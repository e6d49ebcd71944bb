//! The rungs: how a KEK protects the 32 bytes of a seed, and the form of the result.
//!
//! A blob is one byte that names the rung, the IV, and what the token made. With GCM the token
//! authenticates all of it, the first byte as associated data. With CBC it authenticates nothing: a
//! changed blob gives another seed, which does not open the record.

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use strongroom_link::seed::{SEED_BYTES, Seed};
use strongroom_link::token::{Rung, TokenRefusal};
use zeroize::Zeroizing;

use crate::ckr::Call;

/// Best first.
pub(crate) const BEST_FIRST: [Rung; 2] = [Rung::AesGcm, Rung::AesCbc];

const GCM_IV_BYTES: usize = 12;
const GCM_TAG_BYTES: usize = 16;
const GCM_TAG_BITS: u64 = 128;
const CBC_IV_BYTES: usize = 16;

/// Fills an array from the random number generator of the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, TokenRefusal> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| TokenRefusal::ModuleCall {
        function: "getrandom".to_owned(),
        code: error.to_string(),
    })?;
    Ok(bytes)
}

/// A fresh initialisation vector, which fixes the rung.
#[derive(Clone)]
pub(crate) enum Iv {
    Cbc([u8; CBC_IV_BYTES]),
    Gcm([u8; GCM_IV_BYTES]),
}

impl Iv {
    pub(crate) fn random(rung: Rung) -> Result<Self, TokenRefusal> {
        Ok(match rung {
            Rung::AesCbc => Self::Cbc(*random()?),
            Rung::AesGcm => Self::Gcm(*random()?),
        })
    }

    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Cbc(bytes) => bytes.as_slice(),
            Self::Gcm(bytes) => bytes.as_slice(),
        }
    }

    const fn header(&self) -> &'static [u8; 1] {
        match self {
            Self::Cbc(_) => &[1],
            Self::Gcm(_) => &[2],
        }
    }

    const fn ciphertext_bytes(&self) -> usize {
        match self {
            Self::Cbc(_) => SEED_BYTES,
            Self::Gcm(_) => SEED_BYTES + GCM_TAG_BYTES,
        }
    }

    fn mechanism(&mut self) -> Call<Mechanism<'_>> {
        let header = self.header();
        Ok(match self {
            Self::Cbc(iv) => Mechanism::AesCbc(*iv),
            Self::Gcm(iv) => Mechanism::AesGcm(GcmParams::new(iv, header, GCM_TAG_BITS.into())?),
        })
    }
}

/// Encrypts a seed into a blob.
pub(crate) fn encrypt(session: &Session, key: ObjectHandle, iv: &Iv, seed: &Seed) -> Call<Vec<u8>> {
    // The module may write to the IV that it is given; the blob keeps ours.
    let ciphertext = session.encrypt(&iv.clone().mechanism()?, key, seed.as_slice())?;
    if ciphertext.len() != iv.ciphertext_bytes() {
        return Err(Error::InvalidValue);
    }
    Ok([iv.header().as_slice(), iv.bytes(), &ciphertext].concat())
}

/// A blob whose form has been checked.
pub(crate) struct Blob<'a> {
    iv: Iv,
    ciphertext: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Checks the rung and the length.
    pub(crate) fn parse(rung: Rung, blob: &'a [u8]) -> Result<Self, TokenRefusal> {
        let reject = |code: String| TokenRefusal::SeedRejected { code };
        let (header, rest) = blob.split_first().ok_or_else(|| reject("the blob is empty".to_owned()))?;
        let cut = || reject(format!("the blob has {} bytes, which no {rung} blob has", blob.len()));
        let (iv, ciphertext) = match rung {
            Rung::AesCbc => rest.split_first_chunk().map(|(iv, rest)| (Iv::Cbc(*iv), rest)),
            Rung::AesGcm => rest.split_first_chunk().map(|(iv, rest)| (Iv::Gcm(*iv), rest)),
        }
        .ok_or_else(cut)?;
        if iv.header().as_slice() != [*header] {
            return Err(reject(format!("the blob was not made by {rung}")));
        }
        if ciphertext.len() != iv.ciphertext_bytes() {
            return Err(cut());
        }
        Ok(Self { iv, ciphertext })
    }

    /// Decrypts; what comes is wiped when dropped, and is no seed until its length was checked.
    pub(crate) fn decrypt(&self, session: &Session, key: ObjectHandle) -> Call<Zeroizing<Vec<u8>>> {
        session.decrypt(&self.iv.clone().mechanism()?, key, self.ciphertext).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(rung: Rung, blob: &[u8]) -> Option<String> {
        match Blob::parse(rung, blob) {
            Ok(_) => None,
            Err(TokenRefusal::SeedRejected { code }) => Some(code),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn takes_only_a_blob_of_the_right_rung_and_length() {
        let gcm = [&[2][..], &[7; 60]].concat();
        let cbc = [&[1][..], &[7; 48]].concat();
        assert_eq!(rejection(Rung::AesGcm, &gcm), None);
        assert_eq!(rejection(Rung::AesCbc, &cbc), None);

        let says = |text: &str| Some(text.to_owned());
        assert_eq!(rejection(Rung::AesGcm, &[]), says("the blob is empty"));
        assert_eq!(rejection(Rung::AesGcm, &cbc), says("the blob was not made by aes-gcm"));
        assert_eq!(rejection(Rung::AesCbc, &gcm), says("the blob was not made by aes-cbc"));
        assert_eq!(rejection(Rung::AesGcm, &[2; 1]), says("the blob has 1 bytes, which no aes-gcm blob has"));
        for cut in 1..gcm.len() {
            let expected = format!("the blob has {cut} bytes, which no aes-gcm blob has");
            assert_eq!(rejection(Rung::AesGcm, &gcm[..cut]), Some(expected));
        }
        let long = [&gcm[..], &[0]].concat();
        assert_eq!(rejection(Rung::AesGcm, &long), says("the blob has 62 bytes, which no aes-gcm blob has"));
        let unknown = [&[3][..], &[7; 60]].concat();
        assert_eq!(rejection(Rung::AesGcm, &unknown), says("the blob was not made by aes-gcm"));
    }
}
