//! `bulkhead plans reset`

use serde::Serialize;

use crate::{output::Answer, plan_subject::PlanSubjectArgs, session::Session, told::Told};

/// Forgets what was pinned and what Amazon's answers taught: the published plan again
///
/// The bucket begins empty.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead plans reset --connection acme/shop-eu searchOrders
  bulkhead plans reset --application main getCatalogItem")]
pub(crate) struct PlansReset {
    #[command(flatten)]
    subject: PlanSubjectArgs,
}

#[derive(Debug, Serialize)]
struct Reset {
    of: String,
    operation: String,
    was_pinned: bool,
    #[serde(flatten)]
    told: Told,
}

impl PlansReset {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let named = self.subject.find(&store).await?;
        let was_pinned = store
            .plan_pins()
            .reset(&named.subject, session.actor())
            .await?;
        let told = named.tell(session, None).await;
        session.show(&Reset {
            of: named.name,
            operation: named.subject.operation,
            was_pinned,
            told,
        })
    }
}

impl Answer for Reset {
    fn for_people(&self, _: bool) -> String {
        let before = if self.was_pinned {
            "; it was pinned"
        } else {
            ""
        };
        format!(
            "{} of {} follows the published plan{before}\n{}",
            self.operation,
            self.of,
            self.told.for_people()
        )
    }
}
