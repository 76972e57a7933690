//! `bulkhead class pause`

use bulkhead_domain::Class;
use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::{class::class, output::Answer, session::Session, told::Told};

/// Holds a class of workers, for every tenant, until it is resumed
///
/// Its workers take no new job; what runs goes on to its end, and what is due queues up. No Redis that loses its data
/// lets it go.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead class pause sync --reason 'database maintenance until 06:00'")]
pub(crate) struct ClassPause {
    /// Which class
    #[arg(value_parser = class())]
    class: Class,

    /// Why, for the audit log and `bulkhead status`
    #[arg(long, default_value = "paused by an operator", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

#[derive(Debug, Serialize)]
struct Paused {
    class: Class,
    /// Whether it was running.
    changed: bool,
    #[serde(flatten)]
    told: Told,
}

impl ClassPause {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        session.config().redis.url()?;
        let store = session.store().await?;
        let settings = store.queue_settings();
        let changed = settings
            .hold(None, &[self.class], &self.reason, session.actor())
            .await?;
        let told = Told::by(session, &[self.class], async |queue| {
            Ok(queue.pause_class().await?)
        })
        .await;
        session.show(&Paused {
            class: self.class,
            changed: !changed.is_empty(),
            told,
        })
    }
}

impl Answer for Paused {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed {
            "is now"
        } else {
            "was already"
        };
        format!(
            "class {} {word} held: nothing new is taken, what runs goes on\n{}",
            self.class,
            self.told.for_people()
        )
    }
}
