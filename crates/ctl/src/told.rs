//! Whether Redis was told of a setting that Postgres has; if not, a scheduler tells it.

use serde::Serialize;

use crate::{exit, queues::Queues, session::Session};

/// Whether Redis was told.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Whether it obeys already; if not, a scheduler tells it within seconds of its return.
    in_redis: bool,
    /// Why it does not.
    redis_error: Option<String>,
}

impl Told {
    /// Tells Redis by `tell`. Whatever goes wrong is no failure: the setting stands in Postgres.
    pub async fn by(
        session: &Session,
        tell: impl AsyncFnOnce(&Queues) -> anyhow::Result<()>,
    ) -> Self {
        let telling = async {
            let queues = Queues::new(session.broker().await?);
            tell(&queues).await
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
