//! A whole fleet of real processes on private servers, with a simulated Amazon: what the demo shows and the tests kill.

mod amazon;
mod cli;
mod logins;
mod member;
mod onboarding;
mod options;
mod redis;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use self::{
    amazon::{Amazon, AmazonCounts, AmazonOrder, Application, Ready, Seller},
    cli::Cli,
    logins::RedisLogins,
    member::{Member, MemberOptions, Metrics},
    onboarding::{APPLICATION, Night, Onboarded, TenantPlan, tenant_plans},
    options::FleetOptions,
    redis::FleetRedis,
};
use crate::{PostgresOptions, PostgresServer, folder::ServerFolder};

/// The database of the fleet.
pub const DATABASE: &str = "bulkhead";

/// Servers, a simulated Amazon, keys and configuration: everything but the fleet's own processes.
///
/// All of it ends when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// Configuration, keys and logs.
    pub folder: PathBuf,
    /// The fleet's Postgres, migrated.
    pub postgres: PostgresServer,
    /// The fleet's Redis.
    pub redis: FleetRedis,
    /// The simulated Amazon.
    pub amazon: Amazon,
    /// Of each class in Redis.
    pub logins: RedisLogins,
    options: FleetOptions,
    _temporary: Option<ServerFolder>,
}

impl Fleet {
    /// Starts the servers and the simulator, migrates, makes keys and writes the configuration.
    ///
    /// # Errors
    /// If a program is missing or does not become ready; the message holds the end of its log.
    pub async fn start(options: FleetOptions) -> Result<Self> {
        let (folder, temporary) = folder(&options)?;
        private_folder(&folder.join("logs"))?;
        let logins = RedisLogins::new();
        let (redis, postgres, amazon) = tokio::try_join!(
            async {
                let redis = FleetRedis::start(options.redis_cluster, logins.users()).await;
                redis.map_err(anyhow::Error::from)
            },
            async {
                let durable = options.durable;
                let started = PostgresServer::start(PostgresOptions {
                    durable,
                    ..Default::default()
                });
                started.await.map_err(anyhow::Error::from)
            },
            Amazon::start(&options, &folder),
        )?;
        let fleet = Self {
            folder,
            postgres,
            redis,
            amazon,
            logins,
            options,
            _temporary: temporary,
        };
        fleet.create_database().await?;
        fleet.write_configuration()?;
        fleet.migrate().await?;
        fleet.make_keys().await?;
        Ok(fleet)
    }

    /// The configuration file that every process reads.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("bulkhead.toml")
    }

    /// The keyring of one class: `cli`, `sync` or `token`.
    #[must_use]
    pub fn keyring(&self, class: &str) -> PathBuf {
        self.folder.join("keys").join(format!("{class}.toml"))
    }

    /// The superuser's URL of the fleet's database.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.postgres.admin_url(DATABASE)
    }

    /// The URL of one role, such as `bulkhead_sync`.
    #[must_use]
    pub fn role_url(&self, role: &str) -> String {
        self.postgres.url(role, DATABASE)
    }

    /// The URL of Redis for one class of processes, such as `sync`, or for the `operator`.
    ///
    /// # Panics
    /// There is no such class.
    #[must_use]
    pub fn redis_url(&self, class: &str) -> String {
        self.redis.url_of(self.logins.of(class))
    }

    /// The command line, as the operator.
    #[must_use]
    pub fn cli(&self) -> Cli<'_> {
        Cli::new(self)
    }

    /// Where a process of this name logs.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    async fn create_database(&self) -> Result<()> {
        let url = self.postgres.admin_url("postgres");
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await?;
        sqlx::raw_sql("create database bulkhead")
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    async fn migrate(&self) -> Result<()> {
        let cli = self.cli().as_superuser();
        cli.run(&["migrate"])
            .await
            .context("migrate the database")?;
        Ok(())
    }

    async fn make_keys(&self) -> Result<()> {
        let folder = self.folder.join("keys");
        let folder = folder.to_str().context("the folder's name is not UTF-8")?;
        let cli = self.cli();
        cli.run(&["keys", "generate", "--dir", folder])
            .await
            .context("make keys")?;
        Ok(())
    }

    fn write_configuration(&self) -> Result<()> {
        let ready = &self.amazon.ready;
        let text = format!(
            "# Written by the dev stack. URLs of Postgres and Redis, and keyrings, differ by class and come from the environment.\n\
             [redis]\nnodes = {nodes:?}\n\n\
             [amazon]\nlwa_url = \"{lwa}\"\ntime_scale = {scale:?}\njitter_ms = {jitter}\n\n\
             [amazon.endpoints]\nna = \"{na}\"\neu = \"{eu}\"\nfe = \"{fe}\"\n\n\
             [broker]\nvisibility_timeout_ms = {visibility}\n\n\
             [worker]\nconcurrency = {concurrency}\n\n\
             [scheduler]\ntick_ms = {tick}\n",
            nodes = self.redis.addresses(),
            lwa = ready.lwa_url,
            scale = self.options.time_scale,
            jitter = self.options.jitter_ms,
            na = ready.endpoints.na,
            eu = ready.endpoints.eu,
            fe = ready.endpoints.fe,
            visibility = self.options.visibility_timeout_ms,
            concurrency = self.options.concurrency,
            tick = self.options.tick_ms,
        );
        write_private(&self.configuration(), &text)
    }
}

/// Where it is asked for, or a folder that goes with its owner: with the keys in it, also if that is killed.
fn folder(options: &FleetOptions) -> Result<(PathBuf, Option<ServerFolder>)> {
    if let Some(folder) = &options.folder {
        private_folder(folder)?;
        return Ok((folder.clone(), None));
    }
    let temporary = ServerFolder::create(None, None)?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.with_context(|| format!("make the folder {}", path.display()))
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// As the file system.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;

    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let mut file = file.with_context(|| format!("write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
