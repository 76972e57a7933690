//! A small fleet for one test, and waiting for what it does: on conditions with a bound, never for a time.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bulkhead_devstack::fleet::{Fleet, FleetOptions, Member, MemberOptions, Night};
use sqlx::PgPool;

/// The bound of every wait. Long enough for a loaded machine, since only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A fleet with short leases and fast time, its tenants' night still to be asked for, and a superuser's view of it.
pub(crate) struct TestNight {
    pub(crate) fleet: Fleet,
    pub(crate) pool: PgPool,
}

/// What a test of processes needs: leases of two seconds, Amazon 1,000 times as fast.
pub(crate) fn quick(sellers: u32, orders: u32) -> FleetOptions {
    FleetOptions {
        sellers,
        orders,
        time_scale: 1_000.0,
        visibility_timeout_ms: 2_000,
        tick_ms: 50,
        ..FleetOptions::default()
    }
}

impl TestNight {
    /// Servers, simulator and onboarded sellers; no process of the fleet runs yet.
    pub(crate) async fn onboarded(options: FleetOptions) -> Result<Self> {
        Self::onboarded_at(Fleet::start(options).await?).await
    }

    /// The same on a fleet that a test has changed before.
    pub(crate) async fn onboarded_at(fleet: Fleet) -> Result<Self> {
        fleet.onboard(&Night::None).await?;
        let pool = PgPool::connect(&fleet.admin_url()).await?;
        Ok(Self { fleet, pool })
    }

    /// A process of the fleet, ready.
    pub(crate) async fn start(&self, class: &str, name: &str) -> Result<Member> {
        self.fleet
            .start_member(class, name, &MemberOptions::default())
            .await
    }

    /// The same with settings of its own.
    pub(crate) async fn start_with(
        &self,
        class: &str,
        name: &str,
        options: &MemberOptions,
    ) -> Result<Member> {
        self.fleet.start_member(class, name, options).await
    }

    /// Owes a sync of every connection, due now.
    pub(crate) async fn enqueue_all(&self) -> Result<()> {
        self.fleet.cli().run(&["enqueue", "sync", "--all"]).await?;
        Ok(())
    }

    /// One number from the database.
    pub(crate) async fn number(&self, query: &'static str) -> Result<i64> {
        sqlx::query_scalar(query)
            .fetch_one(&self.pool)
            .await
            .with_context(|| format!("ask {query}"))
    }

    /// Waits until `query` gives `number`.
    pub(crate) async fn until(&self, query: &'static str, number: i64) -> Result<()> {
        let mut last = None;
        let reached = eventually(async || {
            last = Some(self.number(query).await?);
            Ok(last == Some(number))
        });
        let reached = reached.await;
        if reached.is_ok() {
            return reached;
        }
        let standing = self.standing().await;
        reached.with_context(|| {
            format!("wait for {number} of {query}, last {last:?}; what is owed:\n{standing}")
        })
    }

    /// What is owed and where it is, for the message of a failure.
    async fn standing(&self) -> String {
        let cli = self.fleet.cli();
        let mut standing = String::new();
        for state in ["owed", "enqueued", "dead", "cancelled"] {
            let listed = cli.output(&["jobs", "list", "--state", state], "").await;
            standing += &listed.map_or_else(
                |error| format!("{state}: {error:#}\n"),
                |output| String::from_utf8_lossy(&output.stdout).into_owned(),
            );
        }
        standing
    }

    /// Waits until every sync that is owed has been done.
    pub(crate) async fn until_all_syncs_are_done(&self) -> Result<()> {
        let open =
            "select count(*) from bulkhead.obligations where kind = 'sync' and state <> 'done'";
        self.until(open, 0).await
    }

    /// Fails unless exactly what the simulated Amazon served is stored, once, and no request was throttled.
    pub(crate) async fn nothing_lost_nothing_twice(&self) -> Result<()> {
        self.everything_stored_once().await?;
        let throttled = self.fleet.amazon.counts().await?.throttled;
        anyhow::ensure!(throttled == 0, "{throttled} requests were throttled");
        Ok(())
    }

    /// Fails unless exactly what the simulated Amazon served is stored, once.
    pub(crate) async fn everything_stored_once(&self) -> Result<()> {
        for seller in &self.fleet.amazon.ready.sellers {
            let served = self.fleet.amazon.served(&seller.seller_id).await?;
            let existing = self.fleet.amazon.orders(&seller.seller_id).await?;
            let query = "select o.order_id from bulkhead.orders o join bulkhead.connections c \
                         on c.tenant_id = o.tenant_id and c.id = o.connection_id where c.seller_id = $1";
            let stored: Vec<String> = sqlx::query_scalar(query)
                .bind(&seller.seller_id)
                .fetch_all(&self.pool)
                .await?;
            let query = "select i.order_item_id from bulkhead.order_items i join bulkhead.connections c \
                         on c.tenant_id = i.tenant_id and c.id = i.connection_id where c.seller_id = $1";
            let items: Vec<String> = sqlx::query_scalar(query)
                .bind(&seller.seller_id)
                .fetch_all(&self.pool)
                .await?;
            anyhow::ensure!(
                stored.len() == existing.len(),
                "{} of {} orders of {}",
                stored.len(),
                existing.len(),
                seller.seller_id
            );
            for order in &served {
                anyhow::ensure!(
                    stored.contains(&order.order_id),
                    "order {} was lost",
                    order.order_id
                );
                for item in &order.items {
                    anyhow::ensure!(
                        items.contains(item),
                        "item {item} of {} was lost",
                        order.order_id
                    );
                }
            }
            let of_served: usize = served.iter().map(|order| order.items.len()).sum();
            anyhow::ensure!(
                items.len() == of_served,
                "{} items stored, {of_served} served",
                items.len()
            );
        }
        Ok(())
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !condition().await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("not within {} s", PATIENCE.as_secs()),
    }
}
