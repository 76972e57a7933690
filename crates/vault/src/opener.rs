//! Unwraps data keys and opens. Needs the private half of a key-encryption key.

use std::{marker::PhantomData, sync::Arc};

use bulkhead_domain::TenantId;
use zeroize::Zeroizing;

use crate::{
    context::Context,
    dek::{Dek, Opens, WrappedDek},
    error::{OpenError, OpenFailure},
    purpose::Purpose,
    sealer::{Sealed, owner_of},
    wrap::{self, Binding, PrivateKey},
};

/// Opens for purpose `P`, under every version that the keyring holds. Cheap to clone.
#[derive(Clone)]
pub struct Opener<P> {
    pub(crate) environment: Arc<str>,
    pub(crate) keys: Arc<[OpenKey]>,
    pub(crate) purpose: PhantomData<fn() -> P>,
}

/// One version of a key-encryption key.
pub(crate) struct OpenKey {
    pub(crate) id: String,
    pub(crate) version: i32,
    pub(crate) private: PrivateKey,
}

impl<P: Purpose> Opener<P> {
    /// The data key in clear, if it was made for exactly this tenant and owner.
    ///
    /// # Errors
    /// [`OpenError`]: another owner, a key-encryption key that the keyring does not hold, or changed bytes.
    pub fn unwrap(
        &self,
        tenant: TenantId,
        owner: &str,
        wrapped: &WrappedDek,
    ) -> Result<Dek<P, Opens>, OpenError> {
        let key = self
            .keys
            .iter()
            .find(|key| key.version == wrapped.kek_version && key.id == wrapped.kek_id)
            .ok_or(OpenFailure::UnknownKey)?;
        let binding = Binding {
            environment: &self.environment,
            purpose: P::NAME,
            tenant,
            owner,
            dek_id: wrapped.dek_id.get(),
            kek_id: &key.id,
            kek_version: key.version,
        };
        Ok(Dek {
            id: wrapped.dek_id,
            key: wrap::unwrap(&key.private, &binding, &wrapped.wrapped)?,
            environment: Arc::clone(&self.environment),
            may: PhantomData,
        })
    }

    /// Opens what [`Sealer::seal_secret`](crate::Sealer::seal_secret) sealed for exactly this `context`.
    ///
    /// # Errors
    /// As [`Opener::unwrap`] and [`Dek::open`].
    pub fn open_secret(
        &self,
        context: &Context<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.unwrap(context.tenant, &owner_of(context), &sealed.dek)?
            .open(context, &sealed.ciphertext)
    }
}

impl<P: Purpose> std::fmt::Debug for Opener<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener<{}>({} keys)", P::NAME, self.keys.len())
    }
}
