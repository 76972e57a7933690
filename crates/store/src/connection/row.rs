//! A row of `connections` with its tenant's name, as its queries return it.

use bulkhead_domain::{ApplicationId, ConnectionId, TenantId};
use jiff_sqlx::Timestamp;
use uuid::Uuid;

use super::Connection;
use crate::error::StoreError;

pub(super) struct ConnectionRow {
    pub(super) tenant_id: Uuid,
    pub(super) tenant_name: String,
    pub(super) id: Uuid,
    pub(super) application_id: Uuid,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) seller_id: String,
    pub(super) marketplace_ids: Vec<String>,
    pub(super) state: String,
    pub(super) includes_pii: bool,
    pub(super) created_at: Timestamp,
    pub(super) token_expires_at: Option<Timestamp>,
}

impl ConnectionRow {
    pub(super) fn read(self, doing: &'static str) -> Result<Connection, StoreError> {
        Ok(Connection {
            tenant: TenantId::new(self.tenant_id),
            tenant_name: self.tenant_name,
            id: ConnectionId::new(self.id),
            application: ApplicationId::new(self.application_id),
            name: self.name,
            region: self.region.parse().map_err(StoreError::unreadable(doing))?,
            seller_id: self.seller_id,
            marketplace_ids: self.marketplace_ids,
            state: self.state.parse().map_err(StoreError::unreadable(doing))?,
            includes_pii: self.includes_pii,
            created_at: self.created_at.to_jiff(),
            token_expires_at: self.token_expires_at.map(Timestamp::to_jiff),
        })
    }
}
