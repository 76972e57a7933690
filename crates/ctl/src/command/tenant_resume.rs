//! `bulkhead tenant resume`

use bulkhead_domain::{Class, TenantId};
use serde::Serialize;

use crate::{
    class::{Classes, listed},
    directory,
    output::Answer,
    session::Session,
    told::Told,
};

/// Lets a tenant go on that was paused
///
/// What queued up meanwhile runs at once, in the tenant's turn. Connections that were paused by themselves stay so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead tenant resume acme
  bulkhead tenant resume acme --class sync")]
pub(crate) struct TenantResume {
    /// The tenant: name or id
    #[arg(value_name = "NAME")]
    tenant: String,

    #[command(flatten)]
    classes: Classes,
}

#[derive(Debug, Serialize)]
struct Resumed {
    tenant: String,
    tenant_id: TenantId,
    /// Where it goes on now.
    classes: Vec<Class>,
    /// Where it was held.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
}

impl TenantResume {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let tenant = directory::tenant(&store, &self.tenant).await?;
        let classes = self.classes.meant();
        let changed = store
            .queue_settings()
            .let_go(Some(tenant.id), &classes, session.actor())
            .await?;
        let told = Told::by(session, async |queues| {
            for queue in queues.in_classes(&classes) {
                queue.resume_tenant(tenant.id).await?;
            }
            Ok(())
        });
        let told = told.await;
        session.show(&Resumed {
            tenant: tenant.name,
            tenant_id: tenant.id,
            classes,
            changed,
            told,
        })
    }
}

impl Answer for Resumed {
    fn for_people(&self, _: bool) -> String {
        let line = if self.changed.is_empty() {
            format!("{} was not held in {}", self.tenant, listed(&self.classes))
        } else {
            format!("{} goes on in {}", self.tenant, listed(&self.classes))
        };
        format!("{line}\n{}", self.told.for_people())
    }
}
