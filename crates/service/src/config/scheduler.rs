use std::time::Duration;

use super::reader::Reader;

/// `[scheduler]`
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// The pause between two passes over what is due.
    pub tick: Duration,
}

impl Scheduler {
    pub(super) fn read(reader: &mut Reader) -> Scheduler {
        Scheduler {
            tick: reader.milliseconds("scheduler.tick_ms", 500, 10..=60_000),
        }
    }
}
