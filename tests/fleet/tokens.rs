//! Access tokens are refreshed ahead of need and once, and a refusal stops whom it concerns and nobody else.

use std::fs;

use anyhow::{Context, Result};
use bulkhead_devstack::fleet::{APPLICATION, Fleet, FleetOptions, MemberOptions, Seller};
use bulkhead_store::{Role, SealedColumn, Store, StoreOptions};
use bulkhead_vault::{ClientSecrets, Context as Sealing, Keyring};
use serde::Deserialize;
use serde_json::json;

use crate::support::{TestNight, eventually, quick};

/// Of `quick`, but tokens live long enough that none is refreshed by itself during the test.
fn with_long_lived_tokens(sellers: u32, orders: u32) -> FleetOptions {
    FleetOptions {
        time_scale: 100.0,
        ..quick(sellers, orders)
    }
}

/// One line of the simulator's log of requests.
#[derive(Debug, Deserialize)]
struct Request {
    operation: Option<String>,
    seller_id: Option<String>,
    status: u16,
}

#[tokio::test]
async fn an_expired_token_is_refreshed_once_however_many_jobs_of_however_many_workers_ask()
-> Result<()> {
    let night = TestNight::onboarded(with_long_lived_tokens(2, 20)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let token = night.start("token", "token-1").await?;
    night.until_tokens(2, 1).await?;

    token.process.stop();
    let [seller, other] = night.sellers();
    let fault = json!({ "kind": "expire_tokens", "seller_id": seller.seller_id });
    night.fleet.amazon.post("faults", &fault).await?;
    // Nobody is refused before several have asked.
    let fault =
        json!({ "kind": "hold", "operation": "searchOrders", "seller_id": seller.seller_id });
    night.fleet.amazon.post("faults", &fault).await?;
    for _ in 0..5 {
        night.enqueue(seller).await?;
    }
    night.enqueue(other).await?;
    let enqueued =
        "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'enqueued'";
    night.until(enqueued, 6).await?;
    // Permits at once: Amazon's own burst is enough for all jobs.
    let eager = MemberOptions::default().set("amazon.time_scale", "20000");
    let _sync_1 = night.start_with("sync", "sync-1", &eager).await?;
    let _sync_2 = night.start_with("sync", "sync-2", &eager).await?;
    eventually(async || Ok(night.asked(&seller.seller_id, 0).await? >= 3)).await?;
    night.fleet.amazon.clear_faults().await?;
    eventually(async || Ok(night.asked(&seller.seller_id, 403).await? >= 3)).await?;
    token.process.cont();
    night.until_all_syncs_are_done().await?;

    let refreshes = night.fleet.amazon.counts().await?.token_refreshes;
    assert_eq!(
        refreshes.per_seller[&seller.seller_id], 2,
        "the first, and one for all who asked"
    );
    assert_eq!(
        refreshes.per_seller[&other.seller_id], 1,
        "nobody asked for another's"
    );
    let done =
        "select count(*) from bulkhead.obligations where kind = 'token_refresh' and state = 'done'";
    assert_eq!(night.number(done).await?, 3);
    Ok(())
}

#[tokio::test]
async fn tokens_are_refreshed_ahead_of_need_and_no_sync_ever_sees_an_expired_one() -> Result<()> {
    // Tokens live five seconds.
    let night = TestNight::onboarded(FleetOptions {
        time_scale: 720.0,
        ..quick(1, 20)
    })
    .await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    night.until_tokens(1, 1).await?;
    let talkative = MemberOptions::default().set("telemetry.level", "debug");
    let _sync = night.start_with("sync", "sync-1", &talkative).await?;
    // Past the end of the first token, syncing all the time.
    while night.fleet.amazon.counts().await?.token_refreshes.total < 3 {
        night.enqueue_all().await?;
        night.until_all_syncs_are_done().await?;
    }

    let requests: Vec<Request> = night.fleet.amazon.get("requests").await?;
    let refused: Vec<_> = requests
        .iter()
        .filter(|request| request.status >= 400)
        .collect();
    assert!(refused.is_empty(), "Amazon refused {refused:?}");
    let log = fs::read_to_string(night.fleet.log("sync-1"))?;
    assert!(log.contains("completed the pass"), "{log}");
    assert!(!log.contains("asked for a fresh access token"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_revoked_authorization_stops_its_connection_and_only_it_until_it_is_authorized_again()
-> Result<()> {
    let night = TestNight::onboarded(quick(4, 60)).await?;
    let [revoked, ..] = night.sellers::<4>();
    let fault = json!({ "kind": "revoke", "seller_id": revoked.seller_id });
    night.fleet.amazon.post("faults", &fault).await?;
    night.enqueue_all().await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;

    let done = "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'done'";
    night.until(done, 3).await?;
    let stopped = "select count(*) from bulkhead.connections where state = 'reauthorize'";
    night.until(stopped, 1).await?;
    let state = "select seller_id from bulkhead.connections where state <> 'active'";
    let stopped: Vec<String> = sqlx::query_scalar(state).fetch_all(&night.pool).await?;
    assert_eq!(stopped, std::slice::from_ref(&revoked.seller_id));
    assert_eq!(
        night.obligations_of(revoked).await?,
        [("sync", "cancelled"), ("token_refresh", "dead")].map(owned)
    );
    let events: Vec<serde_json::Value> = sqlx::query_scalar(
        "select jsonb_build_object('actor', actor, 'details', details, 'seller', c.seller_id) \
         from bulkhead.audit_events e join bulkhead.connections c on e.resource = 'connection/' || c.id \
         where action = 'connection.reauthorize'",
    )
    .fetch_all(&night.pool)
    .await?;
    let event = json!({
        "actor": "bulkhead_token", "seller": revoked.seller_id,
        "details": { "reason": "Amazon: invalid_grant", "obligations_cancelled": 1 },
    });
    assert_eq!(events, [event]);

    // The seller consents again; the operator brings the new refresh token.
    night.fleet.amazon.clear_faults().await?;
    let path = night.path_of(revoked).await?;
    let reauthorize = ["connection", "reauthorize", path.as_str()];
    let cli = night.fleet.cli();
    cli.run_with_input(&reauthorize, &revoked.refresh_token)
        .await?;
    night.enqueue(revoked).await?;
    night.until(done, 4).await?;
    night.nothing_lost_nothing_twice().await
}

#[tokio::test]
async fn a_sync_whose_seller_withdraws_in_mid_run_stops_and_the_others_do_not_notice() -> Result<()>
{
    let night = TestNight::onboarded(quick(3, 250)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let [revoked, ..] = night.sellers::<3>();
    // At the second page.
    let fault = json!({
        "kind": "revoke", "seller_id": revoked.seller_id, "operation": "searchOrders", "after": 1, "count": 1,
    });
    night.fleet.amazon.post("faults", &fault).await?;
    night.until_tokens(3, 1).await?;
    night.enqueue_all().await?;
    let _sync = night.start("sync", "sync-1").await?;
    let done = "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'done'";
    night.until(done, 2).await?;
    let stopped = "select count(*) from bulkhead.connections where state = 'reauthorize'";
    night.until(stopped, 1).await?;
    let left = "select count(*) from bulkhead.obligations where kind = 'sync' and state in ('owed', 'enqueued')";
    night.until(left, 0).await?;
    let open = "select count(*) from bulkhead.obligations o join bulkhead.connections c on c.id = o.connection_id \
                where c.state = 'reauthorize' and o.state in ('owed', 'enqueued')";
    assert_eq!(night.number(open).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_wrong_client_secret_marks_no_seller_is_logged_once_and_ends_with_the_right_one()
-> Result<()> {
    let mut fleet = Fleet::start(quick(3, 20)).await?;
    let application = &mut fleet.amazon.ready.applications[0];
    let right = application.client_secret.clone();
    application.client_secret = format!("{}wrong", &right[..right.len() - 5]);
    let night = TestNight::onboarded_at(fleet).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    night.enqueue_all().await?;
    let rejections = async |count: f64| {
        eventually(async || {
            let metrics = token.metrics().await?;
            Ok(metrics.sum("bulkhead_client_rejected_total") >= count)
        })
        .await
    };
    rejections(3.0).await?;
    night.wake_parked_token_jobs()?;
    rejections(6.0).await?;

    let active = "select count(*) from bulkhead.connections where state = 'active'";
    assert_eq!(night.number(active).await?, 3);
    let ended = "select count(*) from bulkhead.obligations where state in ('dead', 'cancelled')";
    assert_eq!(night.number(ended).await?, 0);
    let log = fs::read_to_string(night.fleet.log("token-1"))?;
    let complaints = log.lines().filter(|line| line.contains("client secret"));
    assert_eq!(complaints.count(), 1, "{log}");

    night.replace_client_secret(&right).await?;
    night.wake_parked_token_jobs()?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    let log = fs::read_to_string(night.fleet.log("token-1"))?;
    assert!(log.contains("dependency is back"), "{log}");
    Ok(())
}

fn owned((kind, state): (&str, &str)) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

impl TestNight {
    fn sellers<const N: usize>(&self) -> [&Seller; N] {
        let sellers: Vec<&Seller> = self.fleet.amazon.ready.sellers.iter().collect();
        sellers
            .try_into()
            .expect("as many sellers as were asked for")
    }

    /// Waits until so many connections have their token of this generation, at least.
    async fn until_tokens(&self, connections: i64, generation: i64) -> Result<()> {
        let query = "select count(*) from bulkhead.access_tokens where generation >= $1";
        eventually(async || {
            let found: i64 = sqlx::query_scalar(query)
                .bind(generation)
                .fetch_one(&self.pool)
                .await?;
            Ok(found >= connections)
        })
        .await
        .context("wait for access tokens")
    }

    /// Owes one sync of one seller's connection, due now.
    async fn enqueue(&self, seller: &Seller) -> Result<()> {
        let path = self.path_of(seller).await?;
        let arguments = ["enqueue", "sync", "--connection", path.as_str()];
        self.fleet.cli().run(&arguments).await?;
        Ok(())
    }

    /// `tenant/connection`
    async fn path_of(&self, seller: &Seller) -> Result<String> {
        let query = "select t.name || '/' || c.name from bulkhead.connections c \
                     join bulkhead.tenants t on t.id = c.tenant_id where c.seller_id = $1";
        let path = sqlx::query_scalar(query).bind(&seller.seller_id);
        Ok(path.fetch_one(&self.pool).await?)
    }

    async fn obligations_of(&self, seller: &Seller) -> Result<Vec<(String, String)>> {
        let query = "select o.kind, o.state from bulkhead.obligations o \
                     join bulkhead.connections c on c.id = o.connection_id where c.seller_id = $1 order by 1, 2";
        let found = sqlx::query_as(query).bind(&seller.seller_id);
        Ok(found.fetch_all(&self.pool).await?)
    }

    /// How many searches of a seller Amazon has answered with `status`; 0 for those that it has not answered yet.
    async fn asked(&self, seller_id: &str, status: u16) -> Result<usize> {
        let requests: Vec<Request> = self.fleet.amazon.get("requests").await?;
        let asked = requests.iter().filter(|request| {
            request.status == status
                && request.seller_id.as_deref() == Some(seller_id)
                && request.operation.as_deref() == Some("orders/2026-01-01/searchOrders")
        });
        Ok(asked.count())
    }

    /// Moves time for the token jobs that wait for an operator: all of them are due now.
    fn wake_parked_token_jobs(&self) -> Result<()> {
        for shard in 0..4 {
            let parked = format!("{{token.{shard}}}:parked");
            let answer = self
                .fleet
                .redis
                .command(&format!("ZUNIONSTORE {parked} 1 {parked} WEIGHTS 0"))?;
            anyhow::ensure!(answer.starts_with(':'), "Redis: {answer}");
        }
        Ok(())
    }

    /// As a rotation of the client secret would.
    async fn replace_client_secret(&self, secret: &str) -> Result<()> {
        let url = self.fleet.role_url("bulkhead_operator");
        let store = Store::connect(&StoreOptions::new(&url, "test"), Role::Operator).await?;
        let application = store.applications().find(APPLICATION).await?;
        let id = application.context("the application is known")?.id;
        let keyring = Keyring::load(&self.fleet.keyring("cli"), "development")?;
        let name = id.to_string();
        let sealer = keyring.sealer::<ClientSecrets>()?;
        let sealed = sealer.seal_secret(&Sealing::client_secret(&name), secret.as_bytes())?;
        let column = SealedColumn {
            dek_id: sealed.dek.dek_id.get(),
            kek_id: sealed.dek.kek_id,
            kek_version: sealed.dek.kek_version,
            wrapped_dek: sealed.dek.wrapped,
            sealed: sealed.ciphertext,
        };
        store.applications().add_secret(id, &column, "test").await?;
        Ok(())
    }
}
