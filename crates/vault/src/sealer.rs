//! Makes data keys and seals. The public half of a key-encryption key suffices.

use std::{marker::PhantomData, sync::Arc};

use bulkhead_domain::TenantId;

use crate::{
    context::Context,
    dek::{Dek, WrappedDek},
    error::SealError,
    purpose::Purpose,
    wrap::{self, Binding, PublicKey},
};

/// Seals for purpose `P`. Cheap to clone.
#[derive(Clone)]
pub struct Sealer<P> {
    pub(crate) environment: Arc<str>,
    pub(crate) kek_id: Arc<str>,
    pub(crate) kek_version: i32,
    pub(crate) public: PublicKey,
    pub(crate) purpose: PhantomData<fn() -> P>,
}

/// One secret with a data key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key, wrapped.
    pub dek: WrappedDek,
    /// The secret, 81 bytes longer than in clear.
    pub ciphertext: Vec<u8>,
}

impl<P: Purpose> Sealer<P> {
    /// Makes a data key for `tenant` and `owner`: a connection, an application, or an ingest day (`2026-11-24`).
    ///
    /// Store the wrapped key before, or in the same transaction as, anything that it seals.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    ///
    /// # Panics
    /// If the operating system gives random numbers first and then no more.
    pub fn new_dek(
        &self,
        tenant: TenantId,
        owner: &str,
    ) -> Result<(Dek<P>, WrappedDek), SealError> {
        let dek = Dek::random(&self.environment)?;
        let binding = Binding {
            environment: &self.environment,
            purpose: P::NAME,
            tenant,
            owner,
            dek_id: dek.id.get(),
            kek_id: &self.kek_id,
            kek_version: self.kek_version,
        };
        let wrapped = WrappedDek {
            dek_id: dek.id,
            kek_id: self.kek_id.to_string(),
            kek_version: self.kek_version,
            wrapped: wrap::wrap(&self.public, &binding, &dek.key)?,
        };
        Ok((dek, wrapped))
    }

    /// Seals one secret under a data key of its own, whose owner is the context's connection, or its record where it has none.
    ///
    /// # Errors
    /// As [`Sealer::new_dek`] and [`Dek::seal`].
    pub fn seal_secret(&self, context: &Context<'_>, secret: &[u8]) -> Result<Sealed, SealError> {
        let (dek, wrapped) = self.new_dek(context.tenant, &owner_of(context))?;
        Ok(Sealed {
            dek: wrapped,
            ciphertext: dek.seal(context, secret)?,
        })
    }
}

impl<P: Purpose> std::fmt::Debug for Sealer<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer<{}>({})", P::NAME, self.kek_id)
    }
}

/// Whose data key a single secret gets.
pub(crate) fn owner_of(context: &Context<'_>) -> String {
    context
        .connection
        .map_or_else(|| context.record.to_owned(), |id| id.to_string())
}
