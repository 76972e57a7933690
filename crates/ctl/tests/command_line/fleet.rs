//! A migrated database, a Redis, keys, and the binary to run on them.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use bulkhead_broker::{Acknowledgement, Broker, BrokerOptions, FetchRequest, Outcome};
use bulkhead_devstack::{Cluster, Database, RedisOptions, RedisServer, TemplateDatabase};
use bulkhead_domain::{Class, Job, WorkerId};
use bulkhead_store::{
    MigrateError, Migrator, Obligation, ObligationKey, Role, Store, StoreOptions,
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

/// What the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct Fleet {
    pub(crate) redis: RedisServer,
    pub(crate) database: Database,
    folder: TempDir,
    environment: BTreeMap<&'static str, String>,
}

impl Fleet {
    /// Migrated, with keys.
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::shared().await.unwrap();
        let migrate = async |url: String| Migrator::run(&url).await.map(drop);
        let digest = Migrator::digest();
        let template = TemplateDatabase::new(cluster, "bulkhead", &digest, migrate).await;
        let database = template.unwrap().clone_database().await.unwrap();
        let mut fleet = Self::on(database).await;
        let folder = fleet.path("keys").display().to_string();
        fleet.answers(&["keys", "generate", "--dir", &folder]);
        let keyring = fleet.path("keys/cli.toml").display().to_string();
        fleet.set("BULKHEAD_VAULT__KEYRING", keyring);
        fleet
    }

    /// Nothing in the database.
    pub(crate) async fn unmigrated() -> Self {
        let cluster = Cluster::shared().await.unwrap();
        let nothing = async |_: String| Ok::<(), MigrateError>(());
        let template = TemplateDatabase::new(cluster, "empty", "empty", nothing)
            .await
            .unwrap();
        Self::on(template.clone_database().await.unwrap()).await
    }

    async fn on(database: Database) -> Self {
        let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
        let environment = BTreeMap::from([
            (
                "BULKHEAD_POSTGRES__URL",
                database.url(Role::Operator.login()),
            ),
            ("BULKHEAD_REDIS__URL", redis.url()),
            ("BULKHEAD_ACTOR", "alice".to_owned()),
        ]);
        Self {
            redis,
            database,
            folder: tempfile::tempdir().unwrap(),
            environment,
        }
    }

    /// One tenant, one application, one connection.
    pub(crate) async fn with_a_shop() -> Self {
        let fleet = Self::start().await;
        fleet.answers(&["tenant", "add", "acme"]);
        fleet.add_application();
        fleet.add_connection("acme", "shop");
        fleet
    }

    pub(crate) fn add_application(&self) {
        let command = [
            "application",
            "add",
            "night-run",
            "--client-id",
            "amzn1.application-oa2-client.1",
        ];
        assert_eq!(self.run_with(&command, "amzn1.oa2-cs.v1.one").code, Some(0));
    }

    pub(crate) fn add_connection(&self, tenant: &str, name: &str) {
        let command = [
            "connection",
            "add",
            name,
            "--tenant",
            tenant,
            "--application",
            "night-run",
            "--seller-id",
            name,
            "--region",
            "eu",
            "--marketplace",
            "A1PA6795UKMFR9",
        ];
        let ran = self.run_with(&command, "Atzr|one\n");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    pub(crate) fn set(&mut self, variable: &'static str, value: String) {
        self.environment.insert(variable, value);
    }

    pub(crate) fn unset(&mut self, variable: &str) {
        self.environment.remove(variable);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that needs no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
        command.env_clear().envs(&self.environment).args(arguments);
        command
    }

    /// Who did what to what, and how, of one action; the first first.
    pub(crate) fn audited(&self, action: &str) -> Vec<Value> {
        let sql = format!(
            "select json_build_object('actor', actor, 'resource', resource, 'details', details)
             from bulkhead.audit_events where action = '{action}' order by at"
        );
        let lines = self.sql(&sql);
        let lines = lines.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Runs a statement as the superuser; columns are divided by `|`.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let mut psql = Command::new(bulkhead_devstack::psql().unwrap());
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        let output = psql.arg(self.database.admin_url()).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must succeed, and says what it printed.
    pub(crate) fn answers(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stderr, "", "{arguments:?}");
        ran.stdout
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.answers(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Runs a command that must fail with `code`, without an answer, and says its one line of error.
    pub(crate) fn refuses(&self, arguments: &[&str], code: i32) -> String {
        let ran = self.run(arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(code), ""),
            "{arguments:?}: {ran:?}"
        );
        ran.stderr
    }

    pub(crate) async fn store(&self, role: Role) -> Store {
        let url = self.database.url(role.login());
        Store::connect(&StoreOptions::new(&url, "test"), role)
            .await
            .unwrap()
    }

    pub(crate) async fn broker(&self, class: Class) -> Broker {
        let options = BrokerOptions::new(self.redis.url().into());
        Broker::connect(&options, class).await.unwrap()
    }

    /// What a scheduler's tick does with what is due.
    pub(crate) async fn tick(&self) -> Vec<Obligation> {
        let store = self.store(Role::Scheduler).await;
        let broker = self.broker(Class::Sync).await;
        let now = Timestamp::now();
        let lease = std::time::Duration::from_secs(60);
        let due = store
            .obligations()
            .claim_due(now, 100, lease, &[])
            .await
            .unwrap();
        for one in &due {
            let queue = broker.for_class(one.kind.class());
            queue.enqueue(&[one.job(None)]).await.unwrap();
        }
        let keys: Vec<_> = due.iter().map(Obligation::key).collect();
        store.obligations().mark_enqueued(&keys, now).await.unwrap();
        due
    }

    /// What a worker does whose jobs have to wait for an hour.
    pub(crate) async fn snooze(&self, class: Class) {
        let wait = Outcome::Snooze {
            for_: std::time::Duration::from_secs(3_600),
            park_lane: false,
        };
        self.work(class, "test/snooze", wait).await;
    }

    /// What a worker does that gives up every job of its class.
    pub(crate) async fn give_up(&self, class: Class, reason: &str) {
        let given_up = Outcome::DeadLetter {
            reason: reason.to_owned(),
        };
        let buried = self.work(class, "test/1", given_up).await;
        let buried: Vec<_> = buried.iter().map(ObligationKey::from).collect();
        let store = self.store(Role::Scheduler).await;
        store
            .obligations()
            .mark_dead(&buried, reason)
            .await
            .unwrap();
    }

    /// Fetches every job of a class, and ends each with `outcome`.
    async fn work(&self, class: Class, worker: &str, outcome: Outcome) -> Vec<Job> {
        let broker = self.broker(class).await;
        let worker = WorkerId::new(worker.to_owned());
        let mut ended = Vec::new();
        for shard in 0..broker.shards() {
            let request = FetchRequest {
                worker: &worker,
                shard,
                sequence: u64::try_from(Timestamp::now().as_microsecond()).unwrap(),
                max: 100,
            };
            for leased in broker.fetch(&request).await.unwrap().leased {
                let end = Acknowledgement {
                    lease: leased.lease,
                    outcome: outcome.clone(),
                };
                broker.acknowledge(shard, &[end]).await.unwrap();
                ended.push(leased.job);
            }
        }
        ended
    }
}
