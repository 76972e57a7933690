//! Sellers' authorizations.

use bulkhead_domain::{ApplicationId, ConnectionId, Region, TenantId};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    answer::{limit, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    credential::SealedColumn,
    error::{AddError, StoreError},
    obligation::operate::cancel_connection,
    session::JobTx,
    token_refresh,
};

mod row;
mod state;

pub use state::ConnectionState;

use row::ConnectionRow;

/// Begins the last error of what a pause has withdrawn: a resume owes exactly these again.
const PAUSED: &str = "paused: ";

/// A connection to be.
#[derive(Debug, Clone, Copy)]
pub struct NewConnection<'a> {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ConnectionId,
    /// What the seller authorized.
    pub application: ApplicationId,
    /// Unique among the tenant's connections.
    pub name: &'a str,
    /// Which of Amazon's hosts answers for it.
    pub region: Region,
    /// Amazon's id of the seller.
    pub seller_id: &'a str,
    /// Where the seller sells; at least one.
    pub marketplace_ids: &'a [String],
    /// Whether the application's roles make Amazon send buyer PII.
    pub includes_pii: bool,
    /// Its refresh token, sealed.
    pub refresh_token: &'a SealedColumn,
}

/// A connection, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// Its id.
    pub id: ConnectionId,
    /// What the seller authorized.
    pub application: ApplicationId,
    /// Unique among the tenant's connections.
    pub name: String,
    /// Which of Amazon's hosts answers for it.
    pub region: Region,
    /// Amazon's id of the seller.
    pub seller_id: String,
    /// Where the seller sells.
    pub marketplace_ids: Vec<String>,
    /// Whether it is worked for.
    pub state: ConnectionState,
    /// Whether the application's roles make Amazon send buyer PII.
    pub includes_pii: bool,
    /// When it was added.
    pub created_at: jiff::Timestamp,
    /// Until when its access token lives, if it has one.
    pub token_expires_at: Option<jiff::Timestamp>,
}

/// What an entered job needs to know of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnteredConnection {
    /// What the seller authorized.
    pub application: ApplicationId,
    /// Which of Amazon's hosts answers for it.
    pub region: Region,
    /// Amazon's id of the seller.
    pub seller_id: String,
    /// Where the seller sells.
    pub marketplace_ids: Vec<String>,
    /// Whether the application's roles make Amazon send buyer PII.
    pub includes_pii: bool,
}

/// The connections.
#[derive(Debug, Clone, Copy)]
pub struct Connections<'s>(&'s PgPool);

impl Store {
    /// The connections.
    #[must_use]
    pub const fn connections(&self) -> Connections<'_> {
        Connections(&self.pool)
    }
}

impl Connections<'_> {
    /// Adds a connection with its refresh token and owes its first access token; `actor` goes into the audit log.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, connection: &NewConnection<'_>, actor: &str) -> Result<(), AddError> {
        const DOING: &str = "add a connection";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let insert = sqlx::query_file!(
            "queries/connections/insert.sql",
            connection.tenant.uuid(),
            connection.id.uuid(),
            connection.application.uuid(),
            connection.name,
            connection.region.as_str(),
            connection.seller_id,
            connection.marketplace_ids,
            connection.includes_pii
        );
        within(DOING, insert.execute(&mut *transaction))
            .await
            .map_err(AddError::of("connection"))?;
        let (tenant, id) = (connection.tenant, connection.id);
        replace_refresh_token(&mut transaction, tenant, id, connection.refresh_token).await?;
        token_refresh::owe_now(&mut transaction, tenant, id).await?;
        let details = json!({ "name": connection.name, "region": connection.region, "seller_id": connection.seller_id });
        append(
            &mut transaction,
            tenant,
            id,
            actor,
            "connection.add",
            details,
        )
        .await?;
        within(DOING, transaction.commit()).await?;
        Ok(())
    }

    /// Stops an active connection until [`Connections::resume`]: what it owes is withdrawn until then, and jobs that run
    /// cannot enter any more. Returns whether it was active.
    ///
    /// # Errors
    /// As any statement.
    pub async fn pause(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        reason: &str,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "pause a connection";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let to = ConnectionState::Paused;
        if !set_state(&mut transaction, tenant, id, to, &[ConnectionState::Active]).await? {
            return Ok(false);
        }
        let marked = format!("{PAUSED}{reason}");
        let withdrawn = cancel_connection(&mut transaction, tenant, id, None, &marked).await?;
        let details = json!({ "reason": reason, "obligations_cancelled": withdrawn });
        append(
            &mut transaction,
            tenant,
            id,
            actor,
            "connection.pause",
            details,
        )
        .await?;
        within(DOING, transaction.commit()).await?;
        Ok(true)
    }

    /// Works for a paused connection again, beginning with its access token; the syncs that the pause withdrew are owed
    /// again, those of nights that it missed at once. Returns whether it was paused.
    ///
    /// # Errors
    /// As any statement.
    pub async fn resume(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "resume a connection";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let to = ConnectionState::Active;
        if !set_state(&mut transaction, tenant, id, to, &[ConnectionState::Paused]).await? {
            return Ok(false);
        }
        token_refresh::owe_now(&mut transaction, tenant, id).await?;
        let owed = owe_after_pause(&mut transaction, tenant, id).await?;
        append(
            &mut transaction,
            tenant,
            id,
            actor,
            "connection.resume",
            json!({ "obligations_owed_again": owed }),
        )
        .await?;
        within(DOING, transaction.commit()).await?;
        Ok(true)
    }

    /// The seller has authorized again: another refresh token, and active. Returns whether there is such a connection
    /// that is not paused or contained.
    ///
    /// # Errors
    /// As any statement.
    pub async fn reauthorize(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        refresh_token: &SealedColumn,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "reauthorize a connection";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let from = [ConnectionState::Reauthorize, ConnectionState::Active];
        if !set_state(&mut transaction, tenant, id, ConnectionState::Active, &from).await? {
            return Ok(false);
        }
        replace_refresh_token(&mut transaction, tenant, id, refresh_token).await?;
        token_refresh::owe_now(&mut transaction, tenant, id).await?;
        append(
            &mut transaction,
            tenant,
            id,
            actor,
            "connection.reauthorize",
            json!({}),
        )
        .await?;
        within(DOING, transaction.commit()).await?;
        Ok(true)
    }

    /// Connections by tenant and name, of one tenant if given, up to `rows`. For the command line.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        rows: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        const DOING: &str = "list connections";
        let list = sqlx::query_file_as!(
            ConnectionRow,
            "queries/connections/list.sql",
            tenant.map(TenantId::uuid),
            limit(rows)
        );
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found.into_iter().map(|row| row.read(DOING)).collect()
    }

    /// A tenant's connection of this name. For the command line.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<Connection>, StoreError> {
        const DOING: &str = "find a connection";
        let find = sqlx::query_file_as!(
            ConnectionRow,
            "queries/connections/find.sql",
            tenant.uuid(),
            name
        );
        let found = within(DOING, find.fetch_optional(self.0)).await?;
        found.map(|row| row.read(DOING)).transpose()
    }

    /// The connection of this id, of whichever tenant. For the command line.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find_by_id(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        const DOING: &str = "find a connection";
        let find = sqlx::query_file_as!(
            ConnectionRow,
            "queries/connections/find_by_id.sql",
            id.uuid()
        );
        let found = within(DOING, find.fetch_optional(self.0)).await?;
        found.map(|row| row.read(DOING)).transpose()
    }

    /// Up to `rows` active connections of a tenant with ids after `after`, in that order. For the scheduler.
    ///
    /// # Errors
    /// As any statement.
    pub async fn active(
        &self,
        tenant: TenantId,
        after: Option<ConnectionId>,
        rows: u32,
    ) -> Result<Vec<(ConnectionId, ApplicationId)>, StoreError> {
        let after = after.map_or(Uuid::nil(), ConnectionId::uuid);
        let list = sqlx::query_file!(
            "queries/connections/active.sql",
            tenant.uuid(),
            after,
            limit(rows)
        );
        let found = within("list active connections", list.fetch_all(self.0)).await?;
        Ok(found
            .into_iter()
            .map(|row| {
                let application = ApplicationId::new(row.application_id);
                (ConnectionId::new(row.id), application)
            })
            .collect())
    }
}

impl JobTx {
    /// What the entered job needs to know of its connection. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn entered_connection(&mut self) -> Result<EnteredConnection, StoreError> {
        const DOING: &str = "read the connection";
        let (tenant, connection) = (self.tenant(), self.connection());
        let find = sqlx::query_file!("queries/connections/entered.sql", tenant, connection);
        let row = within(DOING, find.fetch_one(self.sql())).await?;
        Ok(EnteredConnection {
            application: ApplicationId::new(row.application_id),
            region: row.region.parse().map_err(StoreError::unreadable(DOING))?,
            seller_id: row.seller_id,
            marketplace_ids: row.marketplace_ids,
            includes_pii: row.includes_pii,
        })
    }
}

async fn set_state(
    session: &mut PgConnection,
    tenant: TenantId,
    id: ConnectionId,
    to: ConnectionState,
    from: &[ConnectionState],
) -> Result<bool, StoreError> {
    let from: Vec<String> = from.iter().map(ToString::to_string).collect();
    let set = sqlx::query_file!(
        "queries/connections/set_state.sql",
        tenant.uuid(),
        id.uuid(),
        to.as_str(),
        &from
    );
    let moved = within("set a connection's state", set.execute(session)).await?;
    Ok(moved.rows_affected() == 1)
}

async fn owe_after_pause(
    session: &mut PgConnection,
    tenant: TenantId,
    id: ConnectionId,
) -> Result<u64, StoreError> {
    let owe = sqlx::query_file!(
        "queries/obligations/owe_after_pause.sql",
        tenant.uuid(),
        id.uuid(),
        PAUSED
    );
    let owed = within("owe again what a pause withdrew", owe.execute(session)).await?;
    Ok(owed.rows_affected())
}

async fn replace_refresh_token(
    session: &mut PgConnection,
    tenant: TenantId,
    id: ConnectionId,
    token: &SealedColumn,
) -> Result<(), StoreError> {
    let replace = sqlx::query_file!(
        "queries/refresh_tokens/replace.sql",
        tenant.uuid(),
        id.uuid(),
        token.dek_id,
        token.kek_id,
        token.kek_version,
        token.wrapped_dek,
        token.sealed
    );
    within("store a refresh token", replace.execute(session)).await?;
    Ok(())
}

async fn append(
    session: &mut PgConnection,
    tenant: TenantId,
    id: ConnectionId,
    actor: &str,
    action: &str,
    details: serde_json::Value,
) -> Result<(), StoreError> {
    let event = NewAuditEvent {
        tenant: Some(tenant),
        actor,
        action,
        resource: &format!("connection/{id}"),
        details,
    };
    audit::append(session, &event).await
}
