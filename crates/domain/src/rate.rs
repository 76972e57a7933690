//! From a usage plan to a schedule of calls that never exceeds it: GCRA with margins for jitter and drift.
//!
//! The server's bucket refills at r per second up to B. Calls that leave here evenly arrive unevenly: spread by the
//! network's jitter J, measured against a refill that may tick in steps p, by clocks that drift by ρ. So:
//!
//! - B′ = B − r(J + p) and r′ = r(1 − ρ) while B′ ≥ 1: jitter costs burst, not rate;
//! - otherwise B′ = 1 and r′ = r⌊B⌋ / (1 + r(J + p)), for a bucket of one (less than two) by the same drift.
//!
//! GCRA then uses T = 1/r′ (emission interval) and τ = (B′ − 1)T (tolerance).

use std::time::Duration;

use crate::usage_plan::UsagePlan;

/// How far apart the fleet's and Amazon's idea of a call's time may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// J: spread of the network delay between a permit's slot and the arrival at Amazon.
    pub jitter: Duration,
    /// p: the step in which the server's bucket refills; zero for a continuous refill.
    pub server_tick: Duration,
    /// ρ: relative drift between the two clocks. 2·10⁻⁴ is far beyond an undisciplined quartz.
    pub drift: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self {
            jitter: Duration::from_millis(50),
            server_tick: Duration::ZERO,
            drift: 2e-4,
        }
    }
}

/// The two numbers of the generic cell rate algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// T: time between two calls of a steady flow.
    pub emission_interval: Duration,
    /// τ: how far ahead of the steady flow a burst may run.
    pub tolerance: Duration,
}

impl Gcra {
    /// The schedule for `plan` under `margins`.
    ///
    /// # Panics
    /// Never for plans with a positive rate; a plan with rate 0 is treated as one call a day.
    #[must_use]
    pub fn for_plan(plan: UsagePlan, margins: Margins) -> Self {
        let rate = plan.rate_per_s.max(1.0 / 86_400.0);
        let uncertainty = (margins.jitter + margins.server_tick).as_secs_f64();
        let burst = f64::from(plan.burst.max(1));
        let usable_burst = burst - rate * uncertainty;
        let (usable_burst, usable_rate) = if usable_burst >= 1.0 {
            (usable_burst, rate * (1.0 - margins.drift))
        } else {
            let whole = rate * burst.floor() / (1.0 + rate * uncertainty);
            (1.0, whole.min(rate) * (1.0 - margins.drift))
        };
        let interval = 1.0 / usable_rate;
        Self {
            emission_interval: Duration::from_secs_f64(interval),
            tolerance: Duration::from_secs_f64((usable_burst - 1.0) * interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGINS: Margins = Margins {
        jitter: Duration::from_millis(100),
        server_tick: Duration::ZERO,
        drift: 2e-4,
    };

    #[test]
    fn jitter_costs_burst_and_not_rate_while_a_whole_call_is_left() {
        let gcra = Gcra::for_plan(UsagePlan::new(2.0, 2), MARGINS);
        let interval = gcra.emission_interval.as_secs_f64();
        assert!((interval - 1.0 / (2.0 * 0.9998)).abs() < 1e-6, "{interval}");
        assert!((gcra.tolerance.as_secs_f64() - 0.8 * interval).abs() < 1e-6);
    }

    #[test]
    fn a_bucket_of_one_pays_with_rate() {
        let gcra = Gcra::for_plan(UsagePlan::new(0.5, 1), MARGINS);
        let rate = 1.0 / gcra.emission_interval.as_secs_f64();
        assert!((rate - 0.5 / 1.05 * 0.9998).abs() < 1e-6, "{rate}");
        assert_eq!(gcra.tolerance, Duration::ZERO);
    }

    #[test]
    fn no_schedule_is_faster_than_its_plan() {
        for (rate, burst) in [(0.0056, 20), (0.0167, 20), (0.5, 30), (5.0, 10), (100.0, 2)] {
            let gcra = Gcra::for_plan(UsagePlan::new(rate, burst), MARGINS);
            assert!(1.0 / gcra.emission_interval.as_secs_f64() < rate);
            let calls_at_once =
                gcra.tolerance.as_secs_f64() / gcra.emission_interval.as_secs_f64() + 1.0;
            assert!(calls_at_once <= f64::from(burst));
        }
    }
}
