//! All Redis.
mod boot_clock;
mod permit;
pub use self::{
    boot_clock::BootInstant,
    permit::{Permit, PermitAnswer, PermitExpired, PermitSubject, Stop},
};
