//! LWA clients that connections authorize.

use bulkhead_domain::ApplicationId;
use jiff_sqlx::Timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    answer::{limit, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    credential::SealedColumn,
    error::{AddError, StoreError},
};

/// An application to be.
#[derive(Debug, Clone, Copy)]
pub struct NewApplication<'a> {
    /// Its id.
    pub id: ApplicationId,
    /// Unique among applications.
    pub name: &'a str,
    /// `amzn1.application-oa2-client.…`.
    pub client_id: &'a str,
    /// Its client secret, sealed.
    pub client_secret: &'a SealedColumn,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Unique among applications.
    pub name: String,
    /// `amzn1.application-oa2-client.…`.
    pub client_id: String,
    /// The version of its current client secret.
    pub secret_version: Option<i32>,
    /// When it was added.
    pub created_at: jiff::Timestamp,
}

/// The applications, for the command line.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'s>(&'s PgPool);

impl Store {
    /// The applications.
    #[must_use]
    pub const fn applications(&self) -> Applications<'_> {
        Applications(&self.pool)
    }
}

struct ApplicationRow {
    id: Uuid,
    name: String,
    client_id: String,
    created_at: Timestamp,
    secret_version: Option<i32>,
}

impl From<ApplicationRow> for Application {
    fn from(row: ApplicationRow) -> Self {
        Self {
            id: ApplicationId::new(row.id),
            name: row.name,
            client_id: row.client_id,
            secret_version: row.secret_version,
            created_at: row.created_at.to_jiff(),
        }
    }
}

impl Applications<'_> {
    /// Adds an application with its first secret; `actor` goes into the audit log.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, application: &NewApplication<'_>, actor: &str) -> Result<(), AddError> {
        const DOING: &str = "add an application";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let insert = sqlx::query_file!(
            "queries/applications/insert.sql",
            application.id.uuid(),
            application.name,
            application.client_id
        );
        within(DOING, insert.execute(&mut *transaction))
            .await
            .map_err(AddError::of("application"))?;
        insert_secret(&mut transaction, application.id, application.client_secret).await?;
        let event = NewAuditEvent {
            tenant: None,
            actor,
            action: "application.add",
            resource: &format!("application/{}", application.id),
            details: serde_json::json!({ "name": application.name, "client_id": application.client_id }),
        };
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(())
    }

    /// Adds a newer client secret and returns its version; the older ones stay.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add_secret(
        &self,
        application: ApplicationId,
        secret: &SealedColumn,
        actor: &str,
    ) -> Result<i32, AddError> {
        const DOING: &str = "add a client secret";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let version = insert_secret(&mut transaction, application, secret).await?;
        let event = NewAuditEvent {
            tenant: None,
            actor,
            action: "application.secret",
            resource: &format!("application/{application}"),
            details: serde_json::json!({ "version": version }),
        };
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(version)
    }

    /// Applications by name, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(&self, rows: u32) -> Result<Vec<Application>, StoreError> {
        let list =
            sqlx::query_file_as!(ApplicationRow, "queries/applications/list.sql", limit(rows));
        let found = within("list applications", list.fetch_all(self.0)).await?;
        Ok(found.into_iter().map(Application::from).collect())
    }

    /// The application of this name.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find(&self, name: &str) -> Result<Option<Application>, StoreError> {
        let find = sqlx::query_file_as!(ApplicationRow, "queries/applications/find.sql", name);
        let found = within("find an application", find.fetch_optional(self.0)).await?;
        Ok(found.map(Application::from))
    }
}

async fn insert_secret(
    session: &mut PgConnection,
    application: ApplicationId,
    secret: &SealedColumn,
) -> Result<i32, AddError> {
    let insert = sqlx::query_file_scalar!(
        "queries/application_secrets/insert.sql",
        application.uuid(),
        secret.dek_id,
        secret.kek_id,
        secret.kek_version,
        secret.wrapped_dek,
        secret.sealed
    );
    within("add a client secret", insert.fetch_one(session))
        .await
        .map_err(AddError::of("client secret"))
}
