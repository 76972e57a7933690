//! Tenants, applications and connections by the name or id that an operator gives.

use std::fmt::Display;

use bulkhead_domain::{ApplicationId, ConnectionId, TenantId};
use bulkhead_service::StartError;
use bulkhead_store::{Application, Connection, Store, Tenant};

use crate::not_found::NotFound;

/// More than any fleet has; no list is read without a limit.
pub const EVERYTHING: u32 = 1_000_000;

/// The tenant of this name or id.
///
/// # Errors
/// [`NotFound`]; or Postgres failed.
pub async fn tenant(store: &Store, given: &str) -> anyhow::Result<Tenant> {
    if let Some(tenant) = store.tenants().find(given).await? {
        return Ok(tenant);
    }
    let tenants = store.tenants().list(EVERYTHING).await?;
    let id = given.parse::<TenantId>().ok();
    if let Some(tenant) = tenants.iter().find(|tenant| Some(tenant.id) == id) {
        return Ok(tenant.clone());
    }
    let names = tenants.iter().map(|tenant| tenant.name.as_str());
    let remedy = "add one with `bulkhead tenant add NAME`";
    Err(NotFound::among("tenant", given, names, remedy).into())
}

/// The application of this name or id.
///
/// # Errors
/// [`NotFound`]; or Postgres failed.
pub async fn application(store: &Store, given: &str) -> anyhow::Result<Application> {
    if let Some(application) = store.applications().find(given).await? {
        return Ok(application);
    }
    let applications = store.applications().list(EVERYTHING).await?;
    let id = given.parse::<ApplicationId>().ok();
    if let Some(application) = applications.iter().find(|one| Some(one.id) == id) {
        return Ok(application.clone());
    }
    let names = applications.iter().map(|one| one.name.as_str());
    let remedy = "add one with `bulkhead application add NAME --client-id ID`";
    Err(NotFound::among("application", given, names, remedy).into())
}

/// The connection of this name, `TENANT/NAME` or id, of `tenant` if given.
///
/// # Errors
/// [`NotFound`]; exit code 2: several have this name; or Postgres failed.
pub async fn connection(
    store: &Store,
    tenant: Option<TenantId>,
    given: &str,
) -> anyhow::Result<Connection> {
    if let Ok(id) = given.parse::<ConnectionId>()
        && let Some(connection) = store.connections().find_by_id(id).await?
        && tenant.is_none_or(|tenant| tenant == connection.tenant)
    {
        return Ok(connection);
    }
    let connections = store.connections().list(tenant, EVERYTHING).await?;
    Ok(pick(&connections, given)?.clone())
}

fn pick<'c>(connections: &'c [Connection], given: &str) -> anyhow::Result<&'c Connection> {
    let is_meant = |one: &&Connection| one.name == given || path(one) == given;
    let meant: Vec<&Connection> = connections.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => {
            let names: Vec<String> = connections
                .iter()
                .map(|one| {
                    if given.contains('/') {
                        path(one)
                    } else {
                        one.name.clone()
                    }
                })
                .collect();
            let names = names.iter().map(String::as_str);
            let remedy = "add one with `bulkhead connection add NAME`";
            Err(NotFound::among("connection", given, names, remedy).into())
        }
        several => Err(StartError::refused(format!(
            "several connections are called `{given}`: say {}",
            any_of(several.iter().map(|one| path(one)))
        ))
        .into()),
    }
}

/// `TENANT/NAME`, which no other connection has.
#[must_use]
pub fn path(connection: &Connection) -> String {
    format!("{}/{}", connection.tenant_name, connection.name)
}

fn any_of(names: impl Iterator<Item = impl Display>) -> String {
    names
        .map(|name| name.to_string())
        .collect::<Vec<_>>()
        .join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_domain::Region;
    use bulkhead_store::ConnectionState;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn connection(tenant: &str, name: &str, id: u128) -> Connection {
        Connection {
            tenant: TenantId::new(Uuid::from_u128(1)),
            tenant_name: tenant.to_owned(),
            id: ConnectionId::new(Uuid::from_u128(id)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            name: name.to_owned(),
            region: Region::Eu,
            seller_id: "A1".to_owned(),
            marketplace_ids: vec!["A1PA6795UKMFR9".to_owned()],
            state: ConnectionState::Active,
            includes_pii: false,
            created_at: Timestamp::UNIX_EPOCH,
            token_expires_at: None,
        }
    }

    fn picked(given: &str) -> Result<u128, String> {
        let connections = [
            connection("acme", "shop", 10),
            connection("globex", "shop", 11),
            connection("globex", "outlet", 12),
        ];
        pick(&connections, given)
            .map(|one| one.id.uuid().as_u128())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_connection_is_found_by_name_and_path() {
        assert_eq!(picked("outlet"), Ok(12));
        assert_eq!(picked("acme/shop"), Ok(10));
    }

    #[test]
    fn a_name_that_several_have_asks_which() {
        let refusal = picked("shop").unwrap_err();
        assert_eq!(
            refusal,
            "several connections are called `shop`: say acme/shop or globex/shop"
        );
    }

    #[test]
    fn a_mistyped_connection_is_suggested_as_it_was_typed() {
        assert!(
            picked("outlt")
                .unwrap_err()
                .contains("did you mean `outlet`?")
        );
        assert!(
            picked("acme/shp")
                .unwrap_err()
                .contains("did you mean `acme/shop`?")
        );
    }
}
