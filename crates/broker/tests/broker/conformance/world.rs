//! A fleet under test: several processes' brokers on one Redis, and what they sent.

use std::time::Duration;

use bulkhead_broker::{
    Broker, BrokerClock, FenceState, Fences, FetchRequest, Lease, PermitAnswer, PermitSubject,
    Permits, TestClock,
};
use bulkhead_domain::{
    ApplicationId, ConnectionId, FenceEpoch, Job, Margins, Operation, Priority, UsagePlan,
};
use uuid::Uuid;

use super::case::{Case, PROCESSES, SELLERS};
use crate::fixture::{Fixture, Worker, job, start, tenant};

/// How long a grant lasts, by Redis.
pub(super) const LIFETIME: Duration = Duration::from_secs(2);

/// A fleet under test, and what Amazon's model says of its calls.
pub(super) struct World {
    pub(super) fixture: Fixture,
    operation: &'static Operation,
    pub(super) margins: Margins,
    /// Redis's clock as each process has it: the same one, unless processes go by their own.
    pub(super) clocks: Vec<TestClock>,
    pub(super) brokers: Vec<Broker>,
    pub(super) permits: Vec<Permits>,
    pub(super) fences: Fences,
    sellers: Vec<Seller>,
    pub(super) drift: (f64, f64),
    pub(super) now_s: f64,
    dice: u64,
    life: u32,
    /// When each call arrived, in true time, and whose it was.
    pub(super) arrivals: Vec<(f64, usize)>,
}

pub(super) struct Seller {
    subject: PermitSubject,
    night: Lease,
    backfill: Lease,
}

/// What is removed from the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// A guard of a script, or `deadline`.
    Without(&'static str),
    /// Every process goes by a clock of its own.
    CallersClock,
}

impl World {
    pub(super) async fn begin(redis: Fixture, case: &Case, mutant: Mutant) -> Self {
        redis.redis.flush().unwrap();
        let clock = TestClock::frozen_at(start());
        let mut clocks = vec![clock.clone()];
        for n in 1..PROCESSES {
            let own = TestClock::frozen_at(start());
            // Less than a grant lasts: that would be noticed.
            own.advance(Duration::from_millis(600 * n as u64));
            clocks.push(match mutant {
                Mutant::CallersClock => own,
                _ => clock.clone(),
            });
        }
        let mut brokers = Vec::new();
        for clock in &clocks {
            let mut options = redis.options();
            options.shards = case.shards;
            options.clock = BrokerClock::Injected(clock.clone());
            options.visibility_timeout = Duration::from_secs(1 << 31);
            options.mutant = match mutant {
                Mutant::Without(guard) => Some(guard),
                _ => None,
            };
            let class = bulkhead_domain::Class::Sync;
            brokers.push(Broker::connect(&options, class).await.unwrap());
        }
        let margins = Margins {
            jitter: case.jitter,
            ..Margins::default()
        };
        let plan = |plan: (f64, u32)| UsagePlan::new(plan.0, plan.1);
        let operation = Operation {
            api: "conformance",
            version: "1",
            name: "call",
            plan: Some(plan(case.plan)),
            application_plan: case.shared.map(plan),
        };
        let permits = brokers
            .iter()
            .map(|broker| Permits::new(broker, margins, 1.0));
        let mut world = Self {
            operation: Box::leak(Box::new(operation)),
            margins,
            permits: permits.collect(),
            fences: Fences::new(&brokers[0]),
            clocks,
            brokers,
            sellers: Vec::new(),
            drift: case.drift,
            now_s: 0.0,
            dice: case.dice,
            life: 0,
            arrivals: Vec::new(),
            fixture: redis,
        };
        world.live().await;
        world
    }

    /// A new life of Redis: a nonce, leases, and a grant.
    pub(super) async fn live(&mut self) {
        self.life += 1;
        let nonce = self.life.to_string();
        self.fences = Fences::new(&self.brokers[0]);
        self.fences.establish(&nonce, None).await.unwrap();
        self.sellers.clear();
        for n in 0..SELLERS {
            let night = self.lease(n, Priority::NIGHT).await;
            let backfill = self.lease(n, Priority::BACKFILL).await;
            self.sellers.push(Seller {
                subject: PermitSubject {
                    application: ApplicationId::new(Uuid::from_u128(0xa)),
                    tenant: tenant(1),
                    connection: night.connection(),
                    epoch: FenceEpoch::NEVER_FENCED,
                },
                night,
                backfill,
            });
        }
        self.vouch(&[]).await;
    }

    async fn lease(&self, seller: usize, priority: Priority) -> Lease {
        let n = seller as u128;
        let job = Job {
            connection: ConnectionId::new(Uuid::from_u128(n)),
            priority,
            ..job(1 + 2 * n + u128::from(priority.get() & 1), 1, 1)
        };
        let broker = &self.brokers[0];
        broker.enqueue(std::slice::from_ref(&job)).await.unwrap();
        let name = format!("{}/{seller}/{}", self.life, priority.get());
        let request = FetchRequest {
            worker: &Worker::named(&name).id,
            shard: broker.shard_of(job.connection),
            sequence: 1,
            max: 1,
        };
        broker.fetch(&request).await.unwrap().leased.remove(0).lease
    }

    pub(super) async fn vouch(&self, fences: &[FenceState]) {
        let clocks = self.fences.grant_clocks().await.unwrap();
        self.fences.grant(&clocks, fences, LIFETIME).await.unwrap();
    }

    /// Lets true time pass; the clocks drift.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now_s += time.as_secs_f64();
        let by_redis = time.mul_f64(1.0 + self.drift.0);
        self.clocks[0].advance(by_redis);
        for clock in &self.clocks[1..] {
            if !clock.is(&self.clocks[0]) {
                clock.advance(by_redis);
            }
        }
    }

    pub(super) fn jitter(&mut self) -> f64 {
        // A 64-bit LCG is dice enough.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.margins.jitter.as_secs_f64() * ((self.dice >> 40) as f64 / f64::from(1 << 24))
    }

    pub(super) async fn ask(
        &mut self,
        seller: usize,
        process: usize,
        backfill: bool,
    ) -> PermitAnswer {
        let Seller {
            subject,
            night,
            backfill: late,
        } = &self.sellers[seller];
        let lease = if backfill { late } else { night };
        let asked = self.permits[process].request(lease, subject, self.operation);
        asked.await.unwrap()
    }

    /// Asks so often, and sends what is permitted after the process was stopped for a while.
    pub(super) async fn call(
        &mut self,
        who: (usize, usize, bool),
        times: u8,
        stopped: Duration,
    ) -> usize {
        let (seller, process, backfill) = who;
        let mut calls = 0;
        for _ in 0..times {
            let PermitAnswer::Granted(permit) = self.ask(seller, process, backfill).await else {
                break;
            };
            let slot_s = permit.waited().as_secs_f64();
            if permit.aged(stopped).spend().is_err() {
                continue;
            }
            let at_s = self.now_s + stopped.as_secs_f64().max(slot_s) + self.jitter();
            self.arrivals.push((at_s, seller));
            calls += 1;
        }
        calls
    }
}
