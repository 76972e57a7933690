//! One cryptography for every TLS connection of this process: ring.

/// Makes ring the default of rustls; harmless if that was done before. `run` does it.
pub fn install_ring() {
    // An error only says that there is a default, and no crate of the fleet installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
