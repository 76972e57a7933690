//! How long a sync will take under Amazon's usage plans.

use std::{collections::HashMap, time::Duration};

use bulkhead_domain::{
    ConnectionId, Dataset, Forecast, Operation, Route, SyncRequest, UsagePlan,
    forecast::FIRST_SYNC_REACHES_BACK,
};
use bulkhead_store::{CheckpointProgress, Connection};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{directory, output::Answer, table::Rows};

/// Less history than this says nothing about a day.
const ENOUGH_HISTORY: SignedDuration = SignedDuration::from_hours(1);

/// Every route of a sync, for all of its connections.
#[derive(Debug, Serialize)]
pub struct SyncForecast {
    connections: usize,
    /// Connections of whose orders nothing is stored; they count as without orders.
    unknown: usize,
    orders: u64,
    routes: Vec<RouteForecast>,
    cheapest: &'static str,
}

/// One route of it.
#[derive(Debug, Serialize)]
struct RouteForecast {
    route: &'static str,
    /// Of all connections.
    requests: u64,
    takes_s: u64,
    /// Who is the last to be done, if anyone has to wait.
    slowest: Option<String>,
    bottleneck: Option<Bottleneck>,
}

/// What one has to wait for.
#[derive(Debug, Serialize)]
struct Bottleneck {
    operation: String,
    calls: u64,
    rate_per_s: f64,
    burst: u32,
}

/// What is known of a connection before it is asked for.
#[derive(Debug, Clone)]
pub struct Expected<'c> {
    connection: &'c Connection,
    request: SyncRequest,
    known: bool,
}

impl<'c> Expected<'c> {
    /// What a sync of each connection from `since` on, or from where its last one ended, is expected to find:
    /// `orders_per_day` changed orders, or else as many a day as it found until now.
    #[must_use]
    pub fn of(
        connections: &[&'c Connection],
        progress: &[CheckpointProgress],
        since: Option<Timestamp>,
        orders_per_day: Option<f64>,
        now: Timestamp,
    ) -> Vec<Self> {
        let of_orders = progress.iter().filter(|one| one.dataset == Dataset::Orders);
        let by_id: HashMap<ConnectionId, _> = of_orders.map(|one| (one.connection, one)).collect();
        connections
            .iter()
            .map(|connection| {
                let progress = by_id.get(&connection.id).copied();
                let last = progress.and_then(|progress| progress.watermark);
                let reaches_back = now
                    .saturating_sub(FIRST_SYNC_REACHES_BACK)
                    .unwrap_or(Timestamp::MIN);
                let from = since.or(last).unwrap_or(reaches_back);
                let stored = progress.and_then(|progress| per_day(progress, connection));
                let known = orders_per_day.or(stored);
                Self {
                    connection,
                    request: SyncRequest {
                        days: days(now.duration_since(from)),
                        orders_per_day: known.unwrap_or(0.0),
                    },
                    known: known.is_some(),
                }
            })
            .collect()
    }
}

/// Changed orders a day, as the syncs of a connection have found them.
fn per_day(progress: &CheckpointProgress, connection: &Connection) -> Option<f64> {
    let first = connection
        .created_at
        .saturating_sub(FIRST_SYNC_REACHES_BACK)
        .ok()?;
    let history = progress.watermark?.duration_since(first);
    #[expect(clippy::cast_precision_loss, reason = "orders are far below 2^52")]
    let orders = progress.orders as f64;
    (history >= ENOUGH_HISTORY).then(|| orders / days(history))
}

fn days(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0) / 86_400.0
}

impl SyncForecast {
    /// The forecast; `plan_of` says which plan a connection has for an operation.
    #[must_use]
    pub fn new(
        expected: &[Expected<'_>],
        plan_of: impl Fn(&Connection, &'static Operation) -> Option<UsagePlan>,
    ) -> Self {
        let mut routes: Vec<_> = Route::ALL
            .map(|route| RouteForecast::new(expected, route, &plan_of))
            .into();
        routes.sort_by_key(|route| route.takes_s);
        Self {
            connections: expected.len(),
            unknown: expected.iter().filter(|one| !one.known).count(),
            orders: expected.iter().map(|one| one.request.orders()).sum(),
            cheapest: routes.first().map_or("", |route| route.route),
            routes,
        }
    }

    /// One line for who is about to owe the sync; `None` if it is soon done, or nobody knows.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        const SOON: u64 = 3_600;
        let search = self.search()?;
        let bottleneck = search.bottleneck.as_ref()?;
        (search.takes_s > SOON).then(|| {
            format!(
                "takes about {} under the usage plan of {}: about {} orders, {} requests; \
                 see `bulkhead plan sync`",
                duration(search.takes_s),
                bottleneck.operation,
                self.orders,
                search.requests
            )
        })
    }

    /// The route that Bulkhead's sync takes.
    fn search(&self) -> Option<&RouteForecast> {
        self.routes
            .iter()
            .find(|one| one.route == Route::Search.as_str())
    }
}

impl RouteForecast {
    fn new(
        expected: &[Expected<'_>],
        route: Route,
        plan_of: impl Fn(&Connection, &'static Operation) -> Option<UsagePlan>,
    ) -> Self {
        let forecasts: Vec<_> = expected
            .iter()
            .map(|one| {
                let plan_of = |operation| plan_of(one.connection, operation);
                (one, Forecast::of(&one.request, route, plan_of))
            })
            .collect();
        let slowest = forecasts
            .iter()
            .rev()
            .max_by_key(|(_, forecast)| forecast.takes);
        let waits = slowest.filter(|(_, forecast)| !forecast.takes.is_zero());
        Self {
            route: route.as_str(),
            requests: forecasts
                .iter()
                .map(|(_, forecast)| forecast.requests())
                .sum(),
            takes_s: slowest.map_or(0, |(_, forecast)| whole_seconds(forecast.takes)),
            slowest: waits.map(|(one, _)| directory::path(one.connection)),
            bottleneck: slowest.and_then(|(_, forecast)| Bottleneck::of(forecast)),
        }
    }
}

impl Bottleneck {
    fn of(forecast: &Forecast) -> Option<Self> {
        let calls = forecast.bottleneck()?;
        let plan = calls.plan?;
        Some(Self {
            operation: calls.operation.name.to_owned(),
            calls: calls.count,
            rate_per_s: plan.rate_per_s,
            burst: plan.burst,
        })
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// `at once`, `40 s`, `15 min`, `2 h 5 min`, `3 d 4 h`: two units are enough.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, of: &str, small: u64, rest: &str| match small {
        0 => format!("{large} {of}"),
        small => format!("{large} {of} {small} {rest}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => "at once".to_owned(),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

impl Answer for SyncForecast {
    fn for_people(&self, colour: bool) -> String {
        let heads = [
            "route",
            "requests",
            "takes",
            "bottleneck",
            "slowest connection",
        ];
        let mut rows = Rows::new(&heads, "nothing to sync: no active connection");
        for route in self.routes.iter().filter(|_| self.connections > 0) {
            let bottleneck = route.bottleneck.as_ref().map_or_else(
                || "-".to_owned(),
                |one| {
                    format!(
                        "{}: {} at {}/s, burst {}",
                        one.operation, one.calls, one.rate_per_s, one.burst
                    )
                },
            );
            rows.add([
                route.route.to_owned(),
                route.requests.to_string(),
                duration(route.takes_s),
                bottleneck,
                route.slowest.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        let mut text = rows.render(colour);
        if self.connections == 0 {
            return text;
        }
        text += &format!(
            "\nabout {} orders of {} connections; the cheapest route is {}\n",
            self.orders, self.connections, self.cheapest
        );
        if let Some(search) = self
            .search()
            .filter(|_| self.cheapest != Route::Search.as_str())
        {
            text += &format!(
                "`bulkhead enqueue sync` takes the search, which also has what reports leave out: {}\n",
                duration(search.takes_s)
            );
        }
        if self.unknown > 0 {
            text += &format!(
                "of {} connections no orders are known yet and none are counted: say --orders-per-day\n",
                self.unknown
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_domain::{ApplicationId, Region, TenantId};
    use bulkhead_store::ConnectionState;
    use uuid::Uuid;

    const NOW: &str = "2026-11-24T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn connection(name: &str, id: u128) -> Connection {
        Connection {
            tenant: TenantId::new(Uuid::from_u128(1)),
            tenant_name: "acme".to_owned(),
            id: ConnectionId::new(Uuid::from_u128(id)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            name: name.to_owned(),
            region: Region::Eu,
            seller_id: "A1".to_owned(),
            marketplace_ids: vec!["A1PA6795UKMFR9".to_owned()],
            state: ConnectionState::Active,
            includes_pii: false,
            created_at: now() - SignedDuration::from_hours(24 * 40),
            token_expires_at: None,
        }
    }

    fn progress(connection: &Connection, orders: u64) -> CheckpointProgress {
        CheckpointProgress {
            tenant: connection.tenant,
            connection: connection.id,
            dataset: Dataset::Orders,
            watermark: Some(now()),
            pass_before: None,
            pages: orders / 100,
            orders,
            order_items: orders,
            updated_at: now(),
        }
    }

    fn published(_: &Connection, operation: &'static Operation) -> Option<UsagePlan> {
        operation.plan
    }

    #[test]
    fn orders_a_day_are_those_that_were_found_until_now() {
        let shop = connection("shop", 10);
        // The first sync reached 60 days back, and it is 40 days old.
        let known = [progress(&shop, 100_000)];
        let ninety = now() - SignedDuration::from_hours(24 * 90);
        let expected = Expected::of(&[&shop], &known, Some(ninety), None, now());
        assert_eq!(expected[0].request.orders(), 90_000);
        let given = Expected::of(&[&shop], &known, Some(ninety), Some(10.0), now());
        assert_eq!(given[0].request.orders(), 900);
        let from_the_last = Expected::of(&[&shop], &known, None, None, now());
        assert_eq!(from_the_last[0].request.orders(), 0);
    }

    #[test]
    fn the_slowest_connection_and_the_bottleneck_are_named() {
        let (shop, outlet) = (connection("shop", 10), connection("outlet", 11));
        let known = [progress(&shop, 100_000), progress(&outlet, 1_000)];
        let ninety = now() - SignedDuration::from_hours(24 * 90);
        let expected = Expected::of(&[&shop, &outlet], &known, Some(ninety), None, now());
        let forecast = SyncForecast::new(&expected, published);
        assert_eq!(
            forecast.for_people(false),
            "\
ROUTE      REQUESTS  TAKES     BOTTLENECK                               SLOWEST CONNECTION
report     102       15 min    -                                        acme/shop
search     909       1 d 19 h  searchOrders: 900 at 0.0056/s, burst 20  acme/shop
search-v0  91809     2 d 1 h   getOrderItems: 90000 at 0.5/s, burst 30  acme/shop

about 90900 orders of 2 connections; the cheapest route is report
`bulkhead enqueue sync` takes the search, which also has what reports leave out: 1 d 19 h
"
        );
        assert_eq!(
            forecast.note().as_deref(),
            Some(
                "takes about 1 d 19 h under the usage plan of searchOrders: about 90900 orders, 909 requests; \
                 see `bulkhead plan sync`"
            )
        );
    }

    #[test]
    fn a_night_has_no_note_and_an_unknown_connection_is_said() {
        let shop = connection("shop", 10);
        let day = now() - SignedDuration::from_hours(24);
        let expected = Expected::of(&[&shop], &[], Some(day), Some(1_500.0), now());
        assert_eq!(SyncForecast::new(&expected, published).note(), None);
        let expected = Expected::of(&[&shop], &[], None, None, now());
        let shown = SyncForecast::new(&expected, published).for_people(false);
        assert!(shown.contains("say --orders-per-day"), "{shown}");
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, shown) in [
            (0, "at once"),
            (59, "59 s"),
            (900, "15 min"),
            (7_500, "2 h 5 min"),
            (7_200, "2 h"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
