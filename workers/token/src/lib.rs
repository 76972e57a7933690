//! Refresh tokens into access tokens, ahead of need and on demand.
//!
//! One refresh per connection at a time: Postgres keeps at most one live obligation of the kind, whoever asks. Each
//! refresh that is done owes the next one, a third of the token's lifetime before it ends. The fresh token is sealed to
//! a key that the sync workers can open; refresh tokens and client secrets are sealed to keys that only this process
//! can.

mod credentials;
mod handler;

pub use credentials::{Credentials, CredentialsError};
pub use handler::TokenHandler;
