//! How long a sync takes under Amazon's usage plans, before it is asked for.
//!
//! A bucket of burst B that refills at r a second lets n calls through in (n − B)/r seconds, or at once while n ≤ B.
//! All calls of a route run side by side, so the slowest operation is the bottleneck. Connections have buckets of
//! their own: the slowest connection is when all are done.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    operation::{
        CREATE_REPORT, GET_ORDER_ITEMS_V0, GET_ORDERS_V0, GET_REPORT, GET_REPORT_DOCUMENT,
        Operation, SEARCH_ORDERS,
    },
    usage_plan::UsagePlan,
};

/// How far back a connection's first sync reaches, unless it is told otherwise.
pub const FIRST_SYNC_REACHES_BACK: SignedDuration = SignedDuration::from_hours(24 * 60);

/// Orders on a full page of searchOrders (maxResultsPerPage) and of v0 getOrders (MaxResultsPerPage).
pub const ORDERS_PER_PAGE: u64 = 100;

/// The longest span that one order report is asked for, days.
pub const REPORT_DAYS: u64 = 30;

/// How long Amazon is taken to work on a report; it publishes nothing. Reports of one request are worked on side by
/// side.
pub const REPORT_TAKES: Duration = Duration::from_secs(15 * 60);

/// How often a report in the works is asked about, per report.
pub const REPORT_POLLS: u64 = 15;

/// A way to read orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// searchOrders 2026-01-01: 100 orders a page, items included.
    Search,
    /// Orders v0: getOrders, 100 a page, then getOrderItems for each order.
    SearchV0,
    /// A report for each 30 days, without buyers' data: createReport, getReport, getReportDocument.
    Report,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 3] = [Self::Search, Self::SearchV0, Self::Report];

    /// The word for it: `search`, `search-v0`, `report`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::SearchV0 => "search-v0",
            Self::Report => "report",
        }
    }

    /// How often each operation is called for so many orders in so many days.
    fn calls(self, orders: u64, days: f64) -> Vec<(&'static Operation, u64)> {
        // The end is only known from an answer without orders.
        let pages = orders.div_ceil(ORDERS_PER_PAGE).max(1);
        match self {
            Self::Search => vec![(&SEARCH_ORDERS, pages)],
            Self::SearchV0 => vec![(&GET_ORDERS_V0, pages), (&GET_ORDER_ITEMS_V0, orders)],
            Self::Report => {
                let reports = whole(days).div_ceil(REPORT_DAYS).max(1);
                vec![
                    (&CREATE_REPORT, reports),
                    (&GET_REPORT, reports * REPORT_POLLS),
                    (&GET_REPORT_DOCUMENT, reports),
                ]
            }
        }
    }

    /// What passes besides calls.
    const fn takes_besides(self) -> Duration {
        match self {
            Self::Search | Self::SearchV0 => Duration::ZERO,
            Self::Report => REPORT_TAKES,
        }
    }
}

/// What one connection is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyncRequest {
    /// How far back.
    pub days: f64,
    /// How many orders change a day.
    pub orders_per_day: f64,
}

impl SyncRequest {
    /// Orders in all.
    #[must_use]
    pub fn orders(&self) -> u64 {
        whole(self.days * self.orders_per_day)
    }
}

/// The calls of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// Which.
    pub operation: &'static Operation,
    /// How many.
    pub count: u64,
    /// The plan that they are made under.
    pub plan: Option<UsagePlan>,
    /// How long they take under it.
    pub takes: Duration,
}

/// How long one connection takes by one route.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Which way.
    pub route: Route,
    /// What it asks Amazon.
    pub calls: Vec<Calls>,
    /// From the first call to the last answer.
    pub takes: Duration,
}

impl Forecast {
    /// Of `request` by `route`, with full buckets, under the plan that `plan_of` says is in force.
    #[must_use]
    pub fn of(
        request: &SyncRequest,
        route: Route,
        plan_of: impl Fn(&'static Operation) -> Option<UsagePlan>,
    ) -> Self {
        let calls: Vec<Calls> = route
            .calls(request.orders(), request.days)
            .into_iter()
            .map(|(operation, count)| {
                let plan = plan_of(operation);
                Calls {
                    operation,
                    count,
                    plan,
                    takes: plan
                        .map_or(Duration::ZERO, |plan| time_for(plan, count))
                        .saturating_sub(hidden(operation)),
                }
            })
            .collect();
        let slowest = calls.iter().map(|calls| calls.takes).max();
        Self {
            route,
            takes: slowest.unwrap_or_default() + route.takes_besides(),
            calls,
        }
    }

    /// Of `request` by every route, the quickest first.
    #[must_use]
    pub fn of_all(
        request: &SyncRequest,
        plan_of: impl Fn(&'static Operation) -> Option<UsagePlan>,
    ) -> Vec<Self> {
        let mut forecasts: Vec<_> = Route::ALL
            .map(|route| Self::of(request, route, &plan_of))
            .into();
        // A stable sort: of routes that take as long, the one with the newest API.
        forecasts.sort_by_key(|forecast| forecast.takes);
        forecasts
    }

    /// The operation that takes longest; `None` if none makes it wait.
    #[must_use]
    pub fn bottleneck(&self) -> Option<&Calls> {
        let slowest = self.calls.iter().rev().max_by_key(|calls| calls.takes)?;
        (!slowest.takes.is_zero()).then_some(slowest)
    }

    /// All calls.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.calls.iter().map(|calls| calls.count).sum()
    }
}

/// What of an operation's time passes while Amazon works anyway.
fn hidden(operation: &Operation) -> Duration {
    if *operation == GET_REPORT {
        REPORT_TAKES
    } else {
        Duration::ZERO
    }
}

/// How long `count` calls take under `plan`, from a full bucket; the longest time there is if that is longer.
#[must_use]
pub fn time_for(plan: UsagePlan, count: u64) -> Duration {
    let beyond = count.saturating_sub(u64::from(plan.burst));
    Duration::try_from_secs_f64(float(beyond) / plan.rate_per_s).unwrap_or(Duration::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "orders and calls are far below 2^52"
)]
const fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates: less than none is none"
)]
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    fn forecast(route: Route, days: f64, orders_per_day: f64) -> Forecast {
        let request = SyncRequest {
            days,
            orders_per_day,
        };
        Forecast::of(&request, route, |operation| operation.plan)
    }

    #[test]
    fn a_day_of_the_search_has_504_pages() {
        // The burst, and what flows in until the day is over.
        let takes = time_for(SEARCH_ORDERS.plan.unwrap(), 503);
        assert!(takes < Duration::from_secs(24 * HOUR), "{takes:?}");
        let takes = time_for(SEARCH_ORDERS.plan.unwrap(), 504);
        assert!(takes > Duration::from_secs(24 * HOUR), "{takes:?}");
    }

    #[test]
    fn what_fits_into_the_burst_takes_no_time() {
        let night = forecast(Route::Search, 1.0, 2_000.0);
        assert_eq!(night.calls[0].count, 20);
        assert_eq!(night.takes, Duration::ZERO);
        assert_eq!(night.bottleneck(), None);
    }

    #[test]
    fn a_page_is_asked_for_even_if_nothing_changed() {
        assert_eq!(forecast(Route::Search, 0.5, 0.0).requests(), 1);
        assert_eq!(forecast(Route::Report, 0.0, 0.0).calls[0].count, 1);
    }

    #[test]
    fn the_items_of_each_order_are_the_bottleneck_of_the_old_search() {
        // 43,200 orders a day, as getOrderItems at one each two seconds allows; 432 pages at one a minute are quicker.
        let old = forecast(Route::SearchV0, 30.0, 1_440.0);
        let bottleneck = old.bottleneck().unwrap();
        assert_eq!(bottleneck.operation, &GET_ORDER_ITEMS_V0);
        assert_eq!(bottleneck.count, 43_200);
        let day = Duration::from_secs(24 * HOUR) - Duration::from_secs(60);
        assert_eq!(old.takes, day);
    }

    #[test]
    fn a_long_range_is_cheapest_by_report_and_a_night_by_search() {
        let request = |days| SyncRequest {
            days,
            orders_per_day: 1_000.0,
        };
        let cheapest = |days| {
            let all = Forecast::of_all(&request(days), |operation| operation.plan);
            (all[0].route, all[0].takes)
        };
        assert_eq!(cheapest(1.0), (Route::Search, Duration::ZERO));
        assert_eq!(cheapest(90.0), (Route::Report, REPORT_TAKES));
        let two_years = forecast(Route::Report, 730.0, 1_000.0);
        assert_eq!(two_years.calls[0].count, 25);
        assert_eq!(two_years.bottleneck().unwrap().operation, &CREATE_REPORT);
    }

    #[test]
    fn the_plan_in_force_counts_and_an_operation_without_one_is_free() {
        let request = SyncRequest {
            days: 10.0,
            orders_per_day: 1_000.0,
        };
        let lowered = |_| Some(UsagePlan::new(0.0028, 20));
        let slow = Forecast::of(&request, Route::Search, lowered);
        assert_eq!(slow.takes.as_secs(), 28_571, "80 pages beyond the burst");
        let free = Forecast::of(&request, Route::Search, |_| None);
        assert_eq!(free.takes, Duration::ZERO);
    }

    #[test]
    fn what_never_ends_is_the_longest_time_there_is() {
        assert_eq!(time_for(UsagePlan::new(0.0, 1), 2), Duration::MAX);
        assert_eq!(
            forecast(Route::Search, f64::MAX, f64::MAX).calls[0].count,
            u64::MAX.div_ceil(100)
        );
    }
}
