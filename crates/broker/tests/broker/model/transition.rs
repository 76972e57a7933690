//! What can happen to a queue, and what only operators and the clock decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bulkhead_broker::Outcome;
use jiff::Timestamp;
use proptest::{
    prelude::*,
    sample::{self, Index},
    strategy::Union,
};
use proptest_state_machine::ReferenceStateMachine;

use crate::fixture::{retry, snooze, start};

pub(crate) const JOBS: u8 = 20;
pub(crate) const LANES: u8 = 5;
pub(crate) const TENANTS: u8 = 2;
pub(crate) const WORKERS: usize = 3;

/// The state that no answer of the broker decides: what operators have set, and the time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) now: Timestamp,
    pub(crate) max_crashes: u32,
    pub(crate) paused_lanes: BTreeSet<u8>,
    pub(crate) held_tenants: BTreeSet<u8>,
    pub(crate) class_is_held: bool,
    pub(crate) weights: BTreeMap<u8, u8>,
    pub(crate) caps: BTreeMap<Capped, u32>,
}

/// Something that happens. What is `lost` is done twice: its first answer never arrived.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    Enqueue {
        jobs: Vec<NewJob>,
        lost: bool,
    },
    Fetch {
        worker: usize,
        max: usize,
        lost: bool,
    },
    FetchWithAnOldSequence {
        worker: usize,
    },
    Renew {
        worker: usize,
        stale: Index,
    },
    Acknowledge {
        ends: Vec<(Index, Outcome)>,
        lost: bool,
    },
    /// Acknowledge and fetch in one call.
    Turn {
        worker: usize,
        ends: Vec<(Index, Outcome)>,
        max: usize,
        lost: bool,
    },
    AcknowledgeStale {
        lease: Index,
        outcome: Outcome,
    },
    Forgive {
        lease: Index,
    },
    Crash {
        worker: usize,
    },
    Pass {
        seconds: u8,
    },
    Reap {
        max: usize,
    },
    Cancel {
        scope: Scope,
        lost: bool,
    },
    Redrive {
        scope: Scope,
        lost: bool,
    },
    Discard {
        scope: Scope,
    },
    PauseLane {
        lane: u8,
    },
    ResumeLane {
        lane: u8,
    },
    PauseTenant {
        tenant: u8,
    },
    ResumeTenant {
        tenant: u8,
    },
    PauseClass,
    ResumeClass,
    SetWeight {
        tenant: u8,
        weight: u8,
    },
    SetCap {
        of: Capped,
        most: Option<u32>,
    },
    ForgetScripts,
    /// Redis loses everything; the one that takes over may have an older clock.
    LoseEverything {
        rewind_s: u8,
    },
}

/// A job to be enqueued. Its next life may be in another lane or of another priority.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    pub(crate) n: u8,
    pub(crate) lane: u8,
    pub(crate) priority: u8,
    /// From now; a time may have passed already.
    pub(crate) not_before_s: Option<i8>,
}

/// What a cap on jobs in flight is about: one lane or tenant, or all that have none of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Capped {
    EveryLane,
    EveryTenant,
    Lane(u8),
    Tenant(u8),
}

/// What an operator's command is about.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    All,
    Job(u8),
    Lane(u8),
    Tenant(u8),
}

/// A lane belongs to one tenant.
pub(crate) fn tenant_of(lane: u8) -> u8 {
    lane % TENANTS
}

/// The machine that chooses what happens next.
pub(crate) struct Operations;

impl ReferenceStateMachine for Operations {
    type State = Settings;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Settings> {
        (1..=3_u32)
            .prop_map(|max_crashes| Settings {
                now: start(),
                max_crashes,
                paused_lanes: BTreeSet::new(),
                held_tenants: BTreeSet::new(),
                class_is_held: false,
                weights: BTreeMap::new(),
                caps: BTreeMap::new(),
            })
            .boxed()
    }

    fn transitions(settings: &Settings) -> BoxedStrategy<Transition> {
        let mut choices = work();
        choices.extend(faults());
        choices.extend(commands(settings));
        Union::new_weighted(choices).boxed()
    }

    fn apply(mut settings: Settings, transition: &Transition) -> Settings {
        match *transition {
            Transition::Pass { seconds } => {
                settings.now += Duration::from_secs(seconds.into());
            }
            Transition::PauseLane { lane } => {
                settings.paused_lanes.insert(lane);
            }
            Transition::ResumeLane { lane } => {
                settings.paused_lanes.remove(&lane);
            }
            Transition::PauseTenant { tenant } => {
                settings.held_tenants.insert(tenant);
            }
            Transition::ResumeTenant { tenant } => {
                settings.held_tenants.remove(&tenant);
            }
            Transition::PauseClass => settings.class_is_held = true,
            Transition::ResumeClass => settings.class_is_held = false,
            Transition::SetWeight { tenant, weight: 1 } => {
                settings.weights.remove(&tenant);
            }
            Transition::SetWeight { tenant, weight } => {
                settings.weights.insert(tenant, weight);
            }
            Transition::SetCap {
                of,
                most: Some(most),
            } => {
                settings.caps.insert(of, most);
            }
            Transition::SetCap { of, most: None } => {
                settings.caps.remove(&of);
            }
            Transition::LoseEverything { rewind_s } => {
                settings.now -= Duration::from_secs(rewind_s.into());
                settings.paused_lanes.clear();
                settings.held_tenants.clear();
                settings.class_is_held = false;
                settings.weights.clear();
                settings.caps.clear();
            }
            _ => {}
        }
        settings
    }
}

type Choice = (u32, BoxedStrategy<Transition>);

/// What processes do all day.
fn work() -> Vec<Choice> {
    let worker = || 0..WORKERS;
    let jobs = prop::collection::vec(new_job(), 1..8);
    let ends = || prop::collection::vec((any::<Index>(), outcome()), 1..5);
    let turn = (worker(), ends(), 1..9_usize, lost());
    vec![
        (
            8,
            (jobs, lost())
                .prop_map(|(jobs, lost)| Transition::Enqueue { jobs, lost })
                .boxed(),
        ),
        (
            9,
            (worker(), 1..9_usize, lost())
                .prop_map(|(worker, max, lost)| Transition::Fetch { worker, max, lost })
                .boxed(),
        ),
        (
            9,
            (ends(), lost())
                .prop_map(|(ends, lost)| Transition::Acknowledge { ends, lost })
                .boxed(),
        ),
        (
            5,
            turn.prop_map(|(worker, ends, max, lost)| Transition::Turn {
                worker,
                ends,
                max,
                lost,
            })
            .boxed(),
        ),
        (
            3,
            (worker(), any::<Index>())
                .prop_map(|(worker, stale)| Transition::Renew { worker, stale })
                .boxed(),
        ),
        (
            4,
            (0..15_u8)
                .prop_map(|seconds| Transition::Pass { seconds })
                .boxed(),
        ),
        (
            4,
            (1..6_usize)
                .prop_map(|max| Transition::Reap { max })
                .boxed(),
        ),
        (
            1,
            any::<Index>()
                .prop_map(|lease| Transition::Forgive { lease })
                .boxed(),
        ),
    ]
}

/// What goes wrong.
fn faults() -> Vec<Choice> {
    let stale = (any::<Index>(), outcome());
    vec![
        (
            3,
            stale
                .prop_map(|(lease, outcome)| Transition::AcknowledgeStale { lease, outcome })
                .boxed(),
        ),
        (
            1,
            (0..WORKERS)
                .prop_map(|worker| Transition::FetchWithAnOldSequence { worker })
                .boxed(),
        ),
        (
            2,
            (0..WORKERS)
                .prop_map(|worker| Transition::Crash { worker })
                .boxed(),
        ),
        (1, Just(Transition::ForgetScripts).boxed()),
        (
            1,
            (0..60_u8)
                .prop_map(|rewind_s| Transition::LoseEverything { rewind_s })
                .boxed(),
        ),
    ]
}

/// What operators do. Most of what they hold they let go soon.
fn commands(settings: &Settings) -> Vec<Choice> {
    let scoped = || (scope(), lost());
    let mut choices = vec![
        (
            3,
            scoped()
                .prop_map(|(scope, lost)| Transition::Cancel { scope, lost })
                .boxed(),
        ),
        (
            2,
            scoped()
                .prop_map(|(scope, lost)| Transition::Redrive { scope, lost })
                .boxed(),
        ),
        (
            1,
            scope()
                .prop_map(|scope| Transition::Discard { scope })
                .boxed(),
        ),
        (
            1,
            (0..LANES)
                .prop_map(|lane| Transition::PauseLane { lane })
                .boxed(),
        ),
        (
            1,
            (0..LANES)
                .prop_map(|lane| Transition::ResumeLane { lane })
                .boxed(),
        ),
        (
            1,
            (0..TENANTS)
                .prop_map(|tenant| Transition::PauseTenant { tenant })
                .boxed(),
        ),
        (
            1,
            (0..TENANTS)
                .prop_map(|tenant| Transition::ResumeTenant { tenant })
                .boxed(),
        ),
        (1, Just(Transition::PauseClass).boxed()),
        (
            1,
            (0..TENANTS, 1..5_u8)
                .prop_map(|(tenant, weight)| Transition::SetWeight { tenant, weight })
                .boxed(),
        ),
    ];
    let capped = prop_oneof![
        1 => Just(Capped::EveryLane),
        1 => Just(Capped::EveryTenant),
        2 => (0..LANES).prop_map(Capped::Lane),
        2 => (0..TENANTS).prop_map(Capped::Tenant),
    ];
    let most = prop::option::weighted(0.7, 1..4_u32);
    let set_cap = (capped, most).prop_map(|(of, most)| Transition::SetCap { of, most });
    choices.push((3, set_cap.boxed()));
    if settings.class_is_held {
        choices.push((20, Just(Transition::ResumeClass).boxed()));
    }
    if !settings.held_tenants.is_empty() {
        let held: Vec<u8> = settings.held_tenants.iter().copied().collect();
        let resume = |tenant| Transition::ResumeTenant { tenant };
        choices.push((5, sample::select(held).prop_map(resume).boxed()));
    }
    if !settings.paused_lanes.is_empty() {
        let paused: Vec<u8> = settings.paused_lanes.iter().copied().collect();
        let resume = |lane| Transition::ResumeLane { lane };
        choices.push((3, sample::select(paused).prop_map(resume).boxed()));
    }
    choices
}

fn lost() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.2)
}

fn new_job() -> impl Strategy<Value = NewJob> {
    let shifts = (
        prop_oneof![3 => Just(0), 1 => 0..LANES],
        prop_oneof![3 => Just(0), 1 => 0..3_u8],
    );
    let not_before_s = prop::option::weighted(0.2, -3..20_i8);
    (0..JOBS, shifts, not_before_s).prop_map(|(n, (lane, priority), not_before_s)| NewJob {
        n,
        lane: (n + lane) % LANES,
        priority: (n + priority) % 3,
        not_before_s,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let seconds = || 0..20_u64;
    prop_oneof![
        4 => Just(Outcome::Complete),
        1 => Just(Outcome::Release),
        1 => seconds().prop_map(retry),
        1 => seconds().prop_map(|seconds| snooze(seconds, true)),
        1 => seconds().prop_map(|seconds| snooze(seconds, false)),
        1 => Just(Outcome::DeadLetter { reason: "the dice".to_owned() }),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        4 => (0..JOBS).prop_map(Scope::Job),
        2 => (0..LANES).prop_map(Scope::Lane),
        1 => (0..TENANTS).prop_map(Scope::Tenant),
        1 => Just(Scope::All),
    ]
}
