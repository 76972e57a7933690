use std::time::Duration;

use super::reader::Reader;

/// `[scheduler]`
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// The pause between two passes over what is due.
    pub tick: Duration,
    /// How long calls to Amazon go on after the last scheduler has vouched for the fences (T_g).
    pub grant_lifetime: Duration,
}

impl Scheduler {
    pub(super) fn read(reader: &mut Reader) -> Scheduler {
        Scheduler {
            tick: reader.milliseconds("scheduler.tick_ms", 500, 10..=60_000),
            grant_lifetime: reader.milliseconds(
                "scheduler.grant_lifetime_ms",
                2_000,
                200..=600_000,
            ),
        }
    }
}
