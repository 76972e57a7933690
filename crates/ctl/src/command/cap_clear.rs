//! `bulkhead cap clear`

use serde::Serialize;

use crate::{
    cap_scope::CapScopeArgs, class::Classes, output::Answer, session::Session, told::Kept,
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
    #[serde(flatten)]
    kept: Kept,
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
        let kept = Kept::by(session, classes, changed, async |queue| {
            Ok(queue.set_cap(capped.in_redis(), None).await?)
        });
        let kept = kept.await;
        session.show(&Cleared {
            of: capped.name(),
            kept,
        })
    }
}

impl Answer for Cleared {
    fn for_people(&self, _: bool) -> String {
        self.kept.for_people(
            "has no cap of its own any more",
            "had no cap",
            |word, classes| format!("{} {word} in {classes}", self.of),
        )
    }
}
