//! `bulkhead cap set`

use serde::Serialize;

use crate::{
    cap_scope::CapScopeArgs, class::Classes, number, output::Answer, session::Session, told::Kept,
};

/// Sets how many jobs of a tenant or a connection may run at once, in each class
///
/// Besides fair shares, not instead of them: a tenant at its cap waits also while workers are idle. What runs beyond a
/// lower cap goes on to its end. A tenant's cap is split over the shards of a class, so it is at least one for each.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead cap set --tenant acme 20
  bulkhead cap set --connection acme/shop-eu 2 --class sync
  bulkhead cap set --every-connection 4")]
pub(crate) struct CapSet {
    #[command(flatten)]
    scope: CapScopeArgs,

    /// At most this many at once
    #[arg(value_parser = number::cap, allow_negative_numbers = true)]
    max: u32,

    #[command(flatten)]
    classes: Classes,
}

#[derive(Debug, Serialize)]
struct Set {
    of: String,
    max_in_flight: u32,
    #[serde(flatten)]
    kept: Kept,
}

impl CapSet {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        self.scope.check(self.max, session.config().broker.shards)?;
        let store = session.store().await?;
        let capped = self.scope.find(&store).await?;
        let classes = self.classes.meant();
        let (scope, max) = (capped.in_postgres(), Some(self.max));
        let changed = store
            .queue_settings()
            .set_cap(scope, &classes, max, session.actor())
            .await?;
        let kept = Kept::by(session, classes, changed, async |queue| {
            Ok(queue.set_cap(capped.in_redis(), max).await?)
        });
        let kept = kept.await;
        session.show(&Set {
            of: capped.name(),
            max_in_flight: self.max,
            kept,
        })
    }
}

impl Answer for Set {
    fn for_people(&self, _: bool) -> String {
        let (of, max) = (&self.of, self.max_in_flight);
        self.kept
            .for_people("is now", "was already", |word, classes| {
                format!("{of} {word} capped at {max} in flight in {classes}")
            })
    }
}
