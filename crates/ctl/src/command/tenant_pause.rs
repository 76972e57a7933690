//! `bulkhead tenant pause`

use bulkhead_domain::{Class, TenantId};
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::{
    class::{Classes, listed},
    directory,
    output::Answer,
    session::Session,
    told::Told,
};

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
    /// Where it is held now.
    classes: Vec<Class>,
    /// Where it was not.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
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
        let told = Told::by(session, async |queues| {
            for queue in queues.in_classes(&classes) {
                queue.pause_tenant(tenant.id).await?;
            }
            Ok(())
        });
        let told = told.await;
        session.show(&Paused {
            tenant: tenant.name,
            tenant_id: tenant.id,
            classes,
            changed,
            told,
        })
    }
}

impl Answer for Paused {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed.is_empty() {
            "was already"
        } else {
            "is now"
        };
        format!(
            "{} {word} held in {}: what is queued stays, what runs goes on\n{}",
            self.tenant,
            listed(&self.classes),
            self.told.for_people()
        )
    }
}
