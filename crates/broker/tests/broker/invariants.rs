//! Random lives of jobs: after every step each job is in exactly one place, and the lanes say what is in them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bulkhead_broker::{
    Acknowledged, Acknowledgement, CapScope, FetchRequest, Fetched, JobFilter, JobState, Leased,
    Outcome, Renewed,
};
use bulkhead_domain::Priority;
use jiff::ToSpan;
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};

use crate::fixture::{Fixture, Worker, connection, job, job_id, retry, snooze, start, tenant};

/// A runner whose seed is printed; `BULKHEAD_TEST_SEED` repeats it.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let given = std::env::var("BULKHEAD_TEST_SEED").ok();
    let seed = given.map_or_else(
        || uuid::Uuid::new_v4().as_u64_pair().0,
        |text| text.parse().unwrap(),
    );
    println!("BULKHEAD_TEST_SEED={seed}");
    TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    })
}

#[derive(Debug, Clone)]
enum Step {
    Enqueue {
        first: u8,
        count: u8,
        delay_s: Option<u8>,
    },
    Fetch {
        worker: usize,
        max: u8,
        lost: bool,
    },
    Acknowledge {
        which: u8,
        outcome: u8,
    },
    Turn {
        worker: usize,
        max: u8,
        which: u8,
        outcome: u8,
        lost: bool,
    },
    AcknowledgeStale {
        which: u8,
        outcome: u8,
    },
    Renew,
    Pass {
        seconds: u8,
    },
    Reap {
        max: u8,
    },
    Cancel {
        n: u8,
    },
    Pause {
        lane: u8,
    },
    Resume {
        lane: u8,
    },
    SetCap {
        scope: u8,
        max: Option<u8>,
    },
    Redrive,
    ForgetScripts,
}

const JOBS: u8 = 24;
const LANES: u8 = 5;

fn step() -> impl Strategy<Value = Step> {
    let delay = prop::option::weighted(0.2, 0..20_u8);
    prop_oneof![
        5 => (0..JOBS, 1..8_u8, delay)
            .prop_map(|(first, count, delay_s)| Step::Enqueue { first, count, delay_s }),
        5 => (0..3_usize, 1..8_u8, any::<bool>())
            .prop_map(|(worker, max, lost)| Step::Fetch { worker, max, lost }),
        8 => (any::<u8>(), any::<u8>())
            .prop_map(|(which, outcome)| Step::Acknowledge { which, outcome }),
        4 => (0..3_usize, 1..8_u8, any::<u8>(), any::<u8>(), any::<bool>()).prop_map(
            |(worker, max, which, outcome, lost)| Step::Turn { worker, max, which, outcome, lost }
        ),
        3 => (any::<u8>(), any::<u8>())
            .prop_map(|(which, outcome)| Step::AcknowledgeStale { which, outcome }),
        2 => Just(Step::Renew),
        4 => (0..15_u8).prop_map(|seconds| Step::Pass { seconds }),
        3 => (1..5_u8).prop_map(|max| Step::Reap { max }),
        2 => (0..JOBS).prop_map(|n| Step::Cancel { n }),
        1 => (0..LANES).prop_map(|lane| Step::Pause { lane }),
        2 => (0..LANES).prop_map(|lane| Step::Resume { lane }),
        2 => (any::<u8>(), prop::option::weighted(0.8, 1..4_u8))
            .prop_map(|(scope, max)| Step::SetCap { scope, max }),
        1 => Just(Step::Redrive),
        1 => Just(Step::ForgetScripts),
    ]
}

#[test]
fn a_job_is_never_in_two_places_or_in_none() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::start());
    let steps = prop::collection::vec(step(), 1..80);
    runner(120)
        .run(&steps, |steps| runtime.block_on(live(&fixture, &steps)))
        .unwrap();
}

async fn live(fixture: &Fixture, steps: &[Step]) -> Result<(), TestCaseError> {
    fixture.redis.flush().unwrap();
    let mut world = World::new(fixture);
    for step in steps {
        world.take(step).await?;
        world.check().await?;
    }
    world.drain().await
}

/// What the test knows: which jobs live, and who holds which.
struct World<'a> {
    fixture: &'a Fixture,
    workers: [Worker; 3],
    alive: BTreeSet<u8>,
    dead: BTreeSet<u8>,
    held: Vec<Leased>,
    stale: Vec<Leased>,
    newest: HashMap<u8, u64>,
    caps: BTreeMap<CapScope, u32>,
}

impl<'a> World<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            workers: ["a", "b", "c"].map(Worker::named),
            alive: BTreeSet::new(),
            dead: BTreeSet::new(),
            held: Vec::new(),
            stale: Vec::new(),
            newest: HashMap::new(),
            caps: BTreeMap::new(),
        }
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Enqueue {
                first,
                count,
                delay_s,
            } => self.enqueue(first, count, delay_s).await,
            Step::Fetch { worker, max, lost } => self.fetch(worker, max, lost).await?,
            Step::Acknowledge { which, outcome } => self.acknowledge(which, outcome).await?,
            Step::Turn {
                worker,
                max,
                which,
                outcome,
                lost,
            } => self.turn(worker, max, which, outcome, lost).await?,
            Step::AcknowledgeStale { which, outcome } => self.repeat(which, outcome).await?,
            Step::Renew => self.renew().await,
            Step::Pass { seconds } => self
                .fixture
                .clock
                .advance(Duration::from_secs(seconds.into())),
            Step::Reap { max } => self.reap(max).await,
            Step::Cancel { n } => self.cancel(n).await,
            Step::Pause { lane } => {
                self.fixture
                    .broker
                    .pause_lane(connection(lane.into()))
                    .await
                    .unwrap();
            }
            Step::Resume { lane } => {
                self.fixture
                    .broker
                    .resume_lane(connection(lane.into()))
                    .await
                    .unwrap();
            }
            Step::SetCap { scope, max } => self.set_cap(scope, max.map(u32::from)).await,
            Step::Redrive => self.redrive().await,
            Step::ForgetScripts => {
                self.fixture.redis.command("SCRIPT FLUSH").unwrap();
            }
        }
        Ok(())
    }

    async fn enqueue(&mut self, first: u8, count: u8, delay_s: Option<u8>) {
        let numbers = first..(first + count).min(JOBS);
        let jobs: Vec<_> = numbers
            .clone()
            .map(|n| {
                // Two tenants; a lane belongs to one of them.
                let lane = n % LANES;
                let mut one = job(n.into(), u128::from(lane % 2), lane.into());
                one.priority = Priority::new(n % 3);
                // Within the time that tests pass in, and so sometimes in the past.
                let not_before = delay_s.map(|delay_s| start() + i64::from(delay_s).seconds());
                (one, not_before)
            })
            .collect();
        let answers = self.fixture.broker.enqueue_at(&jobs).await.unwrap();
        for (n, answer) in numbers.zip(answers) {
            let is_new = answer == bulkhead_broker::Enqueued::Added;
            assert_eq!(is_new, self.alive.insert(n));
            self.dead.remove(&n);
        }
    }

    async fn fetch(&mut self, worker: usize, max: u8, lost: bool) -> Result<(), TestCaseError> {
        let fixture = self.fixture;
        let worker = &mut self.workers[worker];
        let first = fixture.fetch_all(worker, max.into()).await;
        let mut again = None;
        if lost {
            again = Some(fixture.fetch_again(worker, max.into()).await.leased);
        }
        self.hold(max, first, again).await
    }

    /// Acknowledges and fetches in one call; if its reply is lost, the same call again.
    async fn turn(
        &mut self,
        worker: usize,
        max: u8,
        which: u8,
        outcome: u8,
        lost: bool,
    ) -> Result<(), TestCaseError> {
        if self.held.is_empty() {
            return self.fetch(worker, max, lost).await;
        }
        let one = self.held.swap_remove(usize::from(which) % self.held.len());
        let acknowledgements = [Acknowledgement {
            lease: one.lease.clone(),
            outcome: outcome_of(outcome),
        }];
        let worker = &mut self.workers[worker];
        worker.sequence += 1;
        let request = FetchRequest {
            worker: &worker.id,
            shard: 0,
            sequence: worker.sequence,
            max: max.into(),
        };
        let call = async || {
            let broker = &self.fixture.broker;
            let turn = broker.acknowledge_and_fetch(&acknowledgements, &request);
            let turn = turn.await.unwrap();
            (turn.acknowledged.unwrap()[0], turn.fetched)
        };
        let (said, first) = call().await;
        let mut again = None;
        if lost {
            let (repeated, fetched) = call().await;
            let refused = matches!(repeated, Acknowledged::Fenced | Acknowledged::NotLeased);
            prop_assert!(refused, "said twice, it counted twice: {repeated:?}");
            again = Some(fetched.leased);
        }
        self.ended(one, said)?;
        self.hold(max, first, again).await
    }

    /// Takes what a fetch, and its repetition, answered.
    async fn hold(
        &mut self,
        max: u8,
        first: Fetched,
        again: Option<Vec<Leased>>,
    ) -> Result<(), TestCaseError> {
        let more_now = first.next_wake == Some(Duration::ZERO);
        let is_all = first.leased.len() < usize::from(max) && !more_now;
        let first = first.leased;
        if let Some(again) = &again {
            prop_assert!(first.is_empty() || first.len() == again.len());
        }
        let leased = again.unwrap_or(first);
        self.check_caps(&leased, is_all).await?;
        for one in leased {
            let n = number(&one);
            prop_assert!(
                self.alive.contains(&n),
                "job {n} was fetched and does not live"
            );
            let token = one.lease.token().get();
            let newest = self.newest.insert(n, token);
            prop_assert!(newest.is_none_or(|newest| newest < token), "tokens rise");
            let (now_stale, held) = std::mem::take(&mut self.held)
                .into_iter()
                .partition(|held| number(held) == n);
            self.held = held;
            let now_stale: Vec<Leased> = now_stale;
            self.stale.extend(now_stale);
            self.held.push(one);
        }
        Ok(())
    }

    /// What was leased has room, and what has room was leased if the fetch says that this is all.
    async fn check_caps(&self, new: &[Leased], is_all: bool) -> Result<(), TestCaseError> {
        let leased = Places::read(self.fixture).await.leased;
        for one in new {
            let over = self.over_cap(number(one), &leased);
            prop_assert!(over <= 0, "job {} is one too many", number(one));
        }
        let all = JobFilter::default();
        let entries = self.fixture.broker.jobs(&all, JOBS.into()).await.unwrap();
        for entry in entries {
            if is_all && entry.state == JobState::Queued {
                let over = self.over_cap(number_of(entry.job.id), &leased);
                prop_assert!(over >= 0, "{:?} waits for nothing", entry.job.id);
            }
        }
        Ok(())
    }

    /// How many jobs there are in flight beyond the narrower cap of job `n`.
    fn over_cap(&self, n: u8, leased: &BTreeSet<u8>) -> i64 {
        let lane = n % LANES;
        let over = |own: CapScope, every: CapScope, is_theirs: &dyn Fn(u8) -> bool| {
            let cap = self.caps.get(&own).or_else(|| self.caps.get(&every));
            let count = leased.iter().filter(|n| is_theirs(**n % LANES)).count();
            cap.map_or(i64::MIN, |cap| {
                i64::try_from(count).unwrap() - i64::from(*cap)
            })
        };
        let own = CapScope::Connection(connection(lane.into()));
        let of_lane = over(own, CapScope::EveryConnection, &|other| other == lane);
        let own = CapScope::Tenant(tenant(u128::from(lane % 2)));
        let of_tenant = over(own, CapScope::EveryTenant, &|other| other % 2 == lane % 2);
        of_lane.max(of_tenant)
    }

    async fn set_cap(&mut self, scope: u8, max: Option<u32>) {
        let scope = match scope % 5 {
            0 => CapScope::EveryConnection,
            1 => CapScope::EveryTenant,
            2 => CapScope::Tenant(tenant(u128::from(scope % 2))),
            _ => CapScope::Connection(connection(u128::from(scope % LANES))),
        };
        self.fixture.broker.set_cap(scope, max).await.unwrap();
        match max {
            Some(max) => self.caps.insert(scope, max),
            None => self.caps.remove(&scope),
        };
    }

    async fn acknowledge(&mut self, which: u8, outcome: u8) -> Result<(), TestCaseError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let one = self.held.swap_remove(usize::from(which) % self.held.len());
        let said = self.fixture.acknowledge(&one, outcome_of(outcome)).await;
        self.ended(one, said)
    }

    fn ended(&mut self, one: Leased, said: Acknowledged) -> Result<(), TestCaseError> {
        match said {
            Acknowledged::Completed | Acknowledged::Cancelled => {
                prop_assert!(self.alive.remove(&number(&one)));
            }
            Acknowledged::DeadLettered => {
                prop_assert!(self.alive.remove(&number(&one)));
                self.dead.insert(number(&one));
            }
            Acknowledged::Fenced => prop_assert!(false, "the newest lease was fenced"),
            _ => {}
        }
        self.stale.push(one);
        Ok(())
    }

    async fn repeat(&mut self, which: u8, outcome: u8) -> Result<(), TestCaseError> {
        if self.stale.is_empty() {
            return Ok(());
        }
        let one = &self.stale[usize::from(which) % self.stale.len()];
        let said = self.fixture.acknowledge(one, outcome_of(outcome)).await;
        let refused = matches!(said, Acknowledged::Fenced | Acknowledged::NotLeased);
        prop_assert!(refused, "a stale token was {said:?}");
        Ok(())
    }

    async fn renew(&mut self) {
        let leases: Vec<_> = self.held.iter().map(|one| one.lease.clone()).collect();
        if leases.is_empty() {
            return;
        }
        let answers = self.fixture.broker.renew(0, &leases).await.unwrap();
        let held = std::mem::take(&mut self.held);
        for (one, answer) in held.into_iter().zip(answers) {
            // A lease that is lost may not have been reaped yet: its holder drops it, and may not acknowledge it.
            if answer == Renewed::Lost {
                continue;
            }
            self.held.push(one);
        }
    }

    async fn reap(&mut self, max: u8) {
        let reaped = self.fixture.broker.reap(0, max.into()).await.unwrap();
        for id in &reaped.cancelled {
            self.alive.remove(&number_of(*id));
        }
        for letter in &reaped.quarantined {
            self.alive.remove(&number_of(letter.job_id));
            self.dead.insert(number_of(letter.job_id));
        }
    }

    async fn cancel(&mut self, n: u8) {
        let filter = JobFilter {
            id: Some(job_id(n.into())),
            ..JobFilter::default()
        };
        let cancelled = self.fixture.broker.cancel(&filter).await.unwrap();
        for id in cancelled.removed {
            assert!(self.alive.remove(&number_of(id)));
        }
    }

    async fn redrive(&mut self) {
        for id in self
            .fixture
            .broker
            .redrive(&JobFilter::default())
            .await
            .unwrap()
        {
            assert!(self.dead.remove(&number_of(id)));
            assert!(self.alive.insert(number_of(id)));
        }
    }

    /// Everything that lives can be brought to its end, and then nothing is left.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        for lane in 0..LANES {
            self.take(&Step::Resume { lane }).await?;
        }
        for _ in 0..30 {
            self.fixture.clock.advance(Duration::from_secs(3_600));
            self.reap(255).await;
            for one in self.fixture.fetch(&mut self.workers[0], 64).await {
                self.alive.remove(&number(&one));
                self.fixture.acknowledge(&one, Outcome::Complete).await;
            }
            self.check().await?;
        }
        prop_assert!(self.alive.is_empty(), "never fetched: {:?}", self.alive);
        for (scope, _) in std::mem::take(&mut self.caps) {
            self.fixture.broker.set_cap(scope, None).await.unwrap();
        }
        self.fixture
            .broker
            .discard_dead_letters(&JobFilter::default())
            .await
            .unwrap();
        prop_assert_eq!(self.fixture.leftovers().await, Vec::<String>::new());
        self.fixture.clock.rewind(Duration::from_secs(30 * 3_600));
        Ok(())
    }

    async fn check(&self) -> Result<(), TestCaseError> {
        let places = Places::read(self.fixture).await;
        prop_assert_eq!(&places.alive, &self.alive, "who lives");
        prop_assert_eq!(&places.dead, &self.dead, "who is dead");
        for n in &self.alive {
            prop_assert_eq!(places.count(*n), 1, "places of job {}: {:?}", n, places);
        }
        for n in 0..JOBS {
            if !self.alive.contains(&n) {
                prop_assert_eq!(places.count(n), 0, "places of gone job {}: {:?}", n, places);
            }
        }
        prop_assert!(places.lanes_agree, "{:?}", places);
        let caps = self.fixture.broker.caps().await.unwrap();
        prop_assert_eq!(caps, self.caps.clone());
        Ok(())
    }
}

fn number(leased: &Leased) -> u8 {
    number_of(leased.job.id)
}

fn number_of(id: bulkhead_domain::JobId) -> u8 {
    u8::try_from(id.uuid().as_u128() >> 64).unwrap()
}

fn outcome_of(dice: u8) -> Outcome {
    match dice % 8 {
        0..=2 => Outcome::Complete,
        3 => Outcome::Release,
        4 => retry(u64::from(dice % 20)),
        5 => snooze(u64::from(dice % 20), true),
        6 => snooze(u64::from(dice % 20), false),
        _ => Outcome::DeadLetter {
            reason: "the dice".to_owned(),
        },
    }
}

/// What Redis holds, read past the broker.
#[derive(Debug)]
struct Places {
    alive: BTreeSet<u8>,
    dead: BTreeSet<u8>,
    queued: BTreeMap<u8, i64>,
    ghosts: BTreeMap<u8, i64>,
    due: BTreeSet<u8>,
    leased: BTreeSet<u8>,
    lanes_agree: bool,
}

type Ids = Vec<Vec<u8>>;
/// The reply of `places.lua`.
type Raw = (Ids, Ids, Ids, BTreeMap<Vec<u8>, i64>, Ids, Ids, Ids, i64);

impl Places {
    async fn read(fixture: &Fixture) -> Self {
        let client = redis::Client::open(fixture.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let raw: Raw = redis::Script::new(include_str!("places.lua"))
            .invoke_async(&mut connection)
            .await
            .unwrap();
        let (jobs, dead, queued, ghosts, due, leased, holders, disagreements) = raw;
        assert_eq!(set(&leased), set(&holders), "leases and their holders");
        let mut counts = BTreeMap::new();
        for id in &queued {
            *counts.entry(raw_number(id)).or_default() += 1;
        }
        Self {
            alive: set(&jobs),
            dead: set(&dead),
            queued: counts,
            ghosts: ghosts.iter().map(|(id, n)| (raw_number(id), *n)).collect(),
            due: set(&due),
            leased: set(&leased),
            lanes_agree: disagreements == 0,
        }
    }

    fn count(&self, n: u8) -> i64 {
        let entries = self.queued.get(&n).copied().unwrap_or_default();
        let ghosts = self.ghosts.get(&n).copied().unwrap_or_default();
        entries - ghosts + i64::from(self.due.contains(&n)) + i64::from(self.leased.contains(&n))
    }
}

fn set(ids: &[Vec<u8>]) -> BTreeSet<u8> {
    ids.iter().map(|id| raw_number(id)).collect()
}

fn raw_number(id: &[u8]) -> u8 {
    id[7]
}

#[tokio::test]
async fn a_batch_that_names_a_lease_twice_ends_it_once() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut Worker::named("a"), 1).await;
    let release = Acknowledgement {
        lease: leased[0].lease.clone(),
        outcome: Outcome::Release,
    };
    let answers = fixture
        .broker
        .acknowledge(0, &[release.clone(), release])
        .await
        .unwrap();
    assert_eq!(answers, [Acknowledged::NotLeased, Acknowledged::Released]);
    assert_eq!(Places::read(&fixture).await.count(1), 1);
}
