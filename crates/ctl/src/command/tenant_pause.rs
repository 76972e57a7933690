//! `bulkhead tenant pause`

use bulkhead_domain::TenantId;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::{class::Classes, directory, output::Answer, session::Session, told::Kept};

/// Holds a tenant until it is resumed: its queued jobs stay where they are, and new ones join them
///
/// What runs goes on to its end, nothing is withdrawn, and its nights go on queuing up; no Redis that loses its data
/// lets it go. `bulkhead connection pause --tenant NAME` is the stronger one: it withdraws what is owed, and jobs that
/// run can write nothing more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead tenant pause acme --reason 'ticket 4711'
  bulkhead tenant pause acme --class sync")]
pub(crate) struct TenantPause {
    /// The tenant: name or id
    #[arg(value_name = "NAME")]
    tenant: String,

    #[command(flatten)]
    classes: Classes,

    /// Why, for the audit log and `bulkhead status`
    #[arg(long, default_value = "paused by an operator", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

#[derive(Debug, Serialize)]
struct Paused {
    tenant: String,
    tenant_id: TenantId,
    #[serde(flatten)]
    kept: Kept,
}

impl TenantPause {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let tenant = directory::tenant(&store, &self.tenant).await?;
        let classes = self.classes.meant();
        let changed = store
            .queue_settings()
            .hold(Some(tenant.id), &classes, &self.reason, session.actor())
            .await?;
        let kept = Kept::by(session, classes, changed, async |queue| {
            Ok(queue.pause_tenant(tenant.id).await?)
        });
        let kept = kept.await;
        session.show(&Paused {
            tenant: tenant.name,
            tenant_id: tenant.id,
            kept,
        })
    }
}

impl Answer for Paused {
    fn for_people(&self, _: bool) -> String {
        self.kept
            .for_people("is now", "was already", |word, classes| {
                format!(
                    "{} {word} held in {classes}: what is queued stays, what runs goes on",
                    self.tenant
                )
            })
    }
}
