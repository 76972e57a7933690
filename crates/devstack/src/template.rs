use std::error::Error;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{Cluster, Database, DatabaseError};

/// One lock for all templates of a cluster: migrations also make roles, which are shared by all
/// databases.
const TEMPLATE_LOCK: i64 = 0x6275_6c6b_6865_6164;
const NAME_MAX: usize = 24;

/// A migrated database from which tests get copies of their own in a few milliseconds.
#[derive(Debug, Clone)]
pub struct TemplateDatabase {
    cluster: Arc<Cluster>,
    name: String,
    template: String,
}

impl TemplateDatabase {
    /// Finds the template of this name and key, or makes it: `migrate` is given the superuser's URL
    /// of an empty database. Safe against other processes that want the same; `key` must change
    /// with what `migrate` does.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn new<E: Into<Box<dyn Error + Send + Sync>>>(
        cluster: &Cluster,
        name: &str,
        key: &str,
        migrate: impl AsyncFnOnce(String) -> Result<(), E>,
    ) -> Result<Self, DatabaseError> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.len() > NAME_MAX
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.chars().all(valid)
        {
            return Err(DatabaseError::Name {
                name: name.to_owned(),
            });
        }
        let key = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).simple();
        let found = Self {
            cluster: Arc::new(cluster.reference()),
            name: name.to_owned(),
            template: format!("{name}_t{key}"),
        };
        found.make_if_missing(migrate).await?;
        Ok(found)
    }

    /// A copy with everything the template holds. As always in Postgres, grants on the database
    /// itself and `alter database … set` are not copied.
    ///
    /// # Errors
    /// [`DatabaseError::Postgres`].
    pub async fn clone_database(&self) -> Result<Database, DatabaseError> {
        let name = format!("{}_{}", self.name, Uuid::new_v4().simple());
        let mut admin = connect(&self.cluster).await?;
        execute(
            &mut admin,
            &format!("create database {name} template {}", self.template),
        )
        .await?;
        Ok(Database::new(Arc::clone(&self.cluster), name))
    }

    async fn make_if_missing<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        migrate: impl AsyncFnOnce(String) -> Result<(), E>,
    ) -> Result<(), DatabaseError> {
        let mut admin = connect(&self.cluster).await?;
        if self.is_made(&mut admin).await? {
            return Ok(());
        }
        // Released with the session, also when this process is killed.
        execute(
            &mut admin,
            &format!("select pg_advisory_lock({TEMPLATE_LOCK})"),
        )
        .await?;
        if self.is_made(&mut admin).await? {
            return Ok(());
        }
        let template = &self.template;
        execute(
            &mut admin,
            &format!("drop database if exists {template} with (force)"),
        )
        .await?;
        execute(&mut admin, &format!("create database {template}")).await?;
        migrate(self.cluster.admin_url(template))
            .await
            .map_err(|source| DatabaseError::Migrate {
                template: template.clone(),
                source: source.into(),
            })?;
        // The mark that it is whole; and a session on a template would keep others from copying it.
        execute(
            &mut admin,
            &format!("alter database {template} is_template true allow_connections false"),
        )
        .await
    }

    async fn is_made(&self, admin: &mut PgConnection) -> Result<bool, DatabaseError> {
        sqlx::query_scalar(
            "select exists (select from pg_database where datname = $1 and datistemplate)",
        )
        .bind(&self.template)
        .fetch_one(admin)
        .await
        .map_err(DatabaseError::postgres(format!(
            "look for template database {}",
            self.template
        )))
    }
}

pub(crate) async fn connect(cluster: &Cluster) -> Result<PgConnection, DatabaseError> {
    let connected = PgConnection::connect(&cluster.admin_url("postgres")).await;
    connected.map_err(DatabaseError::postgres("connect to the test cluster"))
}

/// Runs a statement whose names are this crate's own.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), DatabaseError> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(drop).map_err(DatabaseError::postgres(sql))
}
