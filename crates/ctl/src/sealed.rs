//! Secrets on their way into Postgres: sealed here, opened by the token worker alone.

use bulkhead_domain::{ApplicationId, ConnectionId, TenantId};
use bulkhead_service::StartError;
use bulkhead_store::SealedColumn;
use bulkhead_vault::{ClientSecrets, Context, Keyring, RefreshTokens, SealError, Sealed, Sealer};

/// Seals refresh tokens.
#[derive(Debug)]
pub struct RefreshTokenSealer(Sealer<RefreshTokens>);

/// Seals client secrets.
#[derive(Debug)]
pub struct ClientSecretSealer(Sealer<ClientSecrets>);

impl RefreshTokenSealer {
    /// With the current key of `keyring`.
    ///
    /// # Errors
    /// Exit code 4: the keyring has no such key.
    pub fn new(keyring: &Keyring) -> Result<Self, StartError> {
        keyring.sealer().map(Self).map_err(StartError::keyring)
    }

    /// Seals the refresh token of a connection.
    ///
    /// # Errors
    /// [`SealError`]: no randomness.
    pub fn seal(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        token: &str,
    ) -> Result<SealedColumn, SealError> {
        let context = Context::refresh_token(tenant, connection);
        self.0.seal_secret(&context, token.as_bytes()).map(column)
    }
}

impl ClientSecretSealer {
    /// With the current key of `keyring`.
    ///
    /// # Errors
    /// Exit code 4: the keyring has no such key.
    pub fn new(keyring: &Keyring) -> Result<Self, StartError> {
        keyring.sealer().map(Self).map_err(StartError::keyring)
    }

    /// Seals the client secret of an application, which belongs to no tenant.
    ///
    /// # Errors
    /// [`SealError`]: no randomness.
    pub fn seal(
        &self,
        application: ApplicationId,
        secret: &str,
    ) -> Result<SealedColumn, SealError> {
        let application = application.to_string();
        let context = Context::client_secret(&application);
        self.0.seal_secret(&context, secret.as_bytes()).map(column)
    }
}

fn column(sealed: Sealed) -> SealedColumn {
    SealedColumn {
        dek_id: sealed.dek.dek_id.get(),
        kek_id: sealed.dek.kek_id,
        kek_version: sealed.dek.kek_version,
        wrapped_dek: sealed.dek.wrapped,
        sealed: sealed.ciphertext,
    }
}
