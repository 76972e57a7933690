//! `bulkhead-devstack`: private servers for development.
fn main() {}
