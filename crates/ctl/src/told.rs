//! What became of a setting: Postgres has it; whether Redis was told of it, or a scheduler tells it.

use bulkhead_broker::Broker;
use bulkhead_domain::Class;
use serde::Serialize;

use crate::{class::listed, exit, queues::Queues, session::Session};

/// Whether Redis was told.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Whether it obeys already; if not, a scheduler tells it within seconds of its return.
    in_redis: bool,
    /// Why it does not.
    redis_error: Option<String>,
}

/// A setting of some classes.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// Where it is so now.
    classes: Vec<Class>,
    /// Where it was not.
    changed: Vec<Class>,
    #[serde(flatten)]
    told: Told,
}

impl Told {
    /// Tells the queue of each of `classes` by `tell`. Whatever goes wrong is no failure: the setting stands in Postgres.
    pub async fn by<T>(
        session: &Session,
        classes: &[Class],
        tell: impl AsyncFn(&Broker) -> anyhow::Result<T>,
    ) -> Self {
        let telling = async {
            let queues = Queues::new(session.broker().await?);
            for queue in queues.in_classes(classes) {
                tell(queue).await?;
            }
            anyhow::Ok(())
        };
        let error = telling.await.err();
        Self {
            in_redis: error.is_none(),
            redis_error: error.as_ref().map(exit::line),
        }
    }

    /// What people are told: nothing if Redis obeys.
    #[must_use]
    pub fn for_people(&self) -> String {
        self.redis_error.as_ref().map_or_else(String::new, |error| {
            format!(
                "kept in Postgres; Redis does not know yet ({error}): a scheduler tells it within seconds of its return\n"
            )
        })
    }
}

impl Kept {
    /// As [`Told::by`], of what Postgres has in `classes` now and had not in `changed`.
    pub async fn by<T>(
        session: &Session,
        classes: Vec<Class>,
        changed: Vec<Class>,
        tell: impl AsyncFn(&Broker) -> anyhow::Result<T>,
    ) -> Self {
        let told = Told::by(session, &classes, tell).await;
        Self {
            classes,
            changed,
            told,
        }
    }

    /// What people are told: what `line` says of the classes, `changed` if it is news and `same` if it is not, and
    /// whether Redis obeys.
    #[must_use]
    pub fn for_people(
        &self,
        changed: &str,
        same: &str,
        line: impl FnOnce(&str, &str) -> String,
    ) -> String {
        let word = if self.changed.is_empty() {
            same
        } else {
            changed
        };
        let line = line(word, &listed(&self.classes));
        format!("{line}\n{}", self.told.for_people())
    }
}
