//! `bulkhead plans set`

use bulkhead_domain::UsagePlan;
use bulkhead_service::StartError;
use serde::Serialize;

use crate::{output::Answer, plan_subject::PlanSubjectArgs, session::Session, told::Told};

/// Pins a usage plan: calls follow it, whatever Amazon's answers say, until it is reset
///
/// For a plan that Amazon has agreed on with you. A pinned plan is not lowered after a 429 and not raised by what Amazon
/// reports. Its bucket begins empty. Rates are Amazon's, also with a simulator whose time runs faster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead plans set --connection acme/shop-eu searchOrders --rate 0.0167 --burst 20
  bulkhead plans set --application main getCatalogItem --rate 100 --burst 100 --reason 'ticket 4711'")]
pub(crate) struct PlansSet {
    #[command(flatten)]
    subject: PlanSubjectArgs,

    /// Calls per second
    #[arg(long, value_name = "N")]
    rate: f64,

    /// Calls at once, after a rest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    burst: u32,

    /// Why, for the audit log and for `plans show`
    #[arg(long, default_value = "pinned by an operator")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct Set {
    of: String,
    operation: String,
    rate_per_s: f64,
    burst: u32,
    /// Whether there was another or none.
    changed: bool,
    #[serde(flatten)]
    told: Told,
}

impl PlansSet {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        if !(0.000_001..=1_000_000.0).contains(&self.rate) {
            let refusal = "--rate must be a number from 0.000001 to 1000000";
            return Err(StartError::refused(refusal).into());
        }
        session.config().redis.url()?;
        let store = session.store().await?;
        let named = self.subject.find(&store).await?;
        let plan = UsagePlan::new(self.rate, self.burst);
        // Postgres first: it is what the scheduler restores.
        let changed = store
            .plan_pins()
            .set(&named.subject, plan, &self.reason, session.actor())
            .await?;
        let told = named.tell(session, Some(plan)).await;
        session.show(&Set {
            of: named.name,
            operation: named.subject.operation,
            rate_per_s: self.rate,
            burst: self.burst,
            changed,
            told,
        })
    }
}

impl Answer for Set {
    fn for_people(&self, _: bool) -> String {
        let word = if self.changed {
            "is now"
        } else {
            "was already"
        };
        format!(
            "{} of {} {word} pinned at {}/s, burst {}\n{}",
            self.operation,
            self.of,
            self.rate_per_s,
            self.burst,
            self.told.for_people()
        )
    }
}
