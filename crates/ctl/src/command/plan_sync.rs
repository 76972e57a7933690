//! `bulkhead plan sync`

use bulkhead_service::StartError;
use bulkhead_store::{Connection, ConnectionState};
use jiff::Timestamp;

use crate::{
    directory::EVERYTHING,
    session::Session,
    since::{Since, since},
    sync_forecast::{Expected, SyncForecast},
    whom::Whom,
};

/// Says how long a sync will take under Amazon's usage plans, by which route, and what it waits for
///
/// Nothing is owed by it. How many orders there will be is taken from what the syncs until now have found.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead plan sync --connection acme/shop-eu --since 90d
  bulkhead plan sync --tenant acme --since 2026-01-01 --orders-per-day 1200
  bulkhead plan sync --all --since 7d --json")]
pub(crate) struct PlanSync {
    #[command(flatten)]
    whom: Whom,

    /// From when, instead of from where the last sync ended: a time, a date, or a duration before now
    #[arg(long, value_name = "TIME|DATE|DURATION", value_parser = since)]
    since: Option<Since>,

    /// How many orders of each connection change a day, instead of as many as until now
    #[arg(long, value_name = "N", value_parser = orders_per_day)]
    orders_per_day: Option<f64>,
}

impl PlanSync {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let since = self.since.map(|since| since.before(now)).transpose();
        let since = since.map_err(StartError::refused)?;
        let store = session.store().await?;
        let connections = self.whom.connections(&store).await?;
        let is_active = |one: &&Connection| one.state == ConnectionState::Active;
        let active: Vec<&Connection> = connections.iter().filter(is_active).collect();
        let progress = store.checkpoints().list(None, EVERYTHING).await?;
        let expected = Expected::of(&active, &progress, since, self.orders_per_day, now);
        session.show(&SyncForecast::new(&expected, |_, operation| operation.plan))
    }
}

fn orders_per_day(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| (0.0..=1e9).contains(number))
        .ok_or_else(|| "must be a number from 0 to 1000000000".to_owned())
}
