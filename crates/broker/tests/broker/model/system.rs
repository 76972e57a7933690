//! The broker on a real Redis, called as the model says, and compared with it after every step.

use std::{cell::RefCell, rc::Rc, time::Duration};

use bulkhead_broker::{
    Broker, BrokerClock, BrokerOptions, Fences, FetchError, FetchRequest, Fetched, Lease, Outcome,
    TestClock,
};
use bulkhead_devstack::{RedisOptions, RedisServer};
use bulkhead_domain::{Class, WorkerId};
use jiff::ToSpan;
use proptest::sample::Index;
use proptest_state_machine::StateMachineTest;
use redis::aio::{MultiplexedConnection, PubSub};
use tokio::runtime::{Builder, Runtime};

use super::{
    fetch::Asked,
    places::Places,
    settings::{Scope, Settings, WORKERS},
    state::{Held, Model, job},
    transition::{NewJob, Operations, Transition},
    translation::{cap, filter, held, held_of, number, numbers, said, set},
    wakes::{Horizon, listen, was_woken},
};
use crate::fixture::{MUTANT, connection, start, tenant};

/// One Redis for all cases; it is emptied between them.
pub(crate) struct Server {
    runtime: Runtime,
    redis: RedisServer,
}

thread_local! {
    static SERVER: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) };
}

impl Server {
    /// Runs `test` with a server, which every [`System`] of this thread uses.
    pub(crate) fn lend(test: impl FnOnce()) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let redis = runtime
            .block_on(RedisServer::start(RedisOptions::default()))
            .unwrap();
        SERVER.set(Some(Rc::new(Self { runtime, redis })));
        test();
        SERVER.take();
    }
}

/// A worker that may crash and come back under another name.
pub(super) struct Worker {
    number: usize,
    life: u32,
    pub(super) sequence: u64,
}

/// The broker, its model, and what processes remember.
pub(crate) struct System {
    server: Rc<Server>,
    pub(super) redis: MultiplexedConnection,
    listener: PubSub,
    pub(super) broker: Broker,
    pub(super) clock: TestClock,
    pub(super) model: Model,
    pub(super) settings: Settings,
    pub(super) workers: Vec<Worker>,
    /// Every lease that was ever had.
    pub(super) leases: Vec<Lease>,
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Operations;

    fn init_test(settings: &Settings) -> Self {
        let server = SERVER.with_borrow(Clone::clone).expect("a server was lent");
        server.redis.flush().unwrap();
        server.runtime.block_on(Self::connect(&server, settings))
    }

    fn apply(mut system: Self, settings: &Settings, transition: Transition) -> Self {
        let server = Rc::clone(&system.server);
        let run = system.step_and_listen(settings, &transition);
        server.runtime.block_on(run);
        system.settings = settings.clone();
        system
    }

    fn check_invariants(system: &Self, settings: &Settings) {
        system.server.runtime.block_on(system.check(settings));
    }

    fn teardown(mut system: Self, _: Settings) {
        let server = Rc::clone(&system.server);
        server.runtime.block_on(system.drain());
    }
}

impl System {
    async fn connect(server: &Rc<Server>, settings: &Settings) -> Self {
        let clock = TestClock::frozen_at(start());
        let mut options = BrokerOptions::new(server.redis.url().into());
        options.shards = 1;
        options.max_crashes = settings.max_crashes;
        options.clock = BrokerClock::Injected(clock.clone());
        options.mutant = MUTANT.get();
        options.response_timeout = Duration::from_secs(60);
        if let Some(bytes) = settings.high_water_bytes() {
            options.tenant_high_water_bytes = bytes;
        }
        let client = redis::Client::open(server.redis.url()).unwrap();
        Self {
            server: Rc::clone(server),
            redis: client.get_multiplexed_async_connection().await.unwrap(),
            listener: listen(&client).await,
            broker: Broker::connect(&options, Class::Sync).await.unwrap(),
            clock,
            model: Model::default(),
            settings: settings.clone(),
            workers: (0..WORKERS)
                .map(|number| Worker {
                    number,
                    life: 0,
                    sequence: 0,
                })
                .collect(),
            leases: Vec::new(),
        }
    }

    /// A step that brings something nearer wakes who waits.
    async fn step_and_listen(&mut self, after: &Settings, transition: &Transition) {
        let before = Horizon::of(&self.model, &self.settings, &self.redis).await;
        self.step(after, transition).await;
        let now = Horizon::of(&self.model, after, &self.redis).await;
        let is_woken = was_woken(&mut self.listener, &self.redis).await;
        assert!(
            is_woken || !now.came_nearer_since(&before),
            "nobody was woken"
        );
    }

    async fn step(&mut self, after: &Settings, transition: &Transition) {
        match transition {
            Transition::Enqueue {
                jobs,
                forward,
                lost,
            } => {
                for _ in 0..calls(*lost) {
                    self.enqueue(jobs, *forward).await;
                }
            }
            Transition::Fetch { worker, max, lost } => {
                self.workers[*worker].sequence += 1;
                for _ in 0..calls(*lost) {
                    self.fetch(*worker, *max).await;
                }
            }
            Transition::FetchWithAnOldSequence { worker } => self.fetch_stale(*worker).await,
            Transition::Renew { worker, stale } => self.renew(*worker, *stale).await,
            Transition::Acknowledge { ends, lost } => {
                let ends = self.of_newest(ends);
                for _ in 0..calls(*lost) {
                    self.acknowledge(&ends).await;
                }
            }
            Transition::Turn {
                worker,
                ends,
                max,
                lost,
            } => {
                let ends = self.of_newest(ends);
                self.workers[*worker].sequence += 1;
                for _ in 0..calls(*lost) {
                    self.turn(*worker, &ends, *max).await;
                }
            }
            Transition::AcknowledgeStale { lease, outcome } => {
                let stale = self.stale(*lease);
                self.acknowledge(
                    &stale
                        .map(|lease| (lease, outcome.clone()))
                        .into_iter()
                        .collect::<Vec<_>>(),
                )
                .await;
            }
            Transition::Forgive { lease } => self.forgive(*lease).await,
            Transition::Crash { worker } => {
                let worker = &mut self.workers[*worker];
                (worker.life, worker.sequence) = (worker.life + 1, 0);
            }
            Transition::Pass { seconds } => {
                self.clock.advance(Duration::from_secs((*seconds).into()));
            }
            Transition::Reap { max } => self.reap(*max).await,
            Transition::Cancel { scope, lost } => {
                for _ in 0..calls(*lost) {
                    self.cancel(scope).await;
                }
            }
            Transition::Redrive { scope, lost } => {
                for _ in 0..calls(*lost) {
                    self.see_entries().await;
                    let order = self.broker.redrive(&filter(scope)).await.unwrap();
                    self.model.redrive(scope, &numbers(&order));
                }
            }
            Transition::Discard { scope } => {
                let gone = self
                    .broker
                    .discard_dead_letters(&filter(scope))
                    .await
                    .unwrap();
                assert_eq!(set(&gone), self.model.discard(scope));
            }
            Transition::ForgetScripts => {
                self.server.redis.command("SCRIPT FLUSH").unwrap();
            }
            Transition::LoseEverything { rewind_s } => self.lose_everything(*rewind_s).await,
            Transition::SetWeight {
                tenant: number,
                weight,
            } => {
                let weight = f64::from(*weight);
                self.broker
                    .set_weight(tenant((*number).into()), weight)
                    .await
                    .unwrap();
            }
            Transition::SetCap { of, most } => self.broker.set_cap(cap(*of), *most).await.unwrap(),
            command => {
                let changed = self.command(command).await;
                assert_eq!(
                    changed,
                    self.settings != *after,
                    "whether it changed anything"
                );
            }
        }
    }

    /// What stands for no job in the queues, and how much of it.
    async fn see_entries(&mut self) -> u64 {
        let places = Places::read(&self.redis).await;
        self.model.entries = places.entries;
        places.ghosts.values().sum()
    }

    async fn enqueue(&mut self, jobs: &[NewJob], forward: bool) {
        self.see_entries().await;
        let time = |seconds: i8| self.settings.now + i64::from(seconds).seconds();
        let batch: Vec<_> = jobs
            .iter()
            .map(|new| {
                (
                    job(new.n, new.lane, new.priority),
                    new.not_before_s.map(time),
                )
            })
            .collect();
        let answers = if forward {
            self.broker.enqueue_forward(&batch).await.unwrap()
        } else {
            self.broker.enqueue_at(&batch).await.unwrap()
        };
        assert_eq!(answers, self.model.enqueue(jobs, forward, &self.settings));
    }

    pub(super) async fn fetch(&mut self, worker: usize, max: usize) {
        let ghosts = self.see_entries().await;
        let (name, sequence) = (self.workers[worker].name(), self.workers[worker].sequence);
        let fetched = self.ask(&name, sequence, max).await.unwrap();
        let worker = &name;
        self.model.fetch(
            &Asked {
                worker,
                sequence,
                max,
                ghosts,
            },
            &self.settings,
            &fetched,
        );
        self.leases
            .extend(fetched.leased.into_iter().map(|one| one.lease));
    }

    /// Acknowledges and fetches in one call.
    async fn turn(&mut self, worker: usize, ends: &[(Lease, Outcome)], max: usize) {
        let ghosts = self.see_entries().await;
        let (name, sequence) = (self.workers[worker].name(), self.workers[worker].sequence);
        let request = FetchRequest {
            worker: &WorkerId::new(name.clone()),
            shard: 0,
            sequence,
            max,
        };
        let turn = self
            .broker
            .acknowledge_and_fetch(&said(ends), &request)
            .await
            .unwrap();
        assert_eq!(
            turn.acknowledged,
            Some(self.model.acknowledge(&held(ends), self.now_us()))
        );
        let asked = Asked {
            worker: &name,
            sequence,
            max,
            ghosts,
        };
        self.model.fetch(&asked, &self.settings, &turn.fetched);
        self.leases
            .extend(turn.fetched.leased.into_iter().map(|one| one.lease));
    }

    async fn fetch_stale(&mut self, worker: usize) {
        let name = self.workers[worker].name();
        let Some(reply) = self.model.replies.get(&name) else {
            return;
        };
        let refused = self.ask(&name, reply.sequence - 1, 1).await.unwrap_err();
        assert!(matches!(refused, FetchError::Stale { .. }), "{refused}");
    }

    async fn ask(&self, name: &str, sequence: u64, max: usize) -> Result<Fetched, FetchError> {
        let worker = &WorkerId::new(name.to_owned());
        self.broker
            .fetch(&FetchRequest {
                worker,
                shard: 0,
                sequence,
                max,
            })
            .await
    }

    /// A worker renews all that it holds; one lease that is not the newest comes with them.
    async fn renew(&mut self, worker: usize, stale: Index) {
        let name = self.workers[worker].name();
        let own = |run: &super::state::Run| run.worker == name;
        let newest = self.leases.iter().filter(|lease| self.is_newest(lease));
        let held =
            newest.filter(|lease| self.model.newest(number(lease.job_id())).is_some_and(own));
        let mut leases: Vec<Lease> = held.cloned().collect();
        leases.extend(self.stale(stale));
        let answers = self.broker.renew(0, &leases).await.unwrap();
        let held: Vec<Held> = leases.iter().map(held_of).collect();
        assert_eq!(answers, self.model.renew(&held, self.now_us()));
    }

    pub(super) async fn acknowledge(&mut self, ends: &[(Lease, Outcome)]) {
        let answers = self.broker.acknowledge(0, &said(ends)).await.unwrap();
        assert_eq!(answers, self.model.acknowledge(&held(ends), self.now_us()));
    }

    /// Of any lease, the newest or not.
    async fn forgive(&mut self, lease: Index) {
        if self.leases.is_empty() {
            return;
        }
        let lease = lease.get(&self.leases);
        let forgiven = self.broker.forgive_crashes(lease).await.unwrap();
        assert_eq!(forgiven, self.model.forgive(held_of(lease)));
    }

    pub(super) async fn reap(&mut self, max: usize) {
        let reaped = self.broker.reap(0, max).await.unwrap();
        let reaping = self
            .model
            .reap(max, self.settings.max_crashes, self.now_us());
        assert_eq!(numbers(&reaped.requeued), reaping.requeued);
        assert_eq!(numbers(&reaped.cancelled), reaping.cancelled);
        let quarantined = reaped
            .quarantined
            .iter()
            .map(|letter| number(letter.job_id));
        assert_eq!(quarantined.collect::<Vec<_>>(), reaping.quarantined);
        if !reaping.spread.is_empty() {
            let places = Places::read(&self.redis).await;
            for n in reaping.spread {
                self.model.spread(n, places.due_us(n), self.now_us());
            }
        }
    }

    async fn cancel(&mut self, scope: &Scope) {
        let cancelled = self.broker.cancel(&filter(scope)).await.unwrap();
        let answer = (set(&cancelled.removed), set(&cancelled.told));
        assert_eq!(answer, self.model.cancel(scope));
    }

    async fn lose_everything(&mut self, rewind_s: u8) {
        self.server.redis.flush().unwrap();
        self.clock.rewind(Duration::from_secs(rewind_s.into()));
        let floor = self.leases.iter().map(Lease::token).max();
        Fences::new(&self.broker)
            .establish("again", floor)
            .await
            .unwrap();
        self.model.lose_everything();
    }

    /// Whether it says that it changed anything.
    async fn command(&self, command: &Transition) -> bool {
        let broker = &self.broker;
        match *command {
            Transition::PauseLane { lane } => broker.pause_lane(connection(lane.into())).await,
            Transition::ResumeLane { lane } => broker.resume_lane(connection(lane.into())).await,
            Transition::PauseTenant { tenant: number } => {
                broker.pause_tenant(tenant(number.into())).await
            }
            Transition::ResumeTenant { tenant: number } => {
                broker.resume_tenant(tenant(number.into())).await
            }
            Transition::PauseClass => broker.pause_class().await,
            Transition::ResumeClass => broker.resume_class().await,
            _ => unreachable!("no command of an operator: {command:?}"),
        }
        .unwrap()
    }

    pub(super) fn is_newest(&self, lease: &Lease) -> bool {
        let (n, token) = held_of(lease);
        self.model.newest(n).is_some_and(|run| run.token == token)
    }

    /// A lease that is not the newest of its job any more.
    fn stale(&self, index: Index) -> Option<Lease> {
        let stale: Vec<&Lease> = self
            .leases
            .iter()
            .filter(|lease| !self.is_newest(lease))
            .collect();
        (!stale.is_empty()).then(|| (*index.get(&stale)).clone())
    }

    /// Leases that are the newest; one may be named twice.
    fn of_newest(&self, ends: &[(Index, Outcome)]) -> Vec<(Lease, Outcome)> {
        let newest: Vec<&Lease> = self
            .leases
            .iter()
            .filter(|lease| self.is_newest(lease))
            .collect();
        if newest.is_empty() {
            return Vec::new();
        }
        let named =
            |(index, outcome): &(Index, Outcome)| ((*index.get(&newest)).clone(), outcome.clone());
        ends.iter().map(named).collect()
    }

    fn now_us(&self) -> i64 {
        self.settings.now.as_microsecond()
    }
}

impl Worker {
    fn name(&self) -> String {
        format!("worker {} in life {}", self.number, self.life)
    }
}

fn calls(lost: bool) -> u8 {
    1 + u8::from(lost)
}
