//! The real binary against a real Postgres and a real Redis.

#![expect(clippy::unwrap_used, reason = "a failure here is the point")]

mod fleet;
mod help;
mod jobs;
mod onboarding;
mod outage;
mod pause;
mod plans;
mod refusals;
mod secrets;
mod settings;
mod status;
