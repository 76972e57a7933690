//! Pages of seller data into Postgres.
//!
//! ```text
//! enter, read checkpoint and token ─▶ permit ─▶ call ─▶ enter: rows, sealed PII, checkpoint, met obligation ─▶ commit
//!        ▲                              │ not now: give the slot back                                          │
//!        └──────────────────────────────┴──────────── next page ◀──────────────────────────────────────────────┘
//! ```
//!
//! A page is one transaction: whoever dies, wherever, the next attempt goes on at the checkpoint. Buyers' data are
//! sealed under keys that this process makes and cannot open again once they are wrapped.

mod access;
mod handler;
mod page;
mod pass;
mod pii;
mod source;

pub use access::TokenKeys;
pub use handler::SyncHandler;
pub use pii::PiiSealer;
