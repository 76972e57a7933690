//! What a refresh needs in clear, for as long as the request takes; and what it leaves, sealed.

use bulkhead_amazon::ApplicationCredentials;
use bulkhead_domain::{ApplicationId, ConnectionId, TenantId};
use bulkhead_store::{ClientCredential, SealedColumn};
use bulkhead_vault::{
    AccessToken, AccessTokens, ClientSecret, ClientSecrets, Context, DekId, Keyring, KeyringError,
    OpenError, Opener, RefreshToken, RefreshTokens, SealError, Sealed, Sealer, WrappedDek,
};

/// The keys of this process.
#[derive(Debug)]
pub struct Credentials {
    refresh_tokens: Opener<RefreshTokens>,
    client_secrets: Opener<ClientSecrets>,
    access_tokens: Sealer<AccessTokens>,
}

/// A credential cannot be used: the wrong keyring, or a changed row.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The keyring of this process does not open it.
    #[error("a stored credential cannot be opened with this keyring")]
    Open(#[from] OpenError),
    /// Opened, and not what was sealed.
    #[error("a stored credential is not text")]
    NotText,
    /// The row names a key in a way that no key is named.
    #[error("a stored credential names no data key")]
    NoKey,
}

impl Credentials {
    /// Takes this class's keys out of its keyring.
    ///
    /// # Errors
    /// If the keyring is another class's.
    pub fn new(keyring: &Keyring) -> Result<Self, KeyringError> {
        Ok(Self {
            refresh_tokens: keyring.opener()?,
            client_secrets: keyring.opener()?,
            access_tokens: keyring.sealer()?,
        })
    }

    pub(crate) fn refresh_token(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        column: SealedColumn,
    ) -> Result<RefreshToken, CredentialsError> {
        let context = Context::refresh_token(tenant, connection);
        let clear = self
            .refresh_tokens
            .open_secret(&context, &sealed(column)?)?;
        RefreshToken::from_bytes(&clear).map_err(|_| CredentialsError::NotText)
    }

    pub(crate) fn application(
        &self,
        application: ApplicationId,
        credential: ClientCredential,
    ) -> Result<ApplicationCredentials, CredentialsError> {
        let id = application.to_string();
        let clear = self
            .client_secrets
            .open_secret(&Context::client_secret(&id), &sealed(credential.secret)?)?;
        Ok(ApplicationCredentials {
            client_id: credential.client_id,
            client_secret: ClientSecret::from_bytes(&clear)
                .map_err(|_| CredentialsError::NotText)?,
        })
    }

    pub(crate) fn seal(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        token: &AccessToken,
    ) -> Result<SealedColumn, SealError> {
        let context = Context::access_token(tenant, connection);
        let sealed = self
            .access_tokens
            .seal_secret(&context, token.expose_secret().as_bytes())?;
        Ok(SealedColumn {
            dek_id: sealed.dek.dek_id.get(),
            kek_id: sealed.dek.kek_id,
            kek_version: sealed.dek.kek_version,
            wrapped_dek: sealed.dek.wrapped,
            sealed: sealed.ciphertext,
        })
    }
}

fn sealed(column: SealedColumn) -> Result<Sealed, CredentialsError> {
    Ok(Sealed {
        dek: WrappedDek {
            dek_id: DekId::new(column.dek_id).ok_or(CredentialsError::NoKey)?,
            kek_id: column.kek_id,
            kek_version: column.kek_version,
            wrapped: column.wrapped_dek,
        },
        ciphertext: column.sealed,
    })
}
