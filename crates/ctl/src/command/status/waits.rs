//! How long each tenant's jobs waited until they were started.

use std::{collections::BTreeMap, time::Duration};

use bulkhead_broker::WaitHistogram;
use bulkhead_domain::{Class, TenantId};
use jiff::SignedDuration;
use serde::Serialize;

use super::tenant::Owed;
use crate::table::Rows;

/// Of one class.
pub(super) type ClassWaits = (Class, BTreeMap<TenantId, WaitHistogram>);

/// First starts of this hour and the one before. Times are true to a factor of two, and never too short.
#[derive(Debug, Serialize)]
pub(super) struct WaitStatus {
    /// The name; null: Postgres was not reached.
    tenant: Option<String>,
    tenant_id: String,
    class: Class,
    started: u64,
    p50_ms: u64,
    p95_ms: u64,
    p99_ms: u64,
    max_ms: u64,
    /// Shortest first, up to the last that is not empty.
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Bucket {
    /// Twice that of the one before.
    below_ms: u64,
    started: u64,
}

/// The waits' table.
pub(super) struct Waits<'w>(pub(super) &'w [WaitStatus]);

pub(super) fn summed(classes: &[ClassWaits], owed: Option<&Owed>) -> Vec<WaitStatus> {
    let names: BTreeMap<TenantId, &str> = owed
        .iter()
        .flat_map(|owed| &owed.tenants)
        .map(|tenant| (tenant.id, tenant.name.as_str()))
        .collect();
    let mut waits: Vec<WaitStatus> = classes
        .iter()
        .flat_map(|(class, tenants)| tenants.iter().map(|(id, waits)| (*class, *id, waits)))
        .filter(|(_, _, waits)| waits.starts() > 0)
        .map(|(class, id, waits)| WaitStatus::new(class, id, names.get(&id).copied(), waits))
        .collect();
    waits.sort_by(|one, other| {
        let key = |wait: &WaitStatus| (wait.tenant.clone(), wait.tenant_id.clone());
        key(one).cmp(&key(other))
    });
    waits
}

impl WaitStatus {
    fn new(class: Class, id: TenantId, name: Option<&str>, waits: &WaitHistogram) -> Self {
        let within_ms = |share| ms(waits.within(share).unwrap_or_default());
        let max_ms = within_ms(1.0);
        let buckets = waits.buckets().map(|(below, started)| Bucket {
            below_ms: ms(below),
            started,
        });
        Self {
            tenant: name.map(str::to_owned),
            tenant_id: id.to_string(),
            class,
            started: waits.starts(),
            p50_ms: within_ms(0.5),
            p95_ms: within_ms(0.95),
            p99_ms: within_ms(0.99),
            max_ms,
            buckets: buckets.take_while(|one| one.below_ms <= max_ms).collect(),
        }
    }

    /// A bar for each bucket, the fullest as high as can be: `█▃.▁`
    fn bars(&self) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.buckets.iter().map(|one| one.started).max();
        let most = u128::from(most.unwrap_or(1).max(1));
        let bar = |bucket: &Bucket| match bucket.started {
            0 => '.',
            started => {
                let eighths = (u128::from(started) * 8).div_ceil(most);
                BARS[usize::try_from(eighths - 1).unwrap_or(7).min(7)]
            }
        };
        self.buckets.iter().map(bar).collect()
    }
}

impl Waits<'_> {
    pub(super) fn render(&self, colour: bool) -> String {
        let heads = [
            "tenant",
            "class",
            "started",
            "p50 wait",
            "p95",
            "p99",
            "max",
            "below 1ms, 2ms, 4ms …",
        ];
        let mut rows = Rows::new(&heads, "");
        for one in self.0 {
            let tenant = one.tenant.as_ref().unwrap_or(&one.tenant_id);
            rows.add([
                tenant.clone(),
                one.class.to_string(),
                one.started.to_string(),
                shown(one.p50_ms),
                shown(one.p95_ms),
                shown(one.p99_ms),
                shown(one.max_ms),
                one.bars(),
            ]);
        }
        rows.render(colour)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `512ms`, `2m 11s`
fn shown(ms: u64) -> String {
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn bars_are_as_high_as_their_share_of_the_fullest_and_none_vanishes() {
        let mut waits = WaitHistogram::default();
        for _ in 0..80 {
            waits.record(Duration::ZERO);
        }
        waits.record(Duration::from_millis(3));
        (0..40).for_each(|_| waits.record(Duration::from_millis(5)));
        let id = TenantId::new(Uuid::from_u128(1));
        let sync = (Class::Sync, BTreeMap::from([(id, waits)]));
        let status = summed(&[sync], None);
        assert_eq!(status[0].bars(), "█.▁▄");
        assert_eq!((status[0].p50_ms, status[0].max_ms), (1, 8));
        assert_eq!(status[0].buckets.len(), 4);
        let table = Waits(&status).render(false);
        assert!(
            table.contains("121      1ms       8ms  8ms  8ms"),
            "{table}"
        );
    }

    #[test]
    fn waits_are_shown_in_milliseconds_below_a_second() {
        assert_eq!(shown(512), "512ms");
        assert_eq!(shown(131_072), "2m 11s");
    }
}
