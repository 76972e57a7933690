//! A process's sessions, as the login of its class.

use std::{fmt, str::FromStr, time::Duration};

use bulkhead_domain::Class;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    answer::within,
    error::{StoreError, code},
    migrator,
};

/// Which login a process has. The grants of each are beside the tables in `migrations/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `bulkhead_scheduler`: what is owed, of every tenant; no seller data, no credentials.
    Scheduler,
    /// `bulkhead_sync`: writes seller data of the job it has entered.
    Sync,
    /// `bulkhead_token`: credentials of the job it has entered.
    Token,
    /// `bulkhead_purge`: deletes.
    Purge,
    /// `bulkhead_containment`: fences.
    Containment,
    /// `bulkhead_operator`: the command line; seals credentials in, never sees seller data.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::Scheduler,
        Self::Sync,
        Self::Token,
        Self::Purge,
        Self::Containment,
        Self::Operator,
    ];

    /// The login's name.
    #[must_use]
    pub const fn login(self) -> &'static str {
        match self {
            Self::Scheduler => "bulkhead_scheduler",
            Self::Sync => "bulkhead_sync",
            Self::Token => "bulkhead_token",
            Self::Purge => "bulkhead_purge",
            Self::Containment => "bulkhead_containment",
            Self::Operator => "bulkhead_operator",
        }
    }
}

impl From<Class> for Role {
    fn from(class: Class) -> Self {
        match class {
            Class::Sync => Self::Sync,
            Class::Token => Self::Token,
            Class::Purge => Self::Purge,
            Class::Containment => Self::Containment,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.login())
    }
}

/// Where Postgres is, and how much of it this process takes.
#[derive(Clone, Copy)]
pub struct StoreOptions<'a> {
    /// `postgres://login@host/database`; may hold a password, so it is not shown.
    pub url: &'a str,
    /// Sessions at most.
    pub max_connections: u32,
    /// As `pg_stat_activity` shows it.
    pub application_name: &'a str,
    /// How long to wait for a free session, making one included.
    pub acquire_timeout: Duration,
}

impl<'a> StoreOptions<'a> {
    /// Eight sessions, five seconds.
    #[must_use]
    pub const fn new(url: &'a str, application_name: &'a str) -> Self {
        Self {
            url,
            max_connections: 8,
            application_name,
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for StoreOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("max_connections", &self.max_connections)
            .field("application_name", &self.application_name)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration must be corrected.
    #[error("the Postgres URL cannot be read")]
    Url(#[source] sqlx::Error),
    /// Wrong address, or Postgres is down, starting or full.
    #[error("Postgres cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// Postgres is there and does not let this login in: wrong password, or the role or database is not there.
    #[error("Postgres refuses this login: check the URL, and that `bulkhead migrate` has run")]
    Rejected(#[source] sqlx::Error),
    /// The URL names another login than this process has.
    #[error("this process must log in to Postgres as {expected}, not as {actual}")]
    WrongRole {
        /// Who it must be.
        expected: Role,
        /// Who it is.
        actual: String,
    },
    /// Row-level security would not hold for this login.
    #[error(
        "{login} is {power}: row-level security would not hold; give it no more than `bulkhead migrate` does"
    )]
    TooPowerful {
        /// Who it is.
        login: String,
        /// `a superuser`, …
        power: &'static str,
    },
    /// Nobody has migrated this database.
    #[error("the database has no Bulkhead schema: run `bulkhead migrate`")]
    NotMigrated,
    /// Somebody must migrate this database first.
    #[error(
        "the database has schema version {found}, this process needs {needed}: run `bulkhead migrate`"
    )]
    Outdated {
        /// What it has.
        found: i64,
        /// What this build was made for.
        needed: i64,
    },
    /// Anything else.
    #[error("the Postgres session cannot be checked")]
    Check(#[source] StoreError),
}

impl ConnectError {
    fn from_session(error: sqlx::Error) -> Self {
        // Invalid authorization, unknown database, no right to connect.
        let refusals = ["28000", "28P01", "3D000", "42501"];
        match code(&error) {
            Some(code) if refusals.contains(&code.as_str()) => Self::Rejected(error),
            _ => Self::Unreachable(error),
        }
    }
}

/// One process's sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
    role: Role,
}

impl Store {
    /// Connects as `role` and checks that the login is exactly that, no more, and that the schema is not older than
    /// this build. A newer schema is accepted: migrations expand before they contract.
    ///
    /// # Errors
    /// [`ConnectError`], each with what the operator can do.
    pub async fn connect(options: &StoreOptions<'_>, role: Role) -> Result<Self, ConnectError> {
        let session = session_options(options)?;
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .after_release(|session, _| Box::pin(is_usable(session)))
            .connect_with(session)
            .await
            .map_err(ConnectError::from_session)?;
        let store = Self { pool, role };
        store.check_role().await?;
        store.check_schema().await?;
        Ok(store)
    }

    /// Whose sessions these are.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Asks Postgres for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], usually.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let ping = sqlx::query_file_scalar!("queries/session/ping.sql");
        within("ping Postgres", ping.fetch_one(&self.pool)).await?;
        Ok(())
    }

    /// Ends the sessions; what runs in them is awaited.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn check_role(&self) -> Result<(), ConnectError> {
        let query = sqlx::query_file!("queries/session/role.sql");
        let is = within("read the session's role", query.fetch_one(&self.pool))
            .await
            .map_err(ConnectError::Check)?;
        let powers = [
            (is.superuser, "a superuser"),
            (
                is.bypasses_row_security,
                "allowed to bypass row-level security",
            ),
            (is.is_owner, "a member of bulkhead_owner"),
        ];
        if let Some((_, power)) = powers.into_iter().find(|(has, _)| *has) {
            return Err(ConnectError::TooPowerful {
                login: is.name,
                power,
            });
        }
        if is.name != self.role.login() {
            return Err(ConnectError::WrongRole {
                expected: self.role,
                actual: is.name,
            });
        }
        Ok(())
    }

    async fn check_schema(&self) -> Result<(), ConnectError> {
        let query = sqlx::query_file_scalar!("queries/session/schema_version.sql");
        let version = within("read the schema version", query.fetch_one(&self.pool)).await;
        let found = match version {
            Ok(version) => version.ok_or(ConnectError::NotMigrated)?,
            Err(error) if migrator::is_missing_schema(&error) => {
                return Err(ConnectError::NotMigrated);
            }
            Err(error) => return Err(ConnectError::Check(error)),
        };
        let needed = migrator::newest_version();
        if found < needed {
            return Err(ConnectError::Outdated { found, needed });
        }
        Ok(())
    }
}

/// The server ends what this process leaves open: a stopped worker must not hold its row's lock.
const SETTINGS: [(&str, &str); 7] = [
    ("search_path", "pg_catalog"),
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("timezone", "UTC"),
    // A kept plan outlives what it was made for: a day's partition is empty in the evening and full at night. And a
    // plan for given values locks the one partition that it needs, not all.
    ("plan_cache_mode", "force_custom_plan"),
];

/// Whether a session that comes back may be lent again. The pool itself would wait for its answer without a bound:
/// behind a network that swallows packets, one by one, every session would be lost that way.
async fn is_usable(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    const ANSWER_WITHIN: Duration = Duration::from_secs(2);
    match tokio::time::timeout(ANSWER_WITHIN, session.ping()).await {
        Ok(answer) => answer.map(|()| true),
        // An error closes it without a farewell, which would not be answered either.
        Err(elapsed) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed).into()),
    }
}

fn session_options(options: &StoreOptions<'_>) -> Result<PgConnectOptions, ConnectError> {
    use sqlx::ConnectOptions;
    Ok(PgConnectOptions::from_str(options.url)
        .map_err(ConnectError::Url)?
        .application_name(options.application_name)
        .options(SETTINGS)
        // Failures are logged where they are handled, and statements nowhere.
        .disable_statement_logging())
}
