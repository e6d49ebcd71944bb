//! What the token computes: AES-256 in the two modes that Strongroom uses.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cryptoki_sys as ck;

use crate::code::Outcome;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Decrypt,
    Encrypt,
}

/// A mechanism with its parameters.
#[derive(Debug, Clone)]
pub(crate) enum Mechanism {
    Cbc { iv: Vec<u8> },
    Gcm { iv: Vec<u8>, aad: Vec<u8>, tag_bits: ck::CK_ULONG },
}

/// Encrypts or decrypts all of `data`.
pub(crate) fn crypt(
    direction: Direction,
    mechanism: &Mechanism,
    key: &[u8],
    data: &[u8],
) -> Outcome<Vec<u8>> {
    match mechanism {
        Mechanism::Cbc { iv } => cbc_blocks(direction, key, iv, data),
        Mechanism::Gcm { iv, aad, tag_bits } => {
            if iv.len() != 12 || *tag_bits != 128 {
                return Err(ck::CKR_MECHANISM_PARAM_INVALID);
            }
            let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| ck::CKR_KEY_SIZE_RANGE)?;
            let nonce = Nonce::try_from(iv.as_slice()).map_err(|_| ck::CKR_MECHANISM_PARAM_INVALID)?;
            let payload = Payload { msg: data, aad };
            match direction {
                Direction::Decrypt => {
                    cipher.decrypt(&nonce, payload).map_err(|_| ck::CKR_ENCRYPTED_DATA_INVALID)
                }
                Direction::Encrypt => cipher.encrypt(&nonce, payload).map_err(|_| ck::CKR_DATA_LEN_RANGE),
            }
        }
    }
}

fn cbc_blocks(direction: Direction, key: &[u8], iv: &[u8], data: &[u8]) -> Outcome<Vec<u8>> {
    let parameter = |_| ck::CKR_MECHANISM_PARAM_INVALID;
    let mut blocks: Vec<aes::Block> = Vec::new();
    for chunk in data.chunks(16) {
        blocks.push(aes::Block::try_from(chunk).map_err(|_| match direction {
            Direction::Decrypt => ck::CKR_ENCRYPTED_DATA_LEN_RANGE,
            Direction::Encrypt => ck::CKR_DATA_LEN_RANGE,
        })?);
    }
    match direction {
        Direction::Decrypt => cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv)
            .map_err(parameter)?
            .decrypt_blocks(&mut blocks),
        Direction::Encrypt => cbc::Encryptor::<aes::Aes256>::new_from_slices(key, iv)
            .map_err(parameter)?
            .encrypt_blocks(&mut blocks),
    }
    Ok(blocks.concat())
}
