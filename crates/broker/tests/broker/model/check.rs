//! What is compared after every step, and that every case can be brought to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bulkhead_broker::{Counts, JobFilter, JobState, LaneStats, Outcome};

use super::{
    places::Places,
    settings::{LANES, Settings, TENANTS, tenant_of},
    state::Place,
    system::System,
    translation::{cap, number},
};
use crate::fixture::{connection, tenant};

impl System {
    pub(crate) async fn check(&self, settings: &Settings) {
        let places = Places::read(&self.redis).await;
        places.check(&self.model);
        self.check_jobs(settings).await;
        self.check_stats(&places, settings).await;
        let mut bytes = BTreeMap::new();
        for job in self.model.jobs.values() {
            *bytes.entry(tenant(tenant_of(job.lane).into())).or_default() += job.bytes;
        }
        assert_eq!(self.broker.tenant_bytes().await.unwrap(), bytes);
        let caps = settings.caps.iter().map(|(of, most)| (cap(*of), *most));
        assert_eq!(self.broker.caps().await.unwrap(), caps.collect());
        let weights = self.broker.weights().await.unwrap();
        let expected = settings.weights.iter();
        assert_eq!(
            weights,
            expected
                .map(|(n, weight)| (tenant((*n).into()), (*weight).into()))
                .collect()
        );
    }

    /// Operators see every job where it is.
    async fn check_jobs(&self, settings: &Settings) {
        let entries = self
            .broker
            .jobs(&JobFilter::default(), 1_000)
            .await
            .unwrap();
        assert_eq!(entries.len(), self.model.jobs.len() + self.model.dead.len());
        for entry in entries {
            let n = number(entry.job.id);
            if let JobState::Dead { .. } = entry.state {
                assert!(self.model.dead.contains_key(&n), "job {n} is not dead");
                continue;
            }
            let alive = &self.model.jobs[&n];
            assert_eq!(entry.job, alive.job(n));
            assert_eq!(entry.state, self.model.state_of(n, settings), "job {n}");
            assert_eq!(
                (entry.attempt, entry.crashes),
                (alive.failures + 1, alive.crashes)
            );
        }
    }

    /// The counts are those of the model; entries that stand for no job are counted where they lie.
    async fn check_stats(&self, places: &Places, settings: &Settings) {
        let stats = self.broker.stats().await.unwrap();
        let mut total = Counts::default();
        for lane in 0..LANES {
            let mut counts = self.counts(lane);
            counts.queued += places.ghosts.get(&lane).copied().unwrap_or_default();
            total += counts;
            let is_this = |one: &&LaneStats| one.connection == connection(lane.into());
            let shown: Vec<&LaneStats> = stats.lanes.iter().filter(is_this).collect();
            // A lane that was of two tenants would be there twice.
            assert_eq!(
                shown.len(),
                usize::from(counts != Counts::default()),
                "lane {lane}"
            );
            assert!(
                shown.iter().all(|one| one.counts == counts),
                "{shown:?} should be {counts:?}"
            );
        }
        assert_eq!(stats.total, total);
        assert_eq!(stats.dead, self.model.dead.len() as u64);
        assert_eq!(stats.parked_lanes, self.model.parked.len() as u64);
        assert_eq!(stats.paused_lanes, settings.paused_lanes.len() as u64);
        assert_eq!(stats.paused, settings.class_is_held);
        let held: BTreeSet<_> = (0..TENANTS)
            .filter(|n| settings.held_tenants.contains(n))
            .collect();
        let shown = (0..TENANTS).filter(|n| stats.paused_tenants.contains(&tenant((*n).into())));
        assert_eq!(shown.collect::<BTreeSet<_>>(), held);
    }

    fn counts(&self, lane: u8) -> Counts {
        let mut counts = Counts::default();
        for job in self.model.jobs.values().filter(|job| job.lane == lane) {
            match job.place {
                Place::Queued => counts.queued += 1,
                Place::Delayed { .. } => counts.delayed += 1,
                Place::Running(_) => counts.running += 1,
            }
        }
        counts
    }

    /// Everything that lives can be brought to its end, and then nothing is left.
    pub(crate) async fn drain(&mut self) {
        let mut settings = self.settings.clone();
        self.let_go().await;
        settings.paused_lanes.clear();
        settings.held_tenants.clear();
        settings.class_is_held = false;
        settings.caps.clear();
        for _ in 0..20 {
            self.clock.advance(Duration::from_secs(3_600));
            settings.now += Duration::from_secs(3_600);
            self.settings = settings.clone();
            self.reap(255).await;
            self.workers[0].sequence += 1;
            self.fetch(0, 64).await;
            let ends = self.leases.iter().filter(|lease| self.is_newest(lease));
            let ends: Vec<_> = ends
                .map(|lease| (lease.clone(), Outcome::Complete))
                .collect();
            self.acknowledge(&ends).await;
            Places::read(&self.redis).await.check(&self.model);
        }
        assert!(
            self.model.jobs.is_empty(),
            "never fetched: {:?}",
            self.model.jobs
        );
        self.broker
            .discard_dead_letters(&JobFilter::default())
            .await
            .unwrap();
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut self.redis.clone())
            .await
            .unwrap();
        let mut left = keys.iter().filter(|key| {
            let name = key.split(':').nth(1).unwrap_or_default();
            !["fetch", "token", "boot"].contains(&name)
        });
        assert_eq!(left.next(), None);
    }

    async fn let_go(&self) {
        for lane in 0..LANES {
            self.broker
                .resume_lane(connection(lane.into()))
                .await
                .unwrap();
        }
        for number in 0..TENANTS {
            self.broker
                .resume_tenant(tenant(number.into()))
                .await
                .unwrap();
            self.broker
                .set_weight(tenant(number.into()), 1.0)
                .await
                .unwrap();
        }
        self.broker.resume_class().await.unwrap();
        for of in self.settings.caps.keys() {
            self.broker.set_cap(cap(*of), None).await.unwrap();
        }
    }
}
