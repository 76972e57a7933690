//! What the coordinator and a worker process say to each other: one JSON object a line.

use serde::{Deserialize, Serialize};

use super::demand::Demand;

/// The first line: what a worker is there for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) worker: String,
    pub(crate) redis_url: String,
    pub(crate) shards: u16,
    pub(crate) base_url: String,
    pub(crate) pacing: Pacing,
    /// What the machine itself may add to the jitter that is injected, ms.
    pub(crate) allowance_ms: u64,
    /// Redis's time is shifted by this, µs.
    pub(crate) shift_us: i64,
    pub(crate) lanes: Vec<Lane>,
}

/// What keeps the calls within the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pacing {
    /// Permits from the broker.
    Permits,
    /// A limiter of each process for itself, and another try after a 429.
    PerProcess,
}

/// One connection, as this worker calls for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lane {
    /// Its number; ids follow from it.
    pub(crate) number: u64,
    /// The application's number.
    pub(crate) application: u64,
    pub(crate) seller: String,
    pub(crate) marketplace: String,
    pub(crate) access_token: String,
    /// Its calls begin so long after the run's start, s.
    pub(crate) starts_s: f64,
    /// Up to this long passes between a permit and the call's arrival, ms.
    pub(crate) jitter_ms: u64,
    /// Of the calls that wait, this worker makes every `callers`th one from its `share`th on.
    pub(crate) share: usize,
    pub(crate) callers: usize,
}

/// Every later line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Take a lease for each connection; they have been enqueued.
    Lease,
    /// Make calls from this moment on, unix µs.
    Start {
        at_us: i64,
        demand: Demand,
        window_s: f64,
    },
    /// Ask for nothing until [`Command::GoOn`].
    Hold,
    /// Redis's time is shifted by this from now on, µs.
    Shift { by_us: i64 },
    /// Ask again.
    GoOn,
    /// End, with what was counted.
    Stop,
}

/// The answer to each command; to [`Command::Start`] when all of its calls are made, if they end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Ended(Counts),
}

/// What a worker did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) asked: u64,
    pub(crate) granted: u64,
    /// Permits whose deadline had passed when they were to be spent.
    pub(crate) expired: u64,
    pub(crate) stopped: u64,
    pub(crate) requests: u64,
    pub(crate) throttled: u64,
    /// Calls without an answer, and questions that Redis did not answer.
    pub(crate) failed: u64,
    /// How much later than the injected jitter says each answer came, ms: the machine's own share.
    pub(crate) late_ms: Vec<f64>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.granted += other.granted;
        self.expired += other.expired;
        self.stopped += other.stopped;
        self.requests += other.requests;
        self.throttled += other.throttled;
        self.failed += other.failed;
        self.late_ms.extend(other.late_ms);
    }
}
