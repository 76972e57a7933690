//! `bulkhead plans show`

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use bulkhead_broker::{PlanEntry, PlanFilter, PlanSource};
use bulkhead_domain::{ApplicationId, ConnectionId, Operation, UsagePlan};
use bulkhead_store::{PlanPin, Store};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    directory::{self, EVERYTHING},
    output::Answer,
    plan_subject,
    queues::Queues,
    session::Session,
    table::{Rows, time},
};

/// Shows the usage plans that are in force where they are not the published ones, with what was learned and why
///
/// With --connection and an operation also a plan that is simply the published one. Rates are Amazon's, also with a
/// simulator whose time runs faster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead plans show
  bulkhead plans show --connection acme/shop-eu searchOrders
  bulkhead plans show --application main --json")]
pub(crate) struct PlansShow {
    /// Only of this connection: TENANT/NAME, name or id
    #[arg(long, conflicts_with = "application")]
    connection: Option<String>,

    /// Only of this application: name or id
    #[arg(long)]
    application: Option<String>,

    /// Only of this operation, as searchOrders or orders/2026-01-01/searchOrders
    operation: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Plans(Vec<Shown>);

/// A plan, in Amazon's units.
#[derive(Debug, Serialize)]
struct Shown {
    operation: String,
    /// `acme/shop-eu`, or the application over all its sellers.
    of: String,
    application_id: ApplicationId,
    connection_id: Option<ConnectionId>,
    rate_per_s: f64,
    burst: u32,
    published: Option<UsagePlan>,
    source: &'static str,
    why: String,
    since: Option<Timestamp>,
    throttled_at: Option<Timestamp>,
}

/// What a plan is for, whatever class learned it.
type Subject = (ApplicationId, Option<ConnectionId>, String);

impl PlansShow {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let operation = self.operation.as_deref().map(plan_subject::operation);
        let operation = operation.transpose()?;
        let store = session.store().await?;
        let names = Names::read(&store).await?;
        let mut filter = PlanFilter {
            operation: operation.map(Operation::key),
            ..PlanFilter::default()
        };
        if let Some(given) = &self.connection {
            let connection = directory::connection(&store, None, given).await?;
            filter.application = Some(connection.application);
            filter.connection = Some(connection.id);
        }
        if let Some(given) = &self.application {
            filter.application = Some(directory::application(&store, given).await?.id);
        }
        let pins = store.plan_pins().list(EVERYTHING).await?;
        let scale = session.config().amazon.time_scale;
        let queues = Queues::new(session.broker().await?);
        let mut shown: BTreeMap<Subject, Shown> = BTreeMap::new();
        for queue in queues.each() {
            let entries = queue.plans(&filter).await.context("read the plans")?;
            for entry in entries {
                let subject = (entry.application, entry.connection, entry.operation.clone());
                // Of two classes that call the same, the one with less: it is nearer to what Amazon does.
                let entry = Shown::learned(entry, &names, scale);
                let known = shown.get(&subject);
                if known.is_none_or(|known| entry.rate_per_s < known.rate_per_s) {
                    shown.insert(subject, entry);
                }
            }
        }
        for pin in pins.iter().filter(|pin| admits(&filter, pin)) {
            let entry = Shown::pinned(pin, &names);
            shown.insert(subject_of(pin), entry);
        }
        if let (Some(operation), Some(connection)) = (operation, filter.connection)
            && let Some(application) = filter.application
        {
            let subject = (application, Some(connection), operation.key());
            shown
                .entry(subject)
                .or_insert_with(|| Shown::published(operation, application, connection, &names));
        }
        session.show(&Plans(shown.into_values().collect()))
    }
}

fn subject_of(pin: &PlanPin) -> Subject {
    let connection = pin.subject.connection.map(|(_, connection)| connection);
    (
        pin.subject.application,
        connection,
        pin.subject.operation.clone(),
    )
}

fn admits(filter: &PlanFilter, pin: &PlanPin) -> bool {
    let (application, connection, operation) = subject_of(pin);
    filter.application.is_none_or(|id| id == application)
        && filter.connection.is_none_or(|id| Some(id) == connection)
        && filter
            .operation
            .as_ref()
            .is_none_or(|name| *name == operation)
}

/// Names of applications and connections.
struct Names {
    applications: HashMap<ApplicationId, String>,
    connections: HashMap<ConnectionId, String>,
}

impl Names {
    async fn read(store: &Store) -> anyhow::Result<Self> {
        let applications = store.applications().list(EVERYTHING).await?;
        let connections = store.connections().list(None, EVERYTHING).await?;
        Ok(Self {
            applications: applications
                .into_iter()
                .map(|one| (one.id, one.name))
                .collect(),
            connections: connections
                .iter()
                .map(|one| (one.id, directory::path(one)))
                .collect(),
        })
    }

    fn of(&self, application: ApplicationId, connection: Option<ConnectionId>) -> String {
        let name = match &connection {
            Some(id) => self.connections.get(id),
            None => self.applications.get(&application),
        };
        // Gone, or added since the names were read.
        let id = || connection.map_or_else(|| application.to_string(), |id| id.to_string());
        let name = name.cloned().unwrap_or_else(id);
        match connection {
            Some(_) => name,
            None => format!("{name}, all sellers"),
        }
    }
}

impl Shown {
    fn learned(entry: PlanEntry, names: &Names, scale: f64) -> Self {
        Self {
            of: names.of(entry.application, entry.connection),
            application_id: entry.application,
            connection_id: entry.connection,
            rate_per_s: entry.in_force.rate_per_s / scale,
            burst: entry.in_force.burst,
            published: published(&entry.operation, entry.connection),
            operation: entry.operation,
            source: source(entry.source),
            why: entry.why,
            since: Some(entry.since),
            throttled_at: entry.throttled_at,
        }
    }

    fn pinned(pin: &PlanPin, names: &Names) -> Self {
        let (application, connection, operation) = subject_of(pin);
        Self {
            of: names.of(application, connection),
            application_id: application,
            connection_id: connection,
            rate_per_s: pin.plan.rate_per_s,
            burst: pin.plan.burst,
            published: published(&operation, connection),
            operation,
            source: source(PlanSource::Pinned),
            why: pin.reason.clone(),
            since: Some(pin.since),
            throttled_at: None,
        }
    }

    fn published(
        operation: &'static Operation,
        application: ApplicationId,
        connection: ConnectionId,
        names: &Names,
    ) -> Self {
        let (rate_per_s, burst, why) = match operation.plan {
            Some(plan) => (plan.rate_per_s, plan.burst, "as published"),
            None => (
                0.0,
                0,
                "Amazon publishes none: obeyed is what its answers say",
            ),
        };
        Self {
            operation: operation.key(),
            of: names.of(application, Some(connection)),
            application_id: application,
            connection_id: Some(connection),
            rate_per_s,
            burst,
            published: operation.plan,
            source: source(PlanSource::Published),
            why: why.to_owned(),
            since: None,
            throttled_at: None,
        }
    }
}

fn published(operation: &str, connection: Option<ConnectionId>) -> Option<UsagePlan> {
    let operation = Operation::find(operation)?;
    match connection {
        Some(_) => operation.plan,
        None => operation.application_plan,
    }
}

const fn source(source: PlanSource) -> &'static str {
    match source {
        PlanSource::Published => "published",
        PlanSource::Header => "header",
        PlanSource::SteppedDown => "stepped down",
        PlanSource::Paced => "paced",
        PlanSource::Pinned => "pinned",
    }
}

impl Answer for Plans {
    fn for_people(&self, colour: bool) -> String {
        let heads = [
            "operation",
            "of",
            "rate/s",
            "burst",
            "published",
            "source",
            "since",
            "last 429",
            "why",
        ];
        let mut rows = Rows::new(&heads, "every plan in force is the published one");
        for plan in &self.0 {
            let published = plan.published.map_or_else(
                || "-".to_owned(),
                |plan| format!("{}/{}", plan.rate_per_s, plan.burst),
            );
            rows.add([
                plan.operation.clone(),
                plan.of.clone(),
                significant(plan.rate_per_s),
                plan.burst.to_string(),
                published,
                plan.source.to_owned(),
                time(plan.since),
                time(plan.throttled_at),
                plan.why.clone(),
            ]);
        }
        rows.render(colour)
    }
}

/// Four significant digits of a rate.
fn significant(rate: f64) -> String {
    if rate <= 0.0 {
        return "-".to_owned();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few digits"
    )]
    let decimals = (3.0 - rate.log10().floor()).max(0.0) as usize;
    let text = format!("{rate:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shown_with_four_digits() {
        for (rate, shown) in [
            (0.0056, "0.0056"),
            (0.004_536, "0.004536"),
            (2.0, "2"),
            (123.456, "123.5"),
            (0.0, "-"),
        ] {
            assert_eq!(significant(rate), shown);
        }
    }
}
