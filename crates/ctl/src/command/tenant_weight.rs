//! `bulkhead tenant weight`

use bulkhead_domain::{Class, TenantId};
use serde::Serialize;

use crate::{
    class::{Classes, listed},
    directory, number,
    output::Answer,
    session::Session,
    told::Told,
};

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
    /// Where it has this weight now.
    classes: Vec<Class>,
    /// Where it had another.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
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
        let told = Told::by(session, async |queues| {
            for queue in queues.in_classes(&classes) {
                queue.set_weight(tenant.id, self.weight).await?;
            }
            Ok(())
        });
        let told = told.await;
        session.show(&Weighed {
            tenant: tenant.name,
            tenant_id: tenant.id,
            weight: self.weight,
            classes,
            changed,
            told,
        })
    }
}

impl Answer for Weighed {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed.is_empty() {
            "had weight"
        } else {
            "has weight"
        };
        let already = if self.changed.is_empty() {
            " already"
        } else {
            ""
        };
        format!(
            "{} {word} {} in {}{already}\n{}",
            self.tenant,
            self.weight,
            listed(&self.classes),
            self.told.for_people()
        )
    }
}
