//! `bulkhead cap set`

use bulkhead_domain::Class;
use serde::Serialize;

use crate::{
    cap_scope::CapScopeArgs,
    class::{Classes, listed},
    number,
    output::Answer,
    session::Session,
    told::Told,
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
    /// Where it is the cap now.
    classes: Vec<Class>,
    /// Where there was another or none.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
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
        let told = Told::by(session, async |queues| {
            for queue in queues.in_classes(&classes) {
                queue.set_cap(capped.in_redis(), max).await?;
            }
            Ok(())
        });
        let told = told.await;
        session.show(&Set {
            of: capped.name(),
            max_in_flight: self.max,
            classes,
            changed,
            told,
        })
    }
}

impl Answer for Set {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed.is_empty() {
            "was already capped"
        } else {
            "is now capped"
        };
        format!(
            "{} {word} at {} in flight in {}\n{}",
            self.of,
            self.max_in_flight,
            listed(&self.classes),
            self.told.for_people()
        )
    }
}
