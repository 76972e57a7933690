//! The token bucket that Amazon describes, without a network and without a limiter: what could be had at most.

use bulkhead_domain::UsagePlan;

/// What happens to a bucket besides calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// Another plan is in force.
    Plan(UsagePlan),
    /// Whoever makes the calls has forgotten how full it is, and must take it to be empty.
    Forgotten,
    /// No calls are made until the next [`Event::Forgotten`].
    Stopped,
}

/// How many of the calls that wait from `demand` on (s, in order) the bucket lets through until `until`. It starts
/// full at 0; `events` are in order.
pub(crate) fn lets_through(
    plan: UsagePlan,
    demand: &[f64],
    events: &[(f64, Event)],
    until: f64,
) -> usize {
    let mut bucket = ModelBucket {
        plan,
        level: f64::from(plan.burst),
        at: 0.0,
        stopped: false,
        events,
    };
    let mut through = 0;
    for waits_from in demand {
        bucket.advance(*waits_from);
        match bucket.take(until) {
            true => through += 1,
            false => break,
        }
    }
    through
}

struct ModelBucket<'a> {
    plan: UsagePlan,
    level: f64,
    at: f64,
    stopped: bool,
    events: &'a [(f64, Event)],
}

impl ModelBucket<'_> {
    /// Waits until there is a call to be had, and takes it; false if that is after `until`.
    fn take(&mut self, until: f64) -> bool {
        loop {
            let wait = (1.0 - self.level).max(0.0) / self.plan.rate_per_s;
            let ready = if self.stopped {
                f64::INFINITY
            } else {
                self.at + wait
            };
            let next_event = self.events.first().map_or(f64::INFINITY, |(at, _)| *at);
            if ready.min(next_event) > until {
                return false;
            }
            if ready <= next_event {
                self.advance(ready);
                self.level -= 1.0;
                return true;
            }
            self.advance(next_event);
        }
    }

    fn advance(&mut self, to: f64) {
        while let Some(((at, event), later)) = self.events.split_first()
            && *at <= to
        {
            self.refill(*at);
            match *event {
                Event::Plan(plan) => self.plan = plan,
                Event::Stopped => self.stopped = true,
                Event::Forgotten => {
                    self.level = 0.0;
                    self.stopped = false;
                }
            }
            self.events = later;
        }
        self.refill(to);
    }

    fn refill(&mut self, to: f64) {
        let gained = (to - self.at).max(0.0) * self.plan.rate_per_s;
        // A part of 10⁻⁹ more, so that a call is not a rounding late.
        self.level = (self.level + gained + 1e-9).min(f64::from(self.plan.burst));
        self.at = self.at.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: UsagePlan = UsagePlan::new(2.0, 4);

    #[test]
    fn a_steady_demand_gets_the_burst_and_the_rate() {
        let demand = vec![0.0; 100];
        assert_eq!(lets_through(PLAN, &demand, &[], 0.0), 4);
        assert_eq!(lets_through(PLAN, &demand, &[], 10.0), 24);
        assert_eq!(lets_through(PLAN, &demand, &[], 9.9), 23);
    }

    #[test]
    fn a_full_bucket_gains_nothing_by_waiting() {
        let demand: Vec<_> = std::iter::repeat_n(0.0, 4)
            .chain(std::iter::repeat_n(10.0, 8))
            .collect();
        assert_eq!(lets_through(PLAN, &demand, &[], 10.0), 8);
        assert_eq!(lets_through(PLAN, &demand, &[], 11.0), 10);
        assert_eq!(lets_through(PLAN, &demand, &[], 60.0), 12);
    }

    #[test]
    fn events_stop_forget_and_lower() {
        let demand = vec![0.0; 100];
        let lost = [(5.0, Event::Stopped), (6.0, Event::Forgotten)];
        assert_eq!(lets_through(PLAN, &demand, &lost, 5.9), 14);
        assert_eq!(lets_through(PLAN, &demand, &lost, 10.0), 14 + 8);
        let lower = [(5.0, Event::Plan(UsagePlan::new(1.0, 4)))];
        assert_eq!(lets_through(PLAN, &demand, &lower, 10.0), 14 + 5);
    }
}
