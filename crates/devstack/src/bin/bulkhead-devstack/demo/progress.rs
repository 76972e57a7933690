//! The night as it goes on: bars on a terminal, plain lines elsewhere.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sqlx::PgPool;

/// Between two plain reports.
const REPORT: Duration = Duration::from_secs(3);

/// How far each tenant is.
#[derive(Debug)]
pub(crate) struct Progress(Vec<TenantProgress>);

#[derive(Debug, sqlx::FromRow)]
struct TenantProgress {
    name: String,
    connections: i64,
    orders: i64,
    pages: i64,
    syncs_done: i64,
    syncs_failed: i64,
}

impl Progress {
    pub(crate) async fn of(pool: &PgPool) -> anyhow::Result<Self> {
        let query = include_str!("../../../../queries/demo/progress.sql");
        Ok(Self(sqlx::query_as(query).fetch_all(pool).await?))
    }

    pub(crate) fn orders(&self) -> u64 {
        self.sum(|tenant| tenant.orders)
    }

    pub(crate) fn done(&self) -> u64 {
        self.sum(|tenant| tenant.syncs_done)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.sum(|tenant| tenant.syncs_failed)
    }

    fn sum(&self, of: impl Fn(&TenantProgress) -> i64) -> u64 {
        self.0.iter().map(of).sum::<i64>().unsigned_abs()
    }
}

/// Where progress is shown.
pub(crate) struct View {
    orders_per_seller: u64,
    bars: Option<Bars>,
    started: Instant,
    reported: Option<Instant>,
}

struct Bars {
    all: MultiProgress,
    tenants: BTreeMap<String, ProgressBar>,
}

impl View {
    pub(crate) fn new(orders_per_seller: u64, terminal: bool) -> Self {
        Self {
            orders_per_seller,
            bars: terminal.then(|| Bars {
                all: MultiProgress::new(),
                tenants: BTreeMap::new(),
            }),
            started: Instant::now(),
            reported: None,
        }
    }

    pub(crate) fn show(&mut self, progress: &Progress) {
        if let Some(bars) = &mut self.bars {
            for tenant in &progress.0 {
                bars.show(tenant, self.orders_per_seller);
            }
            return;
        }
        if self.reported.is_some_and(|at| at.elapsed() < REPORT) {
            return;
        }
        self.reported = Some(Instant::now());
        self.report(progress);
    }

    /// Something worth a line of its own.
    pub(crate) fn note(&self, message: &str) {
        match &self.bars {
            Some(bars) => {
                let _terminal_gone = bars.all.println(message);
            }
            None => eprintln!("{message}"),
        }
    }

    pub(crate) fn finish(&self) {
        for bar in self.bars.iter().flat_map(|bars| bars.tenants.values()) {
            bar.finish();
        }
    }

    fn report(&self, progress: &Progress) {
        let tenants: Vec<String> = progress
            .0
            .iter()
            .map(|tenant| {
                let goal = tenant.connections.unsigned_abs() * self.orders_per_seller;
                let percent = tenant.orders.unsigned_abs() * 100 / goal.max(1);
                format!("{} {percent}%", tenant.name)
            })
            .collect();
        eprintln!(
            "{:5.1} s  {:>7} orders  {}",
            self.started.elapsed().as_secs_f64(),
            progress.orders(),
            tenants.join("  ")
        );
    }
}

impl Bars {
    fn show(&mut self, tenant: &TenantProgress, orders_per_seller: u64) {
        let bar = self.tenants.entry(tenant.name.clone()).or_insert_with(|| {
            let bar = ProgressBar::new(tenant.connections.unsigned_abs() * orders_per_seller);
            let style = "{prefix:14} {bar:40.cyan/blue} {pos:>6}/{len:6} orders  {msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_prefix(tenant.name.clone());
            self.all.add(bar)
        });
        bar.set_length(tenant.connections.unsigned_abs() * orders_per_seller);
        bar.set_position(tenant.orders.unsigned_abs());
        bar.set_message(format!(
            "{} pages, {}/{} sellers done",
            tenant.pages, tenant.syncs_done, tenant.connections
        ));
    }
}
