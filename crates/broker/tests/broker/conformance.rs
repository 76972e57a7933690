//! The standing conformance test: what arrives at Amazon against a model of Amazon's own buckets, for random plans,
//! arrivals, pauses, steps of the clock and new lives of Redis. And what must not pass it: each protection removed.

use std::{cell::Cell, time::Duration};

use bulkhead_broker::{
    Broker, BrokerClock, FenceState, Fences, FetchRequest, Lease, PermitAnswer, PermitSubject,
    Permits, TestClock,
};
use bulkhead_domain::{
    ApplicationId, ConnectionId, FenceEpoch, Gcra, Job, Margins, Operation, Priority, UsagePlan,
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, Worker, job, start, tenant},
    random::{runner, unshrinking},
};

/// Sellers of one application; one on each shard, as far as there are as many.
const SELLERS: usize = 3;

/// Worker processes.
const PROCESSES: usize = 3;

/// How long a grant lasts, by Redis.
const LIFETIME: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
struct Case {
    /// Of one seller.
    plan: (f64, u32),
    /// Of the application.
    shared: Option<(f64, u32)>,
    shards: u16,
    jitter: Duration,
    /// How much faster than true time the clocks of Redis and of Amazon are.
    drift: (f64, f64),
    steps: Vec<Step>,
    dice: u64,
}

#[derive(Debug, Clone)]
enum Step {
    /// A process asks so often in a row for a seller.
    Ask {
        seller: usize,
        process: usize,
        times: u8,
        backfill: bool,
    },
    /// As before; the process is stopped between the permits and the requests.
    Pause {
        seller: usize,
        process: usize,
        times: u8,
        stopped: Duration,
    },
    Pass(Duration),
    /// Redis's clock is set forward (or back) by this much; true time stands still.
    SetClock {
        forward: bool,
        by: Duration,
    },
    /// Redis loses its data, and the fences are rebuilt.
    Lose,
    /// Every scheduler is away for so long.
    NoScheduler(Duration),
    /// A scheduler is stopped between reading Postgres and granting, and goes on when its word is too old.
    PausedGrantor,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seller = 0..SELLERS;
    let process = 0..PROCESSES;
    let minutes = (0..90_u64).prop_map(|m| Duration::from_secs(60 * m));
    let step = prop_oneof![
        8 => (seller.clone(), process.clone(), 1..12_u8, any::<bool>()).prop_map(
            |(seller, process, times, backfill)| Step::Ask { seller, process, times, backfill }
        ),
        1 => (seller, process, 1..12_u8, minutes.clone()).prop_map(
            |(seller, process, times, stopped)| Step::Pause { seller, process, times, stopped }
        ),
        6 => (0..4_000_u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        2 => (0..600_u64).prop_map(|s| Step::Pass(Duration::from_secs(s))),
        1 => (any::<bool>(), minutes.clone()).prop_map(|(forward, by)| Step::SetClock { forward, by }),
        1 => Just(Step::Lose),
        1 => minutes.prop_map(Step::NoScheduler),
        1 => Just(Step::PausedGrantor),
    ];
    prop::collection::vec(step, 1..50)
}

fn cases() -> impl Strategy<Value = Case> {
    // Rates evenly by their magnitude: 0.004/s to 20/s.
    let plan = || ((-2.4..1.3_f64).prop_map(|e| 10_f64.powf(e)), 1..30_u32);
    let drift = || -1e-4..1e-4;
    let shape = (plan(), prop::option::of(plan()), 1..4_u16, 0..100_u64);
    (shape, (drift(), drift()), steps(), any::<u64>()).prop_map(
        |((plan, shared, shards, jitter_ms), drift, steps, dice)| Case {
            plan,
            shared,
            shards,
            jitter: Duration::from_millis(jitter_ms),
            drift,
            steps,
            dice,
        },
    )
}

/// A token bucket as Amazon describes it, by Amazon's clock; it is empty when the test begins.
#[derive(Debug)]
struct ServerBucket {
    plan: UsagePlan,
    tokens: f64,
    at_s: f64,
}

impl ServerBucket {
    fn new((rate_per_s, burst): (f64, u32)) -> Self {
        Self {
            plan: UsagePlan::new(rate_per_s, burst),
            tokens: 0.0,
            at_s: 0.0,
        }
    }

    /// Whether a call that arrives at `at_s` is let through.
    fn take(&mut self, at_s: f64) -> bool {
        let refilled = self.tokens + (at_s - self.at_s) * self.plan.rate_per_s;
        self.tokens = refilled.min(f64::from(self.plan.burst));
        self.at_s = at_s;
        // Less than a millionth of a call is the arithmetic's.
        if self.tokens < 1.0 - 1e-6 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// A fleet under test, and what Amazon's model says of its calls.
struct World {
    fixture: Fixture,
    operation: &'static Operation,
    margins: Margins,
    /// Redis's clock as each process has it: the same one, unless processes go by their own.
    clocks: Vec<TestClock>,
    brokers: Vec<Broker>,
    permits: Vec<Permits>,
    fences: Fences,
    sellers: Vec<Seller>,
    drift: (f64, f64),
    now_s: f64,
    dice: u64,
    life: u32,
    /// When each call arrived, in true time, and whose it was.
    arrivals: Vec<(f64, usize)>,
}

struct Seller {
    subject: PermitSubject,
    night: Lease,
    backfill: Lease,
}

/// What is removed from the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    /// A guard of a script, or `deadline`.
    Without(&'static str),
    /// Every process goes by a clock of its own.
    CallersClock,
}

impl World {
    async fn begin(redis: Fixture, case: &Case, mutant: Mutant) -> Self {
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
    async fn live(&mut self) {
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

    async fn vouch(&self, fences: &[FenceState]) {
        let clocks = self.fences.grant_clocks().await.unwrap();
        self.fences.grant(&clocks, fences, LIFETIME).await.unwrap();
    }

    /// Lets true time pass; the clocks drift.
    fn pass(&mut self, time: Duration) {
        self.now_s += time.as_secs_f64();
        let by_redis = time.mul_f64(1.0 + self.drift.0);
        self.clocks[0].advance(by_redis);
        for clock in &self.clocks[1..] {
            if !clock.is(&self.clocks[0]) {
                clock.advance(by_redis);
            }
        }
    }

    fn jitter(&mut self) -> f64 {
        // A 64-bit LCG is dice enough.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.margins.jitter.as_secs_f64() * ((self.dice >> 40) as f64 / f64::from(1 << 24))
    }

    async fn ask(&mut self, seller: usize, process: usize, backfill: bool) -> PermitAnswer {
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
    async fn call(&mut self, who: (usize, usize, bool), times: u8, stopped: Duration) -> usize {
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

    async fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Ask {
                seller,
                process,
                times,
                backfill,
            } => {
                self.call((seller, process, backfill), times, Duration::ZERO)
                    .await;
            }
            Step::Pause {
                seller,
                process,
                times,
                stopped,
            } => {
                self.call((seller, process, false), times, stopped).await;
            }
            Step::Pass(time) => {
                self.pass(time);
                self.vouch(&[]).await;
            }
            Step::SetClock { forward, by } => {
                for clock in &self.clocks[..1] {
                    if forward {
                        clock.advance(by);
                    } else {
                        clock.rewind(by);
                    }
                }
                // No grantor has watched it.
                self.fences = Fences::new(&self.brokers[0]);
                self.vouch(&[]).await;
            }
            Step::Lose => {
                self.fixture.redis.flush().unwrap();
                self.live().await;
            }
            Step::NoScheduler(time) => {
                self.pass(time);
                let answer = self.ask(0, 0, false).await;
                if time >= LIFETIME {
                    prop_assert!(
                        matches!(
                            answer,
                            PermitAnswer::Stopped(bulkhead_broker::Stop::NoGrant)
                        ),
                        "without a scheduler: {answer:?}"
                    );
                } else if let PermitAnswer::Granted(permit) = answer {
                    let at_s = self.now_s + permit.waited().as_secs_f64() + self.jitter();
                    self.arrivals.push((at_s, 0));
                }
                self.fences = Fences::new(&self.brokers[0]);
                self.vouch(&[]).await;
            }
            Step::PausedGrantor => {
                // A grantor reads the clock and Postgres and is stopped. A kill follows that only Postgres remembers.
                let clocks = self.fences.grant_clocks().await.unwrap();
                self.pass(LIFETIME + Duration::from_secs(1));
                self.fences.grant(&clocks, &[], LIFETIME).await.unwrap();
                let answer = self.ask(0, 0, false).await;
                prop_assert!(
                    matches!(answer, PermitAnswer::Stopped(_)),
                    "after a kill: {answer:?}"
                );
                self.vouch(&[]).await;
            }
        }
        Ok(())
    }

    /// The first call that Amazon would have refused.
    fn refused(&mut self, case: &Case) -> Option<String> {
        self.arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut own: Vec<ServerBucket> =
            (0..SELLERS).map(|_| ServerBucket::new(case.plan)).collect();
        let mut shared = case.shared.map(ServerBucket::new);
        for (at_s, seller) in &self.arrivals {
            let by_amazon = at_s * (1.0 + self.drift.1);
            if !own[*seller].take(by_amazon) {
                return Some(format!("seller {seller} at {at_s} s: {:?}", own[*seller]));
            }
            if let Some(shared) = &mut shared
                && !shared.take(by_amazon)
            {
                return Some(format!("the application at {at_s} s: {shared:?}"));
            }
        }
        None
    }

    /// Whether a seller that asks all the time gets what the plan allows.
    async fn keeps_up(&mut self, case: &Case) -> Result<(), TestCaseError> {
        const CALLS: u32 = 20;
        let schedule =
            |plan: (f64, u32)| Gcra::for_plan(UsagePlan::new(plan.0, plan.1), self.margins);
        let own = schedule(case.plan);
        let shared = case.shared.map(schedule);
        let part = u32::from(case.shards);
        let interval = shared.map_or(own.emission_interval, |shared| {
            // Turns may fall between two of the seller's slots.
            own.emission_interval + shared.emission_interval * part
        });
        let fills = own.tolerance + shared.map_or(Duration::ZERO, |shared| shared.tolerance);
        let allowed = fills + interval * (CALLS + 4) + Duration::from_secs(2);
        let begun_s = self.now_s;
        let mut calls = 0;
        while calls < CALLS {
            match self.ask(0, 0, false).await {
                PermitAnswer::Granted(permit) => {
                    let at_s = self.now_s + permit.waited().as_secs_f64() + self.jitter();
                    self.arrivals.push((at_s, 0));
                    calls += 1;
                }
                PermitAnswer::WaitUntil(wait) => {
                    self.pass(wait);
                    self.vouch(&[]).await;
                }
                PermitAnswer::Stopped(stop) => prop_assert!(false, "{stop}"),
            }
            let took_s = self.now_s - begun_s;
            prop_assert!(
                took_s <= allowed.as_secs_f64() * 1.01,
                "{calls} calls in {took_s} s, allowed {allowed:?}"
            );
        }
        Ok(())
    }
}

async fn conforms(
    redis: Fixture,
    case: &Case,
    mutant: Mutant,
) -> (Fixture, Result<(), TestCaseError>) {
    let mut world = World::begin(redis, case, mutant).await;
    let mut result = Ok(());
    for step in &case.steps {
        result = world.run(step).await;
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = world.keeps_up(case).await;
    }
    if result.is_ok()
        && let Some(refused) = world.refused(case)
    {
        result = Err(TestCaseError::fail(format!("429 for {refused}")));
    }
    (world.fixture, result)
}

/// Tries random cases; the first that does not conform ends it.
fn search(most: u32, mutant: Mutant) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = Cell::new(Some(runtime.block_on(Fixture::start())));
    let mut runner = runner(most);
    if mutant != Mutant::None {
        runner = unshrinking(most);
    }
    let result = runner.run(&cases(), |case| {
        let given = redis.take().unwrap();
        let (given, result) = runtime.block_on(conforms(given, &case, mutant));
        redis.set(Some(given));
        result
    });
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, case)) => Err(format!("{why}: {case:#?}")),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn no_call_is_over_amazons_limits_whatever_happens_and_all_of_the_plan_is_used() {
    let cases = if std::env::var_os("BULKHEAD_LONG").is_some() {
        5_000
    } else {
        250
    };
    if let Err(why) = search(cases, Mutant::None) {
        panic!("{why}");
    }
}

/// A fleet that lacks a protection is found out by a case that the fleet as it is passes.
fn is_found_out(mutant: Mutant) {
    let why = search(2_000, mutant).expect_err("it conforms");
    println!("{mutant:?}: {}", why.lines().next().unwrap_or_default());
}

#[test]
fn without_the_clamp_it_does_not_conform() {
    is_found_out(Mutant::Without("clock_that_went_back"));
}

#[test]
fn with_buckets_that_start_full_it_does_not_conform() {
    is_found_out(Mutant::Without("buckets_start_empty"));
}

#[test]
fn with_grants_that_end_a_while_after_they_are_written_it_does_not_conform() {
    is_found_out(Mutant::Without("grant_is_absolute"));
}

#[test]
fn with_grants_that_do_not_end_it_does_not_conform() {
    is_found_out(Mutant::Without("grant_ends"));
}

#[test]
fn by_the_callers_clock_it_does_not_conform() {
    is_found_out(Mutant::CallersClock);
}

#[test]
fn with_a_deadline_that_is_not_checked_it_does_not_conform() {
    is_found_out(Mutant::Without("deadline"));
}

#[test]
fn with_one_of_two_buckets_taken_it_does_not_conform() {
    is_found_out(Mutant::Without("both_are_taken"));
}

#[test]
fn with_shards_that_do_not_take_turns_it_does_not_conform() {
    is_found_out(Mutant::Without("shards_take_turns"));
}

#[test]
fn with_a_clock_that_nobody_watches_it_does_not_conform() {
    is_found_out(Mutant::Without("unwatched_clock_empties"));
}
