//! What the night came to.

use bulkhead_devstack::fleet::Onboarded;
use serde::Serialize;

use super::audit::Audit;

/// The figures of a night; `--json` prints exactly these.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    connections: u64,
    tenants: u64,
    orders: u64,
    order_items: u64,
    pages: u64,
    amazon_requests: u64,
    throttled: u64,
    lost: u64,
    duplicated: u64,
    rerun_after_kill: u64,
    token_refreshes: u64,
    seconds: f64,
}

impl Summary {
    pub(crate) fn new(onboarded: &Onboarded, audit: &Audit, reruns: u64, seconds: f64) -> Self {
        Self {
            connections: onboarded.connections() as u64,
            tenants: onboarded.tenants.len() as u64,
            orders: audit.totals.orders.unsigned_abs(),
            order_items: audit.totals.order_items.unsigned_abs(),
            pages: audit.totals.pages.unsigned_abs(),
            amazon_requests: audit.counts.requests,
            throttled: audit.counts.throttled,
            lost: audit.lost,
            duplicated: audit.duplicated,
            rerun_after_kill: reruns,
            token_refreshes: audit.counts.token_refreshes.total,
            seconds: (seconds * 10.0).round() / 10.0,
        }
    }

    /// Nothing lost, nothing duplicated, nothing throttled.
    pub(crate) const fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.throttled == 0
    }

    pub(crate) fn print_for_people(&self) {
        let verdict = if self.is_clean() {
            "nothing lost, nothing duplicated, never over a usage plan"
        } else {
            "NOT CLEAN: see lost, duplicated and throttled"
        };
        eprintln!();
        for (name, figure) in [
            (
                "connections",
                format!("{} of {} tenants", self.connections, self.tenants),
            ),
            (
                "orders",
                format!(
                    "{} with {} items, in {} pages",
                    self.orders, self.order_items, self.pages
                ),
            ),
            ("lost", self.lost.to_string()),
            ("duplicated", self.duplicated.to_string()),
            ("Amazon requests", self.amazon_requests.to_string()),
            ("throttled (429)", self.throttled.to_string()),
            ("tokens refreshed", self.token_refreshes.to_string()),
            (
                "re-run after kill",
                format!("{} job(s)", self.rerun_after_kill),
            ),
            ("time", format!("{:.1} s", self.seconds)),
        ] {
            eprintln!("  {name:18} {figure}");
        }
        eprintln!("\n{verdict}");
    }
}
