//! Where each tenant stands.

use std::collections::{BTreeMap, HashMap};

use bulkhead_broker::Counts;
use bulkhead_domain::{ConnectionId, JobKind, ObligationState, TenantId};
use bulkhead_store::{ClosedFence, Connection, ConnectionState, ObligationCount, Store, Tenant};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use super::{MOST, Queued};
use crate::{
    setting_entry::Stored,
    table::{Rows, time},
};

/// What Postgres knows.
pub(super) struct Owed {
    pub(super) schema_version: Option<i64>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) connections: Vec<Connection>,
    pub(super) counts: Vec<ObligationCount>,
    pub(super) last_done: HashMap<TenantId, Timestamp>,
    pub(super) settings: Stored,
    pub(super) fences: Vec<ClosedFence>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct TenantStatus {
    id: String,
    name: String,
    /// How many are in which state.
    connections: BTreeMap<&'static str, u64>,
    /// Per kind of job: how many are in which state.
    obligations: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Attempts beyond the first.
    retries: u64,
    /// In Redis; null: it was not reached.
    queue: Option<Counts>,
    /// What its jobs take in Redis; null: it was not reached.
    bytes: Option<u64>,
    /// When the latest sync was done; null: none was.
    last_sync_finished_at: Option<Timestamp>,
    /// When the last night's work was complete: the latest sync, once none is owed or enqueued any more; null: it is
    /// not.
    last_night_finished_at: Option<Timestamp>,
}

/// The tenants' table.
pub(super) struct Tenants<'t>(pub(super) &'t [TenantStatus]);

impl Owed {
    pub(super) async fn read(
        store: &Store,
        schema_version: Option<i64>,
        since: Date,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            schema_version,
            tenants: store.tenants().list(MOST).await?,
            connections: store.connections().list(None, MOST).await?,
            counts: store.obligations().count(since).await?,
            last_done: store
                .obligations()
                .last_done(since)
                .await?
                .into_iter()
                .collect(),
            settings: Stored::read(store).await?,
            fences: store.fences().closed(MOST).await?,
        })
    }
}

pub(super) fn summed(owed: &Owed, queued: Option<&Queued>) -> Vec<TenantStatus> {
    let mut by_id: BTreeMap<TenantId, TenantStatus> = BTreeMap::new();
    for tenant in &owed.tenants {
        by_id.insert(tenant.id, TenantStatus::of(tenant, owed, queued));
    }
    let owners: HashMap<ConnectionId, TenantId> = owed
        .connections
        .iter()
        .map(|one| (one.id, one.tenant))
        .collect();
    for connection in &owed.connections {
        if let Some(tenant) = by_id.get_mut(&connection.tenant) {
            *tenant
                .connections
                .entry(connection.state.as_str())
                .or_default() += 1;
        }
    }
    for count in &owed.counts {
        if let Some(tenant) = by_id.get_mut(&count.tenant) {
            tenant.add(count);
        }
    }
    let stats = queued.iter().flat_map(|queued| &queued.stats);
    for lane in stats.flat_map(|stats| &stats.lanes) {
        let tenant = owners.get(&lane.connection).unwrap_or(&lane.tenant);
        if let Some(tenant) = by_id.get_mut(tenant) {
            *tenant.queue.get_or_insert_default() += lane.counts;
        }
    }
    // As Postgres sorts them: by name.
    let finished = owed
        .tenants
        .iter()
        .filter_map(|tenant| by_id.remove(&tenant.id));
    finished.map(TenantStatus::finish).collect()
}

impl TenantStatus {
    fn of(tenant: &Tenant, owed: &Owed, queued: Option<&Queued>) -> Self {
        let bytes = |queued: &Queued| queued.bytes.get(&tenant.id).copied().unwrap_or_default();
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.clone(),
            connections: ConnectionState::ALL.map(|state| (state.as_str(), 0)).into(),
            obligations: JobKind::ALL.map(|kind| (kind.as_str(), none_yet())).into(),
            queue: queued.map(|_| Counts::default()),
            bytes: queued.map(bytes),
            last_sync_finished_at: owed.last_done.get(&tenant.id).copied(),
            ..Self::default()
        }
    }

    fn add(&mut self, count: &ObligationCount) {
        let states = self.obligations.entry(count.kind.as_str()).or_default();
        *states.entry(count.state.as_str()).or_default() += count.count;
        self.retries += count.retries;
    }

    fn finish(mut self) -> Self {
        if self.syncs(ObligationState::Owed) + self.syncs(ObligationState::Enqueued) == 0 {
            self.last_night_finished_at = self.last_sync_finished_at;
        }
        self
    }

    fn syncs(&self, state: ObligationState) -> u64 {
        let states = self.obligations.get(JobKind::Sync.as_str());
        states
            .and_then(|states| states.get(state.as_str()))
            .copied()
            .unwrap_or_default()
    }
}

fn none_yet() -> BTreeMap<&'static str, u64> {
    ObligationState::ALL.map(|state| (state.as_str(), 0)).into()
}

impl Tenants<'_> {
    pub(super) fn render(&self, colour: bool) -> String {
        let heads = [
            "tenant",
            "connections",
            "syncs owed",
            "enqueued",
            "running",
            "done",
            "dead",
            "retries",
            "last sync",
            "night",
        ];
        let none = "no tenants yet: add one with `bulkhead tenant add NAME`";
        let mut rows = Rows::new(&heads, none);
        for one in self.0 {
            rows.add([
                one.name.clone(),
                one.connections_in_short(),
                one.syncs(ObligationState::Owed).to_string(),
                one.syncs(ObligationState::Enqueued).to_string(),
                one.queue
                    .map_or_else(|| "-".to_owned(), |queue| queue.running.to_string()),
                one.syncs(ObligationState::Done).to_string(),
                one.syncs(ObligationState::Dead).to_string(),
                one.retries.to_string(),
                time(one.last_sync_finished_at),
                one.night().to_owned(),
            ]);
        }
        rows.render(colour)
    }
}

impl TenantStatus {
    /// `3 active, 1 paused`
    fn connections_in_short(&self) -> String {
        let some = ConnectionState::ALL.iter().filter_map(|state| {
            let count = self
                .connections
                .get(state.as_str())
                .filter(|count| **count > 0)?;
            Some(format!("{count} {state}"))
        });
        let some: Vec<String> = some.collect();
        if some.is_empty() {
            "none".to_owned()
        } else {
            some.join(", ")
        }
    }

    const fn night(&self) -> &'static str {
        match (self.last_sync_finished_at, self.last_night_finished_at) {
            (_, Some(_)) => "done",
            (Some(_), None) => "under way",
            (None, None) => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn acme() -> TenantId {
        TenantId::new(Uuid::from_u128(1))
    }

    fn owed(counts: Vec<ObligationCount>) -> Owed {
        Owed {
            schema_version: Some(1),
            tenants: vec![Tenant {
                id: acme(),
                name: "acme".to_owned(),
                policy: "default".to_owned(),
                created_at: Timestamp::UNIX_EPOCH,
            }],
            connections: Vec::new(),
            counts,
            last_done: HashMap::from([(acme(), Timestamp::UNIX_EPOCH)]),
            settings: Stored::default(),
            fences: Vec::new(),
        }
    }

    fn syncs(state: ObligationState, count: u64) -> ObligationCount {
        ObligationCount {
            tenant: acme(),
            kind: JobKind::Sync,
            state,
            count,
            earliest_due: None,
            retries: 1,
        }
    }

    #[test]
    fn a_night_is_done_once_no_sync_is_owed_any_more() {
        let done = summed(&owed(vec![syncs(ObligationState::Done, 4)]), None);
        assert_eq!(done[0].last_night_finished_at, Some(Timestamp::UNIX_EPOCH));
        let counts = vec![
            syncs(ObligationState::Done, 4),
            syncs(ObligationState::Enqueued, 1),
        ];
        let under_way = summed(&owed(counts), None);
        assert_eq!(under_way[0].last_night_finished_at, None);
        assert_eq!(under_way[0].night(), "under way");
        assert_eq!(under_way[0].retries, 2);
    }

    #[test]
    fn every_state_is_counted_also_if_nothing_is_in_it() {
        let status = summed(&owed(Vec::new()), None);
        let json = serde_json::to_value(&status[0]).unwrap();
        assert_eq!(json["obligations"]["token_refresh"]["dead"], 0);
        assert_eq!(json["connections"]["reauthorize"], 0);
        assert_eq!(status[0].connections_in_short(), "none");
    }
}
