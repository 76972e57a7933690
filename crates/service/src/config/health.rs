use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::reader::Reader;

/// `[health]`: liveness, readiness and metrics, on a port of their own.
#[derive(Debug, Clone)]
pub struct Health {
    /// Port 0 takes any free port; the bound address is logged.
    pub listen: SocketAddr,
    /// Where to write the bound address, for whoever started the process.
    pub port_file: Option<PathBuf>,
}

impl Health {
    pub(super) fn read(reader: &mut Reader) -> Health {
        Health {
            listen: reader
                .value("health.listen", "an address and port, as in 127.0.0.1:9100")
                .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            port_file: reader.path("health.port_file"),
        }
    }
}
