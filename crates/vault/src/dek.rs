//! One data key: in clear only here, wrapped everywhere else.

use std::{fmt, marker::PhantomData, sync::Arc};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{
    context::Context,
    envelope::{self, RawKey, SALT},
    error::{OpenError, SealError},
    purpose::Purpose,
};

/// The number of a data key: random, positive, 63 bits, never reused; Postgres' `bigint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DekId(i64);

impl DekId {
    /// Takes a stored id; `None` unless it is positive.
    #[must_use]
    pub const fn new(id: i64) -> Option<Self> {
        if id > 0 { Some(Self(id)) } else { None }
    }

    /// The id as Postgres' `bigint`.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    fn random() -> Result<Self, SealError> {
        let bytes = random()?;
        let id = i64::from_be_bytes(bytes) & i64::MAX;
        Ok(Self(id.max(1)))
    }
}

impl fmt::Display for DekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data key as it is stored. Destroying this row shreds what the key sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDek {
    /// The data key's number; every ciphertext under it carries it.
    pub dek_id: DekId,
    /// The key-encryption key that wraps it.
    pub kek_id: String,
    /// That key's version, so that a rotation finds what is left to rewrap.
    pub kek_version: i32,
    /// Layout version, encapsulated key, ciphertext and tag; 81 bytes.
    pub wrapped: Vec<u8>,
}

/// A data key that was just made: it seals, and does not open what it sealed.
#[derive(Debug, Clone, Copy)]
pub enum Seals {}

/// A data key that was unwrapped with the private half: it opens, and seals too.
#[derive(Debug, Clone, Copy)]
pub enum Opens {}

/// A data key in clear, for purpose `P`. It is overwritten when dropped; keep it no longer than the fleet keeps grants.
///
/// A key that was just made does not open:
///
/// ```compile_fail,E0599
/// # use bulkhead_vault::{BuyerPii, Context, Dek};
/// fn open(dek: &Dek<BuyerPii>, context: &Context<'_>, sealed: &[u8]) {
///     let _ = dek.open(context, sealed);
/// }
/// ```
///
/// and a key of one purpose is not one of another:
///
/// ```compile_fail,E0308
/// # use bulkhead_vault::{BuyerPii, Dek, RefreshTokens};
/// fn as_token_key(dek: Dek<BuyerPii>) -> Dek<RefreshTokens> {
///     dek
/// }
/// ```
pub struct Dek<P, M = Seals> {
    pub(crate) id: DekId,
    pub(crate) key: RawKey,
    pub(crate) environment: Arc<str>,
    pub(crate) may: PhantomData<fn() -> (P, M)>,
}

impl<P: Purpose> Dek<P, Seals> {
    pub(crate) fn random(environment: &Arc<str>) -> Result<Self, SealError> {
        Ok(Self {
            id: DekId::random()?,
            key: Zeroizing::new(random()?),
            environment: Arc::clone(environment),
            may: PhantomData,
        })
    }
}

impl<P: Purpose, M> Dek<P, M> {
    /// The key's number.
    #[must_use]
    pub const fn id(&self) -> DekId {
        self.id
    }

    /// Seals `plaintext` for the row that `context` describes; the result is 81 bytes longer.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`], and [`SealError::Rejected`] from 64 GiB on.
    pub fn seal(&self, context: &Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let salt = random::<SALT>()?;
        let context = context.encode(&self.environment);
        envelope::seal_with_salt(&self.key, self.id.get(), &salt, &context, plaintext)
    }
}

impl<P: Purpose> Dek<P, Opens> {
    /// Opens what was sealed under this key for exactly this `context`.
    ///
    /// # Errors
    /// [`OpenError`]: another key, another row, or changed bytes. Which one is not told.
    pub fn open(
        &self,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let context = context.encode(&self.environment);
        Ok(envelope::open(&self.key, self.id.get(), &context, sealed)?)
    }
}

impl<P: Purpose, M> fmt::Debug for Dek<P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dek<{}>({}, [redacted])", P::NAME, self.id)
    }
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}
