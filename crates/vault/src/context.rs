//! The row that a ciphertext belongs to: rebuilt from the row each time and never stored beside the ciphertext.

use bulkhead_domain::{ConnectionId, TenantId};
use uuid::Uuid;

use crate::fields::Fields;

/// The layout of a sealed secret: its text.
const SECRET_TEXT: u16 = 1;

/// Where a value is stored. A ciphertext opens under exactly the context it was sealed under.
///
/// The environment is not here: the keyring knows it and adds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// Whose value.
    pub tenant: TenantId,
    /// Of which connection; `None` for what belongs to an application.
    pub connection: Option<ConnectionId>,
    /// Table and column: `order_pii.sealed`.
    pub column: &'static str,
    /// The rest of the row's key: an order id, an application id, or `""` where the connection is the key.
    pub record: &'a str,
    /// The layout of the plaintext, counted from 1.
    pub schema_version: u16,
}

impl<'a> Context<'a> {
    /// Of a connection's refresh token.
    #[must_use]
    pub const fn refresh_token(tenant: TenantId, connection: ConnectionId) -> Self {
        Self {
            tenant,
            connection: Some(connection),
            column: "refresh_tokens.sealed",
            record: "",
            schema_version: SECRET_TEXT,
        }
    }

    /// Of a connection's access token.
    #[must_use]
    pub const fn access_token(tenant: TenantId, connection: ConnectionId) -> Self {
        Self {
            tenant,
            connection: Some(connection),
            column: "access_tokens.sealed",
            record: "",
            schema_version: SECRET_TEXT,
        }
    }

    /// Of a client secret of the application with this id, which belongs to no tenant.
    #[must_use]
    pub const fn client_secret(application_id: &'a str) -> Self {
        Self {
            tenant: TenantId::new(Uuid::nil()),
            connection: None,
            column: "application_secrets.sealed",
            record: application_id,
            schema_version: SECRET_TEXT,
        }
    }

    /// Of an order's buyer PII, laid out as `schema_version` says.
    #[must_use]
    pub const fn order_pii(
        tenant: TenantId,
        connection: ConnectionId,
        order_id: &'a str,
        schema_version: u16,
    ) -> Self {
        Self {
            tenant,
            connection: Some(connection),
            column: "order_pii.sealed",
            record: order_id,
            schema_version,
        }
    }
}

impl Context<'_> {
    /// Environment, tenant, connection, column, record, schema version, each behind its length; no connection is an empty field.
    pub(crate) fn encode(&self, environment: &str) -> Vec<u8> {
        let connection = self.connection.map(ConnectionId::uuid);
        Fields::default()
            .with(environment.as_bytes())
            .with(self.tenant.uuid().as_bytes())
            .with(connection.as_ref().map_or(&[], |id| id.as_bytes()))
            .with(self.column.as_bytes())
            .with(self.record.as_bytes())
            .with(&self.schema_version.to_be_bytes())
            .into_bytes()
    }
}
