//! `bulkhead tenant resume`

use bulkhead_domain::TenantId;
use serde::Serialize;

use crate::{class::Classes, directory, output::Answer, session::Session, told::Kept};

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
    #[serde(flatten)]
    kept: Kept,
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
        let kept = Kept::by(session, classes, changed, async |queue| {
            Ok(queue.resume_tenant(tenant.id).await?)
        });
        let kept = kept.await;
        session.show(&Resumed {
            tenant: tenant.name,
            tenant_id: tenant.id,
            kept,
        })
    }
}

impl Answer for Resumed {
    fn for_people(&self, _: bool) -> String {
        self.kept
            .for_people("goes on", "was not held", |word, classes| {
                format!("{} {word} in {classes}", self.tenant)
            })
    }
}
