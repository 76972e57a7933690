//! Due obligations into Redis, and everything that is still owed again after Redis was lost.
//!
//! | module | noun |
//! |---|---|
//! | [`night`] | schedules → the obligations of the coming nights |
//! | [`dispatch`] | due obligations → jobs |
//! | [`grantor`] | the grant without which no permit is given |
//! | `pins` | usage plans that operators have pinned |
//! | [`rebuild`] | what a Redis without a boot nonce needs |
//! | [`settings`] | operators' weights, holds, caps and pinned plans → Redis |
//! | [`reconcile`] | jobs that Redis does not know, or has given up |
//! | [`tick`] | one pass of all of it |
//!
//! There is no leader. Due rows are claimed with `skip locked`, ids are deterministic, Redis deduplicates: two
//! schedulers that do the same at the same time do it once. Every part reads what is and converges; none takes input.

pub mod dispatch;
mod error;
mod full_tenants;
pub mod grantor;
pub mod night;
mod pins;
pub mod rebuild;
pub mod reconcile;
mod scheduler;
pub mod settings;
pub mod tick;

pub use error::TickError;
pub use scheduler::Scheduler;
pub use tick::Tick;
