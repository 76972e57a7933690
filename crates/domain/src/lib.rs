//! The words of the fleet and its arithmetic: pure, no input or output, no clock but an injected one.
//!
//! | module | noun |
//! |---|---|
//! | [`id`] | one newtype per id |
//! | [`job`] | what goes through the queue |
//! | [`obligation`] | what is owed, of which a job is an attempt |
//! | [`operation`] | one call that Amazon offers, with its default usage plan |
//! | [`rate`] | usage plan → emission interval and tolerance |
//! | [`backoff`] | when a failed attempt runs again |
//! | [`schedule`] | when a night's work of a connection is due |
//! | [`forecast`] | how long a sync takes under the plans |
//! | [`region`] | where a connection's seller lives |
//! | [`clock`] | the time, injected |

pub mod backoff;
pub mod clock;
pub mod forecast;
pub mod id;
pub mod job;
pub mod obligation;
pub mod operation;
pub mod rate;
pub mod region;
pub mod schedule;
pub mod usage_plan;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock};
pub use forecast::{Forecast, Route, SyncRequest};
pub use id::{
    ApplicationId, ConnectionId, FenceEpoch, FencingToken, JobId, ScheduleId, TenantId, WorkerId,
};
pub use job::{Class, Dataset, Job, JobKind, JobParams, Priority};
pub use obligation::ObligationState;
pub use operation::Operation;
pub use rate::{Gcra, Margins};
pub use region::Region;
pub use schedule::NightlySchedule;
pub use usage_plan::{LimitScope, UsagePlan};
