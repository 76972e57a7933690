//! `bulkhead cap clear`

use bulkhead_domain::Class;
use serde::Serialize;

use crate::{
    cap_scope::CapScopeArgs,
    class::{Classes, listed},
    output::Answer,
    session::Session,
    told::Told,
};

/// Takes a cap away; without one of its own, a tenant or connection has that of all, if there is one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead cap clear --tenant acme
  bulkhead cap clear --every-connection --class sync")]
pub(crate) struct CapClear {
    #[command(flatten)]
    scope: CapScopeArgs,

    #[command(flatten)]
    classes: Classes,
}

#[derive(Debug, Serialize)]
struct Cleared {
    of: String,
    /// Where there is none now.
    classes: Vec<Class>,
    /// Where there was one.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
}

impl CapClear {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let capped = self.scope.find(&store).await?;
        let classes = self.classes.meant();
        let scope = capped.in_postgres();
        let changed = store
            .queue_settings()
            .set_cap(scope, &classes, None, session.actor())
            .await?;
        let told = Told::by(session, async |queues| {
            for queue in queues.in_classes(&classes) {
                queue.set_cap(capped.in_redis(), None).await?;
            }
            Ok(())
        });
        let told = told.await;
        session.show(&Cleared {
            of: capped.name(),
            classes,
            changed,
            told,
        })
    }
}

impl Answer for Cleared {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed.is_empty() {
            "had no cap"
        } else {
            "has no cap of its own any more"
        };
        format!(
            "{} {word} in {}\n{}",
            self.of,
            listed(&self.classes),
            self.told.for_people()
        )
    }
}
