//! All Redis of the fleet: its queue, and the permits without which Amazon is not called.
//!
//! | module | noun |
//! |---|---|
//! | `broker`, `options` | a process's connection, for one class |
//! | `connection`, `link`, `node` | how it reaches one server, or a cluster, and the watch over it |
//! | `enqueue`, `fetch`, `acknowledge`, `turn`, `renew`, `reap`, `forgive` | the life of a job; [`Lease`] is the right to run it |
//! | `wake` | being told that there is something to fetch |
//! | `permit`, `permits` | the right to make one call, and Amazon's budget |
//! | `fence` | what stops a scope; the boot nonce |
//! | `inspect`, `cancel`, `lane`, `tenant`, `caps`, `stats`, `waits`, `trials` | what operators see and do |
//! | `script`, `keys`, `body`, `reply` | how all of it lies in Redis |
//!
//! The README lists the scripts in `lua/` with their keys, the states of a job, and what is guaranteed.

mod acknowledge;
mod body;
mod boot_clock;
mod broker;
mod cancel;
mod caps;
mod clock_watch;
mod connection;
mod enqueue;
mod fence;
mod fetch;
mod forgive;
mod inspect;
mod keys;
mod lane;
mod lease;
mod link;
#[cfg(feature = "mutants")]
pub mod mutants;
mod node;
mod options;
mod permit;
mod permits;
mod pin;
mod plan;
mod prune;
mod reap;
mod refusals;
mod renew;
mod reply;
mod script;
mod stats;
mod tenant;
mod trials;
mod turn;
mod wait_histogram;
mod waits;
mod wake;

pub use self::acknowledge::{AcknowledgeError, Acknowledged, Acknowledgement, Outcome};
pub use self::boot_clock::BootInstant;
pub use self::broker::Broker;
pub use self::cancel::Cancelled;
pub use self::caps::{CapScope, SetCapError};
pub use self::enqueue::{EnqueueError, Enqueued};
pub use self::fence::{FenceError, FenceState, Fences, GrantClocks, StopScope};
pub use self::fetch::{FetchError, FetchRequest, Fetched, Leased};
pub use self::forgive::ForgiveError;
pub use self::inspect::{InspectError, JobEntry, JobFilter, JobState, Presence};
pub use self::lease::Lease;
pub use self::node::ConnectError;
pub use self::options::{BrokerClock, BrokerOptions, TestClock};
pub use self::permit::{Permit, PermitAnswer, PermitExpired, PermitSubject, Stop};
pub use self::permits::{PermitError, Permits};
pub use self::pin::PlanKey;
pub use self::plan::{PlanEntry, PlanError, PlanFilter, PlanSource};
pub use self::reap::{ReapError, Reaped};
pub use self::renew::{RenewError, Renewed};
pub use self::stats::{Counts, LaneStats, Stats};
pub use self::trials::{DeadLetter, Incident, IncidentKind};
pub use self::turn::Turn;
pub use self::wait_histogram::WaitHistogram;
pub use self::wake::{WakeMark, Wakes};
