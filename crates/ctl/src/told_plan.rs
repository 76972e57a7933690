//! Whether Redis was told of a plan that Postgres has; if not, a scheduler tells it.

use bulkhead_domain::UsagePlan;
use serde::Serialize;

use crate::{exit, plan_subject::Named, queues::Queues, session::Session};

/// Whether Redis was told.
#[derive(Debug, Serialize)]
pub struct ToldPlan {
    /// Whether it obeys already; if not, a scheduler tells it within seconds of its return.
    in_redis: bool,
    /// Why it does not.
    redis_error: Option<String>,
}

impl ToldPlan {
    /// Pins a plan in the queues of every class, or resets it. Whatever goes wrong is no failure: the pin stands in
    /// Postgres.
    pub async fn pin(session: &Session, named: &Named, plan: Option<UsagePlan>) -> Self {
        let error = tell(session, named, plan).await.err();
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

async fn tell(session: &Session, named: &Named, plan: Option<UsagePlan>) -> anyhow::Result<()> {
    let scale = session.config().amazon.time_scale;
    let (application, connection) = (named.subject.application, named.subject.connection);
    let connection = connection.map(|(_, connection)| connection);
    for queue in Queues::new(session.broker().await?).each() {
        match plan {
            Some(plan) => {
                let plan = plan.scaled(scale);
                queue
                    .pin_plan(application, connection, named.operation, plan)
                    .await?;
            }
            None => {
                queue
                    .reset_plan(application, connection, named.operation)
                    .await?;
            }
        }
    }
    Ok(())
}
