//! What an attacker gets who has a whole sync worker: its login, its keyring, its Redis.

use std::fs;

use anyhow::{Context, Result};
use bulkhead_devstack::fleet::DATABASE;
use bulkhead_vault::{BuyerPii, ClientSecrets, Keyring, RefreshTokens};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::support::{TestNight, quick};

/// A night that is over but for one more job of each connection, which no worker is there to run.
async fn taken_over() -> Result<TestNight> {
    let night = TestNight::onboarded(quick(3, 20)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let sync = night.start("sync", "sync-1").await?;
    night.enqueue_all().await?;
    night.until_all_syncs_are_done().await?;
    sync.process.kill();
    night.enqueue_all().await?;
    Ok(night)
}

#[tokio::test]
async fn a_sync_workers_login_reads_no_credential_no_obligation_and_no_buyer() -> Result<()> {
    let night = taken_over().await?;
    let mut attacker = Attacker::inside(&night).await?;
    for (sealed, rows) in [
        ("sealed from bulkhead.refresh_tokens", 3),
        ("sealed from bulkhead.application_secrets", 1),
        ("wrapped from keystore.pii_keys", 3),
        ("sealed from bulkhead.order_pii", 60),
        ("id from bulkhead.obligations", 6),
        ("id from bulkhead.tenants", 3),
        ("name from bulkhead.applications", 1),
        ("secret from bulkhead.context_secret", 1),
        ("details from bulkhead.audit_events", 1),
    ] {
        let all = format!("select {sealed}");
        let there = sqlx::query(AssertSqlSafe(all.clone())).fetch_all(&night.pool);
        assert!(there.await?.len() >= rows, "{all} would be worth stealing");
        attacker.is_refused(&all).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_workers_keyring_opens_no_credential_and_no_buyer() -> Result<()> {
    let night = taken_over().await?;
    let file = night.fleet.keyring("sync");
    let keyring = Keyring::load(&file, "development")?;
    assert!(keyring.opener::<RefreshTokens>().is_err());
    assert!(keyring.opener::<ClientSecrets>().is_err());
    assert!(keyring.opener::<BuyerPii>().is_err());

    // Not because this code asks politely: the private halves are not there.
    let held: toml::Table = fs::read_to_string(&file)?.parse()?;
    let all: toml::Table = fs::read_to_string(night.fleet.keyring("keyring"))?.parse()?;
    let text = fs::read_to_string(&file)?;
    for purpose in ["refresh_tokens", "client_secrets", "buyer_pii"] {
        for key in all[purpose]["keys"].as_array().context("keys")? {
            let private = key["private"].as_str().context("a private half")?;
            assert!(!text.contains(private), "{purpose}");
        }
    }
    let purposes: Vec<&String> = held
        .iter()
        .filter(|(_, value)| value.is_table())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(purposes, ["access_tokens", "buyer_pii"]);
    Ok(())
}

#[tokio::test]
async fn inside_one_tenants_job_no_other_connections_rows_are_seen_or_changed() -> Result<()> {
    let night = taken_over().await?;
    let mut attacker = Attacker::inside(&night).await?;
    let tenant = attacker.tenant;
    for table in [
        "orders",
        "order_items",
        "checkpoints",
        "access_tokens",
        "connections",
    ] {
        let of_others =
            format!("select count(*) from bulkhead.{table} where tenant_id <> '{tenant}'");
        let there: i64 = sqlx::query_scalar(AssertSqlSafe(of_others.clone()))
            .fetch_one(&night.pool)
            .await?;
        assert!(there > 0, "{table} has nothing to steal");
        assert_eq!(attacker.number(&of_others).await?, 0, "{table}");
        let own = format!("select count(*) from bulkhead.{table}");
        assert!(
            attacker.number(&own).await? > 0,
            "{table}: not even its own"
        );
    }
    let changed =
        format!("update bulkhead.orders set total_amount = '0' where tenant_id <> '{tenant}'");
    let changed = attacker.run(&changed).await?;
    assert_eq!(changed, 0);
    let other = night.tenant_other_than(tenant).await?;
    attacker
        .is_refused(&format!("update bulkhead.orders set tenant_id = '{other}'"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_sync_workers_login_forges_no_context_and_enters_no_other_classs_job() -> Result<()> {
    let night = taken_over().await?;
    let victim = "select tenant_id, connection_id, id, day::text from bulkhead.obligations where kind = $1 \
                  and state in ('owed', 'enqueued') limit 1";
    let refresh = sqlx::query(victim)
        .bind("token_refresh")
        .fetch_one(&night.pool)
        .await?;
    let mut attacker = Attacker::outside(&night).await?;
    assert_eq!(attacker.enter(&refresh).await?, "UNKNOWN");

    let sync = sqlx::query(victim)
        .bind("sync")
        .fetch_one(&night.pool)
        .await?;
    let [tenant, connection, job] = ids(&sync);
    let mac = "0".repeat(64);
    for context in [
        format!("{tenant}/{connection}/{connection}/{job}/2026-01-01/sync/{mac}"),
        format!("{tenant}/{connection}"),
        "x".to_owned(),
    ] {
        let mut attacker = Attacker::outside(&night).await?;
        attacker
            .run(&format!(
                "select set_config('bulkhead.context', '{context}', true)"
            ))
            .await?;
        attacker
            .is_refused("select count(*) from bulkhead.orders")
            .await?;
    }
    // A context of its own job, with another tenant put in its place.
    let mut attacker = Attacker::inside(&night).await?;
    let other = night.tenant_other_than(attacker.tenant).await?;
    let own = attacker.tenant;
    attacker
        .run(&format!(
            "select set_config('bulkhead.context', replace(current_setting('bulkhead.context'), '{own}', '{other}'), true)"
        ))
        .await?;
    attacker
        .is_refused("select count(*) from bulkhead.orders")
        .await?;
    // The next one waits for its job.
    drop(attacker);
    let mut attacker = Attacker::inside(&night).await?;
    for forging in [
        "select bulkhead.context_mac('x')",
        "select bulkhead.verified_context()",
        "select bulkhead.owe_token_refresh_now(gen_random_uuid(), gen_random_uuid())",
        "select bulkhead.complete_token_refresh(now())",
        "select bulkhead.mark_connection_for_reauthorization('x')",
        "set role bulkhead_owner",
        "set role bulkhead_token",
        "set session authorization bulkhead_token",
        "set session_replication_role = replica",
        "create function bulkhead.mine() returns void language sql as 'select'",
        "create table bulkhead.mine ()",
        "create temporary table mine ()",
        "copy (select 1) to program 'true'",
        "select pg_read_file('PG_VERSION')",
    ] {
        attacker.is_refused(forging).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_workers_login_deletes_nothing_from_any_table() -> Result<()> {
    let night = taken_over().await?;
    let tables = "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                  where n.nspname in ('bulkhead', 'keystore') and c.relkind in ('r', 'p') order by 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&night.pool).await?;
    assert!(tables.len() > 15, "{tables:?}");
    let mut attacker = Attacker::inside(&night).await?;
    for table in tables {
        for destroying in [
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
            format!("drop table {table} cascade"),
            format!("alter table {table} disable row level security"),
        ] {
            attacker.is_refused(&destroying).await?;
        }
    }
    Ok(())
}

/// Someone in one transaction with the login of a sync worker.
struct Attacker {
    session: PgConnection,
    /// Whose job was entered; nil outside of any.
    tenant: Uuid,
}

impl Attacker {
    async fn outside(night: &TestNight) -> Result<Self> {
        let mut session = PgConnection::connect(&night.fleet.role_url("bulkhead_sync")).await?;
        sqlx::query("begin").execute(&mut session).await?;
        sqlx::query("set local lock_timeout = '10s'")
            .execute(&mut session)
            .await?;
        let database: String = sqlx::query_scalar("select current_database()")
            .fetch_one(&mut session)
            .await?;
        anyhow::ensure!(database == DATABASE);
        Ok(Self {
            session,
            tenant: Uuid::nil(),
        })
    }

    /// Inside the first sync job that waits: the attacker may do what its job may.
    async fn inside(night: &TestNight) -> Result<Self> {
        let job = "select tenant_id, connection_id, id, day::text from bulkhead.obligations where kind = 'sync' \
                   and state in ('owed', 'enqueued') order by tenant_id limit 1";
        let job = sqlx::query(job).fetch_one(&night.pool).await?;
        let mut attacker = Self::outside(night).await?;
        let answer = attacker.enter(&job).await?;
        anyhow::ensure!(answer == "ENTERED", "{answer}");
        attacker.tenant = ids(&job)[0];
        Ok(attacker)
    }

    async fn enter(&mut self, job: &PgRow) -> Result<String> {
        let [tenant, connection, id] = ids(job);
        let day: String = job.get(3);
        let entering = format!(
            "select bulkhead.enter_job('{tenant}', '{connection}', '{id}', '{day}', 9000000000000000, 1)"
        );
        let entered = sqlx::query_scalar(AssertSqlSafe(entering));
        Ok(entered.fetch_one(&mut self.session).await?)
    }

    async fn run(&mut self, sql: &str) -> Result<u64> {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.session)
            .await?;
        Ok(done.rows_affected())
    }

    async fn number(&mut self, sql: &str) -> Result<i64> {
        let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        Ok(number.fetch_one(&mut self.session).await?)
    }

    /// Refused for want of a right, and for no other reason: a mistake in the statement would look like a refusal.
    async fn is_refused(&mut self, sql: &str) -> Result<()> {
        self.run("savepoint before").await?;
        let ran = self.run(sql).await;
        self.run("rollback to before").await?;
        let error = ran.err().with_context(|| format!("{sql} was done"))?;
        let error = error.downcast::<sqlx::Error>()?;
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        anyhow::ensure!(code.as_deref() == Some("42501"), "{sql}: {error}");
        Ok(())
    }
}

impl TestNight {
    async fn tenant_other_than(&self, tenant: Uuid) -> Result<Uuid> {
        let other = "select id from bulkhead.tenants where id <> $1 limit 1";
        Ok(sqlx::query_scalar(other)
            .bind(tenant)
            .fetch_one(&self.pool)
            .await?)
    }
}

/// Tenant, connection and job.
fn ids(row: &PgRow) -> [Uuid; 3] {
    [0, 1, 2].map(|column| row.get(column))
}
