//! `bulkhead tenant weight`

use bulkhead_domain::TenantId;
use serde::Serialize;

use crate::{class::Classes, directory, number, output::Answer, session::Session, told::Kept};

/// Gives a tenant more or less of the workers while others wait too
///
/// Tenants with queued jobs share the workers by their weights, 1 unless set: with 3 a tenant has three jobs taken for
/// each one of another. A tenant that is alone gets everything, whatever its weight. 1 takes the setting away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead tenant weight acme 3
  bulkhead tenant weight acme 0.5 --class sync")]
pub(crate) struct TenantWeight {
    /// The tenant: name or id
    #[arg(value_name = "NAME")]
    tenant: String,

    /// Its share relative to others, 0.01 to 100
    #[arg(value_parser = number::weight, allow_negative_numbers = true)]
    weight: f64,

    #[command(flatten)]
    classes: Classes,
}

#[derive(Debug, Serialize)]
struct Weighed {
    tenant: String,
    tenant_id: TenantId,
    weight: f64,
    #[serde(flatten)]
    kept: Kept,
}

impl TenantWeight {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let tenant = directory::tenant(&store, &self.tenant).await?;
        let classes = self.classes.meant();
        let changed = store
            .queue_settings()
            .set_weight(tenant.id, &classes, self.weight, session.actor())
            .await?;
        let kept = Kept::by(session, classes, changed, async |queue| {
            Ok(queue.set_weight(tenant.id, self.weight).await?)
        });
        let kept = kept.await;
        session.show(&Weighed {
            tenant: tenant.name,
            tenant_id: tenant.id,
            weight: self.weight,
            kept,
        })
    }
}

impl Answer for Weighed {
    fn for_people(&self, _: bool) -> String {
        let (tenant, weight) = (&self.tenant, self.weight);
        self.kept.for_people("has", "had", |word, classes| {
            let already = if word == "had" { " already" } else { "" };
            format!("{tenant} {word} weight {weight} in {classes}{already}")
        })
    }
}
