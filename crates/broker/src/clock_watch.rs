//! Whether Redis's clock went on evenly: one that was set forward makes buckets seem fuller than they are.

use std::time::Duration;

use crate::boot_clock::BootInstant;

/// What a grantor knows of one shard's clock, as long as it lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockWatch {
    /// Redis's time at the last reading, and between which moments here it was read.
    last: Reading,
    /// Since when it is known to go evenly, µs by itself.
    even_since_us: u64,
    /// It was set forward, and buckets have not been emptied since.
    set_forward: bool,
}

/// One reading of Redis's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) time_us: u64,
    pub(crate) asked: BootInstant,
    pub(crate) answered: BootInstant,
}

/// Two clocks that are disciplined slowly may differ by this much of the time that passed.
const SLEW: f64 = 1e-3;

/// Less is not noticed: it is within what buckets keep for jitter.
const NOTICED: Duration = Duration::from_millis(20);

/// As a script takes it for "nobody knows": later than every grant ends.
const NEVER_US: u64 = 9_000_000_000_000_000;

impl ClockWatch {
    pub(crate) const fn begin(reading: Reading) -> Self {
        Self {
            last: reading,
            even_since_us: reading.time_us,
            set_forward: false,
        }
    }

    /// Takes in the next reading.
    pub(crate) fn see(&mut self, reading: Reading) {
        let least = reading.asked.since(self.last.answered).as_secs_f64() * (1.0 - SLEW);
        let most = reading.answered.since(self.last.asked).as_secs_f64() * (1.0 + SLEW);
        // Both are times of this century in µs: their difference is exact.
        let passed = (reading.time_us as f64 - self.last.time_us as f64) / 1e6;
        let forward = passed > most + NOTICED.as_secs_f64();
        if forward || passed < least - NOTICED.as_secs_f64() {
            self.even_since_us = reading.time_us;
        }
        self.set_forward |= forward;
        self.last = reading;
    }

    /// Since when the clock is known not to have been set forward with budgets as they were, µs by itself.
    pub(crate) const fn trusted_since_us(&self) -> u64 {
        if self.set_forward {
            NEVER_US
        } else {
            self.even_since_us
        }
    }

    /// Buckets have been emptied.
    pub(crate) const fn emptied(&mut self) {
        self.set_forward = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(time_ms: u64, here_ms: u64, took_ms: u64) -> Reading {
        let at = |ms| BootInstant::LONG_AGO.after(Duration::from_millis(ms));
        Reading {
            time_us: 1_764_000_000_000_000 + time_ms * 1_000,
            asked: at(here_ms),
            answered: at(here_ms + took_ms),
        }
    }

    #[test]
    fn a_clock_that_goes_on_evenly_is_trusted_from_the_first_reading() {
        let mut watch = ClockWatch::begin(reading(0, 0, 1));
        for n in 1..100 {
            // Up to 20 ms more or less is how long readings took.
            watch.see(reading(n * 500 + n % 7, n * 500, 10));
        }
        // This process was stopped for a minute between asking and reading the answer.
        watch.see(reading(50_000, 50_000, 60_000));
        watch.see(reading(110_500, 110_500, 1));
        assert_eq!(watch.trusted_since_us(), 1_764_000_000_000_000);
    }

    #[test]
    fn a_clock_that_is_set_forward_is_not_trusted_until_buckets_have_been_emptied() {
        let mut watch = ClockWatch::begin(reading(0, 0, 1));
        watch.see(reading(1_600, 500, 1));
        watch.see(reading(2_100, 1_000, 1));
        assert_eq!(watch.trusted_since_us(), NEVER_US);
        watch.emptied();
        assert_eq!(watch.trusted_since_us(), 1_764_000_001_600_000);
    }

    #[test]
    fn a_clock_that_is_set_back_is_trusted_from_then_on() {
        let mut watch = ClockWatch::begin(reading(10_000, 0, 1));
        watch.see(reading(500, 500, 1));
        assert_eq!(watch.trusted_since_us(), 1_764_000_000_500_000);
    }
}
