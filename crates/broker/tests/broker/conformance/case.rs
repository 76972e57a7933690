//! What may happen to a fleet: random plans, arrivals, pauses, clocks and losses.

use std::time::Duration;

use proptest::prelude::*;

/// Sellers of one application; one on each shard, as far as there are as many.
pub(super) const SELLERS: usize = 3;

/// Worker processes.
pub(super) const PROCESSES: usize = 3;

#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Of one seller.
    pub(super) plan: (f64, u32),
    /// Of the application.
    pub(super) shared: Option<(f64, u32)>,
    pub(super) shards: u16,
    pub(super) jitter: Duration,
    /// How much faster than true time the clocks of Redis and of Amazon are.
    pub(super) drift: (f64, f64),
    pub(super) steps: Vec<Step>,
    pub(super) dice: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
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

pub(super) fn cases() -> impl Strategy<Value = Case> {
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
