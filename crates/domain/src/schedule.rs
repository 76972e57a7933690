//! When a night's work of a connection is due.
//!
//! A fleet that starts every seller at 02:00 asks Amazon for everything at once and nothing for the rest of the
//! night. So a night has a window, and each connection its own, stable place in it.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use crate::id::ConnectionId;

/// A nightly schedule of one tenant.
#[derive(Debug, Clone)]
pub struct NightlySchedule {
    /// The tenant's time zone.
    pub time_zone: TimeZone,
    /// When its night begins there.
    pub starts_at: Time,
    /// Over how long the connections are spread; zero starts all at once.
    pub window: SignedDuration,
}

impl NightlySchedule {
    /// When the night of the local date `date` begins.
    ///
    /// A time that a change of clocks skips is moved on by the gap; one that happens twice is the first.
    ///
    /// # Errors
    /// If the moment lies outside years −9999 to 9999.
    pub fn night_of(&self, date: Date) -> Result<Timestamp, jiff::Error> {
        let local = date.to_datetime(self.starts_at);
        Ok(self
            .time_zone
            .to_ambiguous_zoned(local)
            .compatible()?
            .timestamp())
    }

    /// The local dates whose nights begin in `(after, until]`.
    ///
    /// # Errors
    /// If a moment lies outside years −9999 to 9999.
    pub fn nights_between(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Date>, jiff::Error> {
        let mut date = after.to_zoned(self.time_zone.clone()).date().yesterday()?;
        let mut nights = Vec::new();
        loop {
            let begins = self.night_of(date)?;
            if begins > until {
                return Ok(nights);
            }
            if begins > after {
                nights.push(date);
            }
            date = date.tomorrow()?;
        }
    }

    /// When `connection`'s share of the night of `date` is due: always at the same place in the window.
    ///
    /// # Errors
    /// If the moment lies outside years −9999 to 9999.
    pub fn due(&self, date: Date, connection: ConnectionId) -> Result<Timestamp, jiff::Error> {
        let window_ms = u128::try_from(self.window.as_millis()).unwrap_or_default();
        // The high half of the id, since its low half chooses the shard.
        let place = (connection.uuid().as_u128() >> 64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let offset_ms = if window_ms == 0 { 0 } else { place % window_ms };
        let offset = SignedDuration::from_millis(i64::try_from(offset_ms).unwrap_or_default());
        self.night_of(date)?.checked_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};
    use uuid::Uuid;

    fn berlin() -> NightlySchedule {
        NightlySchedule {
            time_zone: TimeZone::get("Europe/Berlin").expect("a bundled or system zone"),
            starts_at: time(2, 30, 0, 0),
            window: SignedDuration::from_hours(4),
        }
    }

    #[test]
    fn a_night_that_a_change_of_clocks_skips_still_happens() {
        let begins = berlin().night_of(date(2026, 3, 29)).expect("in range");
        assert_eq!(begins.to_string(), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn each_local_date_has_one_night_across_a_change_of_clocks() {
        let after: Timestamp = "2026-10-23T12:00:00Z".parse().expect("a time");
        let until: Timestamp = "2026-10-27T12:00:00Z".parse().expect("a time");
        let nights = berlin().nights_between(after, until).expect("in range");
        assert_eq!(nights, [24, 25, 26, 27].map(|day| date(2026, 10, day)));
    }

    #[test]
    fn connections_keep_their_place_and_fill_the_window() {
        let schedule = berlin();
        let night = date(2026, 11, 24);
        let begins = schedule.night_of(night).expect("in range");
        let mut quarters = [0_u32; 4];
        for n in 0..4_000_u128 {
            let id = ConnectionId::new(Uuid::new_v5(&Uuid::nil(), &n.to_be_bytes()));
            let due = schedule.due(night, id).expect("in range");
            assert_eq!(due, schedule.due(night, id).expect("in range"));
            let hours = due.duration_since(begins).as_hours();
            quarters[usize::try_from(hours).expect("within the window")] += 1;
        }
        assert!(
            quarters.iter().all(|n| (900..1_100).contains(n)),
            "{quarters:?}"
        );
    }
}
