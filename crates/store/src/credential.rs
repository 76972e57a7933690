//! Sealed secrets on their way in and out. This crate cannot open them: it carries bytes.

use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use crate::{
    answer::{count, millis, within},
    error::StoreError,
    session::JobTx,
};

/// A secret, sealed under a data key of its own, with that key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedColumn {
    /// The data key's id.
    pub dek_id: i64,
    /// Which key wraps the data key.
    pub kek_id: String,
    /// Its version.
    pub kek_version: i32,
    /// The wrapped data key.
    pub wrapped_dek: Vec<u8>,
    /// The sealed secret.
    pub sealed: Vec<u8>,
}

/// An access token as a sync worker finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token, sealed.
    pub token: SealedColumn,
    /// Until when Amazon takes it.
    pub expires_at: Timestamp,
    /// How long it lived when it was new.
    pub lifetime: Duration,
    /// Counts the connection's refreshes, from 1.
    pub generation: u64,
}

/// An access token as the token worker leaves it.
#[derive(Debug, Clone, Copy)]
pub struct NewAccessToken<'a> {
    /// The token, sealed.
    pub token: &'a SealedColumn,
    /// Until when Amazon takes it.
    pub expires_at: Timestamp,
    /// How long it lives from when it was new.
    pub lifetime: Duration,
}

/// What an application proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredential {
    /// `amzn1.application-oa2-client.…`.
    pub client_id: String,
    /// The version of the secret.
    pub version: i32,
    /// The client secret, sealed.
    pub secret: SealedColumn,
}

impl JobTx {
    /// The access token of the entered job's connection, if there has been one. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn access_token(&mut self) -> Result<Option<AccessToken>, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let find = sqlx::query_file!("queries/access_tokens/entered.sql", tenant, connection);
        let found = within("read an access token", find.fetch_optional(self.sql())).await?;
        Ok(found.map(|row| AccessToken {
            token: SealedColumn {
                dek_id: row.dek_id,
                kek_id: row.kek_id,
                kek_version: row.kek_version,
                wrapped_dek: row.wrapped_dek,
                sealed: row.sealed,
            },
            expires_at: row.expires_at.to_jiff(),
            lifetime: Duration::from_millis(count(row.lifetime_ms)),
            generation: count(row.generation),
        }))
    }

    /// Stores a fresh access token of the entered job's connection and returns its generation. For token.
    ///
    /// # Errors
    /// As any statement.
    pub async fn replace_access_token(
        &mut self,
        fresh: &NewAccessToken<'_>,
    ) -> Result<u64, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let replace = sqlx::query_file_scalar!(
            "queries/access_tokens/replace.sql",
            tenant,
            connection,
            fresh.token.dek_id,
            fresh.token.kek_id,
            fresh.token.kek_version,
            fresh.token.wrapped_dek,
            fresh.token.sealed,
            fresh.expires_at.to_sqlx() as _,
            millis(fresh.lifetime)
        );
        within("store an access token", replace.fetch_one(self.sql()))
            .await
            .map(count)
    }

    /// The refresh token of the entered job's connection. For token.
    ///
    /// # Errors
    /// As any statement.
    pub async fn refresh_token(&mut self) -> Result<Option<SealedColumn>, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let find = sqlx::query_file_as!(
            SealedColumn,
            "queries/refresh_tokens/entered.sql",
            tenant,
            connection
        );
        within("read a refresh token", find.fetch_optional(self.sql())).await
    }

    /// The client id and current secret of the entered job's application. For token.
    ///
    /// # Errors
    /// As any statement.
    pub async fn client_credential(&mut self) -> Result<Option<ClientCredential>, StoreError> {
        let find = sqlx::query_file!("queries/application_secrets/current.sql");
        let found = within("read a client secret", find.fetch_optional(self.sql())).await?;
        Ok(found.map(|row| ClientCredential {
            client_id: row.client_id,
            version: row.version,
            secret: SealedColumn {
                dek_id: row.dek_id,
                kek_id: row.kek_id,
                kek_version: row.kek_version,
                wrapped_dek: row.wrapped_dek,
                sealed: row.sealed,
            },
        }))
    }
}
