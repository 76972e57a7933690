//! The schema and the roles, made by `bulkhead migrate` and by nothing else.

use std::{str::FromStr, sync::LazyLock};

use sqlx::{
    ConnectOptions, Connection as _, PgConnection, migrate::Migrator as Migrations,
    postgres::PgConnectOptions,
};

use crate::error::{StoreError, code};

static MIGRATIONS: LazyLock<Migrations> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.dangerous_set_table_name("bulkhead._sqlx_migrations");
    migrations
});

/// The cluster's roles; not a numbered migration, since they belong to no database.
const ROLES: &str = include_str!("../../../migrations/roles.sql");

/// Two `bulkhead migrate` on one database take turns.
const LOCK: &str = "select pg_advisory_lock(hashtextextended('bulkhead.migrate', 0))";

const PRIVILEGES: &str = "
    select
        current_user::text,
        r.rolsuper or (r.rolcreaterole and pg_has_role(r.oid, d.datdba, 'member')),
        to_regrole('bulkhead_owner') is not null and pg_has_role(r.oid, to_regrole('bulkhead_owner'), 'member')
    from pg_roles r, pg_database d
    where r.rolname = current_user and d.datname = current_database()";

/// As the owner; `schema_version()` is for others, and is made by a migration.
const APPLIED: &str = "select max(version) from bulkhead._sqlx_migrations where success";

/// Why the schema was not brought up to date. What was applied before stays; running again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The configuration must be corrected.
    #[error("the Postgres URL cannot be read")]
    Url(#[source] sqlx::Error),
    /// Wrong address, wrong password, or Postgres is down.
    #[error("Postgres cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// Another login must be used.
    #[error(
        "{login} may not migrate: the first time it takes a superuser, or the database's owner with CREATEROLE; \
         later bulkhead_migrator is enough"
    )]
    NotPrivileged {
        /// Who tried.
        login: String,
    },
    /// The roles could not be made.
    #[error("make the roles")]
    Roles(#[source] sqlx::Error),
    /// A migration failed and was undone, or an applied one was changed afterwards.
    #[error("migrate the schema")]
    Schema(#[source] sqlx::migrate::MigrateError),
}

/// What a run found and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version before, if there was any.
    pub from: Option<i64>,
    /// The version now.
    pub to: i64,
}

/// Brings a database up to date.
#[derive(Debug)]
pub struct Migrator;

impl Migrator {
    /// Makes the roles, if the login may, and applies the migrations that are missing, as `bulkhead_owner`.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn run(url: &str) -> Result<Migrated, MigrateError> {
        let mut session = connect(url).await?;
        let migrated = migrate(&mut session).await?;
        // The lock ends with the session.
        session.close().await.map_err(MigrateError::Unreachable)?;
        Ok(migrated)
    }

    /// The version that the database has; `None` if nobody has migrated it. Changes nothing.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn applied(url: &str) -> Result<Option<i64>, MigrateError> {
        let mut session = connect(url).await?;
        let version = applied_version(&mut session, "select bulkhead.schema_version()").await?;
        session.close().await.map_err(MigrateError::Unreachable)?;
        Ok(version)
    }

    /// What each version after `version` is: number and name, in order.
    pub fn after(version: Option<i64>) -> impl Iterator<Item = (i64, &'static str)> {
        let migrations = MIGRATIONS.iter();
        let later = migrations.filter(move |migration| Some(migration.version) > version);
        later.map(|migration| (migration.version, migration.description.as_ref()))
    }

    /// The version that [`Migrator::run`] leads to.
    #[must_use]
    pub fn newest_version() -> i64 {
        newest_version()
    }

    /// A digest of everything that [`Migrator::run`] applies: names a template database.
    #[must_use]
    pub fn digest() -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        ROLES.hash(&mut hasher);
        for migration in MIGRATIONS.iter() {
            (migration.version, migration.checksum.as_ref()).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

async fn connect(url: &str) -> Result<PgConnection, MigrateError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(MigrateError::Url)?
        .application_name("bulkhead migrate")
        .options([("search_path", "pg_catalog")])
        .disable_statement_logging();
    PgConnection::connect_with(&options)
        .await
        .map_err(MigrateError::Unreachable)
}

async fn migrate(session: &mut PgConnection) -> Result<Migrated, MigrateError> {
    sqlx::raw_sql(LOCK)
        .execute(&mut *session)
        .await
        .map_err(MigrateError::Roles)?;
    let (login, may_make_roles, is_owner): (String, bool, bool) = sqlx::query_as(PRIVILEGES)
        .fetch_one(&mut *session)
        .await
        .map_err(MigrateError::Roles)?;
    if may_make_roles {
        sqlx::raw_sql(ROLES)
            .execute(&mut *session)
            .await
            .map_err(MigrateError::Roles)?;
    } else if !is_owner {
        return Err(MigrateError::NotPrivileged { login });
    }
    // As a member of it, with exactly its rights: what is made belongs to the owner, who cannot log in.
    sqlx::raw_sql("set role bulkhead_owner")
        .execute(&mut *session)
        .await
        .map_err(MigrateError::Roles)?;
    let from = applied_version(session, APPLIED).await?;
    MIGRATIONS
        .run_direct(None, session, false)
        .await
        .map_err(MigrateError::Schema)?;
    let to = newest_version();
    Ok(Migrated { from, to })
}

async fn applied_version(
    session: &mut PgConnection,
    query: &'static str,
) -> Result<Option<i64>, MigrateError> {
    let version = sqlx::query_scalar(query).fetch_one(session).await;
    match version {
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(MigrateError::Schema(error.into())),
        Ok(version) => Ok(version),
    }
}

pub(crate) fn newest_version() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// Whether `error` means that nobody has migrated this database.
pub(crate) fn is_missing_schema(error: &StoreError) -> bool {
    match error {
        StoreError::Statement { source, .. } => is_missing(source),
        _ => false,
    }
}

fn is_missing(error: &sqlx::Error) -> bool {
    // Schema, table, function.
    matches!(code(error).as_deref(), Some("3F000" | "42P01" | "42883"))
}
