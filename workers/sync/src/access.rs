//! The connection's access token, opened for one call.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bulkhead_domain::{ConnectionId, TenantId};
use bulkhead_store::AccessToken as StoredToken;
use bulkhead_vault::{
    AccessToken, AccessTokens, Context, DekId, Keyring, KeyringError, OpenError, Opener, Sealed,
    WrappedDek,
};
use jiff::Timestamp;

/// A token with less than this share of its lifetime left is not used any more: a call takes time.
const SHARE_LEFT: f64 = 0.02;

/// Opens access tokens; nothing else in this process's keyring opens anything.
#[derive(Debug)]
pub struct TokenKeys(Opener<AccessTokens>);

/// A stored token cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the stored access token cannot be opened with this keyring")]
    Open(#[from] OpenError),
    #[error("the stored access token is not text")]
    NotText,
    #[error("the stored access token names no data key")]
    NoKey,
}

impl TokenKeys {
    /// Takes this class's key out of its keyring.
    ///
    /// # Errors
    /// If the keyring is another class's.
    pub fn new(keyring: &Keyring) -> Result<Self, KeyringError> {
        keyring.opener().map(Self)
    }

    pub(crate) fn open(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        stored: StoredToken,
    ) -> Result<AccessToken, TokenError> {
        let column = stored.token;
        let sealed = Sealed {
            dek: WrappedDek {
                dek_id: DekId::new(column.dek_id).ok_or(TokenError::NoKey)?,
                kek_id: column.kek_id,
                kek_version: column.kek_version,
                wrapped: column.wrapped_dek,
            },
            ciphertext: column.sealed,
        };
        let clear = self
            .0
            .open_secret(&Context::access_token(tenant, connection), &sealed)?;
        AccessToken::from_bytes(&clear).map_err(|_| TokenError::NotText)
    }
}

/// Generations of tokens that Amazon has refused, by connection: not used again while a newer one is awaited.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<HashMap<ConnectionId, u64>>);

impl Refused {
    /// Amazon has refused the token of this generation.
    pub(crate) fn add(&self, connection: ConnectionId, generation: u64) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(connection, generation);
    }

    /// Whether the token of this generation was refused; a newer one clears it.
    pub(crate) fn has(&self, connection: ConnectionId, generation: u64) -> bool {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was = refused
            .get(&connection)
            .is_some_and(|last| *last >= generation);
        if !was {
            refused.remove(&connection);
        }
        was
    }
}

/// Whether a token can still be used for a call that begins at `now`.
pub(crate) fn is_usable(token: &StoredToken, now: Timestamp) -> bool {
    let reserve = token
        .lifetime
        .mul_f64(SHARE_LEFT)
        .max(Duration::from_millis(200));
    now.saturating_add(reserve)
        .is_ok_and(|soon| soon < token.expires_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_store::SealedColumn;

    fn token(expires_at: &str) -> StoredToken {
        StoredToken {
            token: SealedColumn {
                dek_id: 1,
                kek_id: String::new(),
                kek_version: 1,
                wrapped_dek: Vec::new(),
                sealed: Vec::new(),
            },
            expires_at: expires_at.parse().expect("a time"),
            lifetime: Duration::from_secs(3_600),
            generation: 1,
        }
    }

    #[test]
    fn a_refused_token_is_not_used_again_and_a_newer_one_is() {
        let (refused, connection) = (Refused::default(), ConnectionId::new(uuid::Uuid::nil()));
        assert!(!refused.has(connection, 3));
        refused.add(connection, 3);
        assert!(refused.has(connection, 3));
        assert!(!refused.has(connection, 4));
        assert!(!refused.has(connection, 3), "the newer one was seen");
    }

    #[test]
    fn a_token_is_left_alone_in_its_last_minute() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        assert!(is_usable(&token("2026-11-24T12:02:00Z"), now));
        assert!(!is_usable(&token("2026-11-24T12:01:00Z"), now));
        assert!(!is_usable(&token("2026-11-24T11:59:00Z"), now));
    }
}
