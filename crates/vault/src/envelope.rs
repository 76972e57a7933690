//! The ciphertext format, version 1: HKDF-SHA-256 → AES-256-GCM, with key commitment.
//!
//! ```text
//!  0  1   version 0x01
//!  1  8   dek_id, big-endian
//!  9 24   salt, random
//! 33 32   commitment
//! 65  n   ciphertext
//!  …  16  tag
//! ```
//! Each message has a key of its own, derived from data key, salt and context, so that the nonce may be zero. The commitment comes out of the
//! same derivation: a ciphertext opens under one data key and one context, and under no other that somebody could construct.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{OpenFailure, SealError};

/// The bytes by which a ciphertext is longer than its plaintext.
pub(crate) const OVERHEAD: usize = HEADER + TAG;
pub(crate) const SALT: usize = 24;
const VERSION: u8 = 0x01;
const HEADER: usize = 65;
const COMMITMENT_AT: usize = 33;
const TAG: usize = 16;
const LABEL: &[u8] = b"bulkhead/vault/envelope/v1";

/// A data key in clear.
pub(crate) type RawKey = Zeroizing<[u8; 32]>;

/// Seals under a salt that has never been used with `dek` before.
pub(crate) fn seal_with_salt(
    dek: &RawKey,
    dek_id: i64,
    salt: &[u8; SALT],
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let keys = MessageKeys::derive(dek, dek_id, salt, context);
    let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD);
    sealed.push(VERSION);
    sealed.extend_from_slice(&dek_id.to_be_bytes());
    sealed.extend_from_slice(salt);
    sealed.extend_from_slice(keys.commitment());
    // Encrypted apart and then appended: the buffer that held the plaintext is overwritten.
    let mut body = Zeroizing::new(plaintext.to_vec());
    let tag = keys
        .cipher()
        .and_then(|key| key.seal_in_place_separate_tag(zero_nonce(), Aad::from(&sealed), &mut body))
        .map_err(|_| SealError::Rejected)?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what was sealed under exactly this data key and context.
pub(crate) fn open(
    dek: &RawKey,
    dek_id: i64,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenFailure> {
    let parts = Parts::read(sealed)?;
    // The id comes before any cryptography: no trial decryption.
    if parts.dek_id != dek_id {
        return Err(OpenFailure::UnknownKey);
    }
    let keys = MessageKeys::derive(dek, dek_id, &parts.salt, context);
    if !keys.commits_to(&parts) {
        return Err(OpenFailure::Commitment);
    }
    keys.decrypt(&parts)
}

/// A ciphertext, cut up.
struct Parts<'a> {
    dek_id: i64,
    salt: [u8; SALT],
    header: &'a [u8],
    body_and_tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(sealed: &'a [u8]) -> Result<Self, OpenFailure> {
        if sealed.len() < OVERHEAD || sealed[0] != VERSION {
            return Err(OpenFailure::Malformed);
        }
        let (header, body_and_tag) = sealed.split_at(HEADER);
        let mut dek_id = [0; 8];
        dek_id.copy_from_slice(&header[1..9]);
        let mut salt = [0; SALT];
        salt.copy_from_slice(&header[9..COMMITMENT_AT]);
        Ok(Self {
            dek_id: i64::from_be_bytes(dek_id),
            salt,
            header,
            body_and_tag,
        })
    }
}

/// What is derived for one message: 32 bytes of key, 32 bytes of commitment.
struct MessageKeys(Zeroizing<[u8; 64]>);

impl MessageKeys {
    fn derive(dek: &RawKey, dek_id: i64, salt: &[u8; SALT], context: &[u8]) -> Self {
        let id = dek_id.to_be_bytes();
        let length = u32::try_from(context.len()).unwrap_or(u32::MAX);
        let length = length.to_be_bytes();
        let info = [LABEL, &id, salt, &length, context];
        let mut okm = Zeroizing::new([0; 64]);
        let key = Salt::new(HKDF_SHA256, &[]).extract(dek.as_slice());
        let filled = key
            .expand(&info, OkmLength)
            .and_then(|out| out.fill(okm.as_mut_slice()));
        // HKDF-SHA-256 gives up to 8,160 bytes; 64 cannot fail.
        debug_assert!(filled.is_ok());
        Self(okm)
    }

    fn commitment(&self) -> &[u8] {
        &self.0[32..]
    }

    fn commits_to(&self, parts: &Parts<'_>) -> bool {
        self.commitment()
            .ct_eq(&parts.header[COMMITMENT_AT..])
            .into()
    }

    fn cipher(&self) -> Result<LessSafeKey, ring::error::Unspecified> {
        UnboundKey::new(&AES_256_GCM, &self.0[..32]).map(LessSafeKey::new)
    }

    fn decrypt(&self, parts: &Parts<'_>) -> Result<Zeroizing<Vec<u8>>, OpenFailure> {
        let mut buffer = Zeroizing::new(parts.body_and_tag.to_vec());
        let plain = self
            .cipher()
            .and_then(|key| key.open_in_place(zero_nonce(), Aad::from(parts.header), &mut buffer))
            .map_err(|_| OpenFailure::Tag)?;
        let length = plain.len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// Zero: a message key seals once.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

struct OkmLength;

impl KeyType for OkmLength {
    fn len(&self) -> usize {
        64
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_keys;
