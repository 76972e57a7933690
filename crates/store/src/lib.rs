//! All Postgres: the migrations, a session per role, and one named query file per statement.
//!
//! A [`Store`] is one process's sessions, as the login of its [`Role`]; what that login may do is said by the grants
//! beside the tables in `migrations/`, not here. Two ways in:
//!
//! - scheduler and command line use the nouns: [`Store::tenants`], [`Store::connections`], [`Store::obligations`], …;
//! - a worker reaches a tenant's rows only through [`Store::enter`], which gives a [`JobTx`]: one transaction that has
//!   passed the database fence with the newest lease of its job. Dropping it undoes everything.
//!
//! No transaction stays open while something else is called: load, leave, call Amazon, enter again, write, commit.
//!
//! | module | noun |
//! |---|---|
//! | [`connect`] | a process's sessions, checked when they are made |
//! | [`migrator`] | the schema and the roles |
//! | [`session`] | a worker's transaction inside the job it has entered |
//! | [`obligation`] | what is owed: planned, claimed, enqueued, ended |
//! | [`schedule`] | nightly schedules, and how far they are planned |
//! | [`tenant`] [`application`] [`connection`] | whom the fleet works for |
//! | [`queue_settings`] | weights, holds and caps of the queues |
//! | [`credential`] | sealed secrets on their way in and out |
//! | [`token_refresh`] | one owed or running per connection |
//! | [`checkpoint`] | how far a dataset of a connection is |
//! | [`order`] [`order_pii`] | seller data |
//! | [`fence`] | what is stopped |
//! | [`plan_pin`] | usage plans that operators have pinned |
//! | [`rebuild_turn`] | whose turn it is to rebuild Redis |
//! | [`audit`] | what happened |
//! | [`error`] | what a caller can do about a failure |

pub mod application;
pub mod audit;
pub mod checkpoint;
pub mod connect;
pub mod connection;
pub mod credential;
pub mod error;
pub mod fence;
pub mod migrator;
pub mod obligation;
pub mod order;
pub mod order_pii;
pub mod plan_pin;
pub mod queue_settings;
pub mod rebuild_turn;
pub mod schedule;
pub mod session;
pub mod tenant;
pub mod token_refresh;

mod answer;

pub use application::{Application, Applications, NewApplication};
pub use audit::{AuditEvent, AuditLog, NewAuditEvent};
pub use checkpoint::{AdvanceError, Checkpoint, CheckpointProgress, Checkpoints, Progress};
pub use connect::{ConnectError, Role, Store, StoreOptions};
pub use connection::{Connection, ConnectionState, Connections, EnteredConnection, NewConnection};
pub use credential::{AccessToken, ClientCredential, NewAccessToken, SealedColumn};
pub use error::{AddError, StoreError};
pub use fence::{ClosedFence, Fence, FenceScope, Fences};
pub use migrator::{MigrateError, Migrated, Migrator};
pub use obligation::{
    NewSync, Obligation, ObligationCount, ObligationFilter, ObligationKey, Obligations, Retried,
};
pub use order::{OrderItemRow, OrderRow};
pub use order_pii::{OrderPiiRow, PiiKey};
pub use plan_pin::{PlanPin, PlanPins, PlanSubject};
pub use queue_settings::{QueueCap, QueueCapScope, QueueHold, QueueSettings, QueueWeight};
pub use rebuild_turn::RebuildTurn;
pub use schedule::{NewSchedule, Schedule, Schedules};
pub use session::{EnterError, Entered, JobRef, JobTx, Outcome};
pub use tenant::{NewTenant, Tenant, Tenants};
pub use token_refresh::TokenRefresh;
