//! What can happen to a queue, and what only operators and the clock decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bulkhead_broker::Outcome;
use proptest::{
    prelude::*,
    sample::{self, Index},
    strategy::Union,
};
use proptest_state_machine::ReferenceStateMachine;

use super::settings::{Capped, JOBS, LANES, Scope, Settings, TENANTS, WORKERS};
use crate::fixture::{retry, snooze, start};

/// Something that happens. What is `lost` is done twice: its first answer never arrived.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    Enqueue {
        jobs: Vec<NewJob>,
        forward: bool,
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

/// The machine that chooses what happens next.
pub(crate) struct Operations;

impl ReferenceStateMachine for Operations {
    type State = Settings;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Settings> {
        (1..=3_u32, prop::option::of(3..9_u32))
            .prop_map(|(max_crashes, jobs_of_tenant)| Settings {
                jobs_of_tenant,
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
    let turn = (worker(), ends(), max(), lost());
    vec![
        (
            8,
            (jobs, prop::bool::weighted(0.2), lost())
                .prop_map(|(jobs, forward, lost)| Transition::Enqueue {
                    jobs,
                    forward,
                    lost,
                })
                .boxed(),
        ),
        (
            9,
            (worker(), max(), lost())
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

/// How much is asked for: mostly less than there is.
fn max() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..9_usize, 1 => 9..64_usize]
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
