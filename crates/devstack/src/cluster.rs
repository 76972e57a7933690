use tokio::sync::OnceCell;
use url::Url;

use crate::{PostgresOptions, PostgresServer, StartError};

/// The environment variable with the superuser's URL of a cluster that tests may use as they like.
pub const TEST_POSTGRES: &str = "BULKHEAD_TEST_POSTGRES";

/// A Postgres cluster for tests: one that outlives this process, or a private one.
#[derive(Debug)]
pub struct Cluster {
    admin: Url,
    // Ends with this value.
    _private: Option<PostgresServer>,
}

impl Cluster {
    /// The cluster of [`TEST_POSTGRES`] if that is set, or a new private one that is not durable.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn from_env_or_start() -> Result<Self, StartError> {
        match std::env::var(TEST_POSTGRES) {
            Ok(url) => Self::at(&url),
            Err(_) => {
                let server = PostgresServer::start(PostgresOptions::default()).await?;
                let cluster = Self::at(&server.admin_url("postgres"))?;
                Ok(Self {
                    _private: Some(server),
                    ..cluster
                })
            }
        }
    }

    /// The same for all tests of this process; ends with the process.
    ///
    /// # Errors
    /// [`StartError`]; the next call tries again.
    pub async fn shared() -> Result<&'static Self, StartError> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::from_env_or_start).await
    }

    /// A cluster that runs already, by its superuser's URL.
    ///
    /// # Errors
    /// [`StartError::InvalidUrl`].
    pub fn at(admin_url: &str) -> Result<Self, StartError> {
        let invalid = |source| StartError::InvalidUrl {
            variable: TEST_POSTGRES,
            source,
        };
        Ok(Self {
            admin: Url::parse(admin_url).map_err(invalid)?,
            _private: None,
        })
    }

    /// The superuser's URL of this database (`postgres` always exists).
    pub fn admin_url(&self, database: &str) -> String {
        let mut url = self.admin.clone();
        url.set_path(database);
        url.into()
    }

    /// A role's URL of this database, without a password.
    pub fn url(&self, role: &str, database: &str) -> String {
        let mut url = self.admin.clone();
        url.set_path(database);
        if url
            .set_password(None)
            .and_then(|()| url.set_username(role))
            .is_err()
        {
            // A URL without a host (`postgres:///db?host=/folder`) has no place for a user either.
            url.query_pairs_mut().append_pair("user", role);
        }
        url.into()
    }

    /// The same cluster, without the duty to end it.
    pub(crate) fn reference(&self) -> Self {
        Self {
            admin: self.admin.clone(),
            _private: None,
        }
    }
}
