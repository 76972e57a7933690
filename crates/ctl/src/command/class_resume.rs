//! `bulkhead class resume`

use bulkhead_domain::Class;
use serde::Serialize;

use crate::{class::class, output::Answer, session::Session, told::Told};

/// Lets a class of workers go on that was paused
///
/// Tenants and connections that were paused by themselves stay so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead class resume sync")]
pub(crate) struct ClassResume {
    /// Which class
    #[arg(value_parser = class())]
    class: Class,
}

#[derive(Debug, Serialize)]
struct Resumed {
    class: Class,
    /// Whether it was held.
    changed: bool,
    #[serde(flatten)]
    told: Told,
}

impl ClassResume {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let settings = store.queue_settings();
        let changed = settings
            .let_go(None, &[self.class], session.actor())
            .await?;
        let told = Told::by(session, &[self.class], async |queue| {
            Ok(queue.resume_class().await?)
        })
        .await;
        session.show(&Resumed {
            class: self.class,
            changed: !changed.is_empty(),
            told,
        })
    }
}

impl Answer for Resumed {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed {
            "goes on"
        } else {
            "was not held"
        };
        format!("class {} {word}\n{}", self.class, self.told.for_people())
    }
}
