use std::time::Duration;

use super::reader::Reader;

/// `[broker]`: must be the same in every process of a fleet.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Shards of each class; a connection's shard is its id modulo this.
    pub shards: u16,
    /// How long a lease lasts unless it is renewed; the longest a killed worker's jobs wait.
    pub visibility_timeout: Duration,
    /// Enqueueing in a class is refused while the bodies of its jobs take more bytes of Redis than this; acknowledging
    /// never is.
    pub high_water_bytes: u64,
    /// A tenant's jobs are not enqueued while those that it has in a class would take more than this.
    pub tenant_high_water_bytes: u64,
}

impl Broker {
    pub(super) fn read(reader: &mut Reader) -> Broker {
        let shards = reader.integer("broker.shards", 4, 1..=1_024);
        let high_water_bytes =
            reader.integer("broker.high_water_bytes", 1 << 30, 1 << 20..=1 << 44);
        // A shard's part must hold some jobs, and no tenant may have more than there is.
        let least = (u64::from(shards) << 14).min(high_water_bytes);
        Broker {
            shards,
            visibility_timeout: reader.milliseconds(
                "broker.visibility_timeout_ms",
                10_000,
                1_000..=300_000,
            ),
            high_water_bytes,
            tenant_high_water_bytes: reader.integer(
                "broker.tenant_high_water_bytes",
                (1 << 28).clamp(least, high_water_bytes),
                least..=high_water_bytes,
            ),
        }
    }
}
